"""Two runs side by side: what came in, what was lost, what each model reached, and whether that can be told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.progress import Progress, Silent
from postmill.train.data import algebra
from postmill.train.evaluation import caveats, comparing, gains, metrics, results
from postmill.train.evaluation.intervals import Inference
from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.results import ModelResult, ResultRow
from postmill.train.options import Split
from postmill.train.report import describe, section_data
from postmill.train.report.describe import DataSummary
from postmill.train.report.figure_view import FigureView, view
from postmill.train.report.figures import compared, said
from postmill.train.report.finding import CLAIM, WEAK, Finding
from postmill.train.report.formatting import number, span
from postmill.train.report.html import Cell, Measured, Table, TableColumn, number_columns, text_columns
from postmill.train.report.page import Report, publish_page

COMPARE_UNIT, TEMPLATE = "compare", "compare.html.j2"
_NOT_PAIRED = "not paired"


@dataclass(frozen=True)
class Side:
    """One of the two runs: what it is called, its data, and its models of the target that is compared."""

    name: str
    run: Run
    data: DataSummary
    models: Sequence[ModelResult]


@dataclass(frozen=True)
class ComparePage:
    """What the template shows.

    Attributes:
        version, fingerprint: Of postmill and of the first run.
        names: Of both runs.
        formula: What is predicted.
        invented: Whether the data of both are marked as invented.
        notices: What a reader must not miss, of each run.
        findings: Which models differ.
        figures, tables: What that rests on.
        settings: None: those of the models stand in each run's own page.
    """

    version: str
    fingerprint: str
    names: tuple[str, str]
    formula: str
    invented: bool
    notices: Sequence[str]
    findings: Sequence[Finding]
    figures: Sequence[FigureView]
    tables: Sequence[Table]
    settings: Mapping[str, str]

    @property
    def title(self) -> str:
        """What a tab of a browser shows."""
        return f"{self.names[0]} and {self.names[1]}: postmill compares two runs"


@algebra.single_core()
def write_comparison(run: Run, other: Run, progress: Progress | None = None) -> Report:
    """Write ``report/compare.html`` in ``run``, which sets it beside ``other``, unless it says so already.

    Raises:
        UsageError: They are one folder, have no finished plan, or no model that predicts the same target.
        PostmillError: A shard or a model cannot be read, or the disk is full.
    """
    if run.folder.resolve() == other.folder.resolve():
        raise UsageError("is named twice", place=run.folder, hint="name two run folders")
    progress = progress or Silent()
    with progress.track("report", 1, "page") as advance:
        sides = _sides(run, other)
        done = publish_page(run, COMPARE_UNIT, TEMPLATE, page(*sides), sides[0].models, sides[0].data)
        advance(1)
    return done


def _sides(run: Run, other: Run) -> tuple[Side, Side]:
    names = [of.folder.resolve().name for of in (run, other)]
    if names[0] == names[1]:
        names = [
            str(Path(of.folder.resolve().parent.name) / name) for of, name in zip((run, other), names, strict=True)
        ]
    by_target = [results.by_target(results.read_results(of)) for of in (run, other)]
    common = next((of for of in by_target[0] if of.formula in {theirs.formula for theirs in by_target[1]}), None)
    if common is None and any(by_target):
        raise UsageError(
            "have no models of one target",
            place=f"{run.folder} and {other.folder}",
            hint=f"postmill train {run.word}; postmill train {other.word}",
        )
    models = [
        next((of_target for target, of_target in each.items() if common and target.formula == common.formula), [])
        for each in by_target
    ]
    first, second = (
        Side(name, of, describe.summarise(of, common), of_target)
        for name, of, of_target in zip(names, (run, other), models, strict=True)
    )
    return first, second


def page(first: Side, second: Side) -> ComparePage:
    """Return what stands on the page.

    Raises:
        PostmillError: A table of predictions cannot be read.
    """
    differences = list(_differences(first, second))
    return ComparePage(
        version=version("postmill"),
        fingerprint=first.run.fingerprint,
        names=(first.name, second.name),
        formula=first.data.definition.formula,
        invented=first.run.invented and second.run.invented,
        notices=_notices(first, second),
        findings=list(_findings(differences, first, second)),
        figures=[
            view(figure)
            for figure in compared.figures(
                (first.name, second.name),
                [difference.rows for difference in differences],
                said.captioned(*(said.borne_in_mind(side.run, side.models) for side in (first, second))),
            )
        ],
        tables=[_came_in(first, second), *_reached(first, second, differences), _faults(first, second)],
        settings={},
    )


@dataclass(frozen=True)
class Difference:
    """What a model of both runs reached on accounts not trained on, and the second less the first where they pair."""

    model: str
    rows: tuple[ResultRow, ResultRow]
    inference: Inference | None


def _differences(first: Side, second: Side) -> Iterator[Difference]:
    rows = [{row.model: row for row in results.rows_of(side.models, Split.INFLUENCER)} for side in (first, second)]
    by_name = [{result.name: result for result in side.models} for side in (first, second)]
    for name, row in rows[0].items():
        if name in rows[1]:
            yield Difference(name, (row, rows[1][name]), _paired(first, second, by_name[0][name], by_name[1][name]))


def _paired(first: Side, second: Side, ours: ModelResult, theirs: ModelResult) -> Inference | None:
    """Return the difference in the headline metric, the second run less the first; None where posts do not pair."""
    if ours.metrics.settings.pseudonyms != theirs.metrics.settings.pseudonyms:
        return None
    after = results.predictions(second.run, theirs, Split.INFLUENCER)
    before = results.predictions(first.run, ours, Split.INFLUENCER)
    return comparing.infer(after, before, None, HEADLINE)[0] if gains.same_posts(after, before) else None


def _notices(first: Side, second: Side) -> list[str]:
    """Return what is to be borne in mind of both runs, and then of one alone."""
    said = [[caveat.text for caveat in caveats.of_models(side.run, side.models)] for side in (first, second)]
    both = [text for text in said[0] if text in said[1]]
    alone = [
        f"{side.name}: {text}"
        for side, texts in zip((first, second), said, strict=True)
        for text in texts
        if text not in both
    ]
    return [*both, *alone]


def _findings(differences: Sequence[Difference], first: Side, second: Side) -> Iterator[Finding]:
    """Yield each model that is better or worse in the second run, and then those of which that cannot be told."""
    unsettled = []
    for difference in differences:
        inference = difference.inference
        if inference is None or inference.interval is None or inference.value is None:
            continue
        if inference.interval.low <= 0 <= inference.interval.high:
            unsettled.append(difference.model)
            continue
        better = "better" if inference.value > 0 else "worse"
        yield Finding(
            CLAIM,
            f"{difference.model} is {better} in {second.name} than in {first.name}: difference in R²"
            f" {number(inference.value, 3)}, paired 95 % interval {span(inference.interval, 3)}, on accounts not"
            " trained on, their past known to models that are shown it.",
        )
    if unsettled:
        yield Finding(
            WEAK,
            f"Not told apart by R² on accounts not trained on: {', '.join(unsettled)}. Their intervals are below.",
        )


def _came_in(first: Side, second: Side) -> Table:
    of = [side.data for side in (first, second)]
    rows: list[list[Cell]] = [
        ["posts that the mapping lists", *(data.mapped for data in of)],
        ["posts in shards", *(data.posts for data in of)],
        ["posts lost", *(sum(data.lost.values()) for data in of)],
        ["posts waiting", *(data.waiting for data in of)],
        ["posts not chosen", *(data.not_chosen for data in of)],
        ["posts with a target", *(data.with_target for data in of)],
        ["accounts", *(data.accounts for data in of)],
        ["pictures", *(data.images for data in of)],
        ["post shards done", *(data.shards for data in of)],
        ["post shards planned", *(data.planned_shards for data in of)],
        ["published", *(section_data.dates(data) or "not known" for data in of)],
        ["bytes of the archives", *(section_data.archive_bytes(side.run) for side in (first, second))],
    ]
    columns = [*text_columns("What"), *number_columns(first.name, second.name)]
    caption = "What the two runs were planned from, and what came of it."
    return Table("came-in", "What came in, and what was lost", caption, columns, rows, folded=False)


def _reached(first: Side, second: Side, differences: Sequence[Difference]) -> Iterator[Table]:
    if not differences:
        return
    short = metrics.METRICS[HEADLINE].short
    rows: list[list[Cell]] = []
    for difference in differences:
        measured = [row[HEADLINE] for row in difference.rows]
        as_first = [row.as_first_posts(HEADLINE) for row in difference.rows]
        inference = difference.inference
        apart: Cell = _NOT_PAIRED
        if inference is not None:
            apart = Measured(number(inference.value, 3), inference.note or span(inference.interval, 3))
        rows.append(
            [
                difference.rows[0].label,
                *(Measured(number(of.value), span(of.interval)) for of in measured),
                apart,
                *(Measured(number(of.value), span(of.interval)) for of in as_first),
            ]
        )
    columns = [
        *text_columns("Model"),
        *(TableColumn(f"{short}, {side.name}", beside="95 % interval") for side in (first, second)),
        TableColumn("Second less first", beside="paired 95 % interval"),
        *(TableColumn(f"{short} as a first post, {side.name}", beside="95 % interval") for side in (first, second)),
    ]
    caption = (
        "Accounts not trained on, their past known to models that are shown it. Two intervals that overlap do not say"
        " that two models are alike: that is for the paired interval, where both runs tested on the"
        " same posts, named by one secret."
    )
    yield Table("reached", "What each model reached", caption, columns, rows, folded=False)


def _faults(first: Side, second: Side) -> Table:
    reasons = dict.fromkeys([*first.data.faults, *second.data.faults])
    rows: list[list[Cell]] = [
        [reason.replace("_", " "), first.data.faults.get(reason, 0), second.data.faults.get(reason, 0)]
        for reason in reasons
    ]
    columns = [*text_columns("Fault"), *number_columns(first.name, second.name)]
    return Table("faults", "Faults of both runs", "By reason.", columns, rows)
