"""How often 95 % intervals hold the truth, and how often a gain is claimed where there is none.

    python benchmarks/coverage.py [--accounts 25,60,200] [--draws 200] [--seed 0] [--world mixed] [--learner ridge]

Each draw is a dataset of accounts with levels, followers, captions and pictures. It is split, learnt from, judged and
compared by the functions that `postmill train` calls. The truth of the five models that come of it is what they reach
on a fresh population of fifteen times as many accounts. In half of the draws content bears on the target, in the other
half on nothing. A world says how unlike accounts are: in `even` they have about as many posts each, in `uneven` some
have fifty times as many as others, in `rough` levels and noise have heavy tails too, and content means more to some
accounts than to others; in `mixed` each draw has a degree of its own of all of these. What lies out of bounds is bold.

A quantity is what `measured` yields. The 90 % intervals of predictions are measured by coverage_predictions.py.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.coverage_worlds import CONTENT, WORLDS, Drawn, World, draw, world
from postmill.train.data import algebra, splits
from postmill.train.data.arrays import Floats, Rows
from postmill.train.data.modality import Modality
from postmill.train.data.target import fit_scale
from postmill.train.evaluation import comparing, gains, intervals, metrics
from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.intervals import Inference
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.probes import control
from postmill.train.models import ladder, past, recipes, registry, ridge
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Problem, Scores
from postmill.train.options import ModalityName, Split

POPULATION = 15  # accounts behind each one that was drawn
SEEDS = 5
METRICS = ("mse", "mae", "r2", "spearman")
GAINS = ("r2", "spearman", "within_account")
COVERED, CLAIMED = (0.92, 0.98), 0.05


BASES = {"ridge": registry.PAST, "boosting": "history-boosting", "fusion": "history-fusion"}
"""Learners, and what the same learner is called that is shown the past alone."""


class Learner:
    """One training of a model of the ladder, or of ridge on what the past leaves of the target."""

    def __init__(self, name: str, data: Drawn, train: Rows, seed: int) -> None:
        self._name, self._context = name, TrainingContext(recipes.recipe_of("postmill", len(train)))
        target, groups = data.target[train], data.accounts[train]
        if name in registry.LADDER:
            problem = Problem(self._modalities(data.shown), train, target, groups, seed)
            self._weights = ladder.fit(name, problem, self._context).weights
        else:
            self._scale = fit_scale(target)
            y = self._scale.standardise(target)
            self._past = past.solve(data.shown, train, y, groups, seed)
            residual = y - past.predict(self._past, data.shown, train)
            self._ridge = ridge.solve(_content(data.shown), train, residual, groups, seed)

    def _modalities(self, shown: Mapping[str, Modality]) -> dict[str, Modality]:
        rung = registry.LADDER.get(self._name)
        return {name: shown[name] for name in (rung.modalities if rung else shown)}

    def predict(self, data: Drawn, rows: Rows, seed: int) -> tuple[Floats, Floats]:
        """Return what it predicts of ``rows``, and of ``rows`` with their content shuffled."""

        def score(shown: Mapping[str, Modality]) -> Scores:
            if self._name in registry.LADDER:
                return ladder.apply(self._name, self._weights, shown, rows, self._context)
            known = past.predict(self._past, shown, rows)
            return Scores(known + ridge.predict(self._ridge, _content(shown), rows)).map(self._scale.restore)

        shown = self._modalities(data.shown)
        complete = score(shown)
        if self._name in BASES.values():
            return complete.predicted, complete.predicted  # it is shown no content
        partner = control.partners(data.accounts[rows], seed)
        return complete.predicted, control.shuffled(score, shown, rows, partner, complete)


def _content(shown: Mapping[str, Modality]) -> list[Modality]:
    return [modality for name, modality in shown.items() if name != ModalityName.HISTORY]


def tested(data: Drawn, population: Drawn, name: str) -> tuple[Predicted, list[Predicted]]:
    """Return the test posts of all seeds, and the whole population as each seed's model predicts it."""
    posts = splits.Posts(data.accounts, np.arange(len(data.target)).astype(np.uint64), data.taken_at)
    parts, wholes = [], []
    for seed in range(SEEDS):
        train, test = (np.flatnonzero(part) for part in splits.divide(posts, Split.INFLUENCER, seed))
        learner = Learner(name, data, train, seed)
        for of, rows, made in ((data, test, parts), (population, np.arange(len(population.target)), wholes)):
            predicted, shuffled = learner.predict(of, rows, seed)
            mean = np.full(len(rows), data.target[train].mean())
            seeds = np.full(len(rows), seed)
            made.append(Predicted(of.target[rows], predicted, of.accounts[rows], seeds, mean, shuffled))
    return metrics.pooled(parts), wholes


class Said(NamedTuple):
    """What a draw says of a quantity, what is true, and whether more than 0 is claimed.

    As in the report: the headline metric's gain is judged by its own interval, another by whether it holds among all.
    """

    name: str
    inference: Inference
    truth: float
    claimed: bool = False


def measured(random: np.random.Generator, accounts: int, of: World, share: float, learner: str) -> Iterator[Said]:
    """Yield what one draw says of each quantity."""
    data, population = (draw(random, size, of, share) for size in (accounts, POPULATION * accounts))
    base = BASES[learner]
    models = {name: tested(data, population, name) for name in dict.fromkeys((registry.PAST, base, learner))}
    for name, (part, wholes) in models.items():
        for metric in METRICS:
            truth = _mean([metrics.value(whole, metric) for whole in wholes])
            yield Said(f"{name}: {metric}", intervals.of_metric(part, metric), truth)
    (known, knowns), (without, withouts), (model, wholes) = (models[name] for name in (registry.PAST, base, learner))
    inferred = {metric: comparing.infer(model, without, known, metric)[0] for metric in GAINS}
    holding = gains.corrected([_gain(learner, metric, inference) for metric, inference in inferred.items()])
    for gain, (metric, inference) in zip(holding, inferred.items(), strict=True):
        truth = _mean([_value(*of, metric) for of in zip(wholes, withouts, knowns, strict=True)])
        is_above = inference.interval is not None and inference.interval.low > 0
        claimed = is_above if metric == metrics.HEADLINE else bool(gain.holds) and gain.difference > 0
        yield Said(f"gain: {metric}", inference, truth, claimed)


def _gain(learner: str, metric: str, inference: Inference) -> Gain:
    value = 0.0 if inference.value is None else inference.value
    step = (learner, BASES[learner], Split.INFLUENCER.value, metric)
    return Gain(*step, value, None, inference.interval, inference.p, None, inference.note)


def _value(model: Predicted, base: Predicted, known: Predicted, metric: str) -> float | None:
    """Return the gain of a model over the same learner that is shown the past alone, in a population."""
    if metric != metrics.WITHIN:
        values = [metrics.value(part, metric) for part in (model, base)]
    else:  # beyond the past the base orders the posts of an account as it does when their content is shuffled
        parts = (model, metrics.shuffled(model))
        beyond = [part and replace(part, predicted=part.predicted - known.predicted) for part in parts]
        values = [part and metrics.value(part, metric) for part in beyond]
    return None if values[0] is None or values[1] is None else values[0] - values[1]


def _mean(values: Sequence[float | None]) -> float:
    return float(np.mean([value or 0.0 for value in values]))


@dataclass
class Tally:
    """Of many draws of one quantity: what was inferred and what is true, and how often there was no interval."""

    inferred: list[tuple[float, float, float, float]] = field(default_factory=list)
    claims: int = 0
    without: int = 0

    def add(self, said: Said) -> None:
        """Count one draw."""
        inference = said.inference
        if inference.interval is None or inference.value is None:
            self.without += 1
            return
        low, high = inference.interval
        if not low <= inference.value <= high:
            raise AssertionError(f"{inference} does not hold its own point")
        self.inferred.append((inference.value, low, high, said.truth))
        self.claims += said.claimed

    @property
    def columns(self) -> Floats:
        """Values, lower ends, upper ends and truths, shape (4, draws)."""
        return np.array(self.inferred).T

    @property
    def covered(self) -> float:
        """The share of intervals that hold the truth."""
        _, low, high, truth = self.columns
        return float(np.mean((low <= truth) & (truth <= high)))

    @property
    def claimed(self) -> float:
        """The share of draws with an interval in which more than 0 is claimed."""
        return self.claims / len(self.inferred)


COLUMNS = (
    *("accounts", "quantity", "mean", "truth", "covered", "truth below", "truth above", "covered, nothing planted"),
    *("claimed", "claimed, nothing planted", "no interval"),
)


def lines(accounts: int, planted: Mapping[str, Tally], null: Mapping[str, Tally]) -> Iterator[str]:
    """Yield a line for each quantity."""
    for name, tally in planted.items():
        value, low, high, truth = tally.columns
        cells = [f"{accounts}", name, f"{value.mean():.3f}", f"{truth.mean():.3f}", _flagged(tally.covered, *COVERED)]
        cells += [f"{np.mean(truth < low):.1%}", f"{np.mean(truth > high):.1%}", _flagged(null[name].covered, *COVERED)]
        is_gain = name.startswith("gain")
        cells += [f"{tally.claimed:.0%}", _flagged(null[name].claimed, 0, CLAIMED)] if is_gain else ["", ""]
        yield f"| {' | '.join(cells)} | {tally.without + null[name].without} |"


def _flagged(share: float, low: float, high: float) -> str:
    return f"{share:.1%}" if low <= share <= high else f"**{share:.1%}**"


@algebra.single_core()
def main() -> None:
    """Draw, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", default="25,60,200")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--world", default="mixed", choices=[*WORLDS, "mixed"])
    parser.add_argument("--learner", default="ridge", choices=list(BASES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for accounts in map(int, options.accounts.split(",")):
        start = time.process_time()
        planted, null = (_tallies(options, accounts, share) for share in (CONTENT, 0.0))
        for line in lines(accounts, planted, null):
            print(line, flush=True)
        print(f"{accounts} accounts: {time.process_time() - start:.0f} s of one core", file=sys.stderr, flush=True)


def _tallies(options: argparse.Namespace, accounts: int, share: float) -> dict[str, Tally]:
    tallies: dict[str, Tally] = defaultdict(Tally)
    for number in range(options.draws):
        random = np.random.default_rng([options.seed, accounts, number, int(share > 0)])
        of = world(options.world, random)
        for said in measured(random, accounts, of, share, options.learner):
            tallies[said.name].add(said)
    return tallies


if __name__ == "__main__":
    main()
