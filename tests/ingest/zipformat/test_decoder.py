"""Decompression in pieces agrees with decompression at once, and finds where data end."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from pathlib import Path

import pytest

from postmill.ingest.archive.large_entries import plain_pieces
from postmill.ingest.zipformat.decoder import METHODS, MOST_PIECE, make_decoder
from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.parts import find_parts
from postmill.ingest.zipformat.signatures import STORED
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.formats.reasons import Reason
from tests.ingest.archives import pack

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
    with pytest.raises(EntryFault, match="method 12"):
        make_decoder(12)
