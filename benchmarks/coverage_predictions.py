"""What models say of accounts that nothing is known of, and how often 90 % intervals of predictions hold.

    python benchmarks/coverage_predictions.py [--accounts 25,60,200] [--draws 200] [--seed 0] [--world mixed]
        [--learner boosting]

Each draw is a dataset as in coverage.py, with content that bears on the target. A model is trained once, on four fifths
of its accounts, and judged on a fresh population of fifteen times as many: on the first posts of its accounts, on
posts by how many come before them, and by followers. Shares are means over draws; below is the smallest of all that
may be: 85 %. Beside them stands the mean squared error of first posts, over that of followers alone, at most 1.05.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.coverage_worlds import CONTENT, WORLDS, Drawn, draw, world
from postmill.train.data import algebra, splits
from postmill.train.data.arrays import Floats, Mask
from postmill.train.models import conformal, ladder, recipes, registry
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Problem, Scores
from postmill.train.options import Split

POPULATION = 15  # accounts behind each one that was drawn
LEAST, MOST = 0.85, 1.05
EARLIER = ("first posts", "1 to 2 before", "3 to 20 before", "21 and more before")
REACH = ("below 10,000", "10,000 to 100,000", "100,000 to 1 million", "1 million and more")
BASE = "followers"


def scored(name: str, data: Drawn, population: Drawn) -> Scores:
    """Return what a model that was trained on four fifths of the accounts of ``data`` says of a population."""
    posts = splits.Posts(data.accounts, np.arange(len(data.target)).astype(np.uint64), data.taken_at)
    train = np.flatnonzero(splits.divide(posts, Split.INFLUENCER, 0)[0])
    context = TrainingContext(recipes.recipe_of("postmill", len(train)))
    shown, rows = registry.LADDER[name].modalities, np.arange(len(population.target))
    problem = Problem({n: data.shown[n] for n in shown}, train, data.target[train], data.accounts[train], 0)
    weights = ladder.fit(name, problem, context).weights
    return ladder.apply(name, weights, {n: population.shown[n] for n in shown}, rows, context)


def measured(name: str, data: Drawn, population: Drawn) -> Iterator[tuple[str, float]]:
    """Yield, by name, the share of intervals that hold in a kind of posts, and squared errors of first posts."""
    scores, followers = (scored(model, data, population) for model in (name, BASE))
    kinds = conformal.kinds(population.shown, np.arange(len(population.target)))
    first = kinds.earlier == 0
    yield "error of first posts", _mean((scores.predicted - population.target)[first] ** 2)
    yield "error of followers", _mean((followers.predicted - population.target)[first] ** 2)
    if scores.low is None or scores.high is None:
        yield "no interval", 1.0
        return
    inside = (scores.low <= population.target) & (population.target <= scores.high)
    yield "all", _mean(inside)
    for names, codes in ((EARLIER, kinds.earlier), (REACH, kinds.reach)):
        for number, kind in enumerate(names):
            if (codes == number).any():
                yield kind, _mean(inside[codes == number])


def _mean(values: Floats | Mask) -> float:
    return float(np.mean(values))


def line(accounts: int, found: Mapping[str, list[float]]) -> str:
    """Return a line of the table."""
    ratio = np.mean(found["error of first posts"]) / np.mean(found["error of followers"])
    cells = [f"{accounts}", _flagged(f"{ratio:.3f}", bool(ratio <= MOST))]
    for kind in ("all", *EARLIER, *REACH):
        share = float(np.mean(found[kind])) if found[kind] else float("nan")
        cells.append(_flagged(f"{share:.1%}", share >= LEAST) if found[kind] else "-")
    return f"| {' | '.join([*cells, str(len(found['no interval']))])} |"


def _flagged(text: str, holds: bool) -> str:
    return text if holds else f"**{text}**"


@algebra.single_core()
def main() -> None:
    """Draw, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", default="25,60,200")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--world", default="mixed", choices=[*WORLDS, "mixed"])
    parser.add_argument("--learner", default="boosting", choices=["history-boosting", "boosting", "fusion"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    columns = ("accounts", "error of first posts over followers'", "all", *EARLIER, *REACH, "no interval")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for accounts in map(int, options.accounts.split(",")):
        start = time.process_time()
        found: dict[str, list[float]] = defaultdict(list)
        for number in range(options.draws):
            random = np.random.default_rng([options.seed, accounts, number, 1])
            of = world(options.world, random)
            data, population = (draw(random, size, of, CONTENT) for size in (accounts, POPULATION * accounts))
            for name, value in measured(options.learner, data, population):
                found[name].append(value)
        print(line(accounts, found), flush=True)
        print(f"{accounts} accounts: {time.process_time() - start:.0f} s of one core", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
