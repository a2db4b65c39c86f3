"""Front matter is YAML that says what was given, whatever the texts in it are called."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from postmill.shards.run import cards

HOSTILE = [
    '"; rm -rf /',
    "a\n---\nlicense: mit",
    "!!python/object/apply:os.system ['true']",
    "&a *a {} [] # : - ? | > % @ `",
    "back\\slash \\n \\x41",
    "null",
    "1e3",
    "\x00\x07\x1b\x7f\x85\u2028\ufeff",
    "emoji \U0001f600 and 漢字",
    "yes",
]


def read(card: str) -> dict[str, Any]:
    begins, fields, _rest = card.split("---\n", 2) if card.startswith("---\n") else ("x", "", "")
    assert begins == ""
    found: dict[str, Any] = yaml.safe_load(fields) or {}
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_a_text(text: str) -> None:
    fields: dict[str, cards.Value] = {
        "name": text,
        "list": [text, "b"],
        "deep": [{"a": text, "b": [{"c": text}]}, {"d": 2}],
    }
    card = cards.front_matter(fields)
    assert read(card) == fields
    assert sum(line == "---" for line in card.splitlines()) == 2
    assert read(cards.with_fields(f"{card}\n# {'-' * 3}\n", {"more": [{"x": text}]})) == {
        **fields,
        "more": [{"x": text}],
    }


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    assert yaml.safe_load(cards.quoted(text)) == "".join("\ufffd" if "\ud800" <= c < "\ue000" else c for c in text)


def test_what_is_empty_is_left_out_and_numbers_are_numbers() -> None:
    card = cards.front_matter({"a": "", "b": [], "c": {}, "d": 0.25, "e": {"f": 3, "g": {"h": "i"}}})
    assert read(card) == {"d": 0.25, "e": {"f": 3, "g": {"h": "i"}}}


def test_the_rest_of_a_card_is_kept() -> None:
    card = cards.front_matter({"a": "b"}) + "\n# Title\n\n---\n\nmore\n"
    assert cards.with_fields(card, {"c": "d"}).endswith('c: "d"\n---\n\n# Title\n\n---\n\nmore\n')
    with pytest.raises(ValueError, match="without front matter"):
        cards.with_fields("# Title\n", {"c": "d"})


def test_words_are_no_markup() -> None:
    assert cards.plain("a\n\n# b <script> [x](y) | `c`") == r"a \# b \<script\> \[x\](y) \| \`c\`"
