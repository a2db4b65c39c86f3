"""Batches are spread over threads and come back in order, on either kind of device."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from postmill.encode.device import Compute
from postmill.encode.preparation.batches import by_budget, in_batches
from postmill.encode.preparation.stream import prefetched, stream
from postmill.shards.runtime.devices import Device

DEVICES = pytest.mark.parametrize("compute", [Compute(Device.CPU, 3), Compute(Device.CUDA, 3), Compute(Device.CPU, 1)])


def double(n: int) -> int:
    time.sleep(0.001 * (n % 3))  # later ones finish earlier
    return 2 * n


def noting_its_end(closed: threading.Event) -> Iterator[int]:
    """Numbers, of which it is noted when nobody draws any more."""
    try:
        yield from range(1000)
    finally:
        closed.set()


@DEVICES
@pytest.mark.parametrize("prepare_while_drawing", [False, True])
def test_results_are_in_order(compute: Compute, prepare_while_drawing: bool) -> None:
    results = list(stream(compute, range(50), double, str, str.strip, prepare_while_drawing=prepare_while_drawing))
    assert results == [str(2 * n) for n in range(50)]


@DEVICES
def test_no_more_than_a_few_are_in_hand(compute: Compute) -> None:
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        for n in range(1, 1001):
            drawn = n
            yield n

    results = stream(compute, items(), double, double, int)
    for n in range(1, 20):
        assert next(results) == 4 * n
        assert drawn <= n + 2 * compute.workers + 4  # in the pool, given to the device, read ahead
    results.close()


@DEVICES
def test_an_error_comes_through(compute: Compute) -> None:
    def fail(n: int) -> int:
        return 1 // (n - 5)

    results = stream(compute, range(10), fail, double, int)
    assert [next(results) for _ in range(5)] == [2 * (1 // (n - 5)) for n in range(5)]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_where_each_step_runs() -> None:
    def name(_: object) -> str:
        return threading.current_thread().name

    def both(before: str) -> tuple[str, str]:
        return before, name(None)

    def first(pair: tuple[str, str]) -> tuple[str, str]:
        return pair

    caller = name(None)
    cases = {(Device.CPU, False): (False, False), (Device.CPU, True): (False, False)}
    cases |= {(Device.CUDA, False): (False, True), (Device.CUDA, True): (True, True)}
    for (device, prepare_while_drawing), expected in cases.items():
        for before, after in stream(
            Compute(device, 2), range(5), name, both, first, prepare_while_drawing=prepare_while_drawing
        ):
            assert (before == "read ahead", after == caller) == expected, (device, prepare_while_drawing)


@DEVICES
def test_what_is_prepared_while_drawing_is_prepared_by_one_thread_at_a_time(compute: Compute) -> None:
    alone = threading.Lock()

    def prepare(n: int) -> int:
        assert alone.acquire(blocking=False), "another thread is at it"
        time.sleep(0.001)
        alone.release()
        return n

    assert list(stream(compute, range(30), prepare, double, int, prepare_while_drawing=True)) == [
        2 * n for n in range(30)
    ]


@DEVICES
@pytest.mark.parametrize("prepare_while_drawing", [False, True])
def test_what_is_left_early_leaves_no_thread(compute: Compute, prepare_while_drawing: bool) -> None:
    closed = threading.Event()
    before = threading.active_count()
    results = stream(compute, noting_its_end(closed), double, double, int, prepare_while_drawing=prepare_while_drawing)
    assert next(results) == 0
    results.close()
    assert closed.is_set() and threading.active_count() == before


def test_batches() -> None:
    assert list(in_batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(in_batches(range(6), 3)) == [[0, 1, 2], [3, 4, 5]]
    assert list(in_batches([], 3)) == []


@DEVICES
@pytest.mark.parametrize("prepare_while_drawing", [False, True])
def test_what_cannot_be_read_is_said_after_what_was_read_before_it(
    compute: Compute, prepare_while_drawing: bool
) -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise ValueError("damaged")

    results = stream(compute, items(), double, double, int, prepare_while_drawing=prepare_while_drawing)
    assert [next(results) for _ in range(3)] == [0, 4, 8]
    with pytest.raises(ValueError, match="damaged"):
        next(results)


def test_reading_ahead_ends_with_its_reader() -> None:
    closed = threading.Event()
    before = threading.active_count()
    reader = prefetched(noting_its_end(closed), 1)
    assert next(iter(reader)) == 0
    reader.close()  # type: ignore[attr-defined]
    assert closed.is_set() and threading.active_count() == before


def test_batches_by_budget() -> None:
    assert list(by_budget([500, 40, 40, 10, 1], 100)) == [range(0, 1), range(1, 3), range(3, 5)]
    assert list(by_budget([3, 3, 3], 9)) == [range(0, 3)]
    assert list(by_budget([0, 0], 1)) == [range(0, 1), range(1, 2)]
    assert list(by_budget([], 10)) == []
