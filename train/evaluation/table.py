"""The one table of a run's models: ``report/results.md`` for people, ``report/metrics.json`` for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from postmill.shards.formats.counts import ReportCounts
from postmill.shards.run import publish
from postmill.shards.run.folder import Run
from postmill.train.evaluation import gains, metrics, results, serialise
from postmill.train.evaluation.card import EXPLANATION, estimate, missing_intervals
from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.results import ModelResult
from postmill.train.evaluation.schema_splits import SplitMetrics
from postmill.train.options import Split

RESULTS_UNIT, MARKDOWN, NUMBERS = "results", "results.md", "metrics.json"


@dataclass(frozen=True)
class ResultsJson:
    """All of ``report/metrics.json``: what each model reached, by split, and the gains."""

    models: Mapping[str, Mapping[str, SplitMetrics]]
    gains: tuple[Gain, ...]


def write_results(run: Run) -> list[Gain]:
    """Write the table of all finished models, unless it says so already; return the gains it states.

    Raises:
        PostmillError: A model cannot be read, or the disk is full.
    """
    models = results.read_results(run)
    measured = [gain for of_target in results.by_target(models).values() for gain in gains.gains(run, of_target)]
    if not models:
        return measured
    numbers = ResultsJson({result.name: result.splits for result in models}, tuple(measured))
    with publish.unit(run.report, RESULTS_UNIT, run.fingerprint, compared=True) as unit:
        unit.file(MARKDOWN).write(markdown(models, measured).encode())
        unit.file(NUMBERS).write(serialise.dump_json(numbers))
        ReportCounts(len(models)).put(unit)
        unit.inputs.update(results.inputs(run, models))
    return measured


def markdown(models: Sequence[ModelResult], measured: Sequence[Gain]) -> str:
    """Return the table of each target, and the gains below it, as Markdown."""
    lines = ["# Results\n", f"{EXPLANATION} `influencer` is the headline: its test accounts were not trained on.\n"]
    for definition, of_target in results.by_target(models).items():
        lines += [f"What is predicted: {definition.formula}, natural logarithm.\n", *_models(of_target)]
        lines += [*_gains([gain for gain in measured if gain.target == definition.formula]), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _models(models: Sequence[ModelResult]) -> Iterator[str]:
    shown = [split for split in Split if any(split in result.splits for result in models)]
    yield "| model | metric | " + " | ".join(shown) + " |"
    yield "|---" * (2 + len(shown)) + "|"
    for result in models:
        name = result.name + (" (no forecast: sees comments)" if result.leaks else "")
        rows = {split: results.row(name, split, result.splits[split]) for split in shown if split in result.splits}
        for metric in metrics.tabulated():
            cells = [estimate(rows[split][metric.name]) if split in rows else "" for split in shown]
            yield f"| {name} | {metric.heading} | " + " | ".join(cells) + " |"
            name = ""
    for split in shown:
        by_model = {result.name: result.splits[split].notes for result in models if split in result.splits}
        for model, notes in by_model.items():
            yield from missing_intervals(f"{split} of {model}", notes)


def _gains(measured: Sequence[Gain]) -> Iterator[str]:
    if measured:
        yield "\n## Gains on the same test posts\n"
        yield f"{gains.explanation(measured)}\n"
        yield "| model | over | split | metric | difference | 95 %, paired over accounts | shuffled | holds |"
        yield "|---|---|---|---|---|---|---|---|"
    for gain in measured:
        bounds = gain.note if gain.interval is None else f"{gain.interval.low:.3f} to {gain.interval.high:.3f}"
        shuffled = "-" if gain.shuffled is None else f"{gain.shuffled:+.3f}"
        holds = "-" if gain.holds is None else "yes" if gain.holds else "no"
        cells = [gain.model, gain.base, gain.split, metrics.METRICS[gain.metric].heading, f"{gain.difference:+.3f}"]
        yield "| " + " | ".join([*cells, bounds, shuffled, holds]) + " |"
