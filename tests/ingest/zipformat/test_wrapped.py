"""Archives beyond 4 GiB of writers without ZIP64, such as macOS: what has more than 32 bits is cut off."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from postmill.ingest.archive.reader import Archive
from postmill.ingest.zipformat.parts import find_parts
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.runtime.errors import PostmillError
from tests.ingest.zipformat.directories import rows

GIB = 1 << 30


def write_wrapped(path: Path, order: int = 1) -> dict[str, bytes]:
    """Large entries, which are holes of a sparse file, and a small one behind each; return the small ones."""
    records, small = [], {}
    with path.open("wb") as file:
        for number in range(10):
            plain = b"" if number % 2 == 0 else b"entry %d" % number
            size, crc32 = (len(plain), zlib.crc32(plain)) if plain else (GIB + 7, 0)
            name = b"e%d" % number
            common = struct.pack("<HHHIIIIHH", 20, 0, 0, 0, crc32, size, size, len(name), 0)
            offset = file.tell() % (1 << 32)
            records.append(b"PK\1\2\x15\3" + common + struct.pack("<HHHII", 0, 0, 0, 0, offset) + name)
            file.write(b"PK\3\4" + common + name + plain)
            if not plain:
                file.seek(size, 1)
            else:
                small[name.decode()] = plain
        start, directory = file.tell(), b"".join(records[::order])
        file.write(directory + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 10, 10, len(directory), start % (1 << 32), 0))
    assert path.stat().st_blocks < 1000, "this file system has no sparse files"
    return small


@pytest.mark.parametrize("salvage", [False, True])
def test_offsets_are_counted_on(tmp_path: Path, salvage: bool) -> None:
    small = write_wrapped(tmp_path / "a.zip")
    with Archive.open(tmp_path / "a.zip", salvage=salvage) as archive:
        entries = {entry.name: entry for entry in archive.entries()}
        assert {name: archive.read(entries[name]) for name in small} == small
        assert all(entry.fault is None for entry in entries.values())
        assert ["modulo 4 GiB" in warning for warning in archive.directory.warnings] == [True]
    with pytest.raises(PostmillError, match="modulo 4 GiB"):
        Archive.open(tmp_path / "a.zip", strict=True)


@pytest.mark.parametrize("block", [100, 1000])
def test_offsets_are_counted_on_through_blocks(tmp_path: Path, block: int) -> None:
    write_wrapped(tmp_path / "a.zip")
    with AddressSpace(find_parts(tmp_path / "a.zip")) as space:
        offsets = [row["offset"] for row in rows(space, block=block)]
        assert offsets == sorted(offsets)
        assert [space.read(offset, 4) for offset in offsets] == [b"PK\3\4"] * 10


def test_another_order_is_refused(tmp_path: Path) -> None:
    write_wrapped(tmp_path / "a.zip", order=-1)
    with pytest.raises(PostmillError):
        Archive.open(tmp_path / "a.zip")


def test_slices_of_such_a_file(tmp_path: Path) -> None:
    small = write_wrapped(tmp_path / "a.zip")
    size = (tmp_path / "a.zip").stat().st_size
    with (tmp_path / "a.zip").open("rb") as whole, (tmp_path / "b.zip.002").open("wb") as second:
        whole.seek(size - 1000)
        second.write(whole.read())
    with (tmp_path / "a.zip").open("r+b") as first:
        first.truncate(size - 1000)
    (tmp_path / "a.zip").rename(tmp_path / "b.zip.001")
    with Archive.open(tmp_path / "b.zip.001") as archive:
        assert archive.kind == "bytes"
        assert {entry.name: archive.read(entry) for entry in archive.entries() if entry.name in small} == small
