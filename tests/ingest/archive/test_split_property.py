"""Any tree, any methods, any part boundaries: what was written comes back."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.ingest.archive.reader import Archive
from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.space import lay_out
from postmill.shards.formats.reasons import Reason
from postmill.shards.runtime.errors import PostmillError
from tests.ingest.appnote import Form, Member, write_parts

components = st.text("abcXYZ019._- é日", min_size=1, max_size=12).filter(lambda text: text.strip(".") != "")
extras = st.sampled_from([b"", struct.pack("<HH5s", 0x5455, 5, b"PK\1\2x"), struct.pack("<HH", 0x7878, 0)])
# Content and gaps that look like records must not mislead.
traps = st.sampled_from([b"PK\3\4" * 9, b"PK\1\2" * 20, b"PK\5\6" + bytes(18), b"PK\7\x08" + bytes(12)])
plains = st.one_of(st.binary(max_size=300), traps, st.integers(0, 9000).map(lambda n: random.Random(n).randbytes(n)))

members = st.builds(
    Member,
    name=st.lists(components, min_size=1, max_size=3).map("/".join),
    plain=plains,
    method=st.sampled_from([0, 8, 9, 93]),
    descriptor=st.sampled_from([None, "narrow", "wide", "signed narrow", "signed wide"]),
    zip64=st.frozensets(st.sampled_from(["size", "packed", "offset", "disk"])),
    local_zip64=st.booleans(),
    extra=extras,
    comment=st.sampled_from([b"", b"PK\1\2", b"a comment"]),
    gap=st.one_of(st.just(b""), st.binary(max_size=20)),
)
trees = st.lists(members, max_size=12, unique_by=lambda member: member.name)

Archived = tuple[list[Member], Form]


@st.composite
def archives(draw: st.DrawFn, entries: st.SearchStrategy[list[Member]] = trees) -> Archived:
    tree = draw(entries)
    return tree, Form(
        sizes=draw(st.lists(st.integers(1, 400) | st.integers(400, 20_000), min_size=1, max_size=4)),
        disks=draw(st.booleans()),
        kept_whole=draw(st.booleans()),
        late=draw(st.booleans()),
        order=draw(st.permutations(range(len(tree)))),
        marker=draw(st.sampled_from([b"PK\7\x08", b"PK00", b""])),
        zip64=draw(st.sampled_from(["none", "count", "all"])),
        comment=draw(st.sampled_from([b"", b"a comment", b"PK\5\6"])),
    )


def write(folder: Path, tree: list[Member], form: Form) -> list[Path]:
    """Write the parts of an archive; at most 2,000, for the sake of the file system."""
    total = 200 * len(tree) + 3 * sum(len(member.plain) + len(member.extra) for member in tree) + 300
    sizes = [max(size, total // 2000 + 1) for size in form.sizes]
    parts = write_parts(tree, replace(form, sizes=sizes))
    paths = [folder / f"a.z{number:02d}" for number in range(len(parts))]
    for path, content in zip(paths, parts, strict=True):
        path.write_bytes(content)
    return paths


@given(archive=archives())
def test_any_archive_reads_back(tmp_path_factory: pytest.TempPathFactory, archive: Archived) -> None:
    tree, form = archive
    order = list(form.order or ())
    paths = write(tmp_path_factory.mktemp("set"), tree, form)
    with Archive.open(paths[len(paths) // 2], strict=True) as opened:
        assert [Path(part.path) for part in opened.parts] == paths
        assert opened.kind == ("single" if len(paths) == 1 else "disks" if form.disks else "bytes")
        entries = list(opened.entries())
        assert [entry.name for entry in entries] == [tree[number].name for number in order]
        for number, entry in zip(order, entries, strict=True):
            assert opened.read(entry) == tree[number].plain
            assert opened.raw(entry) == tree[number].packed()
        assert [(entry.name, data) for entry, data in opened.stream()] == [(one.name, one.plain) for one in tree]
        middle = opened.space.size // 2
        assert [*opened.stream(0, middle), *opened.stream(middle)] == list(opened.stream())
    for path in paths:
        path.unlink()


def small(member: Member) -> Member:
    return replace(member, plain=member.plain[:100])


@given(
    archive=archives(st.lists(members.map(small), min_size=1, max_size=4, unique_by=lambda member: member.name)),
    data=st.data(),
)
def test_a_flipped_byte_never_gives_wrong_data(
    tmp_path_factory: pytest.TempPathFactory, archive: Archived, data: st.DataObject
) -> None:
    tree, form = archive
    paths = write(tmp_path_factory.mktemp("set"), tree, form)
    path = data.draw(st.sampled_from(paths))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    plains = {member.plain for member in tree}
    try:
        with Archive.open(paths) as opened:
            for entry in opened.entries():
                try:
                    assert opened.read(entry) in plains
                except EntryFault as fault:
                    assert isinstance(fault.reason, Reason)
            for _, plain in opened.stream():
                assert isinstance(plain, EntryFault) or plain in plains
    except PostmillError as error:
        assert error.cause
    for path in paths:
        path.unlink()


def test_lay_out_needs_no_files() -> None:
    parts = lay_out([("https://host/a.z01", 10), ("https://host/a.zip", 5)])
    assert [(part.name, part.start, part.end) for part in parts] == [("a.z01", 0, 10), ("a.zip", 10, 15)]
