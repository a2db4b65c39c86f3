"""Ranges ahead of their use: in order, each once, few at a time, and no more when nobody wants them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.ingest.remote.patience import Stopped
from postmill.ingest.remote.read_ahead import Range, ReadAhead
from postmill.shards.runtime.errors import PostmillError

CONTENT = os.urandom(4_000)


class Server:
    """Gives ranges of CONTENT in small pieces, and writes down which were asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def range(self, start: int, end: int) -> Range:
        return Range(start, end, partial(self._fetch, start))

    def _fetch(self, start: int, into: memoryview, arrived: Callable[[int], None], stop: threading.Event) -> None:
        self.asked.append((start, start + len(into)))
        for at in range(0, len(into), 7):
            piece = CONTENT[start + at : start + min(at + 7, len(into))]
            into[at : at + len(piece)] = piece
            arrived(len(piece))


def read(ahead: ReadAhead, offset: int, length: int) -> bytes:
    """What `ahead` has of `length` bytes from `offset` on, up to the first gap."""
    buffer = memoryview(bytearray(length))
    done = 0
    while done < length and (more := ahead.read_into(offset + done, buffer[done:])):
        done += more
    return bytes(buffer[:done])


@given(data=st.data(), at_once=st.integers(1, 4))
def test_any_ranges_give_their_bytes_once_and_in_order(data: st.DataObject, at_once: int) -> None:
    edges = sorted(data.draw(st.sets(st.integers(0, len(CONTENT)), min_size=2, max_size=12)))
    spans = list(zip(edges[::2], edges[1::2], strict=False))
    server = Server()
    with ReadAhead((server.range(*span) for span in spans), at_once) as ahead:
        for start, end in spans:
            step = data.draw(st.integers(1, 900))
            got = b"".join(read(ahead, at, min(step, end - at)) for at in range(start, end, step))
            assert got == CONTENT[start:end]
    assert sorted(server.asked) == spans


def test_no_more_is_held_than_was_said() -> None:
    server = Server()
    with ReadAhead((server.range(at, at + 100) for at in range(0, 1_000, 100)), at_once=3) as ahead:
        for number in range(10):
            assert read(ahead, number * 100, 100) == CONTENT[number * 100 : number * 100 + 100]
            assert len(server.asked) <= number + 3  # this one, and two that are not used up


def test_what_lies_between_ranges_is_nobodys() -> None:
    server = Server()
    with ReadAhead([server.range(100, 200), server.range(300, 400)]) as ahead:
        assert (read(ahead, 0, 50), ahead.next_start()) == (b"", 100)
        assert read(ahead, 150, 100) == CONTENT[150:200]
        assert (read(ahead, 200, 10), ahead.next_start()) == (b"", 300)
        assert (read(ahead, 500, 10), ahead.next_start()) == (b"", None)


def test_what_came_before_an_error_is_given_and_then_the_error() -> None:
    def fails(into: memoryview, arrived: Callable[[int], None], stop: threading.Event) -> None:
        into[:10] = CONTENT[:10]
        arrived(10)
        raise PostmillError("gone")

    with ReadAhead([Range(0, 100, fails)]) as ahead:
        assert read(ahead, 0, 10) == CONTENT[:10]
        with pytest.raises(PostmillError, match="gone"):
            read(ahead, 10, 10)


def test_whoever_waits_is_told_when_nobody_wants_it() -> None:
    ended: list[int] = []
    begun = threading.Semaphore(0)

    def waits(into: memoryview, arrived: Callable[[int], None], stop: threading.Event) -> None:
        begun.release()
        stop.wait()
        ended.append(1)
        raise Stopped

    before = set(threading.enumerate())
    ahead = ReadAhead((Range(at, at + 10, waits) for at in range(0, 100, 10)), at_once=2)
    for _ in range(2):
        begun.acquire()
    ahead.close()
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert len(ended) == 2


def test_the_threads_end_with_the_last_range() -> None:
    before = set(threading.enumerate())
    server = Server()
    ahead = ReadAhead([server.range(0, 100), server.range(100, 200)])
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert read(ahead, 0, 200) == CONTENT[:200]
