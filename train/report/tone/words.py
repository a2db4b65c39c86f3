"""How indicators of tone are called where people read of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from postmill.shards.indicators.indicator import Kind, Side
from postmill.shards.indicators.tables import IndicatorRow, ToneRow
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.results import Estimate
from postmill.train.report.formatting import number

SIDES: Mapping[str, str] = {Side.CONTENT: "Tone of content", Side.RESPONSE: "Audience response"}
"""The two sides, as headings have them."""

OF_SIDE: Mapping[str, str] = {Side.CONTENT: "what was published", Side.RESPONSE: "the comments"}


def labels(indicators: Sequence[IndicatorRow]) -> dict[str, str]:
    """Return what people read of each indicator, by its name: of two that are called alike, the encoder as well."""
    often = Counter((of.side, of.label) for of in indicators)
    return {of.name: of.label if often[of.side, of.label] == 1 else f"{of.label} ({of.encoder})" for of in indicators}


def unit(of: IndicatorRow) -> str:
    """Return what is told of an indicator: a mean on its scale, or a share of the posts."""
    return "share of posts" if of.kind == Kind.PROBABILITY else f"mean, {of.low:g} to {of.high:g}"


def estimate(of: ToneRow) -> Estimate:
    """Return a number of tone as figures and tables have it."""
    return Estimate(of.value, interval(of.low, of.high), of.note)


def interval(low: float | None, high: float | None) -> Interval | None:
    """Return an interval by its ends; None where there is none."""
    return None if low is None or high is None else Interval(low, high)


def told(value: float | None, of: IndicatorRow) -> str:
    """Return a number of an indicator: a share in percent."""
    if of.kind == Kind.PROBABILITY and value is not None:
        return f"{value:.1%}"
    return number(value)


def bounds(low: float | None, high: float | None, of: IndicatorRow) -> str:
    """Return an interval of an indicator; empty where there is none."""
    return "" if low is None or high is None else f"{told(low, of)} to {told(high, of)}"


def with_interval(row: ToneRow, of: IndicatorRow) -> str:
    """Return a number of tone with its interval, such as ``5.92 (5.90 to 5.94)``."""
    ends = bounds(row.low, row.high, of)
    return told(row.value, of) + (f" ({ends})" if ends else "")


def first(indicators: Iterable[IndicatorRow], side: str) -> list[IndicatorRow]:
    """Return the indicators of ``side``, those from unpleasant to pleasant first."""
    return sorted((of for of in indicators if of.side == side), key=lambda of: not of.pleasantness)
