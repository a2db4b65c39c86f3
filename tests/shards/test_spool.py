"""Entries set aside come back by post shard, and damage is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.shards.formats import spool
from postmill.shards.formats.spool import Seen, SpoolEntry
from postmill.shards.run import publish
from postmill.shards.runtime.errors import PostmillError

ENTRIES = st.builds(
    SpoolEntry,
    shard=st.integers(0, 5),
    row=st.integers(0, 2**32 - 1),
    image=st.integers(-1, 2**15 - 1),
    method=st.integers(0, 2**16 - 2),
    crc32=st.integers(0, 2**32 - 1),
    size=st.integers(0, 2**63),
    data=st.binary(max_size=300),
)


def write(folder: Path, entries: list[SpoolEntry]) -> Path:
    with publish.unit(folder, "unit", "r") as unit:
        assert spool.write(unit.file("a.spool"), entries) == len(entries)
    return folder / "a.spool"


@given(entries=st.lists(ENTRIES, max_size=30))
def test_each_post_shard_gets_its_entries_in_order(
    tmp_path_factory: pytest.TempPathFactory, entries: list[SpoolEntry]
) -> None:
    entries.sort(key=lambda each: each.shard)
    path = write(tmp_path_factory.mktemp("spool"), entries)
    for shard in range(7):
        of_shard = [entry for entry in entries if entry.shard == shard]
        assert list(spool.read_piece(path, shard, "").entries()) == of_shard


def test_a_fault_keeps_its_reason(tmp_path: Path) -> None:
    path = write(tmp_path, [spool.faulty(3, 7, -1, "crc_wrong", "é \n 0x1")])
    (entry,) = spool.read_piece(path, 3, "").entries()
    assert entry.method == spool.FAULT_METHOD
    assert entry.fault() == ("crc_wrong", "é \n 0x1", None)
    assert spool.faulty(3, 7, -1, "crc_wrong", "", Seen(5, 9, "0f")).fault().seen == Seen(5, 9, "0f")


def test_shards_out_of_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="post shard 1 after 2"):
        write(tmp_path, [SpoolEntry(shard, 0, 0, 0, 0, 0, b"") for shard in (2, 1)])


@pytest.mark.parametrize("keep", [0, 10, 40, -1])
def test_a_file_cut_short_is_said(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path, [SpoolEntry(n, 0, 0, 0, 0, 5, b"hello") for n in range(3)])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(PostmillError, match="is damaged"):
        spool.read_piece(path, 1, "postmill ingest run")


def test_no_bit_of_a_piece_its_index_or_its_trailer_can_flip_unnoticed(tmp_path: Path) -> None:
    path = write(tmp_path, [SpoolEntry(n, 0, 0, 0, 0, 5, b"hello") for n in range(3)])
    content = path.read_bytes()
    _, second, _ = spool.read_index(path)
    others = {
        *range(len(spool.MAGIC), second.offset),
        *range(second.offset + second.length, second.offset + 2 * second.length),
    }
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        if position < len(spool.MAGIC) or position in others:  # of other post shards, or told by verify
            assert spool.read_piece(path, 1, "").length == second.length
            continue
        with pytest.raises(PostmillError, match="is damaged") as caught:
            spool.read_piece(path, 1, "postmill ingest run")
        assert caught.value.hint == f"rm -f -- {path}; postmill ingest run"


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.spool").mkdir()
    (tmp_path / "c.spool").symlink_to(tmp_path / "b.spool")
    for name, cause in (
        ("a.spool", "is no regular file"),
        ("b.spool", "is missing"),
        ("c.spool", "is no regular file"),
    ):
        with pytest.raises(PostmillError, match=cause) as caught:
            spool.read_piece(tmp_path / name, 0, "postmill ingest run")
        assert str(caught.value.place) == str(tmp_path / name)
