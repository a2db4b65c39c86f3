"""Lists of parts: what is one, how its lines are read, and what is said of a wrong one, without showing a line."""

from __future__ import annotations

import codecs
import errno
import os
from io import FileIO
from pathlib import Path

import pytest

from postmill.ingest.zipformat.parts import find_parts
from postmill.ingest.zipformat.places import lists
from postmill.ingest.zipformat.places.lists import read_list
from postmill.ingest.zipformat.places.search import paths_of
from postmill.shards.runtime.errors import PostmillError, UsageError
from tests.ingest.zipformat.directories import make, names_of, zipped
from tests.web import serving

SECRET = "s3cr3t"
LINK = f"https://host/x/a.z01?sig={SECRET}"


def listed(path: Path) -> list[tuple[str, str]]:
    parts = read_list(str(path))
    assert parts is not None
    return [(part.name, part.path) for part in parts]


def test_the_lines_of_a_list(tmp_path: Path) -> None:
    (tmp_path / "list").write_text(
        f"# a comment, a blank line, and every way to name a part\n\n{LINK}\n"
        "a.z02 https://drive/uc?id=1&export=download\n"
        "a.z03\tfolder with blanks/b.bin\n"
        "  a.z04   /disk 2/b.bin  \n"
        "a.z05 ../up.bin\n"
        "/disk 3/a.z06\n"
        "my parts/a.zip\n"
    )
    assert listed(tmp_path / "list") == [
        ("a.z01", LINK),
        ("a.z02", "https://drive/uc?id=1&export=download"),
        ("a.z03", str(tmp_path / "folder with blanks" / "b.bin")),
        ("a.z04", "/disk 2/b.bin"),
        ("a.z05", str(tmp_path / ".." / "up.bin")),
        ("a.z06", "/disk 3/a.z06"),
        ("a.zip", str(tmp_path / "my parts" / "a.zip")),
    ]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (b"", "utf-16-le"),
    ],
)
def test_lists_as_other_systems_write_them(tmp_path: Path, ends: str, mark: bytes, encoding: str) -> None:
    text = f"{LINK}{ends}ä.zip /dïsk/b{ends}"
    (tmp_path / "list").write_bytes(mark + text.encode(encoding))
    assert listed(tmp_path / "list") == [("a.z01", LINK), ("ä.zip", "/dïsk/b")]


@pytest.mark.parametrize("name", ["links.txt", "links", "links.zip", "links.z01", "links.001", "links.csv"])
def test_what_it_is_called_makes_no_list(tmp_path: Path, name: str) -> None:
    make(tmp_path, "a.z01", "a.zip")
    (tmp_path / name).write_text("a.z01\na.zip\n")
    assert names_of(tmp_path / name) == ["a.z01", "a.zip"]
    (tmp_path / name).write_bytes(zipped("x"))
    assert read_list(str(tmp_path / name)) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        zipped("a", "https://host/a.z01"),
        b"https://host/\0a.z01",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4f1c\nsize 12\n",
        b"/annex/objects/MD5E-s12--4f1c.z01\n",
        b"<!DOCTYPE html>\nhttps://host/a.z01\n",
        b'{"id": 1}\n{"id": 2}\n',
        b"some text\nthat was packed\n",
        b"#!/bin/sh\nexec unzip $0\n" + b"# text\n" * 999 + b"curl https://host/a.z01\n" + zipped("x"),
        os.urandom(5000),
    ],
)
@pytest.mark.parametrize("name", ["a.z07", "a.bin"])
def test_what_is_no_list(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert read_list(str(tmp_path / name)) is None


def test_only_a_file_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "none", "/dev/zero", "a\0b"):
        assert read_list(str(path)) is None
    with pytest.raises(UsageError, match="is a pipe or a device"):
        find_parts(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (f"{LINK}\nhttps://host/ {SECRET}/a.zip\n", "line 2 holds a blank"),
        (f"{LINK}\nhttps://host/{SECRET}\0/a.zip\n", "line 2 holds a control character"),
        (f"{LINK}\nhttps://host/?{SECRET}\n", "line 2 names a part by what is no name"),
        (f"{LINK}\n..\\{SECRET}\thttps://host/b\n", "line 2 names a part by what holds a slash"),
        (f"{LINK}\n../{SECRET} https://host/b\n", "line 2 names a part by what holds a slash"),
        (f"{LINK}\n..\thttps://host/{SECRET}\n", "line 2 names a part by what is no name"),
        (f"{LINK}\n{SECRET}{'x' * 300}\thttps://host/b\n", "line 2 names a part by what is longer than 255 bytes"),
        (f"{LINK}\n{SECRET}\n{LINK}", "lines 1 and 3 both name a.z01"),
        (f"{LINK}\na.zip {LINK}\n", "lines 1 and 2 name one place for two parts"),
        (f"{LINK}\na.z01 https://host/b?{SECRET}\n", "lines 1 and 2 both name a.z01"),
        (f"https://d/uc?id={SECRET}\nhttps://d/uc?id=2\n", "lines 1 and 2 both name uc"),
        (f"{LINK}\nhttps://host/{'x' * 70_000}\n", "line 2 has more than 65,536 characters"),
        (f"list https://host/{SECRET}\n", "is called as the part of its line 1 is"),
    ],
)
def test_a_wrong_line_is_told_by_its_number(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "list").write_text(lines)
    with pytest.raises(UsageError, match=said) as caught:
        read_list(str(tmp_path / "list"))
    assert caught.value.place == str(tmp_path / "list")
    assert SECRET not in f"{caught.value} {caught.value.hint}"


def test_a_wrong_line_may_be_the_first(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("htps//host/a.z01\n" + LINK.replace("z01", "zip") + "\n")
    with pytest.raises(UsageError, match=r"there is no such file, which line 1 of .*/list has for a.z01"):
        find_parts(tmp_path / "list")


@pytest.mark.parametrize("begin", [b"https://host/a.z01?", b"https://host/a.z01\n#"])
def test_a_list_without_end_is_refused_and_not_read(tmp_path: Path, begin: bytes) -> None:
    with (tmp_path / "list").open("wb") as file:
        file.write(begin + b"x" * 5000)
        file.truncate(1 << 30)
    with pytest.raises(UsageError, match=r"line \d (has more than 65,536|holds a control)|begins as a list"):
        read_list(str(tmp_path / "list"))


def test_a_list_of_too_many_parts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("".join(f"https://h/{number}\n" for number in range(70_000)))
    with pytest.raises(UsageError, match="more than 65,536 parts"):
        read_list(str(tmp_path / "list"))


def test_what_lacks_in_a_list_is_named(tmp_path: Path) -> None:
    make(tmp_path, "a.z01", "a.z02", "a.z03", "a.zip")
    path = tmp_path / "list"
    for names, said in {
        "a.z01 a.z03 a.zip": "1 part missing: a.z02",
        "a.z01 a.z02 a.z03": "lists no a.zip, the last part",
        "a.z03 a.z01": "lists no a.zip, the last part",
        "a.z01 a.zip b.z02": "parts of different archives: a, b",
        "a.z01 a.z02 none/a.z03 a.zip": "there is no such file, which line 3 of .* has for a.z03",
    }.items():
        make(tmp_path, "b.z02")
        path.write_text(names.replace(" ", "\n"))
        with pytest.raises(PostmillError, match=said) as caught:
            find_parts(path)
        assert str(path) in str(caught.value)
    (tmp_path / "a.z02").write_bytes(b"")
    path.write_text("a.z01\na.z02\na.z03\na.zip\n")
    with pytest.raises(PostmillError, match=r"empty: a\.z02"):
        find_parts(path)
    path.write_text("a.z01\na.z03\na.zip\n")
    assert [part.name for part in find_parts(path, salvage=True) if part.missing] == ["a.z02"]


def test_names_need_follow_no_scheme(tmp_path: Path) -> None:
    make(tmp_path, "one", "two", "three")
    (tmp_path / "list").write_text("two\n./one\nlast three\nlast2 ./three\n".replace("last three\n", ""))
    assert names_of(tmp_path / "list") == ["two", "one", "last2"]


def test_files_of_odd_kinds_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.z01")
    make(tmp_path, "a.zip")
    for place in ("a.z01", "file:///dev/zero", f"file://{tmp_path}/a.z01", f"file://{tmp_path}", "nonsense://host/x"):
        (tmp_path / "list").write_text(f"a.z01\t{place}\na.zip\n")
        with pytest.raises(PostmillError, match=r"no such file|empty|is no protocol|cannot be|folder") as caught:
            find_parts(tmp_path / "list")
        assert caught.value.hint


def test_a_file_address_is_read(tmp_path: Path) -> None:
    make(tmp_path, "a.z01", "b")
    (tmp_path / "list").write_text(f"file://{tmp_path}/a.z01\na.zip file://{tmp_path}/b\n")
    assert [(part.name, part.size) for part in find_parts(tmp_path / "list")] == [("a.z01", 1), ("a.zip", 2)]


def test_an_address_that_does_not_name_its_part_is_named_in_messages(tmp_path: Path) -> None:
    with serving(tmp_path, lambda path, query, _: 403 if "2" in query else 404) as host:
        for number, said in ((1, "line 1 of .* has for a.z01"), (2, "a.z01, line 1 of .*, may not be read: 403")):
            (tmp_path / "list").write_text(f"a.z01 http://{host}/uc?id={number}{SECRET}\n")
            with pytest.raises(PostmillError, match=said) as caught:
                find_parts(tmp_path / "list")
            assert SECRET not in f"{caught.value} {caught.value.hint}"


def test_places_are_looked_at_from_the_last_to_the_first(tmp_path: Path) -> None:
    names = ["a.z01", "a.z02", "a.z03", "a.zip"]
    make(tmp_path / "disk1", "a.z01", "a.z02")
    make(tmp_path / "disk2", "a.z02", "a.z03")
    (tmp_path / "list").write_text("a.zip https://host/uc?id=1\n")
    disks = [str(tmp_path / "disk1"), str(tmp_path / "disk2" / "a.z03"), str(tmp_path / "list")]
    found = [
        str(tmp_path / "disk1" / "a.z01"),
        str(tmp_path / "disk2" / "a.z02"),
        str(tmp_path / "disk2" / "a.z03"),
        "https://host/uc?id=1",
    ]
    assert paths_of(names, disks) == found
    assert paths_of(names, disks[:1]) == [str(tmp_path / "disk1" / name) for name in names]
    assert paths_of(names, disks[2:])[:1] == [str(tmp_path / "list" / "a.z01")], "below a file lies nothing"
    assert paths_of(names, ["https://host/a.z01?sig=1", "https://other/a.zip?sig=2"]) == [
        *(f"https://host/{name}?sig=1" for name in names[:-1]),
        "https://other/a.zip?sig=2",
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(FileIO):
        def read(self, size: int = -1, /) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "a.zip").write_bytes(b"PK")
    monkeypatch.setattr(lists, "FileIO", Broken)
    with pytest.raises(PostmillError, match=r"a\.zip: cannot be read: Input/output error"):
        find_parts(str(tmp_path / "a.zip"))
