"""Decompressing one entry without believing what it declares."""

from __future__ import annotations

import random
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.methods import inflate as inflate_module
from postmill.ingest.zipformat.methods.decoder import METHODS
from postmill.ingest.zipformat.methods.inflate import inflate
from postmill.ingest.zipformat.signatures import BZIP2, LZMA, STORED, XZ, ZSTANDARD
from postmill.shards.formats.reasons import Reason
from tests.ingest.archives import lzma_without_end, pack

MIB = 1 << 20
PACKED = [method for method in METHODS if method != STORED]
NOTICED = (BZIP2, LZMA, ZSTANDARD, XZ)  # damage never leaves their length right: checksums, or an end that is missed


def refused(method: int, data: bytes, size: int, crc32: int, max_entry: int = 256 * MIB) -> Reason:
    with pytest.raises(EntryFault) as caught:
        inflate(method, data, size, crc32, max_entry)
    assert caught.value.detail
    return caught.value.reason


@pytest.mark.parametrize("method", METHODS)
@given(plain=st.binary(max_size=5000))
def test_what_was_compressed_comes_back(method: int, plain: bytes) -> None:
    packed = pack(method, plain)
    for data in (packed, bytearray(packed), memoryview(packed)):
        assert inflate(method, data, len(plain), zlib.crc32(plain)) == plain


@pytest.mark.parametrize("method", METHODS)
def test_large_entries_are_decompressed_in_pieces(method: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = random.Random(1).randbytes(100_000) + bytes(3 * MIB)
    at_once = inflate(method, pack(method, plain), len(plain), zlib.crc32(plain))
    monkeypatch.setattr(inflate_module, "_LARGEST_AT_ONCE", 1000)
    assert inflate(method, pack(method, plain), len(plain), zlib.crc32(plain)) == at_once == plain
    assert refused(method, pack(method, plain), len(plain) - 1, 0) is Reason.SIZE_LIE
    assert refused(method, pack(method, plain), len(plain) + 1, 0) is Reason.SIZE_LIE


@pytest.mark.parametrize("method", METHODS)
def test_lies(method: int) -> None:
    plain = b"the caption of a post " * 50
    packed, crc32 = pack(method, plain), zlib.crc32(plain)
    assert refused(method, packed, len(plain) - 1, crc32) is Reason.SIZE_LIE
    assert refused(method, packed, len(plain) + 1, crc32) is Reason.SIZE_LIE
    assert refused(method, packed, 0, 0) is Reason.SIZE_LIE
    assert refused(method, packed, len(plain), crc32 ^ 1) is Reason.CRC_WRONG
    assert refused(method, packed, len(plain), crc32, max_entry=len(plain) - 1) is Reason.TOO_LARGE
    assert inflate(method, packed, len(plain), crc32, max_entry=len(plain)) == plain


@pytest.mark.parametrize("method", PACKED)
@pytest.mark.parametrize("whole", [64 * MIB, 0])
def test_damage_is_a_fault_whatever_it_is(method: int, whole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate_module, "_LARGEST_AT_ONCE", whole)
    plain = random.Random(2).randbytes(300) * 3
    packed = bytearray(pack(method, plain))
    seen = set()
    for index in range(len(packed)):
        for damaged in (packed[:index], packed[:index] + bytes([packed[index] ^ 0x55]) + packed[index + 1 :]):
            try:
                assert inflate(method, damaged, len(plain), zlib.crc32(plain)) == plain
            except EntryFault as fault:
                seen.add(fault.reason)
    assert {Reason.DATA_CORRUPT, Reason.CRC_WRONG} - seen <= ({Reason.CRC_WRONG} if method in NOTICED else set())
    assert seen <= {Reason.DATA_CORRUPT, Reason.SIZE_LIE, Reason.CRC_WRONG}


def test_other_methods_are_named() -> None:
    for method in (1, 6, 20, 96, 98, 99):
        assert refused(method, b"x", 1, 0) is Reason.METHOD_UNSUPPORTED


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [10 * MIB, 1 << 40, 1 << 62])
def test_nothing_is_allocated_from_a_declared_size(method: int, size: int) -> None:
    packed = pack(method, b"little")
    tracemalloc.start()
    try:
        assert refused(method, packed, size, 0, max_entry=1 << 63) is Reason.SIZE_LIE
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", PACKED)
def test_a_bomb_stops_at_its_declared_size(method: int) -> None:
    packed = pack(method, bytes(200 * MIB))
    tracemalloc.start()
    try:
        assert refused(method, packed, 1000, 0) is Reason.SIZE_LIE
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    finally:
        tracemalloc.stop()


def test_stored_data_are_not_copied() -> None:
    data = memoryview(b"as it lies")
    assert inflate(STORED, data, 10, zlib.crc32(data)) is data


def test_lzma_without_an_end_marker() -> None:
    plain = b"the caption of a post " * 50
    packed, crc32 = lzma_without_end(plain), zlib.crc32(plain)
    assert inflate(LZMA, packed, len(plain), crc32) == plain
    assert refused(LZMA, packed, len(plain) + 1, crc32) in (Reason.SIZE_LIE, Reason.CRC_WRONG)
    assert refused(LZMA, packed, len(plain) - 1, crc32) in (Reason.SIZE_LIE, Reason.CRC_WRONG)
    assert refused(LZMA, packed[:-10], len(plain), crc32) in (Reason.SIZE_LIE, Reason.CRC_WRONG, Reason.DATA_CORRUPT)


def test_zstandard_frames_follow_each_other() -> None:
    packed = pack(ZSTANDARD, b"one ") + pack(ZSTANDARD, b"two")
    assert inflate(ZSTANDARD, packed, 7, zlib.crc32(b"one two")) == b"one two"
