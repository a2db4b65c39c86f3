"""What became of the posts and pictures that the mapping lists, from stage to stage, until they are predicted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from postmill.shards.run.folder import Run
from postmill.train.evaluation.caveats import Kind
from postmill.train.evaluation.results import ModelResult
from postmill.train.options import Split
from postmill.train.report.describe import DataSummary
from postmill.train.report.figures import drawing
from postmill.train.report.figures.figure import Figure, Question
from postmill.train.report.figures.said import SPLITS, borne_in_mind, captioned

_Stage = tuple[str, int, Mapping[str, int]]
"""A stage: its name, how many came through, and how many did not, by reason."""

_NOT_PACKED = "in post shards that are not done"
_NOT_COUNTED = "not accounted for: run postmill verify"


def figures(run: Run, data: DataSummary, models: Sequence[ModelResult]) -> Iterator[Figure]:
    """Yield what became of posts, and of pictures where they were asked for."""
    if data.mapped:
        yield _posts(run, data, models)
    if data.images + data.missing_images and not data.text_only:
        yield _pictures(run, data)


def _posts(run: Run, data: DataSummary, models: Sequence[ModelResult]) -> Figure:
    stages: list[_Stage] = [("listed", data.mapped, {}), *_stages(data), *_tested(data, models)]
    lost = data.mapped - data.posts
    return _figure(
        stages,
        "posts",
        Figure(
            name="flow",
            question=Question.LOSSES,
            title="What became of the posts",
            caption=captioned(
                f"Posts from the mapping, which lists them, to the test parts, {SPLITS[Split.INFLUENCER]}: what each"
                " stage kept, and below it what it lost, by reason."
                " Each stage begins with what the one above it kept; counts are exact. A tick stands for a loss that is"
                " too small for a bar.",
                borne_in_mind(run, (), (Kind.INVENTED,)),
            ),
            label=f"Of {data.mapped:,} posts that the mapping lists, {data.posts:,} are in post shards, {lost:,} are"
            f" not; {data.with_target:,} have a target.",
            columns=("stage", "what", "posts"),
            rows=(),
            chart=None,
        ),
    )


def _stages(data: DataSummary) -> Iterator[_Stage]:
    left = data.mapped
    if data.not_chosen:
        left -= data.not_chosen
        yield "chosen", left, {"not chosen": data.not_chosen}
    lost = {_words(reason): count for reason, count in data.lost.items()}
    if data.waiting:
        lost["waiting for their bytes"] = data.waiting
    rest = left - data.posts - sum(lost.values())
    if rest > 0:
        lost[_NOT_COUNTED if data.complete else _NOT_PACKED] = rest
    yield "in post shards", data.posts, lost
    yield "with a target", data.with_target, {_words(reason): count for reason, count in data.left_out.items() if count}


def _tested(data: DataSummary, models: Sequence[ModelResult]) -> Iterator[_Stage]:
    """Yield what was predicted on the headline split, where the models are of these posts and tested each but once."""
    split = Split.INFLUENCER
    tested = {
        result.splits[split].counts.test_posts
        for result in models
        if split in result.splits and result.metrics.counts.with_target == data.with_target
    }
    if len(tested) == 1 and (posts := tested.pop()) <= data.with_target:
        rest = data.with_target - posts
        yield "predicted", posts, {"in no test part": rest} if rest else {}


def _pictures(run: Run, data: DataSummary) -> Figure:
    stages: list[_Stage] = [
        ("listed", data.images + data.missing_images, {}),
        ("in post shards", data.images, {"could not be had": data.missing_images} if data.missing_images else {}),
    ]
    usable = ""
    if data.unusable_images is not None:
        kept = data.images - data.unusable_images
        stages.append(("usable", kept, {"no encoder can use": data.unusable_images} if data.unusable_images else {}))
        usable = f", {kept:,} can be used"
    return _figure(
        stages,
        "pictures",
        Figure(
            name="flow-pictures",
            question=Question.LOSSES,
            title="What became of the pictures",
            caption=captioned(
                "Pictures of the posts that are in post shards: what each stage kept, and below it what it lost. Those"
                " of posts that were lost altogether are not counted here. Counts are exact.",
                borne_in_mind(run, (), (Kind.INVENTED,)),
            ),
            label=f"Of {data.images + data.missing_images:,} pictures of posts in shards, {data.images:,} are"
            f" there{usable}.",
            columns=("stage", "what", "pictures"),
            rows=(),
            chart=None,
        ),
    )


def _figure(stages: Sequence[_Stage], unit: str, figure: Figure) -> Figure:
    rows = []
    for name, kept, lost in stages:
        rows.append((name, "kept", kept))
        rows += [(name, f"lost: {reason}", count) for reason, count in lost.items()]
    chart = None
    if drawing.available():
        from postmill.train.report.figures.charts import flow

        chart = flow.flow([flow.Stage(*stage) for stage in stages], unit)
    return replace(figure, rows=rows, chart=chart)


def _words(reason: str) -> str:
    return reason.replace("_", " ")
