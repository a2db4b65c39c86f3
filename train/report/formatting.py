"""Numbers as people read them."""

from __future__ import annotations

from postmill.train.evaluation.intervals import Interval

DASH = "\N{EN DASH}"


def number(value: float | None, digits: int = 2) -> str:
    """Return ``value`` with a true minus sign; a dash where it is undefined."""
    if value is None:
        return DASH
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "\N{MINUS SIGN}")


def span(interval: Interval | None, digits: int = 2) -> str:
    """Return an interval as ``low to high``; a dash where there is none."""
    return DASH if interval is None else f"{number(interval.low, digits)} to {number(interval.high, digits)}"


def size(count: int) -> str:
    """Return a number of bytes in the unit that leaves the fewest digits, by thousands."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{count:,} bytes" if unit == "bytes" else f"{value:.3g} {unit}" if value < 100 else f"{value:,.0f} {unit}"
