"""One entry's local header against the directory."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from itertools import product
from typing import Any

import pytest

from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.local_header import descriptor_size, locate
from postmill.ingest.zipformat.local_headers import ExpectedEntry
from postmill.shards.formats.reasons import Reason

NAME = b"image/a-1.jpg"
PLAIN = b"some picture"
FIELDS: dict[str, Any] = dict(
    raw_name=NAME, method=0, flags=0, crc32=zlib.crc32(PLAIN), compressed_size=len(PLAIN), size=len(PLAIN)
)


def local(extra: bytes = b"", **fields: Any) -> bytes:
    """A local header with its name."""
    values = {**FIELDS, **fields}
    return (
        struct.pack(
            "<4s5H3I2H",
            b"PK\x03\x04",
            20,
            values["flags"],
            values["method"],
            0,
            0,
            values["crc32"],
            values["compressed_size"],
            values["size"],
            len(values["raw_name"]),
            len(extra),
        )
        + values["raw_name"]
        + extra
    )


def declared(**fields: Any) -> ExpectedEntry:
    """What the directory says."""
    return ExpectedEntry(**{**FIELDS, **fields})


def find(buffer: bytes | bytearray | memoryview, position: int = 0, limit: int | None = None, **fields: Any) -> bytes:
    start, end = locate(buffer, position, len(buffer) if limit is None else limit, declared(**fields))
    return bytes(buffer[start:end])


def fault(buffer: bytes, position: int = 0, limit: int | None = None, **fields: Any) -> EntryFault:
    with pytest.raises(EntryFault) as caught:
        find(buffer, position, limit, **fields)
    return caught.value


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_data_are_found_wherever_the_header_lies(kind: Any) -> None:
    buffer = kind(b"before" + local(b"\x55\x54\x05\x0012345") + PLAIN + b"PK\x03\x04")
    assert find(buffer, 6, len(buffer) - 4) == PLAIN


def test_zipfile_writes_what_we_read() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            with archive.open(f"info/user-{number}.info", "w", force_zip64=number % 2 == 0) as entry:
                entry.write(b"text " * number)
    for one in zipfile.ZipFile(out).infolist():
        expected = declared(
            raw_name=one.filename.encode(),
            method=one.compress_type,
            flags=one.flag_bits,
            crc32=one.CRC,
            compressed_size=one.compress_size,
            size=one.file_size,
        )
        start, end = locate(out.getvalue(), one.header_offset, len(out.getvalue()), expected)
        assert zlib.decompress(out.getvalue()[start:end], -15) == b"text " * int(one.filename[10:-5])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (dict(raw_name=b"image/a-2.jpg"), Reason.NAME_MISMATCH),
        (dict(raw_name=b"image/a-1.jp"), Reason.NAME_MISMATCH),
        (dict(method=8), Reason.METHOD_MISMATCH),
        (dict(crc32=1), Reason.CRC_MISMATCH),
        (dict(size=11), Reason.SIZE_MISMATCH),
        (dict(compressed_size=11), Reason.SIZE_MISMATCH),
        (dict(flags=1), Reason.FLAGS_MISMATCH),
    ],
)
def test_a_contradiction_names_both_sides(changed: dict[str, Any], reason: Reason) -> None:
    caught = fault(local(**changed) + PLAIN)
    assert caught.reason is reason
    (value,) = changed.values()
    (old,) = (FIELDS[name] for name in changed)
    for side in (value, old):
        spellings = (repr(side)[1:],) if isinstance(side, bytes) else (str(side), f"{side:#010x}", f"{side:#06x}")
        assert any(spelling in caught.detail for spelling in spellings)


def test_encrypted_on_both_sides() -> None:
    assert fault(local(flags=1) + PLAIN, flags=1).reason is Reason.ENCRYPTED


def test_no_header() -> None:
    content = local() + PLAIN
    for position in (1, len(content) - 30):
        assert fault(content, position).reason is Reason.HEADER_CORRUPT
    for position in (-1, len(content) - 29, len(content), 1 << 63):
        assert fault(content, position).reason is Reason.OVERLAP


def test_data_never_pass_the_limit() -> None:
    content = local() + PLAIN
    for limit in range(len(content)):
        assert fault(content, limit=limit).reason in (Reason.OVERLAP, Reason.NAME_MISMATCH)
    assert fault(content, compressed_size=1 << 63).reason is Reason.OVERLAP


def test_a_hostile_local_name_is_shown_short() -> None:
    caught = fault(local(raw_name=b"\x00" * 60_000) + PLAIN)
    assert caught.reason is Reason.NAME_MISMATCH
    assert len(caught.detail) < 1000


ZIP64 = struct.pack("<HHQQ", 1, 16, len(PLAIN), len(PLAIN))
ONES = 0xFFFFFFFF


def test_zip64_sizes_are_put_in_field_by_field() -> None:
    assert find(local(ZIP64, size=ONES, compressed_size=ONES) + PLAIN) == PLAIN
    only_size = struct.pack("<HHQ", 1, 8, len(PLAIN))
    assert find(local(only_size, size=ONES) + PLAIN) == PLAIN
    assert find(local(only_size, compressed_size=ONES) + PLAIN) == PLAIN
    time = b"\x55\x54\x05\x00\x01abcd"
    assert find(local(time + ZIP64, size=ONES, compressed_size=ONES) + PLAIN) == PLAIN
    # Without ones in the header the extra has no say.
    assert find(local(struct.pack("<HHQQ", 1, 16, 5, 6)) + PLAIN) == PLAIN


@pytest.mark.parametrize("extra", [b"", ZIP64[:12], ZIP64[:3], struct.pack("<HHQQ", 1, 16, 5, 6), b"\x01\x00\xff\xff"])
def test_zip64_sizes_that_are_not_there(extra: bytes) -> None:
    assert fault(local(extra, size=ONES, compressed_size=ONES) + PLAIN).reason is Reason.SIZE_MISMATCH


@pytest.mark.parametrize(("signed", "wide"), list(product([True, False], [True, False])))
def test_all_four_descriptors(signed: bool, wide: bool) -> None:
    crc32 = FIELDS["crc32"]
    descriptor = (b"PK\x07\x08" if signed else b"") + struct.pack(
        "<IQQ" if wide else "<III", crc32, len(PLAIN), len(PLAIN)
    )
    header = local(flags=8, crc32=0, size=0, compressed_size=0)
    content = header + PLAIN + descriptor
    assert find(content, flags=8) == PLAIN
    assert find(content + b"PK\x03\x04", flags=8) == PLAIN
    assert descriptor_size(content, len(header) + len(PLAIN), len(content), crc32, 12, 12) == len(descriptor)
    for cut in range(1, len(descriptor) + 1):
        assert fault(content[:-cut], flags=8).reason is Reason.DESCRIPTOR_MISMATCH
    for position in range(len(descriptor)):
        changed = bytearray(content)
        changed[len(header) + len(PLAIN) + position] ^= 0x10
        assert fault(bytes(changed), flags=8).reason is Reason.DESCRIPTOR_MISMATCH


def test_the_local_header_says_whether_a_descriptor_follows() -> None:
    # Writers that come back to fill in the header leave the directory's bit as it was, or the other way round.
    assert find(local(flags=0) + PLAIN, flags=8) == PLAIN
    assert fault(local(flags=0, crc32=0) + PLAIN, flags=8).reason is Reason.CRC_MISMATCH
    descriptor = struct.pack("<III", FIELDS["crc32"], len(PLAIN), len(PLAIN))
    assert find(local(flags=8, crc32=0) + PLAIN + descriptor, flags=0) == PLAIN
    assert fault(local(flags=8) + PLAIN, flags=0).reason is Reason.DESCRIPTOR_MISMATCH


def test_a_checksum_that_looks_like_the_descriptor_signature() -> None:
    crc32 = int.from_bytes(b"PK\x07\x08", "little")
    for signature in (b"", b"PK\x07\x08"):
        descriptor = signature + struct.pack("<III", crc32, 5, 9)
        assert descriptor_size(descriptor, 0, len(descriptor), crc32, 5, 9) == len(descriptor)


def test_sizes_above_4_gib_have_wide_descriptors_only() -> None:
    big = 5 << 30
    assert descriptor_size(struct.pack("<IQQ", 7, big, big), 0, 20, 7, big, big) == 20
    narrow = struct.pack("<III", 7, big & ONES, big & ONES)
    assert descriptor_size(narrow, 0, 12, 7, big, big) == 0
