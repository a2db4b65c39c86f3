"""What insights say of moods that were planted, and how often they claim something where nothing was.

    python benchmarks/insights.py [--posts 20000] [--accounts 400] [--draws 5] [--null 100] [--seed 0]

Each draw is a truth of `postmill sample` with its captions and comments, without pictures and archives. The packaged
word lists judge the texts, and what `postmill insights` calls says what goes with tone within accounts. The truth of an
effect is the slope, on the same indicator, of what the caption makes of the outcome. Of engagement that is by its mood
and by its topic, for words tell both; of the tone of comments, as planted, by its mood directly and by both through
engagement; of the happiness of comments by what it is on average at that tone, and at the tone without that. `mood` is
the planted mood in place of an indicator. In `--null` draws, of `--null-posts` posts, nothing is planted, and every
claim is false.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
from scipy.stats import spearmanr

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from postmill.encode.encoders.emotion import indicators
from postmill.encode.encoders.lexical import judge
from postmill.ingest.sample import captions
from postmill.ingest.sample.captions import MOODS
from postmill.ingest.sample.effect import Effect
from postmill.ingest.sample.moods import MOOD_ODDS, MOOD_PEAK_DAY, MOOD_SEASON, MOOD_WORTH
from postmill.ingest.sample.posts import season
from postmill.ingest.sample.truth import Truth, draw_truth
from postmill.shards.indicators import lexica
from postmill.shards.indicators.indicator import Side
from postmill.train.data.arrays import Floats
from postmill.train.insights.effects import ALPHA, WithinEffect, within_effects
from postmill.train.insights.guard import Codes

MOOD, HAPPINESS = "mood", "happiness"
MOST_COMMENTS = 6
TONES = 80  # parts of equal size, in which the happiness of comments is averaged
NULL_SEED = 10_000  # the seeds of draws without an effect begin so far from the others


@dataclass(frozen=True)
class Outcome:
    """An outcome of N posts, NaN where it is not known; what captions make of it, and where known their moods alone."""

    values: Floats
    planted: Floats
    of_mood: Floats | None = None


@dataclass(frozen=True)
class Drawn:
    """One draw of N posts, and what the word lists say of it.

    Attributes:
        truth: What was planted.
        accounts: Shape (N,), the number of each post's account.
        worth: Shape (N,), of each post's mood; NaN where the caption is empty.
        content: By indicator, shape (N,) each, of the captions.
        outcomes: By name.
    """

    truth: Truth
    accounts: Codes
    worth: Floats
    content: Mapping[str, Floats]
    outcomes: Mapping[str, Outcome]

    def column(self, name: str) -> Floats:
        """Return a column of the truth."""
        values: Floats = self.truth.table[name].to_numpy()
        return values


class Found(NamedTuple):
    """What is said of an indicator and an outcome; the slopes of what captions make of it, and their moods alone."""

    outcome: str
    effect: WithinEffect
    truth: float | None
    of_mood: float | None

    @property
    def held(self) -> bool:
        """Whether there is an interval, and it holds the truth."""
        interval = self.effect.interval
        return interval is not None and self.truth is not None and interval.low <= self.truth <= interval.high


def draw(posts: int, accounts: int, seed: int, effect: Effect) -> Drawn:
    """Draw the truth, write its texts, and judge them."""
    truth = draw_truth(posts, accounts, seed, effect)
    rows = truth.table.select(["category", "mood", "topic", "language", "source", "comments"]).to_pylist()
    mood = [None if row["mood"] is None else MOODS.index(row["mood"]) for row in rows]
    column = {name: truth.table[name].to_numpy() for name in truth.table.column_names if name != "images"}
    of_caption = column["text_effect"] + column["slopes_effect"]
    leak, direct = truth.coefficients["tone_slope_of_leak"] / column["y"].std(), column["tone_mood_effect"]
    of_tone = direct + leak * of_caption
    texts = [
        captions.caption(Random(f"{seed} caption {row['source']}"), row["category"], m, row["topic"], row["language"])
        for row, m in zip(rows, mood, strict=True)
    ]
    said = judged(comments(rows, column["tone"], seed))[HAPPINESS]
    return Drawn(
        truth,
        np.unique(column["influencer"], return_inverse=True)[1].astype(np.int32),
        np.array([np.nan if m is None else MOOD_WORTH[m] for m in mood]),
        judged(texts),
        {
            "engagement": Outcome(column["y"], of_caption, column["mood_effect"]),
            "tone of comments": Outcome(column["tone"], of_tone, direct + leak * column["mood_effect"]),
            "happiness of comments": Outcome(said, difference(said, column["tone"], of_tone)),
        },
    )


def difference(said: Floats, tone: Floats, part: Floats) -> Floats:
    """Return by how much what is said at ``tone`` is on average above what is said at ``tone - part``, shape (N,)."""
    known = ~np.isnan(said)
    order = np.array_split(np.flatnonzero(known)[np.argsort(tone[known])], TONES)
    tones, means = ([float(values[rows].mean()) for rows in order] for values in (tone, said))
    above: Floats = np.interp(tone, tones, means) - np.interp(tone - part, tones, means)
    return np.where(known, above, np.nan)


def comments(rows: Sequence[Mapping[str, int]], tones: Floats, seed: int) -> list[str]:
    """Return the comments of each post, in one text."""
    texts = []
    for number, (row, tone) in enumerate(zip(rows, tones.tolist(), strict=True)):
        rng = Random(f"{seed} comments {number}")
        texts.append("\n".join(captions.comments(rng, tone, min(row["comments"], rng.randint(1, MOST_COMMENTS)))))
    return texts


def judged(texts: Sequence[str]) -> dict[str, Floats]:
    """Return what the word lists say of each text, by indicator, NaN where they cannot judge it."""
    columns = judge(texts, lexica.load())
    names = [indicator.column for indicator in indicators(Side.CONTENT)]
    return {name: pc.fill_null(columns[name].cast("float64"), np.nan).to_numpy() for name in names}


def found(drawn: Drawn, seed: int) -> Iterator[Found]:
    """Yield the effects on each outcome: of the indicators as one family, of the planted mood as another."""
    for name, outcome in drawn.outcomes.items():
        for family in (drawn.content, {MOOD: drawn.worth}):
            effects, truths = (slopes(drawn, values, family, seed) for values in (outcome.values, outcome.planted))
            of_mood = None if outcome.of_mood is None else slopes(drawn, outcome.of_mood, family, seed)
            for number, (effect, truth) in enumerate(zip(effects, truths, strict=True)):
                yield Found(name, effect, truth.slope, None if of_mood is None else of_mood[number].slope)


def slopes(drawn: Drawn, values: Floats, family: Mapping[str, Floats], seed: int) -> list[WithinEffect]:
    """Return what is said of ``values``, shape (N,), and a family of indicators."""
    return within_effects(values, family, drawn.accounts, drawn.column("taken_at").astype(np.float64), seed=seed)


def planted(arguments: argparse.Namespace) -> None:
    """Print the effects of the first draw and how many intervals of all hold the truth, and its seasons."""
    draws: list[list[Found]] = []
    ranks: list[float] = []
    for seed in range(arguments.seed, arguments.seed + arguments.draws):
        drawn = draw(arguments.posts, arguments.accounts, seed, Effect.PLANTED)
        draws.append(list(found(drawn, seed)))
        known = ~np.isnan(drawn.content[HAPPINESS]) & ~np.isnan(drawn.worth)
        ranks.append(float(spearmanr(drawn.content[HAPPINESS][known], drawn.worth[known]).statistic))
        if len(draws) == 1:
            months = by_months(drawn)
    print("| outcome | indicator | posts | planted | of it by mood | found | held, of all draws | claimed |")
    print("|---|---|---|---|---|---|---|---|")
    for each in zip(*draws, strict=True):
        first, all_of = each[0], f"of {len(each)}"
        cells = (
            first.outcome,
            first.effect.name,
            f"{first.effect.posts:,}",
            signed(first.truth),
            signed(first.of_mood),
        )
        counts = (f"{sum(one.held for one in each)} {all_of}", f"{sum(one.effect.claimed for one in each)} {all_of}")
        print(f"| {' | '.join((*cells, told(first.effect), *counts))} |")
    print(f"\nRank correlation of `{HAPPINESS}` with the planted mood: {min(ranks):.3f} to {max(ranks):.3f}.\n")
    print(f"| month | {' | '.join(map(str, range(1, 13)))} |\n|{'---|' * 13}")
    for name, means in months.items():
        print(f"| {name} | {' | '.join(f'{mean:.2f}' for mean in means)} |")
    of_odds, *_, happiness = months.values()
    print(f"\nCorrelation of the first with the last: {np.corrcoef(of_odds, happiness)[0, 1]:.3f}.\n")


def by_months(drawn: Drawn) -> dict[str, Floats]:
    """Return what is so of each month of the year, as planted, as drawn, and as the captions tell."""
    taken_at = drawn.column("taken_at")
    month = taken_at.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) % 12

    def means(values: Floats) -> Floats:
        known = ~np.isnan(values)
        sums: Floats = np.bincount(month[known], values[known], 12)
        return sums / np.bincount(month[known], minlength=12)

    odds = MOOD_ODDS * np.exp(MOOD_SEASON * season(taken_at.astype(np.int64), MOOD_PEAK_DAY)[:, None] * MOOD_WORTH)
    return {
        "happy or thrilled, by the odds": means(odds[:, MOOD_WORTH > 0].sum(axis=1) / odds.sum(axis=1)),
        "happy or thrilled, as drawn": means(np.where(np.isnan(drawn.worth), np.nan, drawn.worth > 0)),
        f"mean {HAPPINESS} of captions": means(drawn.content[HAPPINESS]),
    }


def false_claims(arguments: argparse.Namespace) -> None:
    """Print how often something is claimed in draws in which nothing is planted."""
    claims: dict[tuple[str, str], list[list[bool]]] = defaultdict(list)
    for seed in range(arguments.seed, arguments.seed + arguments.null):
        drawn = draw(arguments.null_posts, arguments.null_accounts, NULL_SEED + seed, Effect.NONE)
        of_draw: dict[tuple[str, str], list[bool]] = defaultdict(list)
        for each in found(drawn, seed):
            of_draw[each.outcome, MOOD if each.effect.name == MOOD else "word lists"].append(each.effect.claimed)
        for key, claimed in of_draw.items():
            claims[key].append(claimed)
    print("| nothing planted in | indicators | draws with a claim | single claims | by rule |\n|---|---|---|---|---|")
    for (outcome, family), drawn_claims in claims.items():
        single = [claim for claimed in drawn_claims for claim in claimed]
        any_of = f"{sum(map(any, drawn_claims))} of {len(drawn_claims)}"
        print(
            f"| {outcome} | {family} | {any_of} | {sum(single)} of {len(single):,} | a claim in {ALPHA:.0%} at most |"
        )


def signed(value: float | None) -> str:
    """Return a slope as it is printed."""
    return "" if value is None else f"{value:+.4f}"


def told(effect: WithinEffect) -> str:
    """Return slope and interval as they are printed."""
    interval = effect.interval
    return effect.note if interval is None else f"{signed(effect.slope)} [{interval.low:+.4f}, {interval.high:+.4f}]"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = {"posts": 20_000, "accounts": 400, "draws": 5, "null": 100, "null-posts": 4_000, "null-accounts": 80}
    for name, default in (*sizes.items(), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    begin = time.monotonic()
    if arguments.draws:
        planted(arguments)
    if arguments.null:
        false_claims(arguments)
    print(f"\n{time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
