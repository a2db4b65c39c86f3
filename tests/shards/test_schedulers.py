"""The array variables of each scheduler, as its manual gives them."""

from __future__ import annotations

import pytest

from postmill.shards.runtime.errors import UsageError
from postmill.shards.state.tasks import WHOLE, Task, from_environment

SLURM = {"SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "9", "SLURM_ARRAY_TASK_STEP": "1"}
ARRAYS = [
    ({**SLURM, "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "10"}, Task(3, 10)),
    ({"LSB_JOBINDEX": "1", "LSB_JOBINDEX_END": "8", "LSB_JOBINDEX_STEP": "1"}, Task(0, 8)),
    ({"LSB_JOBINDEX": "8", "LSB_JOBINDEX_END": "8"}, Task(7, 8)),
    ({"LSB_JOBINDEX": "5", "LSB_JOBINDEX_END": "8", "LSB_JOBINDEX_STEP": "2"}, Task(2, 4)),
    ({"SGE_TASK_ID": "4", "SGE_TASK_FIRST": "1", "SGE_TASK_LAST": "4", "SGE_TASK_STEPSIZE": "1"}, Task(3, 4)),
    ({"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ARRAY_SIZE": "2"}, Task(0, 2)),
    ({"JOB_COMPLETION_INDEX": "4", "JOB_COMPLETIONS": "5"}, Task(4, 5)),
]
# Set in every job of the scheduler, or by accident, without an array.
NO_ARRAYS: list[dict[str, str]] = [
    {},
    {"SLURM_JOB_ID": "12"},
    {"LSB_JOBINDEX": "0"},
    {"SGE_TASK_ID": "undefined", "SGE_TASK_LAST": "undefined"},
    {"JOB_COMPLETIONS": "5"},
    {"PBS_JOBID": "1.host"},
]


@pytest.mark.parametrize(("environment", "task"), ARRAYS)
def test_an_array_task_knows_its_share(environment: dict[str, str], task: Task) -> None:
    assert from_environment(environment) == task


@pytest.mark.parametrize("environment", NO_ARRAYS)
def test_outside_an_array_everything_is_done(environment: dict[str, str]) -> None:
    assert from_environment(environment) == WHOLE


@pytest.mark.parametrize("variable", ["PBS_ARRAY_INDEX", "PBS_ARRAYID", "JOB_COMPLETION_INDEX"])
def test_where_the_count_is_not_given_the_message_says_what_to_give(variable: str) -> None:
    with pytest.raises(UsageError, match="does not say how many tasks") as refused:
        from_environment({variable: "3"})
    assert f'--task "${variable}/N"' in str(refused.value.hint)


def test_an_array_with_gaps_is_refused_as_its_shares_would_leave_out_pieces() -> None:
    gaps = {**SLURM, "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_COUNT": "4"}
    with pytest.raises(UsageError, match="has gaps"):
        from_environment(gaps)


@pytest.mark.parametrize(
    "environment",
    [
        {"AWS_BATCH_JOB_ARRAY_INDEX": "2", "AWS_BATCH_JOB_ARRAY_SIZE": "2"},
        {"LSB_JOBINDEX": "4", "LSB_JOBINDEX_END": "8", "LSB_JOBINDEX_STEP": "2"},
        {"JOB_COMPLETION_INDEX": "-1", "JOB_COMPLETIONS": "5"},
    ],
)
def test_an_index_outside_its_array_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="is not one of"):
        from_environment(environment)


def test_a_step_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        from_environment({"LSB_JOBINDEX": "4", "LSB_JOBINDEX_END": "8", "LSB_JOBINDEX_STEP": "0"})
