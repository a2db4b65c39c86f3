"""Salvage of any archive: cut anywhere, or damaged anyhow."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ingest.appnote import Member, local, write_zip
from tests.ingest.archive.rescue import rescue

INNER = write_zip([Member("inner-1", b"one" * 50), Member("inner-2", b"two" * 50)])
bogus = [b"PK\3\4" * 9, b"PK\1\2" * 20, b"PK\5\6" + bytes(18), b"PK\7\x08" + bytes(12), INNER, bytes(40)]
traps = st.sampled_from(bogus)
plains = st.one_of(st.binary(max_size=300), traps, st.integers(0, 9000).map(lambda n: random.Random(n).randbytes(n)))
members = st.builds(
    Member,
    name=st.text("abcXYZ019_- é日", min_size=1, max_size=12).filter(lambda text: text.strip() != ""),
    plain=plains,
    method=st.sampled_from([0, 8, 9, 93]),
    descriptor=st.sampled_from([None, "narrow", "wide", "signed narrow", "signed wide"]),
    local_zip64=st.booleans(),
    gap=st.one_of(st.just(b""), st.just(b""), st.binary(max_size=20)),
)


def tame(member: Member) -> Member:
    """Without what nobody could tell in stored data of unknown size: nothing from zeros, and what is a zip's own."""
    doubtful = member.method == 0 and member.descriptor and (not member.plain or member.plain in bogus)
    return replace(member, plain=bytes(40) + b"." if member.plain else b".") if doubtful else member


@given(
    tree=st.lists(members.map(tame), min_size=1, max_size=8, unique_by=lambda member: member.name),
    where=st.floats(0, 1),
    sizes=st.lists(st.integers(50, 5000), min_size=1, max_size=3),
    marker=st.sampled_from([b"PK\7\x08", b"PK00", b""]),
)
def test_any_archive_cut_anywhere_gives_what_lies_before_the_cut(
    tmp_path_factory: pytest.TempPathFactory, tree: list[Member], where: float, sizes: list[int], marker: bytes
) -> None:
    content, ends, data_ends = marker, {}, {}
    for member in tree:
        content += local(member)
        ends[member.name] = len(content)
        data_ends[member.name] = len(content) - (0 if member.descriptor is None else 12)
    content = content[: max(round(where * len(content)), 1)]
    folder = tmp_path_factory.mktemp("set")
    paths = list(slices(folder, content, sizes))
    saved = rescue(paths)
    assert set(saved.good) >= {name for name, end in ends.items() if end <= len(content)}
    # Half a descriptor of the wide layout can read as a whole one of the narrow.
    left = {member.name: member.plain for member in tree if data_ends[member.name] - 8 <= len(content)}
    assert saved.good.items() <= left.items()
    assert set(saved.faults) <= {name for name, end in ends.items() if end > len(content)}
    for path in paths:
        path.unlink()


@given(
    tree=st.lists(members.map(tame), min_size=1, max_size=5, unique_by=lambda member: member.name),
    data=st.data(),
)
def test_any_damage_gives_right_data_or_faults(
    tmp_path_factory: pytest.TempPathFactory, tree: list[Member], data: st.DataObject
) -> None:
    content = bytearray(b"".join(map(local, tree)))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[position] ^= data.draw(st.integers(1, 255))
        else:
            content[position : position + data.draw(st.integers(0, 50))] = data.draw(st.binary(max_size=50))
        content = content or bytearray(1)
    (folder := tmp_path_factory.mktemp("set")).joinpath("a.zip").write_bytes(content)
    saved = rescue(folder / "a.zip")
    plains = {member.plain for member in tree} | {b"", b"one" * 50, b"two" * 50}
    assert set(saved.good.values()) <= plains
    (folder / "a.zip").unlink()


def slices(folder: Path, content: bytes, sizes: list[int]) -> Iterator[Path]:
    position = number = 0
    while position < len(content):
        path = folder / f"a.z{number:03d}"
        path.write_bytes(content[position : position + sizes[number % len(sizes)]])
        position += sizes[number % len(sizes)]
        number += 1
        yield path
