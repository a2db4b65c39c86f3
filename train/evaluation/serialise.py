"""The dataclasses of :mod:`.schema` as JSON and back: what they declare is what stands on disk, checked on reading.

A run folder is data like any other, so nothing of a file is believed before pydantic has compared it with the types.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import (
    AllowInfNan,
    BeforeValidator,
    ConfigDict,
    SerializerFunctionWrapHandler,
    Strict,
    TypeAdapter,
    ValidationError,
    WrapSerializer,
)

T = TypeVar("T")

STRICT = ConfigDict(strict=True, allow_inf_nan=False)
"""Of the dataclass that a whole file is: a number is a finite number, never a text that looks like one."""

ROW = ConfigDict(strict=False)
"""Of a dataclass that :func:`gathered` makes; its fields are strict one by one."""

Number: TypeAlias = Annotated[float, Strict(), AllowInfNan(False)]
"""A finite number where STRICT does not reach: in a row, and in a named tuple."""

_METRICS = "metrics"


def plain(value: object) -> dict[str, Any]:
    """Return a dataclass as a JSON object; a field that has a default is left out where it holds it."""
    kind: Any = type(value)
    result: dict[str, Any] = _adapter(kind).dump_python(value, mode="json", by_alias=True, exclude_defaults=True)
    return result


def dump_json(value: object) -> bytes:
    """Return a dataclass as the bytes of a file: sorted keys, indented by one, a final newline.

    Raises:
        ValueError: A number in it is NaN or infinite.
    """
    text = json.dumps(plain(value), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def validate_json(kind: type[T], content: bytes) -> T:
    """Return the dataclass ``kind`` that ``content`` is; keys that it does not declare are passed over.

    Raises:
        ValueError: It is not JSON, or a field is missing or of another type; the message names the first.
    """
    declared: Any = kind
    try:
        value: T = _adapter(declared).validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path}: {first['msg']}" if path else first["msg"]) from error
    return value


def gathered(*keys: str) -> BeforeValidator:
    """Return what reads a row whose metrics stand beside its other ``keys`` into a dataclass with a field for them."""

    def gather(row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        named = {key: row[key] for key in keys if key in row}
        return {**named, _METRICS: {key: value for key, value in row.items() if key not in keys}}

    return BeforeValidator(gather)


def _flatten(row: Any, serialise: SerializerFunctionWrapHandler) -> Any:
    fields = serialise(row)
    metrics = fields.pop(_METRICS, {})
    return {**fields, **metrics}


FLATTENED = WrapSerializer(_flatten)
"""Writes a row as :func:`gathered` reads it."""


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
