"""Sources compared with the checksums that were handed out with them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from postmill.ingest.plan.copies import check_copies
from postmill.ingest.source.layout import discover
from postmill.shards.run.options import Level
from postmill.shards.runtime.errors import DamagedSource, UsageError
from postmill.shards.runtime.progress import Silent
from tests import datasets


class Notes(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copies") / "data"
    pictures = {f"ann-{post}.jpg": hashlib.sha512(b"%d" % post).digest() * 300 for post in range(8)}
    infos = {f"ann-{post}.info": datasets.info(str(post)) for post in range(8)}
    rows = [("ann", str(post), [f"{post}.jpg"]) for post in range(8)]
    datasets.write_dataset(folder, infos, pictures, rows, options=["-s", "64k", "-0"])
    return folder


def sources(data: Path) -> list[Path]:
    return sorted(path for path in data.rglob("*") if path.is_file())


def list_of(data: Path, folder: Path, algorithm: str = "md5", **wrong: str) -> str:
    digests = {path.name: hashlib.new(algorithm, path.read_bytes()).hexdigest() for path in sources(data)}
    path = folder / f"list.{algorithm}"
    path.write_text("".join(f"{wrong.get(name, digest)}  some/{name}\n" for name, digest in digests.items()))
    return str(path)


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_whole_copies_pass_without_a_word(data: Path, tmp_path: Path, algorithm: str) -> None:
    notes = Notes()
    check_copies(discover(str(data)), [list_of(data, tmp_path, algorithm)], Level.DEFAULT, notes)
    assert notes.said == []


def test_a_copy_that_differs_is_named_with_both_digests(data: Path, tmp_path: Path) -> None:
    wrong = {"posts_image.z01": "0" * 32, "influencers.txt": "1" * 32}
    listed = list_of(data, tmp_path, **wrong)
    with pytest.raises(DamagedSource) as caught:
        check_copies(discover(str(data)), [listed], None, Silent())
    for name, digest in wrong.items():
        (path,) = (path for path in sources(data) if path.name == name)
        made = hashlib.md5(path.read_bytes()).hexdigest()
        assert f"the md5 of {name} is {made}, and {listed} has {digest}" in caught.value.cause
    assert caught.value.place is not None and caught.value.place.endswith("posts_image.z01")
    assert caught.value.hint == "fetch posts_image.z01, influencers.txt again, then run the same command"


def test_salvage_takes_a_copy_that_differs_and_says_so(data: Path, tmp_path: Path) -> None:
    notes = Notes()
    listed = list_of(data, tmp_path, **{"posts_info.zip": "0" * 32})
    check_copies(discover(str(data)), [listed], Level.SALVAGE, notes)
    (said,) = notes.said
    assert "the md5 of posts_info.zip is" in said


def test_what_is_not_listed_and_what_is_no_source_are_noted(data: Path, tmp_path: Path) -> None:
    listed = Path(list_of(data, tmp_path))
    lines = [line for line in listed.read_text().splitlines() if "influencers" not in line]
    listed.write_text("\n".join([*lines, f"{'0' * 32}  README.docx", f"{'0' * 32}  sample_images.zip"]))
    notes = Notes()
    check_copies(discover(str(data)), [str(listed)], None, notes)
    assert notes.said == [
        "checksums: 2 names of the lists are no source of this dataset",
        "checksums: not listed, so not checked: influencers.txt",
    ]


def test_of_two_digests_of_one_name_either_may_be_right(data: Path, tmp_path: Path) -> None:
    listed = Path(list_of(data, tmp_path))
    listed.write_text(f"{'0' * 32}  other/posts_image.zip\n" + listed.read_text())
    check_copies(discover(str(data)), [str(listed)], None, Silent())


def test_all_algorithms_that_are_stated_are_compared(data: Path, tmp_path: Path) -> None:
    lists = [list_of(data, tmp_path, "md5"), list_of(data, tmp_path, "sha256", **{"posts_image.zip": "0" * 64})]
    with pytest.raises(DamagedSource, match=r"the sha256 of posts_image\.zip is"):
        check_copies(discover(str(data)), lists, None, Silent())


def test_a_list_of_something_else_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"{'0' * 32}  a.zip\n{'0' * 32}  b.zip\n")
    with pytest.raises(UsageError, match="none of the 2 names in it"):
        check_copies(discover(str(data)), [str(tmp_path / "list")], None, Silent())
