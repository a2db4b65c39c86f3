"""Finding the parts of an archive by their names."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.spec import AbstractFileSystem

from postmill.ingest.remote import patience
from postmill.ingest.remote.files import Forbidden, RequestError
from postmill.ingest.zipformat import parts
from postmill.ingest.zipformat.parts import find_parts
from postmill.shards.runtime.errors import PostmillError, UsageError
from tests.ingest.zipformat.directories import make, names_of

SETS = [
    ["a.z01", "a.z02", "a.zip"],
    ["a.z00", "a.z01", "a.z02"],
    ["a.z00", "a.z01", "a.zip"],
    ["A.Z01", "A.Z02", "A.ZIP"],
    ["a.zx01", "a.zx02", "a.zipx"],
    ["a.zip.001", "a.zip.002", "a.zip.003"],
    ["a.zip.000", "a.zip.001"],
    ["a.001", "a.002"],
    ["a.zip.aa", "a.zip.ab", "a.zip.ac"],
    ["a.zip.a", "a.zip.b"],
    ["a.zip.aaa", "a.zip.aab"],
    ["a.zip.1", "a.zip.2"],
    ["a.ZIP.001", "a.ZIP.002"],
    ["a.zip.part-aa", "a.zip.part-ab"],
    ["a.zip.partaa", "a.zip.partab"],
    ["a.zip.parta", "a.zip.partb"],
    ["a.zip.part.aa", "a.zip.part.ab"],
    ["a.zip.part00", "a.zip.part01"],
    ["a.zip.part1", "a.zip.part2"],
    ["a.zip.part01of02", "a.zip.part02of02"],
    ["a.zip_aa", "a.zip_ab"],
    ["a.ZIP.aa", "a.ZIP.ab"],
    ["a.zip.split-aa", "a.zip.split-ab"],
    ["a.zip.chunk0", "a.zip.chunk1"],
    ["a.zipaa", "a.zipab"],
    ["a.zip-00", "a.zip-01"],
    ["a.zip-1", "a.zip-2"],
    ["a.partaa", "a.partab"],
    ["a.zip"],
    ["posts image (copy) '1'.z01", "posts image (copy) '1'.zip"],
    ["user.name.2019.z01", "user.name.2019.zip"],
]


@pytest.mark.parametrize("names", SETS, ids=lambda names: names[0])
def test_any_part_a_glob_the_folder_or_a_list_gives_the_whole_set_in_order(tmp_path: Path, names: list[str]) -> None:
    make(tmp_path, *names)
    make(tmp_path, "readme.txt", "other.bin")
    for name in names:
        assert names_of(tmp_path / name) == names
        assert names_of(str(tmp_path / name)) == names
    assert names_of(tmp_path) == names
    assert names_of(tmp_path / (names[0][:3] + "*")) == names
    shuffled = [tmp_path / name for name in names]
    random.Random(1).shuffle(shuffled)
    assert names_of(shuffled) == names


def test_parts_follow_each_other_in_one_address_space(tmp_path: Path) -> None:
    make(tmp_path, "a.z01", "a.z02", "a.zip")
    parts = find_parts(tmp_path)
    assert [(part.start, part.size, part.end) for part in parts] == [(0, 1, 1), (1, 2, 3), (3, 3, 6)]
    assert [Path(part.path) for part in parts] == [tmp_path / part.name for part in parts]


def test_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    names = [f"a.z{number:02d}" for number in range(1, 121)]
    make(tmp_path, *names, "a.zip")
    assert names_of(tmp_path / "a.z99") == [*names, "a.zip"]
    assert names_of(tmp_path / "a.zip")[98:101] == ["a.z99", "a.z100", "a.z101"]


@pytest.mark.parametrize("folder", ["with space", 'quote\'d "x"', "new\nline", "$(touch x)", "br[ack]ets*"])
def test_strange_folder_names_are_only_names(tmp_path: Path, folder: str) -> None:
    make(tmp_path / folder, "a.z01", "a.zip")
    assert names_of(tmp_path / folder / "a.zip") == ["a.z01", "a.zip"]
    assert names_of(tmp_path / folder) == ["a.z01", "a.zip"]


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["a.z01", "a.z03", "a.z04", "a.z06", "a.zip"], ["a.z02", "a.z05"]),
        (["a.z02", "a.zip"], ["a.z01"]),
        (["a.z00", "a.z02"], ["a.z01"]),
        (["a.z98", "a.z101", "a.zip"], ["a.z01", "and 91 more"]),
        (["a.zip.001", "a.zip.004"], ["a.zip.002", "a.zip.003"]),
        (["a.zip.002"], ["a.zip.001"]),
        (["a.zip.ab", "a.zip.ad"], ["a.zip.aa", "a.zip.ac"]),
        (["a.zx01", "a.zx03", "a.zipx"], ["a.zx02"]),
        (["a.z01", "a.z999999999"], ["a.z02"]),
    ],
)
def test_missing_parts_are_named_with_what_to_do(tmp_path: Path, names: list[str], missing: list[str]) -> None:
    make(tmp_path, *names)
    with pytest.raises(PostmillError) as caught:
        find_parts(tmp_path / names[0])
    assert "missing" in caught.value.cause
    assert all(name in caught.value.cause for name in missing)
    assert not any(name in caught.value.cause for name in names)
    assert str(tmp_path) in (caught.value.place or "")
    assert "fetch" in (caught.value.hint or "")


def test_a_part_that_is_there_twice_is_named(tmp_path: Path) -> None:
    make(tmp_path, "a.z01", "a.z1", "a.z02", "a.zip")
    with pytest.raises(PostmillError, match=r"twice: a\.z01 and a\.z1") as caught:
        find_parts(tmp_path / "a.zip")
    assert "move" in (caught.value.hint or "")
    with pytest.raises(PostmillError, match="twice"):
        find_parts([tmp_path / "a.z01", tmp_path / "a.z02", tmp_path / "a.z02"])


def test_empty_parts_are_named(tmp_path: Path) -> None:
    make(tmp_path, "a.z01", "a.z02", "a.z03", "a.zip")
    (tmp_path / "a.z02").write_bytes(b"")
    (tmp_path / "a.zip").write_bytes(b"")
    with pytest.raises(PostmillError, match=r"empty: a\.z02, a\.zip"):
        find_parts(tmp_path)


def test_two_archives_in_a_folder_are_not_guessed_at(tmp_path: Path) -> None:
    make(tmp_path, "a.z01", "a.zip", "b.zip")
    with pytest.raises(UsageError, match="more than one archive here: a, b"):
        find_parts(tmp_path)
    assert names_of(tmp_path / "b.zip") == ["b.zip"]
    with pytest.raises(UsageError, match="different archives: a, b"):
        find_parts([tmp_path / "a.z01", tmp_path / "b.zip"])


def test_nothing_there(tmp_path: Path) -> None:
    for source in (tmp_path / "a.zip", tmp_path / "*.z*", tmp_path, [], [tmp_path / "a.z01", tmp_path / "a.zip"]):
        with pytest.raises(UsageError):
            find_parts(source)


def test_names_without_a_scheme_keep_the_order_given(tmp_path: Path) -> None:
    make(tmp_path, "xaa", "xab", "xac")
    assert names_of([tmp_path / "xac", tmp_path / "xaa"]) == ["xac", "xaa"]
    assert names_of(tmp_path / "xa*") == ["xaa", "xab", "xac"]
    assert names_of(tmp_path / "xab") == ["xab"]


def test_a_list_may_name_parts_in_different_folders(tmp_path: Path) -> None:
    make(tmp_path / "disk1", "a.z02", "a.zip")
    make(tmp_path / "disk2", "a.z01")
    assert names_of([tmp_path / "disk1" / "a.zip", tmp_path / "disk2" / "a.z01", tmp_path / "disk1" / "a.z02"]) == [
        "a.z01",
        "a.z02",
        "a.zip",
    ]


def test_a_year_is_no_part_number(tmp_path: Path) -> None:
    make(tmp_path, "backup.2021")
    assert names_of(tmp_path / "backup.2021") == ["backup.2021"]


@pytest.mark.parametrize("names", [names for names in SETS if "." in names[0]], ids=lambda names: names[0])
def test_urls_are_probed_for_their_neighbours(tmp_path: Path, names: list[str]) -> None:
    memory = fsspec.filesystem("memory")
    folder = f"/{tmp_path.name}"
    for number, name in enumerate(names):
        memory.pipe(f"{folder}/{name}", b"x" * (number + 1))
    for name in names:
        parts = find_parts(f"memory:/{folder}/{name}")
        assert [(part.name, part.size) for part in parts] == [(name, number + 1) for number, name in enumerate(names)]


def test_a_gap_before_the_part_that_a_url_names(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for name in ("a.z01", "a.z02", "a.z04", "a.zip"):
        memory.pipe(f"/{tmp_path.name}/{name}", b"x")
    with pytest.raises(PostmillError, match=r"1 part missing: a\.z03"):
        find_parts(f"memory://{tmp_path.name}/a.z04")


@pytest.mark.parametrize(
    ("url", "next_step"),
    [("nosuchprotocol://host/a.zip", "download the files"), ("http://host/a.zip", "pip install 'postmill[http]'")],
)
def test_a_url_that_cannot_be_had_says_why(url: str, next_step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(protocol: str) -> None:
        raise ImportError("needs a package that is not there")

    if url.startswith("http:"):
        monkeypatch.setattr(fsspec, "get_filesystem_class", lacking)
    with pytest.raises(UsageError) as caught:
        find_parts(url)
    assert caught.value.cause.startswith(url.partition("host")[0])
    assert next_step in (caught.value.hint or "")


class Closed(AbstractFileSystem):  # type: ignore[misc]
    """Forbids what is not there, as object stores do, or cannot be reached at all."""

    protocol = "closed"
    cachable = False

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        if "dead" in path:
            raise FileNotFoundError(path) from ConnectionRefusedError("refused")
        if "reset" in path:
            raise ConnectionResetError("reset by peer")
        if not path.endswith((".z01", ".z02", ".zip")):
            raise PermissionError(path)
        return {"name": path, "size": None if "unsized" in path else 5, "type": "file"}


fsspec.register_implementation("closed", Closed, clobber=True)


def test_a_store_that_forbids_what_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert names_of("closed://store/a.zip") == ["a.z01", "a.z02", "a.zip"]
    assert "may not be read" in caplog.text and "taken as not there" in caplog.text
    with pytest.raises(Forbidden, match="may not be read"):
        find_parts("closed://store/a.zipx")


@pytest.mark.parametrize(("name", "why"), [("dead", "refused"), ("reset", "reset by peer")])
def test_a_store_out_of_reach_is_not_an_empty_one(name: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience.time, "sleep", lambda _: None)
    with pytest.raises(RequestError, match=f"cannot be reached: {why}"):
        find_parts(f"closed://store/{name}.zip")


def test_a_server_that_has_everything_is_not_asked_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(parts.remote_files, "size", lambda url: asked.append(url) or 5)
    with pytest.raises(UsageError, match="whatever name"):
        find_parts("http://host/a.zip")
    assert len(asked) < 1_100


def test_a_file_of_unknown_size() -> None:
    with pytest.raises(RequestError, match="how large"):
        find_parts("closed://store/unsized.zip")


def test_a_url_of_nothing(tmp_path: Path) -> None:
    for name in ("a.zip", "a.z07", "a.bin"):
        with pytest.raises(UsageError, match="no such file"):
            find_parts(f"memory://{tmp_path.name}/{name}")
