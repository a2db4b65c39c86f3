"""A figure of the report: what it shows, the numbers that it shows, and how it is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Value = str | int | float | None

ROLES = ("ink", "soft", "line", "grid", "card", "accent", "other", "third", "fourth")
"""Colours by what they are for. A definition names them as style sheets do, ``var(--ink)``: the page follows the
reader's light or dark, and a file takes those of :mod:`.drawing`."""


class Question(StrEnum):
    """What a reader asks, in the order of the page."""

    DATA = "data"
    LOSSES = "losses"
    QUALITY = "quality"
    GAINS = "gains"
    CERTAINTY = "certainty"
    TONE = "tone"
    NEXT = "next"


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        name: Of its files and of its place on the page: small letters, digits and hyphens.
        question: Where it stands.
        title: A few words, as above a figure of a paper.
        caption: What is shown, of how much, in which unit, and what interval; plain text.
        label: What who cannot see it is told: what is drawn, and what stands out.
        columns: Headings of the numbers, with units.
        rows: The numbers, a value a column; None where there is none.
        chart: Its Vega-Lite definition, with the numbers in it and colours of :data:`ROLES`; None where
            what draws is not installed.
        paper: The same as it stands in a paper, where no list can be opened: all that a reader of the page may choose,
            side by side. None where that is ``chart`` itself.
        number: Of a figure of the study that it stands for, such as ``Figure 1``; else empty.
        wide: Whether it takes the page's whole width.
    """

    name: str
    question: Question
    title: str
    caption: str
    label: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    chart: Mapping[str, Any] | None
    paper: Mapping[str, Any] | None = None
    number: str = ""
    wide: bool = False
