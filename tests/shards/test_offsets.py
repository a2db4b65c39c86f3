"""The index beside a tar leads to every member, and to nothing else."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.shards.formats import offsets
from postmill.shards.formats.offsets import Member
from postmill.shards.formats.tar import TarWriter
from postmill.shards.run import publish
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError

KEYS = st.text("abzAZ09_-", min_size=1, max_size=64)
SUFFIXES = st.lists(st.sampled_from(["json", "0.jpg", "1.jpg", "raw.json.gz"]), min_size=1, max_size=4, unique=True)
SAMPLES = st.lists(st.tuples(KEYS, SUFFIXES), max_size=6, unique_by=lambda sample: sample[0])


@given(samples=SAMPLES, sizes=st.lists(st.integers(0, 1100), min_size=24, max_size=24))
def test_offset_and_size_of_every_member_give_its_content(
    tmp_path_factory: pytest.TempPathFactory, samples: list[tuple[str, list[str]]], sizes: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("tar")
    left = iter(sizes)
    with publish.unit(folder, "unit", "r") as unit:
        writer = TarWriter(unit.file("a.tar"))
        for key, suffixes in samples:
            for suffix in suffixes:
                writer.add([f"{key}.{suffix}"], [bytes([len(key)]) * next(left)])
        writer.close()
        unit.file("a.idx").write(offsets.index_bytes(writer.members))
    data = (folder / "a.tar").read_bytes()
    read = list(offsets.read_index(folder / "a.idx"))
    assert [[member.name for member in sample] for sample in read] == [
        [f"{key}.{suffix}" for suffix in suffixes] for key, suffixes in samples
    ]
    found = [(member.name, data[member.offset : member.offset + member.size]) for each in read for member in each]
    with tarfile.open(folder / "a.tar") as tar:
        assert found == [(each.name, tar.extractfile(each).read()) for each in tar]  # type: ignore[union-attr]


def test_the_index_of_a_post_shard(
    make_run: Callable[[Sequence[Sequence[Any]]], Run], make_record: Callable[..., Any], make_jpeg: Callable[..., bytes]
) -> None:
    pictures = {key: [make_jpeg(n), make_jpeg(n + 10)][: n % 3] for n, key in enumerate("abcd")}
    run = make_run([[(make_record(key), pictures[key]) for key in "abcd"]])
    data = (run.posts / "posts-000000.tar").read_bytes()
    for sample in offsets.read_index(run.posts / "posts-000000.idx"):
        for number, member in enumerate(sample[1:]):
            assert data[member.offset : member.offset + member.size] == pictures[sample[0].key][number]


def test_no_members_give_an_index_of_none(tmp_path: Path) -> None:
    (tmp_path / "a.idx").write_bytes(offsets.index_bytes([]))
    assert (tmp_path / "a.idx").read_bytes() == b"v1.2 0\n"
    assert list(offsets.read_index(tmp_path / "a.idx")) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"v1.2\n",
        b"v1.1 1\njson 512 1 a.json\n",
        b"v1.2 2\njson 512 1 a.json\n",
        b"v1.2 1\njson 512 1\n",
        b"v1.2 1\njson 512 one a.json\n",
        b"v1.2 1\n\n",
        b"v1.2 1\njson 512 1 \xe9.json\n",
    ],
)
def test_what_is_no_index_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.idx").write_bytes(content)
    with pytest.raises(PostmillError, match="cannot be read as an index of a tar"):
        list(offsets.read_index(tmp_path / "a.idx"))
    with pytest.raises(PostmillError):
        list(offsets.read_index(tmp_path / "absent.idx"))


def test_a_key_is_the_name_up_to_its_first_dot() -> None:
    assert Member("a-1_b.raw.json.gz", 512, 3).key == "a-1_b"
