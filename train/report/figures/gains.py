"""What each step of the ladder adds, and what only seems to: comments, and accounts that a model has met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmill.shards.run.folder import Run
from postmill.train.evaluation import gains as evaluation
from postmill.train.evaluation import metrics, optimism
from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.optimism import Optimism
from postmill.train.evaluation.results import Estimate, ModelResult
from postmill.train.models.registry import LEAK_STEP
from postmill.train.options import Split
from postmill.train.report.figures import drawing
from postmill.train.report.figures.figure import Figure, Question
from postmill.train.report.figures.said import SPLITS, borne_in_mind, captioned, ends, in_words, intervals, rounded
from postmill.train.report.formatting import DASH, number

_COMMENTS, _MET = "comments known", "accounts met"
_HOLDS = {True: "yes", False: "no", None: DASH}


def figures(run: Run, models: Sequence[ModelResult], measured: Sequence[Gain]) -> Iterator[Figure]:
    """Yield the steps that are forecasts, and what flatters; nothing where nothing was measured.

    Raises:
        PostmillError: A table of predictions cannot be read.
    """
    honest = [gain for gain in measured if (gain.model, gain.base) != LEAK_STEP]
    if honest:
        yield _steps(run, models, honest, measured)
    comments = [gain for gain in measured if (gain.model, gain.base) == LEAK_STEP and gain.metric == HEADLINE]
    met = [
        found
        for result in models
        if result.default and not result.leaks and (found := optimism.measured(run, result)) is not None
    ]
    if comments or met:
        yield _leaks(run, models, comments, met)


def estimate(gain: Gain) -> Estimate:
    """Return a gain as figures have it."""
    return Estimate(gain.difference, gain.interval, gain.note)


def _step(gain: Gain) -> str:
    return f"{gain.model} over {gain.base}"


def _steps(run: Run, models: Sequence[ModelResult], honest: Sequence[Gain], measured: Sequence[Gain]) -> Figure:
    order = [HEADLINE, *(name for name in evaluation.measured() if name != HEADLINE)]
    shown = sorted(honest, key=lambda gain: order.index(gain.metric))
    chart = paper = None
    if drawing.available():
        from postmill.train.report.figures.charts import forest

        marks = [
            forest.Mark(
                _step(gain),
                SPLITS[Split(gain.split)],
                estimate(gain),
                gain.metric,
                hollow=not gain.holds,
                told={"holds among all": _HOLDS[gain.holds], "shuffled": number(gain.shuffled, 3)},
            )
            for gain in shown
        ]
        axis = forest.Axis("difference (above 0: the first is better)", {"no difference": 0.0})
        there = {name: metrics.METRICS[name].heading for name in order if any(gain.metric == name for gain in shown)}
        chart = forest.forest(marks, axis, there, "Difference in: ")
        first = [mark for mark in marks if mark.choice == next(iter(there))]
        paper = forest.forest(first, axis)
    on_headline = [gain for gain in shown if gain.metric == HEADLINE and gain.split == Split.INFLUENCER]
    return Figure(
        name="gains",
        question=Question.GAINS,
        title="What each step adds",
        caption=captioned(
            f"Difference in R² of two models on the same test posts, of {models[0].definition.formula}, the accounts'"
            " past known; the numbers of this figure hold the other metrics.",
            "Lines are 95 % intervals, paired over accounts." if intervals([estimate(gain) for gain in shown]) else "",
            f"Filled marks hold when all {sum(gain.p is not None for gain in measured):,} differences that were"
            " measured are judged at once (Holm)."
            if any(gain.p is not None for gain in measured)
            else "No mark is filled, for no difference has an interval by which it could hold.",
            borne_in_mind(run, models),
        ),
        label=captioned(
            f"Differences in R² of {len({_step(gain) for gain in shown}):,} steps.",
            " ".join(
                f"{_step(gain)}, {SPLITS[Split(gain.split)]}: {in_words(estimate(gain), 3)}." for gain in on_headline
            ),
        ),
        columns=("metric", "model", "over", "split", "difference", "95 % low", "95 % high", "shuffled", "holds"),
        rows=[
            (
                metrics.METRICS[gain.metric].heading,
                gain.model,
                gain.base,
                gain.split,
                rounded(gain.difference),
                *ends(estimate(gain)),
                rounded(gain.shuffled),
                None if gain.holds is None else _HOLDS[gain.holds],
            )
            for gain in shown
        ],
        chart=chart,
        paper=paper,
    )


def _leaks(run: Run, models: Sequence[ModelResult], comments: Sequence[Gain], met: Sequence[Optimism]) -> Figure:
    rows = [
        *((_COMMENTS, gain.model, gain.base, SPLITS[Split(gain.split)], estimate(gain)) for gain in comments),
        *((_MET, of.model, of.model, "accounts that both splits test", _flattery(of)) for of in met),
    ]
    rows = [row for row in rows if row[-1].value is not None]
    chart = None
    if drawing.available() and rows:
        from postmill.train.report.figures.charts import forest

        marks = [
            forest.Mark(model if kind == _MET else f"{model}, {tested}", kind, of, told={"test posts": tested})
            for kind, model, _, tested, of in rows
        ]
        chart = forest.forest(marks, forest.Axis("difference in R²", {"no difference": 0.0}), apart=False)
    return Figure(
        name="leaks",
        question=Question.GAINS,
        title="What only seems to add",
        caption=captioned(
            f"Differences in R² of {models[0].definition.formula} that are no skill. Comments known: a model that reads"
            " comments, which come after publication, less the same model without them. Accounts met: R² on a random"
            " split, on which a model has met the accounts that it is tested on, less that on accounts that it was not"
            " trained on, over the accounts that both test.",
            intervals([row[-1] for row in rows]),
            borne_in_mind(run, models),
        ),
        label=captioned(
            "Differences in R² that comments and accounts that were met make.",
            " ".join(f"{kind}, {model}, {tested}: {in_words(of, 3)}." for kind, model, _, tested, of in rows[:4]),
        ),
        columns=("what", "model", "over", "test posts", "difference in R²", "95 % low", "95 % high"),
        rows=[(kind, model, base, tested, rounded(of.value), *ends(of)) for kind, model, base, tested, of in rows],
        chart=chart,
    )


def _flattery(of: Optimism) -> Estimate:
    return Estimate(of.inference.value, of.inference.interval, of.inference.note)
