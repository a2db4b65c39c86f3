"""The fields of what a command answers with `--json`, as its classes have them."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any

from postmill.console.display import answers
from postmill.ingest.archive.inspect import Description
from postmill.ingest.survey.folder import Survey
from postmill.shards.formats.counts import PlanCounts
from postmill.shards.formats.faults import FaultCount
from postmill.shards.state.status import Status

HEAVY = {"PlanCounts": PlanCounts, "FaultCount": FaultCount}  # which the program loads only where it needs them
# By the heading of docs/output.md under which they stand.
ANSWERS: dict[str, type[Any]] = {
    "Any command that failed": answers.Failure,
    "plan": answers.Planned,
    "train": answers.Trained,
    "insights": answers.PutTogether,
    "report": answers.Reported,
    "predict": answers.Predicted,
    "export": answers.Exported,
    "status": Status,
    "verify": answers.Verified,
    "faults": answers.Faults,
    "inspect, of an archive": Description,
    "inspect, of a folder": Survey,
}
BESIDE = {"status": ["jobs"]}  # what a command adds to its class
AS_BEFORE = {"report": ("results[]", "caveats[]")}  # what stands in the table of `train`


def documented(title: str) -> list[str]:
    """The fields that stand under a heading."""
    found = [*fields(ANSWERS[title]), *BESIDE.get(title, ())]
    return [field for field in found if not field.startswith(AS_BEFORE.get(title, ("-",)))]


def fields(kind: type[Any], prefix: str = "") -> Iterator[str]:
    """The fields of a class, with those of the classes in it: `a.b`, and `a[].b` of a list."""
    hints = typing.get_type_hints(kind, localns=HEAVY)
    for field in dataclasses.fields(kind):
        yield from _below(prefix + field.name, hints[field.name])


def _below(path: str, hint: Any) -> Iterator[str]:
    yield path
    yield from _inside(path, hint)


def _inside(path: str, hint: Any) -> Iterator[str]:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        yield from fields(typing.cast(type[Any], hint), f"{path}.")
    elif origin is tuple and inner[1:] == (Ellipsis,):
        yield from _inside(f"{path}[]", inner[0])
    elif origin in (types.UnionType, typing.Union):
        for each in inner:
            yield from _inside(path, each)


def seen(value: Any, prefix: str = "") -> set[str]:
    """The same of an answer: each field that is in it, by the names that its class gives it."""
    if not isinstance(value, dict):
        return set()
    found = set()
    for name, inner in value.items():
        found.add(path := prefix + name)
        for each in inner if isinstance(inner, list) else [inner]:
            below = f"{path}[]." if isinstance(inner, list) else f"{path}."
            found |= seen(each, below)
    return found
