"""A section of the page: a question of the reader, its answer in a sentence, and what that rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postmill.train.report.figure_view import FigureView
from postmill.train.report.figures.figure import Question
from postmill.train.report.finding import Finding
from postmill.train.report.html import Table


@dataclass(frozen=True)
class Command:
    """A command, and what it is for."""

    purpose: str
    command: str


@dataclass(frozen=True)
class Note:
    """Paragraphs under a title, which is all that is shown of them where they are folded; without one they are open."""

    title: str
    paragraphs: Sequence[str]
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A section.

    Attributes:
        question: Which.
        heading: The question, as it is asked.
        answer: In a sentence or two.
        short: What is said of it on the first screen, where that is not the answer itself.
        findings: What its numbers allow to be said.
        figures: Its figures.
        notes: What is to be said besides.
        tables: Its tables.
        commands: What to type.
        command: The one that stands on the first screen; empty for none.
    """

    question: Question
    heading: str
    answer: Finding
    short: str = ""
    findings: Sequence[Finding] = ()
    figures: Sequence[FigureView] = ()
    notes: Sequence[Note] = ()
    tables: Sequence[Table] = ()
    commands: Sequence[Command] = ()
    command: str = ""
