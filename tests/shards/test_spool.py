"""Entries set aside come back by post shard, and damage is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards import publish, spool
from shards.errors import PostmillError
from shards.spool import SpoolEntry

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
        assert list(spool.read_piece(path, shard)) == [entry for entry in entries if entry.shard == shard]


def test_a_fault_keeps_its_reason(tmp_path: Path) -> None:
    path = write(tmp_path, [spool.faulty(3, 7, -1, "crc_wrong", "é \n 0x1")])
    (entry,) = spool.read_piece(path, 3)
    assert entry.method == spool.FAULT_METHOD
    assert entry.fault() == ("crc_wrong", "é \n 0x1")


def test_shards_out_of_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="post shard 1 after 2"):
        write(tmp_path, [SpoolEntry(shard, 0, 0, 0, 0, 0, b"") for shard in (2, 1)])


@pytest.mark.parametrize("keep", [0, 10, 40, -1])
def test_a_file_cut_short_is_said(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path, [SpoolEntry(n, 0, 0, 0, 0, 5, b"hello") for n in range(3)])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(PostmillError, match="is damaged"):
        list(spool.read_piece(path, 1))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.spool").mkdir()
    for name, cause in (("a.spool", "Is a directory"), ("b.spool", "No such file or directory")):
        with pytest.raises(PostmillError, match=f"cannot be read: {cause}") as caught:
            list(spool.read_piece(tmp_path / name, 0))
        assert str(caught.value.place) == str(tmp_path / name)
