"""The labels of a model that classifies texts: their names, their columns, and what makes probabilities of its numbers.

All of it is read from the model's own configuration, which anybody may have written: names become columns of tables and
words on a page, so they are mended where that is plain and refused where it is not.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from postmill.encode.model_files import reading_configuration
from postmill.shards.indicators.indicator import Indicator, Kind, Side

THRESHOLDS_FILE = "thresholds.json"
THRESHOLD = 0.5  # of one label among several it says that the model gives it more than to all others together
MAX_LABELS = 256  # of the models for tone the largest known has 28
_LONGEST_LABEL = 100
_LONGEST_COLUMN = 40
_LARGEST_FILE = 4 << 20
_UNNAMED = 2  # labels of a configuration that names none, as transformers has it


class Activation(StrEnum):
    """What turns a model's numbers into what is stored."""

    SOFTMAX = "softmax"  # one label of several
    SIGMOID = "sigmoid"  # each label by itself
    NONE = "none"  # a regression: numbers on a scale that only its authors know


@dataclass(frozen=True)
class Labels:
    """The labels of a model, in the order of its outputs.

    Attributes:
        stated: What the configuration calls them.
        names: What people read: without characters that draw nothing.
        columns: Of ``[a-z0-9_]``, each but once.
        thresholds: From where on a label counts as the text's.
        activation: What makes probabilities of the model's numbers.
    """

    stated: tuple[str, ...]
    names: tuple[str, ...]
    columns: tuple[str, ...]
    thresholds: tuple[float, ...]
    activation: Activation

    def indicators(self, prefix: str, side: Side) -> list[Indicator]:
        """Return what the columns of these labels mean, each named with ``prefix`` before it; none of a regression."""
        if self.activation == Activation.NONE:
            return []
        return [
            Indicator(prefix + column, name, side, Kind.PROBABILITY, threshold=threshold)
            for column, name, threshold in zip(self.columns, self.names, self.thresholds, strict=True)
        ]


def read_labels(folder: Path, taken: Collection[str] = ()) -> Labels:
    """Read the labels of the model in ``folder``, and how its numbers are to be taken, from ``config.json``.

    The activation is what ``TextClassificationPipeline`` of transformers 5 takes where nothing is asked for. Thresholds
    are those of :data:`THRESHOLDS_FILE` where the folder has it, else :data:`THRESHOLD`.

    Args:
        folder: The model's folder.
        taken: Names of columns that no label may have.

    Raises:
        PostmillError: A file cannot be read, or the labels are none: too many, too long, of another type, or two of
            the same name.
    """
    with reading_configuration(folder, "text-classification", "config.json with id2label"):
        config = _read(folder / "config.json")
        stated = _stated(config)
        names = _named(stated)
        activation = _activation(config, len(stated))
    with reading_configuration(folder, "text-classification", f"{THRESHOLDS_FILE}: {{LABEL: NUMBER}}, or none"):
        thresholds = _thresholds(folder / THRESHOLDS_FILE, names)
    return Labels(stated, names, column_names(names, taken), thresholds, activation)


def column_names(names: Sequence[str], taken: Collection[str] = ()) -> tuple[str, ...]:
    """Return a column for each of ``names``: its Latin letters and digits in lower case, ``_`` for all between.

    What is taken already, by another of them or in ``taken``, gets a number; a name without any is its number.
    """
    columns: list[str] = []
    used = set(taken)
    for number, name in enumerate(names):
        latin = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        column = re.sub(r"[^a-z0-9]+", "_", latin).strip("_")[:_LONGEST_COLUMN].rstrip("_") or f"label_{number}"
        again, free = 2, column
        while free in used:
            free, again = f"{column}_{again}", again + 1
        used.add(free)
        columns.append(free)
    return tuple(columns)


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise ValueError(f"{path.name} is larger than {_LARGEST_FILE >> 20} MiB")
    try:
        value = json.loads(data)
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} is no JSON object")
    return value


def _stated(config: dict[str, Any]) -> tuple[str, ...]:
    by_number = config.get("id2label")
    if by_number is None:
        count = config.get("num_labels", _UNNAMED)
        if type(count) is not int:
            raise ValueError("num_labels is no number")
        by_number = {str(number): f"LABEL_{number}" for number in range(min(count, MAX_LABELS + 1))}
    if not isinstance(by_number, dict):
        raise ValueError("id2label is no JSON object")
    if not 1 <= len(by_number) <= MAX_LABELS:
        raise ValueError(f"it has {len(by_number):,} labels; 1 to {MAX_LABELS} are taken")
    labels = [by_number.get(str(number)) for number in range(len(by_number))]
    if not all(isinstance(label, str) for label in labels):
        raise ValueError("id2label does not give a text for each number from 0 on")
    return tuple(map(str, labels))


def _named(stated: Sequence[str]) -> tuple[str, ...]:
    names = []
    for number, label in enumerate(stated):
        if len(label) > _LONGEST_LABEL:
            raise ValueError(f"label {number} has {len(label):,} characters; {_LONGEST_LABEL} are taken")
        drawn = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in label)
        names.append(" ".join(drawn.split()) or f"label {number}")
    folded = [name.casefold() for name in names]
    twice = next((name for name in names if folded.count(name.casefold()) > 1), None)
    if twice is not None:
        raise ValueError(f"two labels are called {twice!r}")
    return tuple(names)


def _activation(config: dict[str, Any], count: int) -> Activation:
    problem = config.get("problem_type")
    if problem not in (None, "regression", "multi_label_classification", "single_label_classification"):
        raise ValueError("its problem_type is none that transformers knows")
    if problem == "regression":
        return Activation.NONE
    return Activation.SIGMOID if problem == "multi_label_classification" or count == 1 else Activation.SOFTMAX


def _thresholds(path: Path, names: Sequence[str]) -> tuple[float, ...]:
    by_name = dict.fromkeys(names, THRESHOLD)
    if not path.is_file():
        return tuple(by_name.values())
    value = _read(path)
    for label, threshold in value.items():
        if label not in by_name:
            raise ValueError(f"{path.name} names {label[:_LONGEST_LABEL]!r}, which is no label of the model")
        if type(threshold) not in (int, float) or not math.isfinite(threshold) or not 0 < threshold <= 1:
            raise ValueError(f"{path.name} gives {label!r} a threshold that is no number above 0 and up to 1")
        by_name[label] = float(threshold)
    return tuple(by_name.values())
