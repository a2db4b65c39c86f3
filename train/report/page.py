"""The report of a run: one page that loads nothing, names no one, and answers seven questions in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.probes.first_posts import BASELINE
from postmill.train.evaluation.results import ModelResult, ResultRow
from postmill.train.options import Split
from postmill.train.report import (
    describe,
    findings,
    headline,
    html,
    limits,
    section_certainty,
    section_data,
    section_gains,
    section_losses,
    section_next,
    section_quality,
    study,
)
from postmill.train.report.cards.data import write_data_card
from postmill.train.report.describe import DataSummary
from postmill.train.report.figure_view import view
from postmill.train.report.figures import drawing, make
from postmill.train.report.figures.figure import Question
from postmill.train.report.finding import NONE, Finding
from postmill.train.report.formatting import number
from postmill.train.report.section import Note, Section
from postmill.train.report.tone import current, section

PAGE_UNIT, TEMPLATE = "index", "page.html.j2"


@dataclass(frozen=True)
class Report:
    """Where the report lies, whether this call changed it, and of how many models it is."""

    path: Path
    written: bool
    models: int


@dataclass(frozen=True)
class Page:
    """What the templates show.

    Attributes:
        version, fingerprint: Of postmill and of the run.
        name: Of the run's folder.
        invented: Whether the data are marked as invented.
        dates: First and last day of the posts; empty where no post has a time.
        formula: What is predicted.
        notices: What a reader must not miss.
        sections: The seven questions, in order.
        settings: The fingerprint of the settings of each model.
    """

    version: str
    fingerprint: str
    name: str
    invented: bool
    dates: str
    formula: str
    notices: Sequence[str]
    sections: Sequence[Section]
    settings: Mapping[str, str]
    heading: str = "How well can engagement be predicted?"

    @property
    def title(self) -> str:
        """What a tab of a browser shows."""
        return f"{self.name}{', invented data' if self.invented else ''}: postmill report"


@algebra.single_core()
def write_report(run: Run, progress: Progress | None = None) -> Report:
    """Write ``report/index.html`` from the run's records, faults, and finished models, unless it says so already.

    Where there are models, their table comes first, for page and table are of the same models. The card of the data is
    written beside it.

    Raises:
        UsageError: There is no finished plan.
        PostmillError: A shard or a model cannot be read, or the disk is full.
    """
    progress = progress or Silent()
    if run.report.is_dir():
        temporary.sweep(run.report)
    with progress.track("report", 1, "page") as advance:
        models = results.read_results(run)
        data = describe.summarise(run, next(iter(results.by_target(models)), None))
        measured = table.write_results(run)
        done = publish_page(run, PAGE_UNIT, TEMPLATE, page(run, data, models, measured), models, data)
        write_data_card(run, data)
        advance(1)
    return done


def publish_page(
    run: Run, name: str, template: str, content: object, models: Sequence[ModelResult], data: DataSummary
) -> Report:
    """Write ``report/NAME.html`` of what ``template`` shows, unless it says so already.

    Args:
        run: The run.
        name: Of the page and of its unit.
        template: Its name.
        content: What the template calls ``page``.
        models, data: Those of the run that it tells of, which its manifest states.

    Raises:
        PostmillError: The disk is full, or a shard has no manifest any more.
    """
    shards = tuple(posts.done_shards(run, plan.counts(run).shards))
    libraries = [drawing.bundle()] if drawing.available() else []
    file = f"{name}.html"
    with publish.unit(run.report, name, run.fingerprint, compared=True) as unit:
        unit.file(file).write(html.render(template, content, libraries).encode())
        ReportCounts(len(models), data.posts).put(unit)
        unit.inputs.update(results.inputs(run, models))
        unit.inputs.update(current.inputs(run) if name == PAGE_UNIT else {})
        unit.inputs[custody.POSTS_INPUT] = custody.contents(run.posts, shards)
        custody.put_shards(unit, shards)
    return Report(run.report / file, unit.published, len(models))


def page(run: Run, data: DataSummary, models: Sequence[ModelResult], measured: Sequence[Gain] | None = None) -> Page:
    """Return what stands on the page: of models of several targets, those of the usual one, or of the first there is.

    Args:
        run: The run.
        data: Its data.
        models: Its models.
        measured: Their gains, of all targets; None to have them measured.

    Raises:
        PostmillError: A table of predictions cannot be read.
    """
    by_target = results.by_target(models)
    models, elsewhere = by_target.get(data.definition, []), [of for of in by_target if of != data.definition]
    said = [caveat.text for caveat in caveats.of_models(run, models)]
    of_target = [gain for gain in measured or () if gain.target == data.definition.formula]
    return Page(
        version=version("postmill"),
        fingerprint=run.fingerprint,
        name=run.folder.resolve().name,
        invented=run.invented,
        dates=section_data.dates(data),
        formula=section_quality.formula(models),
        notices=list(dict.fromkeys([*said, *_notices(data, models), *_elsewhere(elsewhere)])),
        sections=_sections(run, data, models, gains.gains(run, models) if measured is None else of_target),
        settings={result.name: result.metrics.settings_fingerprint for result in models},
    )


def _sections(run: Run, data: DataSummary, models: Sequence[ModelResult], measured: Sequence[Gain]) -> list[Section]:
    rows = [row for split in section_quality.SPLIT_WORDS for row in results.rows_of(models, split)]
    best = _best(rows, models)
    found = _findings(run, models, rows, measured, best)
    quality = [finding for finding in found if finding.question == Question.QUALITY]
    adding = [finding for finding in found if finding.question == Question.GAINS]
    surety = [finding for finding in found if finding.question == Question.CERTAINTY]
    tone = current.read(run)
    drawn = [view(figure) for figure in make.figures(run, data, models, measured, tone.insights)]
    next_step, next_command = section_next.answer(run, data, models, best)
    figures = {question: [each for each in drawn if each.figure.question == question] for question in Question}
    return [
        Section(
            Question.DATA,
            "What came in?",
            section_data.answer(run, data),
            figures=figures[Question.DATA],
            notes=[Note("", list(section_data.notes(data)))],
            tables=list(section_data.tables(run, data)),
        ),
        Section(
            Question.LOSSES,
            "What was lost, and why?",
            section_losses.answer(data),
            figures=figures[Question.LOSSES],
            notes=[Note("", list(section_losses.notes(data)))],
            tables=list(section_losses.tables(data)),
        ),
        Section(
            Question.QUALITY,
            "How good are the predictions?",
            quality[0] if quality else Finding(NONE, "No model has been judged."),
            short=_with_baseline(quality, rows),
            findings=quality[1:],
            figures=figures[Question.QUALITY],
            notes=[Note("", section_quality.left_out(models))] if section_quality.left_out(models) else [],
            tables=list(section_quality.tables(rows, models)),
        ),
        Section(
            Question.GAINS,
            "What adds to an account's past, and what leaks?",
            adding[0] if adding else Finding(NONE, "No two models were compared."),
            short=findings.in_short(adding),
            findings=adding[1:],
            figures=figures[Question.GAINS],
            tables=list(section_gains.tables(measured, models)),
        ),
        Section(
            Question.CERTAINTY,
            "How sure is that?",
            section_certainty.answer(best, models),
            findings=[*surety, *section_certainty.findings(models)],
            figures=figures[Question.CERTAINTY],
            notes=[
                Note("What this run cannot show", limits.limits(data, rows, models)),
                Note("How it was measured", html.paragraphs("method.txt"), folded=True),
            ],
            tables=list(section_certainty.tables(models)),
        ),
        section.section(run, tone, figures[Question.TONE]),
        Section(
            Question.NEXT,
            "What next?",
            next_step,
            commands=list(section_next.commands(run, data, models, best)),
            command=next_command,
        ),
    ]


def _with_baseline(quality: Sequence[Finding], rows: Sequence[ResultRow]) -> str:
    """Return the headline with what a first post is to be compared with; empty where nothing is claimed."""
    of = next(
        (row.as_first_posts(HEADLINE) for row in rows if (row.rung, row.split) == (BASELINE, Split.INFLUENCER)), None
    )
    if not quality or quality[0].strength == NONE or of is None or of.value is None:
        return ""
    return f"{quality[0].text} There {BASELINE} alone reach {number(of.value)}."


def _best(rows: Sequence[ResultRow], models: Sequence[ModelResult]) -> ResultRow | None:
    """Return the row of the forecast that the headline is about."""
    apart = {result.name for result in models if result.of_study or result.leaks}
    return headline.best([row for row in rows if row.model not in apart], Split.INFLUENCER)


def _findings(
    run: Run, models: Sequence[ModelResult], rows: Sequence[ResultRow], measured: Sequence[Gain], best: ResultRow | None
) -> list[Finding]:
    studied = {result.name for result in models if result.of_study}
    own = [row for row in rows if row.model not in studied]
    comparison = gains.compare_fusion(run, models, Split.INFLUENCER)
    leaking = [result for result in models if result.leaks and not result.of_study]
    shown = next((result for result in models if best is not None and result.name == best.model), None)
    first = None if shown is None else gains.first_posts_over_baseline(run, models, shown.model, Split.INFLUENCER)
    flattery = None if shown is None else optimism.measured(run, shown)
    return [
        *(findings.findings(own, comparison, leaking, measured, flattery, first) if own or not studied else []),
        *study.findings(models),
    ]


def _notices(data: DataSummary, models: Sequence[ModelResult]) -> Iterator[str]:
    """Yield what else a reader must not miss: unfinished work, counts and models that do not fit."""
    if not drawing.available():
        yield "Figures are not drawn here, and their numbers stand as tables: pip install 'postmill[figures]'."
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
