"""Decompression in pieces agrees with decompression at once, and finds where data end."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from pathlib import Path

import pytest

from postmill.ingest.archive.large_entries import plain_pieces
from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.methods.bzip2_lzma import MOST_DICTIONARY
from postmill.ingest.zipformat.methods.decoder import METHODS, MOST_PIECE, make_decoder
from postmill.ingest.zipformat.parts import find_parts
from postmill.ingest.zipformat.signatures import LZMA, STORED, XZ
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.formats.reasons import Reason
from tests.ingest.archives import lzma_head, lzma_without_end, pack

PLAINS = [b"", b"x", b"caption " * 1000, random.Random(3).randbytes(70_000), bytes(3 << 20)]


@pytest.mark.parametrize("method", [method for method in METHODS if method != STORED])
@pytest.mark.parametrize("step", [1, 7, 1 << 10, 1 << 20])
def test_the_end_is_where_the_data_say(method: int, step: int) -> None:
    for plain in PLAINS[: 3 if step < 9 else None]:
        packed = pack(method, plain)
        follows = packed + b"PK\7\x08" + bytes(2000)
        decoder, got = make_decoder(method), b""
        for start in range(0, len(follows), step):
            got += b"".join(decoder.feed(follows[start : start + step]))
            if decoder.done and start + step > len(packed) + 4:
                break
        assert decoder.done
        assert got == plain
        assert decoder.taken - decoder.slack <= len(packed) <= decoder.taken


@pytest.mark.parametrize("method", METHODS)
def test_pieces_are_checked(tmp_path: Path, method: int) -> None:
    plain = random.Random(5).randbytes(90_000) + bytes(90_000)
    packed = pack(method, plain)
    (tmp_path / "a.zip").write_bytes(packed)
    crc32 = zlib.crc32(plain)
    with AddressSpace(find_parts(tmp_path / "a.zip")) as space:

        def reason(end: int, size: int, crc32: int) -> Reason:
            with pytest.raises(EntryFault) as caught:
                list(plain_pieces(space, 0, end, method, size, crc32, 1000))
            return caught.value.reason

        assert b"".join(plain_pieces(space, 0, len(packed), method, len(plain), crc32, 1000)) == plain
        assert reason(len(packed), len(plain), crc32 ^ 1) is Reason.CRC_WRONG
        assert reason(len(packed), len(plain) - 1, crc32) is Reason.SIZE_LIE
        assert reason(len(packed), len(plain) + 1, crc32) is Reason.SIZE_LIE
        assert reason(len(packed) // 2, len(plain), crc32) is Reason.SIZE_LIE


@pytest.mark.parametrize("method", METHODS)
def test_a_bomb_comes_in_bounded_pieces(tmp_path: Path, method: int) -> None:
    size = 200 << 20
    packed = pack(method, bytes(size))
    (tmp_path / "a.zip").write_bytes(packed)
    length = len(packed)
    del packed
    with AddressSpace(find_parts(tmp_path / "a.zip")) as space:
        tracemalloc.start()
        try:
            pieces = plain_pieces(space, 0, length, method, size, zlib.crc32(bytes(size)))
            assert max(map(len, pieces)) <= MOST_PIECE
            # bytes(size) above is counted too, and nothing else of that order is.
            assert tracemalloc.get_traced_memory()[1] < size + (96 << 20)
        finally:
            tracemalloc.stop()


def test_another_method_is_named() -> None:
    with pytest.raises(EntryFault, match="method 98, ppmd"):
        make_decoder(98)


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize("plain", [plain for plain in PLAINS if 1 < len(plain) < 10_000 or len(plain) == 90_000])
def test_lzma_without_an_end_marker_ends_with_its_size(step: int, plain: bytes) -> None:
    packed = lzma_without_end(plain)
    for size in (len(plain), len(plain) - 1, len(plain) + 1):
        decoder, got = make_decoder(LZMA, size), b""
        for start in range(0, len(packed), step):
            got += b"".join(decoder.feed(packed[start : start + step]))
        assert got[: len(plain)] == plain[:size]
        assert not decoder.done
        assert decoder.endless or size > len(plain)


@pytest.mark.parametrize("size", [None, 1 << 40])
def test_a_dictionary_beyond_the_limit_is_named(size: int | None) -> None:
    data = lzma_head(dictionary=MOST_DICTIONARY + 1) + bytes(100)
    with pytest.raises(EntryFault, match="a dictionary of 268,435,457 bytes"):
        list(make_decoder(LZMA, size).feed(data))
    with pytest.raises(EntryFault, match="xz with a dictionary beyond 268,435,456 bytes") as caught:
        list(make_decoder(XZ, size).feed(xz_of_dictionary(40)))
    assert caught.value.reason is Reason.METHOD_UNSUPPORTED


def test_a_dictionary_is_no_larger_than_the_data_it_is_for() -> None:
    """A writer states that of its level, whatever the size of the entry."""
    packed = bytearray(pack(LZMA, b"little"))
    packed[5:9] = (0xFFFFFFFF).to_bytes(4, "little")
    tracemalloc.start()
    try:
        assert b"".join(make_decoder(LZMA, 6).feed(packed)) == b"little"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_parameters_that_are_none_are_corrupt_data() -> None:
    for head in (lzma_head(parameters=255), b"\x09\x14\x06\x00" + bytes(6)):
        with pytest.raises(EntryFault) as caught:
            list(make_decoder(LZMA, 5).feed(head + bytes(100)))
        assert caught.value.reason is Reason.DATA_CORRUPT


def xz_of_dictionary(bits: int) -> bytes:
    """A stream whose block header states a dictionary of that number (.xz file format 1.2, 5.3.1)."""
    packed = bytearray(pack(XZ, b"little"))
    place = packed.index(b"\x21\x01", 12) + 2
    packed[place] = bits
    header = packed[12 : 12 + (packed[12] + 1) * 4]
    packed[12 + len(header) - 4 : 12 + len(header)] = zlib.crc32(header[:-4]).to_bytes(4, "little")
    return bytes(packed)
