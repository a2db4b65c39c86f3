"""JSON that carries a SHA-256 of its own content, in one way of writing it: no byte of it can change unnoticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "sha256"


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """Return ``value`` as every JSON file of a run is written: sorted keys, indented by one, a final newline."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def canonical_hash(value: Any) -> str:
    """Return the SHA-256 (hexadecimal) of ``value`` as JSON with sorted keys and no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def seal(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``value`` with the field SEAL: the canonical hash of all its other fields."""
    return {**value, SEAL: canonical_hash(dict(value))}


def unseal(content: bytes) -> dict[str, Any]:
    """Return what ``content``, a sealed JSON file, holds besides its seal.

    Raises:
        ValueError: It is not JSON, not written as :func:`json_bytes` writes it, or not what its seal says.
    """
    try:
        value = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    fields = {name: field for name, field in value.items() if name != SEAL}
    if SEAL not in value:
        raise ValueError(f"it lacks the field {SEAL!r}")
    if value[SEAL] != canonical_hash(fields):
        raise ValueError("its content is not what its own SHA-256 says")
    if content != json_bytes(value):
        raise ValueError("its fields are right, but not its bytes")
    return fields
