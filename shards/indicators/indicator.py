"""What the columns of an encoder of tone mean: a list in its ``encoder.json``, under ``preprocessing``.

Every encoder of tone describes its columns in the same way, whatever its model is, so that those who read them know
neither models nor labels.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from postmill.shards.formats.encoders import ENCODER_FILE, Encoder
from postmill.shards.runtime.errors import PostmillError

INDICATORS = "indicators"
"""The key under ``preprocessing`` of an encoder's description."""


class Side(StrEnum):
    """What an indicator speaks of; the two are never mixed."""

    CONTENT = "content"  # what was published: its tone exists before publication
    RESPONSE = "response"  # what others said of it afterwards: an outcome, never a predictor


class Kind(StrEnum):
    """What the numbers of a column are."""

    PROBABILITY = "probability"  # that the label holds, 0 to 1; told as the share of posts at or above a threshold
    SCORE = "score"  # a place on a scale; told as a mean


@dataclass(frozen=True)
class Indicator:
    """A column of numbers, null where a text could not be judged.

    Attributes:
        column: Its name in the encoder's table.
        label: What people read.
        side: What it speaks of.
        kind: What its numbers are.
        low, high: The ends of the scale; 0 and 1 of a probability.
        threshold: From where on a probability counts as the label's; None of a score.
        pleasantness: Whether the scale goes from unpleasant to pleasant.
    """

    column: str
    label: str
    side: Side
    kind: Kind
    low: float = 0.0
    high: float = 1.0
    threshold: float | None = None
    pleasantness: bool = False

    def __post_init__(self) -> None:
        numbers = [self.low, self.high, *([] if self.threshold is None else [self.threshold])]
        if not (self.column and self.label) or not all(math.isfinite(number) for number in numbers):
            raise ValueError("an indicator without a name, or with a number that is none")
        if self.low >= self.high or (self.kind is Kind.PROBABILITY) != (self.threshold is not None):
            raise ValueError(f"the scale of {self.column} is none")


def described(indicators: Sequence[Indicator]) -> list[dict[str, Any]]:
    """Return what stands in ``encoder.json`` under :data:`INDICATORS`."""
    return [dataclasses.asdict(indicator) for indicator in indicators]


def indicators_of(encoder: Encoder) -> tuple[Indicator, ...]:
    """Return the indicators that ``encoder`` describes; none where it is no encoder of tone.

    Raises:
        PostmillError: It describes them as no encoder does, or columns that it has not.
    """
    try:
        found = tuple(map(_read, encoder.preprocessing.get(INDICATORS, ())))
        unknown = {indicator.column for indicator in found} - set(encoder.scalars)
        if unknown:
            raise ValueError(f"no column {sorted(unknown)[0]}")
    except (TypeError, ValueError) as error:
        raise PostmillError(
            f"describes indicators that are none ({error})",
            place=f"{encoder.folder}/{ENCODER_FILE}",
            hint="encode again with the encoder of this version, into a folder of its own",
        ) from error
    return found


def _read(value: Mapping[str, Any]) -> Indicator:
    words = {"column", "label", "side", "kind"}
    if not all(isinstance(value.get(name), str) for name in words) or not isinstance(value["pleasantness"], bool):
        raise ValueError("a field is of another type")
    numbers = {
        name: None if name == "threshold" and value[name] is None else float(value[name])
        for name in ("low", "high", "threshold")
    }
    return Indicator(**{**value, **numbers, "side": Side(value["side"]), "kind": Kind(value["kind"])})
