"""Shares of the work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.shards.runtime.errors import UsageError
from postmill.shards.state.tasks import WHOLE, Task, from_environment, parse_task, share


@given(items=st.lists(st.integers(), max_size=60), count=st.integers(1, 80))
def test_shares_are_an_exact_partition(items: list[int], count: int) -> None:
    shares = [share(items, Task(index, count)) for index in range(count)]
    assert [item for each in shares for item in each] == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("text", ["", "3", "3/", "/3", "3/3", "-1/3", "a/3", "1/2/3", "1 /3", "²/3"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a share"):
        parse_task(text)


def test_a_share_is_read() -> None:
    assert parse_task("3/8") == Task(3, 8)


def test_slurm_arrays_that_begin_anywhere_and_step() -> None:
    def at(index: int) -> Task:
        return from_environment(
            {
                "SLURM_ARRAY_TASK_ID": str(index),
                "SLURM_ARRAY_TASK_MIN": "10",
                "SLURM_ARRAY_TASK_MAX": "20",
                "SLURM_ARRAY_TASK_STEP": "5",
            }
        )

    assert [at(n) for n in (10, 15, 20)] == [Task(0, 3), Task(1, 3), Task(2, 3)]
    assert from_environment({}) == WHOLE


def test_broken_array_variables_are_refused() -> None:
    with pytest.raises(UsageError, match="array variables"):
        from_environment({"SLURM_ARRAY_TASK_ID": "1"})
