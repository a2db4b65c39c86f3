"""Words as they are looked up: of every script, without names, and spelt as a list spells them."""

from __future__ import annotations

import pytest

from postmill.shards.indicators.words import listed, parts, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\u2800\ufe0f", []),
        ("What a GOOD day!", ["what", "a", "good", "day"]),
        ("don't 'quote' mother's x-mas -dash-", ["don't", "quote", "mother's", "x-mas", "dash"]),
        ("can’t l’été", ["can't", "l'été"]),  # noqa: RUF001
        ("so happy #love#life_is good @ann.lee_1 there", ["so", "happy", "good", "there"]),
        ("see https://x.example/love?a=b and www.love.example", ["see", "and"]),
        ("love❤️‍🔥you 👩‍👩‍👧 1️⃣", ["love", "you", "1"]),
        ("snake_case", ["snake", "case"]),
        ("Cafe\u0301 ﬁne 𝓁𝑜𝓋𝑒 ＬＯＶＥ", ["café", "fine", "love", "love"]),  # noqa: RUF001
        ("मैं आज बहुत खुश हूं।", ["मैं", "आज", "बहुत", "खुश", "हूं"]),
        ("السَّعادة، والحب", ["السَّعادة", "والحب"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),  # noqa: RUF001
        ("我爱你。你好", ["我爱你", "你好"]),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_what_a_word_is_put_together_of() -> None:
    assert parts("arc-en-ciel") == ["arc", "en", "ciel"] and parts("l'été") == ["l", "été"]


def test_an_entry_of_a_list_is_the_word_that_a_text_has_for_it() -> None:
    assert [listed(entry) for entry in ("¡feliz", "الله،", "Îles", "wi-fi")] == ["feliz", "الله", "îles", "wi-fi"]
    assert [listed(entry) for entry in ("#love", "apple juice", "^^", "@ann")] == [None] * 4


def test_time_grows_with_the_length_alone() -> None:
    for text in ("a" * 100_000, "a'" * 50_000, "-" * 100_000, "#" * 100_000, "http://" * 15_000, "é\u0301" * 50_000):
        assert sum(map(len, words(text))) <= 2 * len(text)
