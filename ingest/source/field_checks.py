"""Single fields of a post held against their bounds: what does not fit is null or cut, and written down.

Numbers are taken where they are exact whole numbers, whatever JSON type they were given as: ``12``, ``12.0``, ``1e3``
and ``"12"``. Another one is null, never guessed at: 1550000000000 may be milliseconds, or anything else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from postmill.shards.formats.bounds import FIRST_TIME, LAST_TIME, MAX_COUNT, MAX_NAME, MAX_SIDE, MAX_TEXT
from postmill.shards.formats.reasons import Reason

HIDDEN = -1  # what Instagram gives as a count that it does not show
_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,4})?", re.ASCII)
_SHOWN = 40  # characters of a value in a detail


class FieldFault(NamedTuple):
    """What was wrong with one field: its reason, and in words which field it is and what stood there."""

    reason: Reason
    detail: str


def count(field: str, value: Any, faults: list[FieldFault]) -> int | None:
    """Return ``value`` as a count; None where it is null or hidden, or with a fault."""
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
    if value is None or exact_number(value) == HIDDEN:
        return None
    return whole_number(field, value, MAX_COUNT, faults)


def time(field: str, value: Any, faults: list[FieldFault]) -> int | None:
    """Return ``value`` as seconds since 1970 UTC, from 2000 to 2100; None where it is null, or with a fault."""
    if type(value) is int and FIRST_TIME <= value <= LAST_TIME:
        return value
    if value is None:
        return None
    number = exact_number(value)
    if number is not None and FIRST_TIME <= number <= LAST_TIME:
        return number
    _no_number(f"{field}: {_shown(value)} is no time from 2000 to 2100 in seconds since 1970", faults)
    return None


def side(field: str, value: Any, faults: list[FieldFault]) -> int | None:
    """Return ``value`` as pixels of a side of a picture; None where it is null, or with a fault."""
    if type(value) is int and 0 <= value <= MAX_SIDE:
        return value
    return None if value is None else whole_number(field, value, MAX_SIDE, faults)


def whole_number(field: str, value: Any, most: int, faults: list[FieldFault]) -> int | None:
    """Return ``value`` as a whole number from 0 to ``most``; None with a fault."""
    number = exact_number(value)
    if number is not None and 0 <= number <= most:
        return number
    _no_number(f"{field}: {_shown(value)} is no whole number from 0 to {most}", faults)
    return None


def is_number(text: str) -> bool:
    """Say whether ``text`` is a number, of whatever size, as JSON writes one."""
    return _NUMBER.fullmatch(text) is not None


def exact_number(value: Any) -> int | None:
    """Return the whole number that ``value`` stands for, None where it is none or cannot be told exactly."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):  # beyond 2**53 several whole numbers are the same float
        return int(value) if value.is_integer() and abs(value) < MAX_COUNT else None
    if not isinstance(value, str) or not is_number(value):
        return None
    number = Decimal(value)
    return int(number) if abs(number) <= MAX_COUNT and number == number.to_integral_value() else None


def name_or_none(field: str, value: Any, faults: list[FieldFault]) -> str | None:
    """Return ``value`` if it is a text of a name's length: part of a name or an id is another one, so none is cut."""
    if type(value) is str and len(value) <= MAX_NAME:
        return value
    if isinstance(value, str):
        _too_large(f"{field}: {len(value):,} characters, where {MAX_NAME:,} is the most; left out", faults)
    return None


def text_or_none(field: str, value: Any, faults: list[FieldFault]) -> str | None:
    """Return ``value``, of a longer text the first :data:`.bounds.MAX_TEXT` characters; None where it is no text."""
    if not isinstance(value, str):
        return None
    if len(value) <= MAX_TEXT:
        return value
    _too_large(f"{field}: {len(value):,} characters, of which the first {MAX_TEXT:,} are kept", faults)
    return value[:MAX_TEXT]


def first_of(field: str, values: list[str], most: int, faults: list[FieldFault]) -> list[str]:
    """Return the first ``most`` of ``values``."""
    if len(values) <= most:
        return values
    _too_large(f"{field}: {len(values):,}, of which the first {most:,} are kept", faults)
    return values[:most]


def first_names(field: str, names: list[str], most: int, faults: list[FieldFault]) -> list[str]:
    """Return the first ``most`` of ``names``, without those that are too long for a name."""
    short = [name for name in names if len(name) <= MAX_NAME]
    if len(short) < len(names):
        left_out = len(names) - len(short)
        _too_large(f"{field}: {left_out:,} of more than {MAX_NAME:,} characters are left out", faults)
    return first_of(field, short, most, faults)


def first_texts(field: str, texts: list[str], most: int, characters: int, faults: list[FieldFault]) -> list[str]:
    """Return the first ``most`` of ``texts``, and of these no more than ``characters`` in all."""
    total = sum(map(len, texts))
    if len(texts) <= most and total <= characters:
        return texts
    kept = _within(texts[:most], characters)
    given, held = f"{len(texts):,} texts of {total:,} characters", f"{len(kept):,} texts of {sum(map(len, kept)):,}"
    _too_large(f"{field}: {given}, of which the first {held} are kept", faults)
    return kept


def _within(texts: Sequence[str], characters: int) -> list[str]:
    kept = []
    for text in texts:
        if not characters:
            break
        kept.append(text[:characters])
        characters -= len(kept[-1])
    return kept


def _no_number(detail: str, faults: list[FieldFault]) -> None:
    faults.append(FieldFault(Reason.NUMBER_OUT_OF_RANGE, detail))


def _too_large(detail: str, faults: list[FieldFault]) -> None:
    faults.append(FieldFault(Reason.FIELD_TOO_LARGE, detail))


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value[:_SHOWN]) if isinstance(value, str) else f"{value!r:.{_SHOWN}}"
