"""Where the sources of a dataset are looked for, and what is said of those that are not there."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from postmill.ingest.source import layout
from postmill.ingest.source.layout import INSTAGRAM_INFLUENCERS, ArchiveFiles, DatasetLayout, discover, source_words
from postmill.shards.run.sources import Locations
from postmill.shards.runtime.errors import UsageError

OTHER = DatasetLayout(
    metadata=ArchiveFiles("meta", "records", "records-files", (".x",)),
    images=ArchiveFiles("img", "pictures", "pictures-files", (".x",)),
    mapping="pairs.tsv",
    influencers="accounts.tsv",
)


def lay(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_the_datasets_folder(tmp_path: Path) -> None:
    names = [*INSTAGRAM_INFLUENCERS.names().values(), "Post_metadata/posts_info.z01", "Post_images/posts_image.z01"]
    root = lay(tmp_path, *names)
    assert discover(str(root)) == Locations(
        str(root / "Post_metadata" / "posts_info.zip"),
        str(root / "Post_images" / "posts_image.zip"),
        str(root / "JSON-Image_files_mapping.txt"),
        str(root / "influencers.txt"),
    )


def test_parts_in_the_root_a_last_part_that_is_awaited_and_compressed_text(tmp_path: Path) -> None:
    names = ("posts_info.z01", "posts_info.z02", "posts_image.zip", "influencers.txt.gz")
    root = lay(tmp_path, *names, "JSON-Image_files_mapping.txt.zst")
    assert discover(str(root)) == Locations(
        str(root / "posts_info.z02"),
        str(root / "posts_image.zip"),
        str(root / "JSON-Image_files_mapping.txt.zst"),
        str(root / "influencers.txt.gz"),
    )


def test_what_is_named_is_taken_as_it_is(tmp_path: Path) -> None:
    root = lay(tmp_path, *INSTAGRAM_INFLUENCERS.names().values())
    locations = discover(str(root), images="https://pictures.example/a.zip", mapping="elsewhere.txt")
    assert (locations.images, locations.mapping) == ("https://pictures.example/a.zip", "elsewhere.txt")
    assert locations.influencers == str(root / "influencers.txt")
    assert discover(None, "a", "b", "c", "d") == Locations("a", "b", "c", "d")


def test_what_lies_apart_is_named_in_commands_place_by_place(tmp_path: Path) -> None:
    root = lay(tmp_path / "a b", *INSTAGRAM_INFLUENCERS.names().values(), "links.txt", "Post_images/other.zip")
    assert source_words(discover(str(root))) == shlex.quote(str(root))
    for place in (
        str(root / "links.txt"),
        str(root / "Post_images" / "other.zip"),
        ("/disk 1", "https://host/a?sig=1"),
    ):
        words = shlex.split(source_words(discover(str(root), images=place)))
        named = [words[number + 1] for number, word in enumerate(words) if word == "--images"]
        assert named == (["/disk 1", "https://host/a"] if isinstance(place, tuple) else [place])


def test_all_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    root = lay(tmp_path, "influencers.txt", "Post_images/posts_image.z01")
    with pytest.raises(UsageError) as caught:
        discover(str(root))
    assert caught.value.cause == (
        "has no --metadata (Post_metadata/posts_info.zip), no --mapping (JSON-Image_files_mapping.txt)"
    )
    with pytest.raises(UsageError, match="--influencers") as caught:
        discover(None, "a", "b", "c")
    assert caught.value.place == "the command line"


def test_what_is_no_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, cause in (("file", "is not a folder"), ("absent", "does not exist")):
        with pytest.raises(UsageError, match=cause):
            discover(str(tmp_path / name))


def test_another_layout_is_one_more_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "LAYOUTS", (INSTAGRAM_INFLUENCERS, OTHER))
    other = lay(tmp_path / "other", "meta/records.z01", "meta/records.zip", "img/pictures.zip", "pairs.tsv.gz")
    lay(other, "influencers.txt")  # a file of the first layout's name does not make it that
    with pytest.raises(UsageError, match=r"no --influencers \(accounts\.tsv\)"):
        discover(str(other))
    lay(other, "accounts.tsv")
    assert discover(str(other)).mapping == str(other / "pairs.tsv.gz")
    known = lay(tmp_path / "known", *INSTAGRAM_INFLUENCERS.names().values())
    assert discover(str(known)).mapping == str(known / "JSON-Image_files_mapping.txt")


def test_links_to_what_was_not_fetched_are_told_from_what_is_not_there(tmp_path: Path) -> None:
    root = lay(tmp_path, *INSTAGRAM_INFLUENCERS.names().values())
    for name in INSTAGRAM_INFLUENCERS.names().values():
        (root / name).unlink()
        (root / name).symlink_to(".git/annex/objects/MD5E-s1--0")
    with pytest.raises(UsageError, match="has no --metadata") as caught:
        discover(str(root))
    assert "Post_metadata/posts_info.zip is a link to a file that is not here" in (caught.value.hint or "")


def test_what_lies_beside_parts_is_not_taken_for_one(tmp_path: Path) -> None:
    root = lay(tmp_path, *INSTAGRAM_INFLUENCERS.names().values())
    (root / "Post_images" / "posts_image.zip").unlink()
    lay(
        root,
        *(f"Post_images/posts_image.zip.part-{letters}" for letters in ("aa", "ab")),
        "Post_images/posts_image.zip.sha256",
    )
    assert discover(str(root)).images.endswith("posts_image.zip.part-ab")


def test_parts_of_names_that_no_layout_has_are_to_be_named_by_a_pattern(tmp_path: Path) -> None:
    root = lay(tmp_path, *INSTAGRAM_INFLUENCERS.names().values())
    (root / "Post_images" / "posts_image.zip").unlink()
    lay(root, *(f"Post_images/posts_image_{ending}" for ending in ("aa", "ab", "ac")))
    with pytest.raises(UsageError, match="has no --images") as caught:
        discover(str(root))
    hint = caught.value.hint or ""
    assert "posts_image_aa to posts_image_ac" in hint
    _, _, pattern = hint.partition("quotes: --images ")
    assert discover(str(root), images=shlex.split(pattern)[0]).images == f"{root}/Post_images/posts_image*"
