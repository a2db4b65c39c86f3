"""A sentence of the report, and how far it goes."""

from __future__ import annotations

from dataclasses import dataclass

from postmill.train.evaluation.intervals import Interval
from postmill.train.report.figures.figure import Question

NONE, WEAK, CLAIM = "none", "weak", "claim"


@dataclass(frozen=True)
class Finding:
    """One sentence of the report.

    Attributes:
        strength: ``claim`` where an interval supports it, ``weak`` where it describes these posts alone, ``none``
            where it says that nothing can be said.
        text: The sentence, plain text.
        question: Which of the page's questions it answers.
        short: The same in fewer words, for the first screen; empty where there are none.
    """

    strength: str
    text: str
    question: Question = Question.QUALITY
    short: str = ""


def judged(interval: Interval, above: str, below: str, unsettled: str) -> Finding:
    """Return what an interval says: a claim where it leaves out 0, else that the matter is open."""
    if interval.low > 0:
        return Finding(CLAIM, above)
    return Finding(CLAIM, below) if interval.high < 0 else Finding(WEAK, unsettled)
