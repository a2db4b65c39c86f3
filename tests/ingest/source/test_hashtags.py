"""Hashtags of every script are whole, and what is none is none."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.ingest.source.hashtags import hashtags

NFD = unicodedata.normalize("NFD", "été")


@pytest.mark.parametrize(
    "tag",
    [
        *("हिन्दी", "भारत", "বাংলা", "อนิเมะ", "ท่องเที่ยว", "தமிழ்", "ಕನ್ನಡ", "မြန်မာ", "ខ្មែរ", "മലയാളം", "ქართული", "አማርኛ"),
        *("مُحَمَّد", "می‌خواهم", "עִבְרִית", "日本語", "프랑스", "été", NFD, unicodedata.normalize("NFD", "プレゼント")),
        *(
            "sea_side",
            "2019goals",
            "_",
            "\uff12\uff10\uff11\uff19",
            "love❤️",
            "😍😍",
            "👩‍👩‍👧fam",
            "👍🏽",
            "1️⃣",
            "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
            "☀️sun",
            "🇮🇳",
        ),
    ],
)
@pytest.mark.parametrize(
    "around", ["#{}", "a #{}, b", "é #{} é", "#{}#x", "#x#{}", "(#{})", "#{}\n#x", "#{}\u2800", "#{}!"]
)
def test_a_tag_of_any_script_is_whole(tag: str, around: str) -> None:
    assert tag in hashtags(around.format(tag))
    assert set(hashtags(around.format(tag))) <= {tag, "x"}


@pytest.mark.parametrize(
    ("caption", "tags"),
    [
        ("#Sun #SEA", ["sun", "sea"]),
        ("no tag, # none, #! #, #\u2800 #\ufe0f #\u200d #️⃣", []),
        ("#it's #ok. #a-b #c™", ["it", "ok", "a", "c"]),
        ("##twice", ["twice"]),
        ("#ends\u200d #\u0645\u200c", ["ends", "\u0645"]),
        ("https://a.example/b#c #d", ["d"]),
        ("HTTPS://A.EXAMPLE/B#C é #d", ["d"]),
        ("www.a.example#c, bit.ly/x#y (see shop.example.org/#/z) #d", ["d"]),
        ("#d: http://a.example/#c", ["d"]),
        ("#a/#b w/ #c and/or #d", ["a", "b", "c", "d"]),
        ("awww.#cute", ["cute"]),
        ("so good.#yes", ["yes"]),
    ],
)
def test_what_is_a_tag_and_what_is_not(caption: str, tags: list[str]) -> None:
    assert hashtags(caption) == tags


@given(st.lists(st.sampled_from(["#", "a", "\u0301", "\u200d", "😍", "/", "www.", "://", ".co/", " ", "é", "\ufe0f"])))
def test_no_tag_is_empty_or_begins_with_a_mark(pieces: list[str]) -> None:
    for tag in hashtags("".join(pieces)):
        assert tag and not tag.startswith(("\u0301", "\u200d", "\ufe0f")) and not tag.endswith("\u200d")
