"""The one table of a run's models: ``report/results.md`` for people, ``report/metrics.json`` for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from postmill.shards.formats.counts import ReportCounts
from postmill.shards.run import publish
from postmill.shards.run.folder import Run
from postmill.train.evaluation import caveats, gains, metrics, results, serialise
from postmill.train.evaluation.card import EXPLANATION, estimate, missing_intervals
from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.probes.first_posts import BASELINE
from postmill.train.evaluation.results import ModelResult
from postmill.train.evaluation.schema import Caveat
from postmill.train.evaluation.schema_splits import SplitMetrics
from postmill.train.options import Split

RESULTS_UNIT, MARKDOWN, NUMBERS = "results", "results.md", "metrics.json"


@dataclass(frozen=True)
class ResultsJson:
    """All of ``report/metrics.json``: what each model reached, by split, the gains, and what is to be borne in mind."""

    models: Mapping[str, Mapping[str, SplitMetrics]]
    gains: tuple[Gain, ...]
    caveats: tuple[Caveat, ...]


def write_results(run: Run) -> list[Gain]:
    """Write the table of all finished models, unless it says so already; return the gains it states.

    Raises:
        PostmillError: A model cannot be read, or the disk is full.
    """
    models = results.read_results(run)
    measured = [gain for of_target in results.by_target(models).values() for gain in gains.gains(run, of_target)]
    if not models:
        return measured
    said = caveats.of_models(run, models)
    numbers = ResultsJson({result.name: result.splits for result in models}, tuple(measured), said)
    with publish.unit(run.report, RESULTS_UNIT, run.fingerprint, compared=True) as unit:
        unit.file(MARKDOWN).write(markdown(models, measured, said).encode())
        unit.file(NUMBERS).write(serialise.dump_json(numbers))
        ReportCounts(len(models)).put(unit)
        unit.inputs.update(results.inputs(run, models))
    return measured


def markdown(models: Sequence[ModelResult], measured: Sequence[Gain], said: Sequence[Caveat] = ()) -> str:
    """Return what is to be borne in mind, and of each target the headline, the table and its gains, as Markdown."""
    lines = ["# Results\n", *(f"- {caveat.text}" for caveat in said)]
    for definition, of_target in results.by_target(models).items():
        lines.append(f"\nWhat is predicted: {definition.formula}, natural logarithm.")
        lines += [*_headline(of_target), *_models(of_target)]
        lines += [*_gains([gain for gain in measured if gain.target == definition.formula]), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _headline(models: Sequence[ModelResult]) -> Iterator[str]:
    rows = results.rows_of(models, Split.INFLUENCER)
    if rows:
        heading = metrics.METRICS[metrics.HEADLINE].heading
        yield "\n## Accounts not trained on\n"
        yield (
            f"{heading} of the same test posts, in brackets its 95 % interval: as they are, with the accounts' earlier"
            " posts known to the models that are shown them, and each as if it were the first post of a new account, of"
            f" which nothing is known. For that, {BASELINE} is the baseline.\n"
        )
        yield f"| model | {heading}, their past known | {heading}, as the first post of a new account |"
        yield "|---|---|---|"
        for row in rows:
            shown = row[metrics.HEADLINE], row.as_first_posts(metrics.HEADLINE)
            yield f"| {row.label} | " + " | ".join(map(estimate, shown)) + " |"


def _models(models: Sequence[ModelResult]) -> Iterator[str]:
    shown = [split for split in Split if any(split in result.splits for result in models)]
    yield "\n## All splits\n"
    yield f"{EXPLANATION} The accounts that `influencer` and `time-influencer` test on were not trained on.\n"
    yield "| model | metric | " + " | ".join(shown) + " |"
    yield "|---" * (2 + len(shown)) + "|"
    for result in models:
        rows = {row.split: row for split in shown for row in results.rows_of([result], split)}
        name = next(iter(rows.values())).label
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
        bounds = gain.note if gain.interval is None else f"{gain.interval.low:z.3f} to {gain.interval.high:z.3f}"
        shuffled = "-" if gain.shuffled is None else f"{gain.shuffled:+z.3f}"
        holds = "-" if gain.holds is None else "yes" if gain.holds else "no"
        cells = [gain.model, gain.base, gain.split, metrics.METRICS[gain.metric].heading, f"{gain.difference:+z.3f}"]
        yield "| " + " | ".join([*cells, bounds, shuffled, holds]) + " |"
