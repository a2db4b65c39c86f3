"""What each step of the ladder is worth: its gains on every split and metric, and which of them hold among all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from postmill.shards.run.folder import Run
from postmill.train.data.target import Definition
from postmill.train.evaluation import comparing, metrics
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.probes.first_posts import BASELINE
from postmill.train.evaluation.results import ModelResult, predictions
from postmill.train.models import registry
from postmill.train.options import ModalityName, Split

LEVEL = 0.05
"""How often any gain of a table may be said to differ from 0 if none of them did."""


@dataclass(frozen=True)
class Gain:
    """How much one model gains over another on the same test posts of a split.

    Attributes:
        model, base: The two.
        split: The split.
        metric: One of :data:`.metrics.METRICS`.
        difference: Of ``model`` less that of ``base``; within accounts, of what content adds to the order.
        shuffled: The same step when the content of the posts is shuffled within accounts; within accounts this has been
            taken off the difference. None where it is undefined.
        interval: Paired 95 %, over accounts, for this gain alone; None where there is none.
        p: Two-sided, of a difference of 0; None where there is no interval.
        holds: Whether it still differs from 0 when all gains of the table are judged at once (:func:`corrected`);
            None where there is no interval or no table.
        note: Why there is no interval; empty where there is one.
        target: What both predict, as :attr:`.target.Definition.formula` has it.
    """

    model: str
    base: str
    split: str
    metric: Annotated[str, Field(alias="statistic")]
    difference: float
    shuffled: float | None
    interval: Interval | None
    p: float | None
    holds: bool | None
    note: str
    target: str = Definition().formula


def measured() -> list[str]:
    """Return the metrics that gains are measured in: those of the tables in which higher is better."""
    return [metric.name for metric in metrics.tabulated() if not metric.lower_is_better]


def gains(run: Run, results: Sequence[ModelResult]) -> list[Gain]:
    """Return the steps of :data:`.registry.STEPS` on every split that both models were judged on.

    Args:
        run: The run.
        results: Models of one target, of :func:`.results.by_target`.

    Raises:
        PostmillError: A table of predictions cannot be read.
    """
    named = {result.model: result for result in results if result.default}
    steps = [step for step in registry.STEPS if step.model in named and step.base in named]
    models = {name for step in steps for name in step} | {registry.PAST} if steps else set()
    found: dict[tuple[registry.Step, str], list[Gain]] = {}
    for split in Split:
        parts = {
            name: predictions(run, named[name], split)
            for name in models
            if name in named and split in named[name].splits
        }
        for step in steps:
            found[step, split] = list(_gains(parts, step, split, measured()))
    judged = corrected([gain for step in steps for split in Split for gain in found[step, split]])
    return [replace(gain, target=results[0].definition.formula) for gain in judged]


def compare_fusion(run: Run, results: Sequence[ModelResult], split: str) -> Gain | None:
    """Return by how much fusion is better than the best model that is no fusion, by R², on ``split``.

    The best in the table is taken, which favours it. None where either is missing or undefined.

    Raises:
        PostmillError: A table of predictions cannot be read.
    """
    comparable = [result for result in results if result.default and result.headline(split) is not None]
    fusion = next((result for result in comparable if result.model == registry.CONTENT_STEP.model), None)
    singles = [result for result in comparable if _is_single(result.model)]
    if fusion is None or not singles:
        return None
    best = max(singles, key=lambda result: result.headline(split) or 0.0)
    parts = {result.model: predictions(run, result, split) for result in (fusion, best)}
    return next(_gains(parts, registry.Step(fusion.model, best.model), split, [metrics.HEADLINE]), None)


def first_posts_over_baseline(run: Run, results: Sequence[ModelResult], name: str, split: str) -> Gain | None:
    """Return by how much the model ``name`` is better on first posts than :data:`.first_posts.BASELINE`, by R².

    None where either is missing or undefined, or where it is the baseline.

    Raises:
        PostmillError: A table of predictions cannot be read.
    """
    comparable = {result.model: result for result in results if result.default and split in result.splits}
    if name == BASELINE or not {name, BASELINE} <= set(comparable):
        return None
    first = [metrics.as_first_posts(predictions(run, comparable[of], split)) for of in (name, BASELINE)]
    parts = {of: part for of, part in zip((name, BASELINE), first, strict=True) if part is not None}
    return next(_gains(parts, registry.Step(name, BASELINE), split, [metrics.HEADLINE]), None)


def corrected(measured: Sequence[Gain]) -> list[Gain]:
    """Return the gains with :attr:`Gain.holds`, by Holm's step-down procedure (1979) over all that have a p.

    From the smallest p on, the n-th of m holds while it is at most ``LEVEL / (m - n + 1)``.
    """
    known = sorted((gain.p, number) for number, gain in enumerate(measured) if gain.p is not None)
    holding: set[int] = set()
    for place, (p, number) in enumerate(known):
        if p > LEVEL / (len(known) - place):
            break
        holding.add(number)
    return [gain if gain.p is None else replace(gain, holds=number in holding) for number, gain in enumerate(measured)]


def explanation(measured: Sequence[Gain]) -> str:
    """Return what is to be said of a table of gains: what it compares, how often, and how that was corrected."""
    tested = sum(gain.p is not None for gain in measured)
    text = (
        f"{len(measured)} differences of two models on the same test posts, {tested} of them with a 95 % interval of"
        " its own, paired over accounts. Within accounts, models are ordered by what they predict beyond the past, less"
        " what that is with shuffled content. Shuffled: the same step when all of a post but its account's history is"
        " that of another post of the account."
    )
    if tested:
        text += (
            f" Holds: whether the difference is told from 0 when all {tested} are judged at once, by Holm's correction"
            f" of their p at {LEVEL:.0%}; without it, about one in twenty intervals leaves out a truth of 0."
        )
    return text


def _is_single(model: str) -> bool:
    return model not in registry.LADDER or registry.LADDER[model].is_single


def _gains(parts: Mapping[str, Predicted], step: registry.Step, split: str, names: Sequence[str]) -> Iterator[Gain]:
    if step.model not in parts or step.base not in parts:
        return
    ours, theirs = parts[step.model], parts[step.base]
    past = parts.get(registry.PAST) if _is_shown_past(step.model) else None
    for name in names:
        needs_past = name == metrics.WITHIN and _is_shown_past(step.model)
        if not same_posts(ours, theirs) or (needs_past and not (past is not None and same_posts(ours, past))):
            continue  # they were trained on different states of the run, which the report says, or there is no past
        inference, shuffled = comparing.infer(ours, theirs, past, name)
        if inference.value is not None:
            yield Gain(
                model=step.model,
                base=step.base,
                split=split,
                metric=name,
                difference=inference.value,
                shuffled=shuffled,
                interval=inference.interval,
                p=inference.p,
                holds=None,
                note=inference.note,
            )


def _is_shown_past(model: str) -> bool:
    return model in registry.LADDER and ModalityName.HISTORY in registry.LADDER[model].modalities


def same_posts(ours: Predicted, theirs: Predicted) -> bool:
    """Say whether two models were tested on the same posts in the same order, as far as targets and accounts tell."""
    return np.array_equal(ours.true, theirs.true) and np.array_equal(ours.accounts, theirs.accounts)
