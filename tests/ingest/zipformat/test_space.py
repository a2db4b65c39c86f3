"""One address space over all parts."""

from __future__ import annotations

import copy
import errno
import os
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.spec import AbstractFileSystem
from hypothesis import given
from hypothesis import strategies as st

from postmill.ingest.remote import patience
from postmill.ingest.zipformat.forward import Forward
from postmill.ingest.zipformat.space import AddressSpace, PartError, lay_out
from postmill.shards.runtime.errors import PostmillError


def write_parts(folder: Path, content: bytes, sizes: list[int]) -> AddressSpace:
    files = []
    position = 0
    for number, size in enumerate(sizes):
        path = folder / f"p{number}"
        path.write_bytes(content[position : position + size])
        files.append((str(path), size))
        position += size
    return AddressSpace(lay_out(files))


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12), data=st.data())
def test_any_range_reads_like_the_parts_joined(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    content = os.urandom(sum(sizes))
    with write_parts(tmp_path_factory.mktemp("parts"), content, sizes) as space:
        assert space.size == len(content)
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, len(content) - start))
        assert space.read(start, length) == content[start : start + length]
        buffer = bytearray(length)
        space.readinto(start, memoryview(buffer))
        assert buffer == content[start : start + length]
        blocks = list(space.stream(start, start + length, block=data.draw(st.integers(1, 50))))
        assert b"".join(blocks) == content[start : start + length]
        assert all(blocks)
        for offset in range(len(content)):
            part = space.parts[space.part_at(offset)]
            assert part.start <= offset < part.end


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6), data=st.data())
def test_a_view_moving_forward_reads_every_byte_at_most_once(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    content = os.urandom(sum(sizes))

    class Counting(AddressSpace):
        touched = [0] * len(content)

        def readinto(self, offset: int, buffer: memoryview) -> None:
            for position in range(offset, offset + len(buffer)):
                self.touched[position] += 1
            super().readinto(offset, buffer)

    with write_parts(tmp_path_factory.mktemp("parts"), content, sizes) as plain, Counting(plain.parts) as space:
        forward = Forward(space, data.draw(st.integers(0, len(content))), block=data.draw(st.integers(1, 60)))
        start = 0
        while start < len(content):
            start = data.draw(st.integers(start, len(content)))
            end = data.draw(st.integers(start, len(content)))
            assert bytes(forward.view(start, end)) == content[start:end]
            start = max(end, start + 1)
        assert max(space.touched) <= 1


def test_a_view_does_not_move_back(tmp_path: Path) -> None:
    with write_parts(tmp_path, b"x" * 100, [100]) as space:
        forward = Forward(space, 100, block=10)
        forward.view(50, 60)
        with pytest.raises(ValueError, match="passed"):
            forward.view(49, 55)


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 11), (10, 1), (5, -1), (1 << 70, 1)])
def test_ranges_outside_are_refused(tmp_path: Path, offset: int, length: int) -> None:
    with write_parts(tmp_path, b"0123456789", [4, 6]) as space, pytest.raises(ValueError, match="10 bytes"):
        space.read(offset, length)


@pytest.mark.parametrize("offset", [-1, 10])
def test_no_part_holds_an_offset_outside(tmp_path: Path, offset: int) -> None:
    with write_parts(tmp_path, b"0123456789", [4, 6]) as space, pytest.raises(ValueError, match="outside"):
        space.part_at(offset)


def test_parts_that_are_not_read_need_not_exist(tmp_path: Path) -> None:
    with write_parts(tmp_path, b"aaabbbccc", [3, 3, 3]) as space:
        (tmp_path / "p1").unlink()
        assert space.read(6, 3) == b"ccc"
        with pytest.raises(PartError) as caught:
            space.read(2, 3)
        assert caught.value.place == str(tmp_path / "p1")
        assert caught.value.errno == errno.ENOENT
        assert isinstance(caught.value, OSError)
        assert isinstance(caught.value, PostmillError)


def test_a_part_that_was_cut_short_is_named(tmp_path: Path) -> None:
    with write_parts(tmp_path, b"aaabbbbbb", [3, 6]) as space:
        os.truncate(tmp_path / "p1", 4)
        with pytest.raises(PartError, match=r"p1: ends at byte 4, 2 bytes early"):
            space.read(0, 9)


def test_a_part_that_fails_in_mid_read_is_named(tmp_path: Path) -> None:
    with write_parts(tmp_path, b"aaabbb", [3, 3]) as space:
        (tmp_path / "p1").unlink()
        (tmp_path / "p1").mkdir()
        with pytest.raises(PartError, match="p1: cannot be read at byte 0: Is a directory"):
            space.read(0, 6)


def test_short_reads_go_on_where_they_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, position: preadv(fd, [buffers[0][:3]], position))
    with write_parts(tmp_path, bytes(range(100)), [40, 60]) as space:
        assert space.read(5, 90) == bytes(range(5, 95))


def test_a_copy_opens_its_own_files(tmp_path: Path) -> None:
    with write_parts(tmp_path, b"aaabbb", [3, 3]) as space:
        assert space.read(0, 6) == b"aaabbb"
        with copy.copy(space) as other:
            before = descriptors()
            assert (other.parts, other.read(2, 2)) == (space.parts, b"ab")
            assert descriptors() == before + 2


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_more_parts_than_descriptors(tmp_path: Path) -> None:
    content = os.urandom(400)
    with write_parts(tmp_path, content, [1] * 400) as space:
        before = descriptors()
        for _ in range(2):
            assert space.read(0, 400) == content
        assert descriptors() - before < 200
        space.close()
        assert descriptors() <= before
        assert space.read(7, 1) == content[7:8]


class Wayward(AbstractFileSystem):  # type: ignore[misc]
    """Serves 3 bytes at a time, fails every other call, or answers with everything."""

    protocol = "wayward"
    cachable = False
    content = bytes(range(200))
    calls = 0

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        kind = path.rpartition("/")[2]
        type(self).calls += 1
        if kind == "flaky" and type(self).calls % 2:
            raise ConnectionResetError("reset by peer")
        if kind == "dead":
            raise ConnectionResetError("reset by peer")
        if kind == "short":
            end = min(end or 0, (start or 0) + 3)
        if kind == "ended":
            return self.content[start:end][: max(150 - (start or 0), 0)]
        return self.content if kind == "deaf" else self.content[start:end]


fsspec.register_implementation("wayward", Wayward, clobber=True)


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    monkeypatch.setattr(Wayward, "calls", 0)
    taken: list[float] = []
    monkeypatch.setattr(patience.time, "sleep", taken.append)
    return taken


def remote(kind: str) -> AddressSpace:
    return AddressSpace(lay_out([(f"wayward://host/{kind}", 200)]))


@pytest.mark.parametrize("kind", ["plain", "short", "flaky"])
def test_a_url_reads_like_a_file(kind: str, naps: list[float]) -> None:
    with remote(kind) as space:
        assert space.read(20, 100) == bytes(range(20, 120))
    assert bool(naps) == (kind == "flaky")


def test_a_url_that_stays_dead_is_given_up_when_the_time_is_over(naps: list[float]) -> None:
    with remote("dead") as space, pytest.raises(PartError, match="dead: cannot be fetched from byte 20: reset by peer"):
        space.read(20, 10)
    assert patience.LIMIT_S - patience.LONGEST_PAUSE_S < sum(naps) <= patience.LIMIT_S
    assert naps[0] <= patience.FIRST_PAUSE_S and max(naps) > patience.LONGEST_PAUSE_S / 2


def test_a_url_that_ends_early_or_has_no_ranges(naps: list[float]) -> None:
    with remote("ended") as space, pytest.raises(PartError, match="ends at byte 150, 30 bytes early"):
        space.read(100, 80)
    with remote("deaf") as space, pytest.raises(PartError, match="10 bytes were asked for and 200 came") as caught:
        space.read(20, 10)
    assert "ranges" in (caught.value.hint or "")


def test_local_and_remote_parts_make_one_space(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"local")
    with AddressSpace(lay_out([(str(tmp_path / "a"), 5), ("wayward://host/plain", 200)])) as space:
        assert space.read(3, 5) == b"al\x00\x01\x02"
