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

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from postmill.shards.formats.encoders import ENCODER_FILE, Encoder
from postmill.shards.runtime.errors import PostmillError

INDICATORS = "indicators"
"""The key under ``preprocessing`` of an encoder's description."""

_SENTIMENT, _POSITIVE, _THRESHOLD = "sentiment", "positive", 0.5


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
    plain = [dataclasses.asdict(indicator) for indicator in indicators]
    return [{**one, "side": str(one["side"]), "kind": str(one["kind"])} for one in plain]


def indicators_of(encoder: Encoder) -> tuple[Indicator, ...]:
    """Return the indicators that ``encoder`` describes; none where it is no encoder of tone.

    Two models of sentiment were there before anything was described, and what is pinned of them does not change: of
    VADER it is the compound score, of the study's model the probability of POSITIVE, which
    :func:`numbers` makes of its two columns.

    Raises:
        PostmillError: It describes them as no encoder does, or columns that it has not.
    """
    if encoder.encoder == _SENTIMENT and INDICATORS not in encoder.preprocessing:
        return _of_sentiment(encoder)
    try:
        found = tuple(map(_read, encoder.preprocessing.get(INDICATORS, ())))
        unknown = {indicator.column for indicator in found} - set(encoder.scalars)
        if unknown:
            raise ValueError(f"no column {sorted(unknown)[0]}")
    except (TypeError, ValueError, OverflowError) as error:
        raise PostmillError(
            f"describes indicators that are none ({error})",
            place=f"{encoder.folder}/{ENCODER_FILE}",
            hint="encode again with the encoder of this version, into a folder of its own",
        ) from error
    return found


def numbers(scalars: pa.Table, indicator: Indicator) -> npt.NDArray[np.float64]:
    """Return the numbers of ``indicator``, shape (N,), NaN where a text could not be judged.

    Args:
        scalars: The scalar columns of an embedding shard of N posts.
        indicator: One of :func:`indicators_of` its encoder.
    """
    if indicator.column in scalars.column_names:
        return _with_nan(scalars[indicator.column])
    field = indicator.column.removesuffix(f"_{_POSITIVE}")
    score = _with_nan(scalars[f"{field}_score"])
    is_positive = np.array([label == _POSITIVE.upper() for label in scalars[f"{field}_label"].to_pylist()], dtype=bool)
    return np.where(is_positive, score, 1.0 - score)


def _of_sentiment(encoder: Encoder) -> tuple[Indicator, ...]:
    fields = (("caption", Side.CONTENT), ("comments", Side.RESPONSE))
    if all(f"{field}_compound" in encoder.scalars for field, _ in fields):
        return tuple(
            Indicator(f"{field}_compound", "pleasantness (VADER)", side, Kind.SCORE, -1.0, 1.0, pleasantness=True)
            for field, side in fields
        )
    if encoder.models == "paper" and encoder.scalars == tuple(
        f"{f}_{c}" for f, _ in fields for c in ("label", "score")
    ):
        return tuple(
            Indicator(f"{field}_{_POSITIVE}", _POSITIVE, side, Kind.PROBABILITY, threshold=_THRESHOLD)
            for field, side in fields
        )
    return ()


def _with_nan(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = column.cast("float64").fill_null(np.nan).to_numpy()
    return values


def _read(value: Mapping[str, Any]) -> Indicator:
    words = {"column", "label", "side", "kind"}
    if not isinstance(value, dict):
        raise TypeError("one is no object")
    if not all(isinstance(value.get(name), str) for name in words) or not isinstance(value["pleasantness"], bool):
        raise ValueError("a field is of another type")
    numbers = {
        name: None if name == "threshold" and value[name] is None else float(value[name])
        for name in ("low", "high", "threshold")
    }
    return Indicator(**{**value, **numbers, "side": Side(value["side"]), "kind": Kind(value["kind"])})
