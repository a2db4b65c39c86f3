"""Names of entries: decoded, or refused as paths."""

from __future__ import annotations

import os
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postmill.ingest.archive.reader import Archive
from postmill.ingest.zipformat.entry_names import decode, hostile, mend_all, suspicious, written_on_unix
from postmill.ingest.zipformat.signatures import FLAG_UTF8
from postmill.shards.formats.reasons import Reason
from tests.ingest.archives import needs_zip


def unicode_path(raw: bytes, name: bytes, version: int = 1) -> bytes:
    """A Unicode Path extra field made for `raw`."""
    body = struct.pack("<BI", version, zlib.crc32(raw)) + name
    return struct.pack("<HH", 0x7075, len(body)) + body


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg",
        "image/00_rocketgirl-1188140434601337485.jpg",
        "image/.hidden/..a/b..jpg",
        "info/",
        "a b/c'd\"e.jpg",
        "straße/ÿ/日本/👩‍👩‍👧.jpg",
        "12:30.jpg",
        "x" * 255,
        "/".join(["x" * 99] * 40),
    ],
)
def test_harmless(name: str) -> None:
    assert hostile(name) is None
    assert decode(name.encode(), FLAG_UTF8, b"") == (name, None, None)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("..", "'..'"),
        ("a/../b", "'..'"),
        ("a/..", "'..'"),
        ("a/./b", "'.'"),
        ("a//b", "''"),
        ("a//", "''"),
        ("/", "absolute"),
        ("/etc/passwd", "absolute"),
        ("//host/share", "absolute"),
        ("C:a", "drive"),
        ("c:/a", "drive"),
        ("C:/a/b", "drive"),
        ("a\0b", "U+0000"),
        ("a\nb", "U+000A"),
        ("a\x7fb", "U+007F"),
        ("a\x85b", "U+0085"),
        ("a\u2028b", "U+2028"),
        ("x" * 256, "256 bytes"),
        ("é" * 128, "256 bytes"),
        ("/".join(["x" * 99] * 41), "4099 bytes"),
    ],
)
def test_hostile(name: str, why: str) -> None:
    assert why in (hostile(name) or "")
    shown, reason, detail = decode(name.encode(), FLAG_UTF8, b"")
    assert reason is Reason.NAME_HOSTILE
    assert detail == hostile(name)
    assert shown.isascii()
    assert all(character.isprintable() for character in shown)
    assert len(shown) < 250


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"./info/a.info", "info/a.info"),
        (b"././a", "a"),
        (b"./", "./"),
        (b"info\\a.info", "info/a.info"),
        (b".\\info\\a.info", "info/a.info"),
        (b"info\\", "info/"),
        (b"info/b\\a.info", "info/b/a.info"),
        (b".hidden/a", ".hidden/a"),
    ],
)
def test_separators_and_beginnings_that_lead_nowhere_are_mended(raw: bytes, name: str) -> None:
    assert decode(raw, FLAG_UTF8, b"") == (name, None, None)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"..\\a", "'..'"),
        (b"a\\..\\b", "'..'"),
        (b"./../a", "'..'"),
        (b".\\..\\a", "'..'"),
        (b".//etc/passwd", "absolute"),
        (b"\\etc\\passwd", "absolute"),
        (b"\\\\host\\a", "absolute"),
        (b"C:\\a", "drive"),
        (b"./C:/a", "drive"),
        (b".\\C:a", "drive"),
        (b"a\\\\b", "''"),
        (b".", "'.'"),
        (b"a\\.\\b", "'.'"),
        (b"a\\b\n", "U+000A"),
    ],
)
def test_what_is_mended_is_judged_as_any_name(raw: bytes, why: str) -> None:
    shown, reason, detail = decode(raw, FLAG_UTF8, b"")
    assert reason is Reason.NAME_HOSTILE
    assert why in (detail or "")
    assert all(character.isprintable() for character in shown)


def test_a_unicode_path_is_mended_as_any_name() -> None:
    assert decode(b"a.jpg", 0, unicode_path(b"a.jpg", b".\\b\\a.jpg")) == ("b/a.jpg", None, None)


def test_bit_11_means_utf8_and_its_absence_cp437() -> None:
    assert decode("é.jpg".encode(), FLAG_UTF8, b"")[0] == "é.jpg"
    assert decode(b"\x82.jpg", 0, b"")[0] == "é.jpg"
    shown, reason, detail = decode(b"\xff.jpg", FLAG_UTF8, b"")
    assert (shown, reason) == ("\\xff.jpg", Reason.NAME_UNDECODABLE)
    assert "utf-8 at byte 0" in (detail or "")


def test_what_unix_wrote_without_a_mark_is_utf8_if_it_can_be() -> None:
    assert decode("é.bin".encode(), 0, b"", unix=True) == ("é.bin", None, None)
    assert decode("é.bin".encode(), 0, b"")[0] == "├⌐.bin"
    assert decode(b"\x82.bin", 0, b"", unix=True)[0] == "é.bin"
    assert decode(b"?", 0, unicode_path(b"?", "日".encode()), unix=True)[0] == "日"
    assert written_on_unix(struct.pack("<HHB", 0x5455, 1, 0) + struct.pack("<HH", 0x7875, 0))
    assert not written_on_unix(struct.pack("<HHB", 0x5455, 1, 0))


@pytest.mark.parametrize(("host", "raw"), [(3, "é.bin".encode()), (19, "é.bin".encode()), (0, b"\x82.bin")])
def test_the_host_that_wrote_an_archive_decides(tmp_path: Path, host: int, raw: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x" * len(raw), b"data")
    content = bytearray((tmp_path / "a.zip").read_bytes().replace(b"x" * len(raw), raw))
    content[content.index(b"PK\x01\x02") + 5] = host
    (tmp_path / "a.zip").write_bytes(content)
    with Archive.open(tmp_path / "a.zip", strict=True) as opened:
        assert [(entry.name, opened.read(entry)) for entry in opened.entries()] == [("é.bin", b"data")]


@pytest.mark.parametrize("share", [1, 9])
@pytest.mark.parametrize("salvage", [False, True])
def test_folders_behind_backslashes(tmp_path: Path, share: int, salvage: bool) -> None:
    """Whether all names need to be mended, or a few of them, and also where the directory is lost."""
    names = ["info\\", "info\\a", ".\\info\\b", "./", "info\\held\\", *(f"c{n}" for n in range(3 * share))]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            info = zipfile.ZipInfo("x")
            info.filename = name
            archive.writestr(info, b"data" if name[-1] not in "\\/" or "held" in name else b"")
    if salvage:
        content = (tmp_path / "a.zip").read_bytes()
        (tmp_path / "a.zip").write_bytes(content[:-30])
    with Archive.open(tmp_path / "a.zip", salvage=salvage) as opened:
        entries = list(opened.entries())
    assert [entry.name for entry in entries[:5]] == ["info/", "info/a", "info/b", "./", "info/held/"]
    assert [entry.is_dir for entry in entries[:5]] == [True, False, False, True, False]
    assert [entry.fault for entry in entries[:5]] == [None, None, None, None, Reason.NAME_HOSTILE]
    assert [entry.name for entry in entries[5:]] == names[5:]


@needs_zip
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_name_that_zip_wrote_in_any_locale(tmp_path: Path, locale: str) -> None:
    (tmp_path / "é.bin").write_bytes(b"data")
    subprocess.run(["zip", "-qr", "a.zip", "é.bin"], cwd=tmp_path, check=True, env={**os.environ, "LC_ALL": locale})
    with Archive.open(tmp_path / "a.zip", strict=True) as opened:
        assert [entry.name for entry in opened.entries()] == ["é.bin"]


def test_a_unicode_path_made_for_this_name_counts() -> None:
    raw = b"?.jpg"
    good = unicode_path(raw, "日.jpg".encode())
    other = struct.pack("<HH", 0x5455, 5) + b"12345"
    assert decode(raw, 0, other + good)[0] == "日.jpg"
    assert decode(raw, FLAG_UTF8, good + other)[0] == "日.jpg"


def test_a_unicode_path_made_for_another_name_does_not() -> None:
    for extra in (
        unicode_path(b"other", b"x.jpg"),
        unicode_path(b"a.jpg", b"x.jpg", version=2),
        unicode_path(b"a.jpg", b"")[:6],
        b"\x75\x70",
    ):
        assert decode(b"a.jpg", 0, extra) == ("a.jpg", None, None)


def test_a_unicode_path_is_as_hostile_as_any_name() -> None:
    assert decode(b"a.jpg", 0, unicode_path(b"a.jpg", b"../a.jpg"))[1] is Reason.NAME_HOSTILE
    assert decode(b"a.jpg", 0, unicode_path(b"a.jpg", b"\xff"))[1] is Reason.NAME_UNDECODABLE


@given(st.lists(st.one_of(st.binary(max_size=12), st.text("a./\\:é\0C", max_size=8).map(str.encode)), max_size=30))
@example([b"", b"a", b"", b"/a"])
@example([b"a/", b".", b"b"])
@example([b"a/../b", b"ok"])
@example([b"ok", b"a//b"])
def test_what_is_not_suspicious_needs_no_decoding(names: list[bytes]) -> None:
    data = np.frombuffer(b"".join(names), np.uint8)
    offsets = np.cumsum([0, *map(len, names)]).astype(np.int32)
    rows = suspicious(data, offsets).tolist()
    for row, name in enumerate(names):
        if row not in rows:
            for flags in (0, FLAG_UTF8):
                assert decode(name, flags, b"") == (name.decode("ascii"), None, None)


@given(st.lists(st.one_of(st.binary(max_size=12), st.text("a./\\:\xe9\0C", max_size=8).map(str.encode)), max_size=30))
@example([b".\\a", b"./a", b"\\..\\a", b"./\\a", b"a\\", b"./"])
def test_names_mended_by_the_thousand_are_those_mended_one_by_one(names: list[bytes]) -> None:
    mended = mend_all(pa.array(names, pa.binary())).to_pylist()
    offsets = np.cumsum([0, *map(len, mended)]).astype(np.int32)
    rows = suspicious(np.frombuffer(b"".join(mended), np.uint8), offsets).tolist()
    for row, (name, mend) in enumerate(zip(names, mended, strict=True)):
        if row not in rows:
            assert decode(name, 0, b"") == (mend.decode("ascii"), None, None)


def test_ordinary_names_are_not_suspicious() -> None:
    names = [b"image/user.name-123.jpg", b"image/", b"a", b"a.b/c-d_e.info"]
    offsets = np.cumsum([0, *map(len, names)]).astype(np.int32)
    assert suspicious(np.frombuffer(b"".join(names), np.uint8), offsets).tolist() == []
