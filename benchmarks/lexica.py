"""How many captions a second the word lists judge, what of it goes where, and what a loop over other code takes.

    python benchmarks/lexica.py [--captions 20000] [--turns 5]

Captions are a sample's, each once. One process computes on one core; two do twice as many, as two tasks of a job are.
Rates are of processor time, best of the turns, for other work may go on beside. The loops are what is written where a
text is judged with a package at hand: its own function, called for each caption.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import labMTsimple.storyLab as labmt
import py3langid
from nrclex import NRCLex
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from postmill.encode.encoders import lexical
from postmill.ingest.sample.captions import MOODS, caption
from postmill.ingest.sample.truth import draw_truth
from postmill.shards.indicators import detector, languages, lexica
from postmill.shards.indicators.words import words

Judge = Callable[[Sequence[str]], object]


def captions(number: int) -> list[str]:
    """Return so many captions, no two of them alike."""
    found: dict[str, None] = {}
    for seed in range(100):
        for row in draw_truth(number, max(2, number // 40), seed).table.to_pylist():
            if row["mood"] is not None:
                rng = Random(f"{seed} caption {row['source']}")
                mood = MOODS.index(row["mood"])
                found[caption(rng, row["category"], mood, row["topic"], row["language"])] = None
            if len(found) == number:
                return list(found)
    raise ValueError(f"there are no {number} different captions")


def each(judge_one: Callable[[str], object]) -> Judge:
    """Return a loop over captions."""
    return lambda texts: [judge_one(text) for text in texts]


def judges(texts: Sequence[str]) -> dict[str, Judge]:
    """Return what is timed, by what it is called."""
    table, told = lexica.load(), languages.languages(texts)

    def without_languages(asked: Sequence[str]) -> object:
        with patch.object(lexical, "languages", lambda _: told):
            return lexical.judge(asked, table)

    labmt_words, vader = labmt.emotionFileReader(stopval=0.0), SentimentIntensityAnalyzer()
    emolex = NRCLex()
    return {
        "**all of it** (`lexical.judge`)": lambda asked: lexical.judge(asked, table),
        "of which languages": languages.languages,
        "of which words, lists and emoji": without_languages,
        "of these the words alone": each(words),
        "languages by `py3langid.classify`": each(py3langid.classify),
        "happiness of English by labMTsimple's `emotion`": each(lambda text: labmt.emotion(text, labmt_words)),
        "emotions of English by NRCLex's `load_token_list`": each(
            lambda text: emolex.load_token_list(text.lower().split())
        ),
        "valence of English by VADER's `polarity_scores`": each(vader.polarity_scores),
    }


def rate(judge: Judge, texts: Sequence[str], turns: int) -> float:
    """Return how many texts are judged in a second of the processor."""
    best = float("inf")
    for _ in range(turns):
        start = time.process_time()
        judge(texts)
        best = min(best, time.process_time() - start)
    return len(texts) / best


def main() -> None:
    """Time, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--captions", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=5)
    asked = parser.parse_args()
    texts = captions(asked.captions)
    if slower := detector.load().slower:
        print(f"languages are told one text at a time: {slower}")
    length = sum(map(len, texts)) / len(texts)
    print(
        f"{len(texts):,} captions of {length:.0f} characters, {sum(map(len, map(words, texts))) / len(texts):.0f} words"
    )
    print("| | captions a second of one core | µs each |")
    print("|---|---|---|")
    for name, judge in judges(texts).items():
        found = rate(judge, texts, asked.turns)
        print(f"| {name} | {found:,.0f} | {1e6 / found:.1f} |", flush=True)


if __name__ == "__main__":
    main()
