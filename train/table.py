"""The one table of a run's models: ``report/results.md`` for people, ``report/metrics.json`` for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from shards import publish
from shards.run import Run
from train import results, splits
from train.card import interval
from train.intervals import Interval
from train.metrics import WITHIN
from train.results import Gain, ModelResult

UNIT, MARKDOWN, NUMBERS = "results", "results.md", "metrics.json"
METRICS = {"mse": "MSE", "mae": "MAE", "r2": "R²", "spearman": "Spearman", WITHIN: "Spearman within account"}


def write_results(run: Run) -> list[Gain]:
    """Write the table of all finished models, unless it says so already; return the gains it states.

    Raises:
        PostmillError: A model cannot be read, or the disk is full.
    """
    found = results.read_results(run)
    gained = results.gains(run, found)
    if not found:
        return gained
    numbers = {
        "models": {
            result.name: {
                split: {key: held[key] for key in ("pooled", "interval", "counts", "mean", "spread")}
                for split, held in result.splits.items()
            }
            for result in found
        },
        "gains": [_gain_json(gain) for gain in gained],
    }
    with publish.unit(run.report, UNIT, run.fingerprint) as unit:
        unit.file(MARKDOWN).write(markdown(found, gained).encode())
        text = json.dumps(numbers, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        unit.file(NUMBERS).write(text.encode() + b"\n")
        unit.counts.update(models=len(found))
    return gained


def markdown(found: Sequence[ModelResult], gained: Sequence[Gain]) -> str:
    """Return the table, and the gains below it, as Markdown."""
    return "\n".join(_lines(found, gained)) + "\n"


def _lines(found: Sequence[ModelResult], gained: Sequence[Gain]) -> Iterator[str]:
    shown = [split for split in splits.SPLITS if any(split in result.splits for result in found)]
    yield "# Results\n"
    yield (
        "Test posts of all seeds together, in log space; in brackets 95 % intervals from a bootstrap over accounts."
        " `influencer` is the headline: its test accounts were not trained on.\n"
    )
    yield "| model | metric | " + " | ".join(shown) + " |"
    yield "|---" * (2 + len(shown)) + "|"
    for result in found:
        name = result.name + (" (no forecast: sees comments)" if result.metrics["leak"] else "")
        for key, heading in METRICS.items():
            values = [interval(result.splits[split], key) if split in result.splits else "" for split in shown]
            yield f"| {name} | {heading} | " + " | ".join(values) + " |"
            name = ""
    if gained:
        yield "\n## Gains on the same test posts\n"
        yield "| model | over | split | metric | difference | 95 %, paired over accounts |"
        yield "|---|---|---|---|---|---|"
    for gain in gained:
        bounds = gain.interval
        told = f"{bounds.low:.3f} to {bounds.high:.3f}" if isinstance(bounds, Interval) else bounds
        metric = METRICS[gain.statistic]
        yield f"| {gain.model} | {gain.base} | {gain.split} | {metric} | {gain.difference:+.3f} | {told} |"


def _gain_json(gain: Gain) -> dict[str, Any]:
    bounds = gain.interval
    told = [bounds.low, bounds.high] if isinstance(bounds, Interval) else None
    return {**asdict(gain), "interval": told, "note": "" if told else bounds}
