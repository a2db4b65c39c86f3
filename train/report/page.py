"""The report of a run: one page that loads nothing, names no one, and says what its numbers can and cannot show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from postmill.shards.formats import custody, plan, posts
from postmill.shards.formats.counts import ReportCounts
from postmill.shards.run import publish, temporary
from postmill.shards.run.folder import Run
from postmill.shards.runtime.progress import Progress, Silent
from postmill.train.data import algebra
from postmill.train.data.target import Definition
from postmill.train.evaluation import caveats, gains, optimism, results, table
from postmill.train.evaluation.results import ModelResult
from postmill.train.options import Split
from postmill.train.report import (
    describe,
    findings,
    headline,
    html,
    limits,
    section_data,
    section_models,
    section_results,
    section_steps,
    study,
)
from postmill.train.report.describe import DataSummary
from postmill.train.report.finding import Finding
from postmill.train.report.html import Cell, Table
from postmill.train.report.section_data import TargetFigure
from postmill.train.report.section_results import ResultsSection, ScatterGroup

PAGE_UNIT, PAGE_FILE = "index", "index.html"


@dataclass(frozen=True)
class Report:
    """Where the report lies, whether this call changed it, and of how many models it is."""

    path: Path
    written: bool
    models: int


@dataclass(frozen=True)
class Page:
    """What the templates show; docs of each part stand where it is made.

    Attributes:
        version, fingerprint: Of postmill and of the run.
        dates: First and last day of the posts; empty where no post has a time.
        facts: Large numbers, each with what it counts.
        notices: What a reader must not miss.
        findings, limits: What the run shows and what it cannot.
        headline: The chart of the headline split, as SVG; empty where no model was judged on it.
        results: None where no model has been judged, and then there are no steps and no figures.
        steps, figures, data, target, data_tables, models, model_tables, formula: Of the sections.
    """

    version: str
    fingerprint: str
    dates: str
    facts: Sequence[tuple[str, Cell]]
    notices: Sequence[str]
    findings: Sequence[Finding]
    limits: Sequence[str]
    headline: str
    results: ResultsSection | None
    steps: Sequence[Table]
    figures: Sequence[ScatterGroup]
    data: DataSummary
    target: TargetFigure | None
    data_tables: Sequence[Table]
    models: Sequence[ModelResult]
    model_tables: Sequence[Table]
    formula: str

    @property
    def settings(self) -> Mapping[str, str]:
        """The fingerprint of the settings of each model."""
        return {result.name: result.metrics.settings_fingerprint for result in self.models}


@algebra.single_core()
def write_report(run: Run, progress: Progress | None = None) -> Report:
    """Write ``report/index.html`` from the run's records, faults, and finished models, unless it says so already.

    Where there are models, their table comes first, for page and table are of the same models.

    Raises:
        UsageError: There is no finished plan.
        PostmillError: A shard or a model cannot be read, or the disk is full.
    """
    progress = progress or Silent()
    if run.report.is_dir():
        temporary.sweep(run.report)
    with progress.track("report", 1, "page") as advance:
        shards = tuple(posts.done_shards(run, plan.counts(run).shards))
        models = results.read_results(run)
        data = describe.summarise(run, next(iter(results.by_target(models)), None))
        content = html.render_page(page(run, data, models))
        table.write_results(run)
        with publish.unit(run.report, PAGE_UNIT, run.fingerprint, compared=True) as unit:
            unit.file(PAGE_FILE).write(content.encode())
            ReportCounts(len(models), data.posts).put(unit)
            unit.inputs.update(results.inputs(run, models))
            unit.inputs[custody.POSTS_INPUT] = custody.contents(run.posts, shards)
            custody.put_shards(unit, shards)
        advance(1)
    return Report(run.report / PAGE_FILE, unit.published, len(models))


def page(run: Run, data: DataSummary, models: Sequence[ModelResult]) -> Page:
    """Return what stands on the page: of models of several targets, those of the usual one, or of the first there is.

    Raises:
        PostmillError: A table of predictions cannot be read.
    """
    by_target = results.by_target(models)
    models, elsewhere = by_target.get(data.definition, []), [of for of in by_target if of != data.definition]
    rows = [row for split in section_results.SPLIT_WORDS for row in results.rows_of(models, split)]
    studied = {result.name for result in models if result.of_study}
    own = [row for row in rows if row.model not in studied]
    comparison = gains.compare_fusion(run, models, Split.INFLUENCER)
    measured = gains.gains(run, models)
    leaking = [result for result in models if result.leaks and not result.of_study]
    best = headline.best([row for row in own if row.model not in {leak.name for leak in leaking}], Split.INFLUENCER)
    shown = next((result for result in models if best is not None and result.name == best.model), None)
    first = None if shown is None else gains.first_posts_over_baseline(run, models, shown.model, Split.INFLUENCER)
    flattery = None if shown is None else optimism.measured(run, shown)
    return Page(
        version=version("postmill"),
        fingerprint=run.fingerprint,
        dates="" if data.first is None or data.last is None else f"{_day(data.first)} to {_day(data.last)}",
        facts=list(_facts(data, models)),
        notices=list(
            dict.fromkeys(
                [
                    *(caveat.text for caveat in caveats.of_models(run, models)),
                    *_notices(data, models),
                    *_elsewhere(elsewhere),
                ]
            )
        ),
        findings=[
            *(findings.findings(own, comparison, leaking, measured, flattery, first) if own or not studied else []),
            *study.findings(models),
        ],
        limits=limits.limits(data, rows, models),
        headline=section_results.headline_chart(rows),
        results=section_results.section(rows, models) if rows else None,
        steps=list(section_steps.tables(measured, models)),
        figures=list(section_results.figures(run, models)),
        data=data,
        target=section_data.target_figure(data),
        data_tables=list(section_data.tables(data)),
        models=models,
        model_tables=list(section_models.tables(models)),
        formula=section_models.formula(models),
    )


def _facts(data: DataSummary, models: Sequence[ModelResult]) -> Iterator[tuple[str, Cell]]:
    yield "posts", data.posts
    yield "accounts", data.accounts
    yield "pictures", data.images
    yield "post shards", f"{data.shards:,}" if data.complete else f"{data.shards:,} of {data.planned_shards:,}"
    yield "models", len(models)


def _notices(data: DataSummary, models: Sequence[ModelResult]) -> Iterator[str]:
    """Yield what else a reader must not miss: unfinished work, counts and models that do not fit."""
    if data.selection is not None:
        yield f"A part of the dataset: planned with {data.selection}."
    if not data.complete:
        yield f"Unfinished: {data.shards:,} of {data.planned_shards:,} post shards are done."
    if data.adds_up is False:
        yield "The counts of posts do not add up: run postmill verify before trusting this page."
    settings = [result.metrics.settings for result in models]
    if len({setting.posts for setting in settings}) > 1:
        yield "These models were not all trained on the same posts: train again before comparing them."
    if len({setting.pseudonyms for setting in settings}) > 1:
        yield (
            "Predictions of these models name accounts and posts by another secret than those of the others, so no two"
            " of them are compared: train all models again."
        )


def _elsewhere(definitions: Sequence[Definition]) -> Iterator[str]:
    """Yield where the models are that predict something else, for they are not to be compared with these."""
    if definitions:
        targets = " and ".join(definition.formula for definition in definitions)
        yield f"This run has models of {targets} too: their numbers are in report/results.md, not on this page."


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
