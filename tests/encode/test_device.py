"""Batches are spread over threads and come back in order, on either kind of device."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from encode.batches import in_batches
from encode.device import Compute, stream

DEVICES = pytest.mark.parametrize("compute", [Compute("cpu", 3), Compute("cuda", 3), Compute("cpu", 1)])


def double(n: int) -> int:
    time.sleep(0.001 * (n % 3))  # later ones finish earlier
    return 2 * n


@DEVICES
@pytest.mark.parametrize("prepare_here", [False, True])
def test_results_are_in_order(compute: Compute, prepare_here: bool) -> None:
    found = list(stream(compute, range(50), double, str, prepare_here=prepare_here))
    assert found == [str(2 * n) for n in range(50)]


@DEVICES
def test_no_more_than_a_few_are_in_hand(compute: Compute) -> None:
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        for n in range(1, 1001):
            drawn = n
            yield n

    results = stream(compute, items(), double, double)
    for n in range(1, 20):
        assert next(results) == 4 * n
        assert drawn <= n + 2 * compute.workers + 1
    results.close()


@DEVICES
def test_an_error_comes_through(compute: Compute) -> None:
    def fail(n: int) -> int:
        return 1 // (n - 5)

    results = stream(compute, range(10), fail, double)
    assert [next(results) for _ in range(5)] == [2 * (1 // (n - 5)) for n in range(5)]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_where_each_step_runs() -> None:
    def name(_: object) -> str:
        return threading.current_thread().name

    def both(before: str) -> tuple[str, str]:
        return before, name(None)

    here = name(None)
    cases = {("cpu", False): (False, False), ("cpu", True): (True, False)}
    cases |= {("cuda", False): (False, True), ("cuda", True): (True, True)}
    for (device, prepare_here), expected in cases.items():
        for before, after in stream(Compute(device, 2), range(5), name, both, prepare_here=prepare_here):
            assert (before == here, after == here) == expected, (device, prepare_here)


def test_batches() -> None:
    assert list(in_batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(in_batches(range(6), 3)) == [[0, 1, 2], [3, 4, 5]]
    assert list(in_batches([], 3)) == []
