"""What is missing becomes arrays, and each waits for exactly what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.jobs.arrays import MissingWork, missing_work, ranges
from postmill.jobs.settings import Settings
from postmill.jobs.slurm import Job, JobMark
from postmill.shards.formats import units
from postmill.shards.formats.choices import Stage
from postmill.shards.formats.encoders import pin_encoder
from postmill.shards.run import manifests
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.shards.state import attempts, pieces
from postmill.shards.state.tasks import Task
from postmill.train.options import StudyName, TargetName
from tests.jobs.conftest import METADATA, finish

ONE = Settings(encoders=("metadata",))
Make = Callable[..., Run]
Finish = Callable[..., None]


def plainly(work: MissingWork) -> list[tuple[object, ...]]:
    return [(a.stage, a.count, a.offset, ranges(a.indices), a.wait if a.after else "", *a.after) for a in work.arrays]


def queued(stage: str, offset: int, count: int, array: int, job: str = "77") -> Job:
    return Job(job, array, "RUNNING", "None", JobMark("0", stage, offset, count))


@given(st.sets(st.integers(0, 200)))
def test_ranges_name_exactly_the_numbers(numbers: set[int]) -> None:
    text = ranges(sorted(numbers))
    ends = [part.partition("-")[::2] for part in text.split(",") if part]
    spans = [(int(first), int(last or first)) for first, last in ends]
    assert {n for first, last in spans for n in range(first, last + 1)} == numbers
    assert all(before[1] + 1 < after[0] for before, after in pairwise(spans)), "ranges are as long as can be"


def test_as_slurm_writes_them() -> None:
    assert ranges([3, 7, 8, 9]) == "3,7-9"


def test_a_new_run_task_by_task_where_that_is_exact(planned: Make) -> None:
    work = missing_work(planned(2, [0, 1, 2], 2), ONE, [], 1001)
    assert plainly(work) == [
        ("metadata", 2, 0, "0-1", ""),
        ("windows", 3, 0, "0-2", "afterok", 0),
        ("spanning", 2, 0, "0-1", "afterok", 0, 1),
        ("encode.metadata", 5, 0, "0-2", "aftercorr", 1),
        ("encode.metadata", 5, 3, "0-1", "aftercorr", 2),
        ("train", 1, 0, "", "afterok", 3, 4),
    ]


def test_a_window_without_a_shard_shifts_the_tasks_that_follow_it(planned: Make) -> None:
    work = missing_work(planned(1, [0, None, 1], 0), ONE, [], 1001)
    assert plainly(work)[2:4] == [
        ("encode.metadata", 2, 0, "0", "aftercorr", 1),
        ("encode.metadata", 2, -1, "2", "aftercorr", 1),
    ]


def test_many_shifts_make_one_array_that_waits_for_all(planned: Make) -> None:
    windows = [None if n % 2 else n // 2 for n in range(14)]
    work = missing_work(planned(1, windows, 0), ONE, [], 1001)
    assert plainly(work)[2] == ("encode.metadata", 7, 0, "0-6", "afterok", 1)


def test_several_shards_a_task_wait_for_all_unless_the_shares_are_the_same(planned: Make) -> None:
    uneven = missing_work(planned(1, [0, 1, 2, 3, 4], 2), Settings(encoders=("metadata",), tasks=2), [], 1001)
    assert plainly(uneven)[1:4] == [
        ("windows", 2, 0, "0-1", "afterok", 0),
        ("spanning", 2, 0, "0-1", "afterok", 0, 1),
        ("encode.metadata", 2, 0, "0-1", "afterok", 1, 2),
    ]
    assert [array.pieces for array in uneven.arrays] == [1, 3, 1, 4, 1]
    even = missing_work(planned(1, [0, 1, 2, 3, 4], 0, "even"), Settings(encoders=("metadata",), tasks=2), [], 1001)
    assert plainly(even)[2] == ("encode.metadata", 2, 0, "0-1", "aftercorr", 1)


def test_arrays_are_split_by_the_size_that_slurm_allows(planned: Make) -> None:
    work = missing_work(planned(1, list(range(10)), 0), ONE, [], 4)
    assert plainly(work)[1:7] == [
        ("windows", 10, 0, "0-3", "afterok", 0),
        ("windows", 10, 4, "0-3", "afterok", 0),
        ("windows", 10, 8, "0-1", "afterok", 0),
        ("encode.metadata", 10, 0, "0-3", "aftercorr", 1),
        ("encode.metadata", 10, 4, "0-3", "aftercorr", 2),
        ("encode.metadata", 10, 8, "0-1", "aftercorr", 3),
    ]


def test_only_what_is_missing(planned: Make, ingested: Finish, encoded: Finish) -> None:
    run = planned(1, list(range(10)), 0)
    ingested(run, 0, 1, 2, 4, 5, 6, spools=["metadata-000000"])
    encoded(run, 0, 2, 4, 5, 6)
    assert plainly(missing_work(run, ONE, [], 1001)) == [
        ("windows", 10, 0, "3,7-9", ""),
        ("encode.metadata", 10, 0, "1", ""),
        ("encode.metadata", 10, 0, "3,7-9", "aftercorr", 0),
        ("train", 1, 0, "", "afterok", 1, 2),
    ]


@pytest.mark.parametrize("model", ["xlm-emo", "MilaNLProc/xlm-emo-t", "models/xlm-emo-t"])
def test_what_a_model_has_done_is_known_by_any_name_of_it(planned: Make, ingested: Finish, model: str) -> None:
    run = planned(0, list(range(3)), 0)
    ingested(run, 0, 1, 2)
    made = replace(METADATA, encoder="emotion-comments", models="override", model="MilaNLProc/xlm-emo-t")
    finish(run, pin_encoder(run, made), "posts-000000", "posts-000002", encoder=made.fingerprint)
    asked = replace(ONE, encoders=("emotion-comments",), model_overrides={"emotion": model})
    assert plainly(missing_work(run, asked, [], 1001))[0] == ("encode.emotion-comments", 3, 0, "1", "")


def test_a_finished_training_is_not_that_of_another_target_or_study(
    planned: Make, ingested: Finish, encoded: Finish
) -> None:
    run = planned(1, [0], 0)
    ingested(run, 0, spools=["metadata-000000"])
    encoded(run, 0)
    finish(run, run.report, "index")
    finish(run, run.models / "fusion", "manifest")
    assert plainly(missing_work(run, ONE, [], 1001)) == []
    likes, study = replace(ONE, target=TargetName.LIKES), replace(ONE, study=StudyName.PAPER)
    for asked, model in ((likes, "fusion-likes"), (study, "paper-fusion")):
        assert plainly(missing_work(run, asked, [], 1001)) == [("train", 1, 0, "", "")]
        finish(run, run.models / model, "manifest")
        assert plainly(missing_work(run, asked, [], 1001)) == []


def test_nothing_is_submitted_twice(planned: Make, ingested: Finish) -> None:
    run = planned(1, [0, 1, 2, 3], 0)
    ingested(run, spools=["metadata-000000"])
    work = missing_work(run, ONE, [queued("windows", 0, 4, 1), queued("windows", 2, 4, 0)], 1001)
    assert work.queued == {"windows": (1, 2)}
    assert plainly(work) == [
        ("windows", 4, 0, "0,3", ""),
        ("encode.metadata", 4, 0, "0,3", "aftercorr", 0),
        ("encode.metadata", 4, 0, "1-2", "afterok", 0, "77"),
        ("train", 1, 0, "", "afterok", 1, 2),
    ]
    assert missing_work(run, ONE, [queued("train", 0, 1, 0)], 1001).queued["train"] == (0,)


def test_tasks_in_the_queue_that_were_cut_otherwise_are_known_by_their_pieces(planned: Make, ingested: Finish) -> None:
    run = planned(1, [0, 1, 2, 3], 0)
    ingested(run, spools=["metadata-000000"])
    work = missing_work(run, ONE, [queued("windows", 0, 2, 1)], 1001)
    assert work.queued == {"windows": (2, 3)} and plainly(work)[0] == ("windows", 4, 0, "0-1", "")


def fail(run: Run, stage: str, task: Task, times: int) -> None:
    for _ in range(times):
        with pytest.raises(PostmillError), attempts.recorded(run, stage, task, {}):
            raise PostmillError("no")


def test_a_task_that_failed_three_times_is_given_up_and_what_needs_it_held_back(planned: Make) -> None:
    run = planned(1, [0, 1], 1)
    fail(run, "metadata", Task(0, 1), 2)
    assert plainly(missing_work(run, ONE, [], 1001))[0] == ("metadata", 1, 0, "0", "")
    fail(run, "metadata", Task(0, 1), 1)
    work = missing_work(run, ONE, [], 1001)
    assert work.arrays == () and work.given_up == {"metadata": (0,)}
    assert set(work.held_back) == {"windows", "spanning", "encode.metadata", "train"}
    assert len(missing_work(run, ONE, [], 1001, again=True).arrays) == 6


def test_a_window_given_up_holds_back_its_own_encoding_alone(planned: Make, ingested: Finish) -> None:
    run = planned(1, [0, 1, 2], 0)
    ingested(run, 0, spools=["metadata-000000"])
    fail(run, "windows", Task(1, 3), 3)
    work = missing_work(run, ONE, [], 1001)
    assert work.given_up == {"windows": (1,)} and work.held_back == ("encode.metadata", "train")
    assert plainly(work) == [
        ("windows", 3, 0, "2", ""),
        ("encode.metadata", 3, 0, "0", ""),
        ("encode.metadata", 3, 0, "2", "aftercorr", 0),
    ]


def test_encoders_with_a_gpu_have_arrays_of_their_own(planned: Make) -> None:
    run = planned(1, [0], 0)
    stages = [
        array.stage for array in missing_work(run, Settings(encoders=("text", "image", "metadata")), [], 9).arrays
    ]
    assert stages == ["metadata", "windows", "encode.text.metadata", "encode.image", "train"]


@pytest.mark.parametrize(
    ("shards", "asked", "tasks"),
    [
        (64, {}, 4),
        (63, {}, 3),  # none has fewer than 16
        (7, {}, 1),
        (64, {"gres": "gpu:2"}, 2),
        (64, {"gres": "gpu:a100:4"}, 1),
        (64, {"gres": "gpu:a100"}, 4),
        (64, {"gres": ""}, 64),  # there is no GPU to start
        (64, {"gpu_encoders": ()}, 64),
        (64, {"tasks": 50}, 50),  # who says how many is taken at their word
        (64, {"tasks": 2}, 2),
    ],
)
def test_a_task_with_a_gpu_has_many_shards(
    planned: Make, ingested: Finish, shards: int, asked: dict[str, Any], tasks: int
) -> None:
    run = planned(1, list(range(shards)), 0)
    ingested(run, *range(shards), spools=["metadata-000000"])
    (array, _) = missing_work(run, replace(Settings(encoders=("image",)), **asked), [], 1001).arrays
    assert (array.stage, array.count, array.indices) == ("encode.image", tasks, tuple(range(tasks)))


def test_without_a_plan_it_says_so(planned: Make) -> None:
    run = planned(1, [0], 0)
    (run.plan / "plan.json").unlink()
    with pytest.raises(UsageError, match="no finished plan"):
        missing_work(run, ONE, [], 1001)


def test_the_pieces_are_those_that_ingest_does(planned: Make, ingested: Finish) -> None:
    run = planned(3, [0, None, 1, 2], 2)
    ingested(run, 1, 2, 4, spools=["metadata-000001", "window-000001", "window-000002"])
    spools, shards = (pieces.list_units(folder, run.fingerprint) for folder in (run.spool, run.posts))
    states = pieces.ingest_pieces(run, spools, shards)
    for stage in Stage:  # each unit by itself, as the stages look
        for state, piece in zip(states[stage], units.pieces(run, stage), strict=True):
            done = [manifests.done(folder, name, run.fingerprint) is not None for folder, name in piece.units]
            assert (state.number, state.done) == (piece.number, all(done))
    assert [state.done for state in states[Stage.METADATA]] == [False, True, False]
    assert [state.done for state in states[Stage.WINDOWS]] == [False, True, True, False]
    assert [state.number for state in states[Stage.SPANNING]] == [3, 4]
    assert units.image_spool(1) in spools.done
