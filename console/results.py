"""What comes of a run, printed and written: results of models, the report, predictions, exports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from postmill.console import extras
from postmill.console.display import answering
from postmill.console.display.answers import Exported, Predicted, Reported, Trained
from postmill.console.output import err, out
from postmill.console.streams import binary
from postmill.shards.formats.choices import Layout
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.progress import Progress

if TYPE_CHECKING:
    from postmill.shards.run.folder import Run
    from postmill.train.report.figures.figure import Figure
    from postmill.train.report.page import Report
    from postmill.train.stage import TrainSummary

_TABLES = (".csv", ".parquet")  # how predictions are written to a file


def trained(run: Run, summary: TrainSummary, as_json: bool) -> None:
    """Print what the models reached, for people or for a program."""
    if as_json:
        reached, caveats = answering.results(run)
        answering.answer(Trained(str(run.folder), summary.trained, summary.kept, reached, caveats))
    else:
        results(run)


def results(run: Run) -> None:
    """Print the tables of models, if there are any, what is to be borne in mind of them, and where all metrics are."""
    from postmill.train.report import terminal

    tables = list(terminal.results_tables(run))
    for table in tables:
        out.print(table)
    if tables:
        for caveat in terminal.caveats(run):
            out.print(f"note: {escape(caveat)}", soft_wrap=not out.is_terminal, highlight=False)
        out.note(f"every metric, split and interval: {escape(str(run.report / 'results.md'))}")


def report(run: Run, shown: Progress, figures: Path | None = None, as_json: bool = False) -> Path:
    """Write the report, and figures where a folder is named for them, show the results, and say where it all lies.

    Returns the page's path.
    """
    if figures is not None:
        from postmill.shards.run import output

        extras.demand("figures")
        output.check_folder(figures)
    with shown.track("report: loading", None):
        from postmill.shards.state.underway import underway
        from postmill.train.report.page import write_report

    with underway(run, "report", ["index"]):
        done = write_report(run, shown)
    made: Sequence[Figure] = []
    if figures is not None:
        from postmill.train.report.figures.files import README, write_figures

        made = write_figures(run, figures, shown)
    if as_json:
        answering.answer(Reported(str(run.folder), str(done.path), done.written, *answering.results(run)))
        return done.path
    results(run)
    _say_written("report", done)
    if not done.models:
        out.print(f"report: no model has been trained yet; next: {escape(_before_models(run))}", soft_wrap=True)
    if made:
        say = f"figures: {len(made)} in {escape(str(figures))}, and what they are in {README}"
        out.print(say, soft_wrap=True)
    return done.path


def compare(run: Run, other: Run, shown: Progress, as_json: bool = False) -> Path:
    """Set two runs side by side on a page, and say where it lies; return its path."""
    from postmill.train.report.compare import write_comparison

    done = write_comparison(run, other, shown)
    if as_json:
        answering.answer(Reported(str(run.folder), str(done.path), done.written, *answering.results(run)))
    else:
        _say_written("comparison", done)
    return done.path


def _say_written(what: str, done: Report) -> None:
    note = "" if done.written else " (nothing to do, it says so already)"
    out.print(f"{what}: {escape(str(done.path))}{note}", soft_wrap=True)


def _before_models(run: Run) -> str:
    """Return the command that comes next where no model is trained."""
    from postmill.shards.formats import plan, posts
    from postmill.shards.formats.encoders import encoders_of

    planned = plan.counts(run).shards
    if len(tuple(posts.done_shards(run, planned))) < planned:
        return f"postmill ingest {run.word}"
    return f"postmill {'train' if encoders_of(run) else 'encode'} {run.word}"


def predict(
    run: Run,
    posts: Path,
    model: str,
    output: Path | None,
    device: Device,
    shown: Progress,
    as_json: bool = False,
) -> None:
    """Score posts, and write the table to ``output``, or as CSV to standard output.

    Raises:
        UsageError: ``output`` cannot be written, or not in a form that its suffix names, or has to be named.
        PostmillError: The posts cannot be scored, or the disk is full.
    """
    from postmill.shards.run import output as outputs

    if as_json and output is None:
        raise UsageError("goes with a file for the table", place="--json", hint="add --output predictions.parquet")
    if output is not None:
        outputs.check_file(output, _TABLES, "--output")
    if not run.models.is_dir():
        raise UsageError("no model has been trained yet", place=run.folder, hint=_before_models(run))
    with shown.track("predict: loading and scoring", None):
        from pyarrow import csv

        from postmill.shards.run import parquet
        from postmill.train.evaluation import caveats
        from postmill.train.predict import predict as predict_posts
        from postmill.train.request import device_for

        table = predict_posts(run, model, posts, device_for(device))
    for caveat in caveats.stated(table):
        err.print(f"note: {escape(caveat)}", soft_wrap=True, highlight=False)
    if output is None:
        csv.write_csv(table, binary())
        return
    with outputs.file(output) as file:
        if output.suffix.lower() == ".parquet":
            parquet.write(file, table)
        else:
            csv.write_csv(table, file)
    if as_json:
        caveats_told = tuple(caveats.stated(table))
        answering.answer(Predicted(str(run.folder), model, str(output), table.num_rows, caveats_told))
    else:
        out.note(f"{escape(str(output))}: {table.num_rows:,} posts")


def export(
    run: Run, layout: Layout, target: Path, encoders: Sequence[str], shown: Progress, as_json: bool = False
) -> None:
    """Export, and say what was written."""
    from postmill.shards.formats.export import export as export_run

    done = export_run(run, layout, target, encoders, shown)
    if as_json:
        counts = done.posts, done.left_out, done.encoders
        answering.answer(Exported(str(run.folder), str(target), layout.value, *counts))
        return
    left = f", {done.left_out:,} left out" if done.left_out else ""
    names = escape(", ".join(done.encoders)) or "no embeddings"
    out.note(f"{escape(str(target))}: {done.posts:,} posts{left}, with {names}")
