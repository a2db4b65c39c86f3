"""Shares of the work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.ranks import Rank, rank
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


def of_step(index: int, count: int, **more: str) -> dict[str, str]:
    return {"SLURM_PROCID": str(index), "SLURM_STEP_NUM_TASKS": str(count), **more}


def test_processes_of_one_srun_have_a_share_each() -> None:
    assert [from_environment(of_step(n, 3)) for n in range(3)] == [Task(0, 3), Task(1, 3), Task(2, 3)]
    assert from_environment(of_step(0, 1)) == WHOLE
    assert from_environment({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}) == WHOLE  # the script of a batch job


def test_processes_of_one_srun_part_the_share_of_an_array_task() -> None:
    items = list(range(50))
    parts = [
        share(items, from_environment(of_step(n, 4, JOB_COMPLETION_INDEX=str(k), JOB_COMPLETIONS="3")))
        for k in range(3)
        for n in range(4)
    ]
    assert [item for part in parts for item in part] == items


@pytest.mark.parametrize(
    ("by_node", "node", "local", "beside"),
    [("4(x2)", 1, 0, 4), ("2,3", 1, 1, 3), ("2,3", 0, 1, 2), ("1(x3),5", 3, 4, 5), ("", 0, 3, 8), ("odd", 0, 0, 8)],
)
def test_how_many_processes_a_node_has(by_node: str, node: int, local: int, beside: int) -> None:
    told = {"SLURM_STEP_TASKS_PER_NODE": by_node, "SLURM_NODEID": str(node), "SLURM_LOCALID": str(local)}
    assert rank(of_step(3, 8, **told)) == Rank(3, 8, local, beside)


@pytest.mark.parametrize("index", ["-1", "8", "x", ""])
def test_a_process_whose_number_makes_no_sense_is_none_of_a_step(index: str) -> None:
    assert rank({"SLURM_PROCID": index, "SLURM_STEP_NUM_TASKS": "8"}) is None
