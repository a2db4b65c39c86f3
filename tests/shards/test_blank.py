"""A text without a visible character is as good as none, for Python and for Arrow alike."""

from __future__ import annotations

import sys
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from postmill.shards.formats.blank import VISIBLE, is_blank

BLANK = [
    *(
        "",
        " \n\t",
        "\u00a0",
        "\u2800\u2800",
        "\u3164",
        "\u115f\u1160",
        "\uffa0",
        "\u200b",
        "\u2060",
        "\ufeff",
        "\u00ad",
    ),
    *("\u200e\u200f", "\ufe0f", "\ufffd\ufffc", "\0", "\x1b\x7f\x85", "\u2028\u3000", "\u034f", "\u180e", "\U000e0020"),
]
READ = ["a", ".", "😍", "\u2800a\u2800", "\u0301", "日", "م", "\uf8ff", "\U0001fae8", "\u0600", "\u2801", "\u00a9"]


@pytest.mark.parametrize("text", BLANK)
def test_what_draws_nothing_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", READ)
def test_what_draws_something_is_not(text: str) -> None:
    assert not is_blank(text)


def test_none_is_blank() -> None:
    assert is_blank(None)


def test_arrow_sees_the_same() -> None:
    seen = pc.match_substring_regex(pa.array(BLANK + READ), VISIBLE).to_pylist()
    assert seen == [False] * len(BLANK) + [True] * len(READ)


def test_no_letter_number_or_mark_of_a_script_is_blank_but_fillers() -> None:
    blank = {character for code in range(sys.maxunicode + 1) if is_blank(character := chr(code))}
    kinds = {character: unicodedata.category(character) for character in blank}
    fillers = {character for character, kind in kinds.items() if kind[0] in "LNPS"}
    assert fillers == set("\u115f\u1160\u3164\uffa0\u2800\ufffc\ufffd")
    assert {chr(code) for code in range(0xD800) if unicodedata.category(chr(code)) in ("Cc", "Zs", "Zl", "Zp")} <= blank
    assert all(character.isspace() <= (character in blank) for character in map(chr, range(0x10000)))
