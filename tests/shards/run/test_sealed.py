"""JSON that carries its own SHA-256: no other bytes pass for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.shards.run import sealed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text().filter(lambda name: name != sealed.SEAL), VALUES, max_size=4)
EXAMPLE = {"unit": "posts-000000", "counts": {"posts": 3}, "é": [0.1, None, True, "\u2028"]}


@given(value=OBJECTS)
def test_what_is_sealed_comes_back(value: dict[str, Any]) -> None:
    assert sealed.unseal(sealed.json_bytes(sealed.seal(value))) == value


def test_every_single_bit_counts() -> None:
    content = sealed.json_bytes(sealed.seal(EXAMPLE))
    for at in range(len(content)):
        for bit in range(8):
            with pytest.raises(ValueError):
                sealed.unseal(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])


def test_every_missing_or_added_byte_counts() -> None:
    content = sealed.json_bytes(sealed.seal(EXAMPLE))
    for at in range(len(content)):
        with pytest.raises(ValueError):
            sealed.unseal(content[:at] + content[at + 1 :])
        with pytest.raises(ValueError):
            sealed.unseal(content[:at] + b" " + content[at:])


@pytest.mark.parametrize("content", [b"", b"[]", b"{}\n", b'{"sha256": ""}\n', b"\xff"])
def test_other_json_is_not_sealed(content: bytes) -> None:
    with pytest.raises(ValueError):
        sealed.unseal(content)


def test_a_field_given_twice_does_not_hide() -> None:
    content = sealed.json_bytes(sealed.seal(EXAMPLE))
    twice = content.replace(b'"unit"', b'"unit": "other",\n "unit"')
    assert json.loads(twice) == json.loads(content)
    with pytest.raises(ValueError, match="not its bytes"):
        sealed.unseal(twice)
