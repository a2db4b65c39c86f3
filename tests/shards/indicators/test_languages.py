"""Languages of many texts at once are those that py3langid tells of each alone, in every script and at every length."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import py3langid
import pytest
from py3langid import langid

from postmill.shards.indicators import detector, languages

# ruff: noqa: RUF001
SENTENCES = (
    "What a good day it is to be outside with everybody.",
    "El amor y la felicidad de toda mi familia, hoy y siempre.",
    "Le bonheur est dans l'amour des enfants heureux.",
    "Ich bin verliebt und glücklich mit dir heute.",
    "Muito feliz com o amor da minha família hoje.",
    "Я люблю тебя и твою любовь каждый день.",
    "오늘 정말 감사합니다 그리고 사랑합니다 여러분",
    "今天我非常快乐因为我爱我的家人和朋友们。",
    "السعادة والحب في قلوب الناس كل يوم",
    "मैं आज बहुत खुश हूं और मुझे अपनी मां से प्यार है",
    "Ovo je lep dan. Ово је леп дан.",
    "😀😃 🎉🎉🎉 🥳",
    "THE WHOLE TEXT IS IN CAPITALS TODAY",
    "e\u0301te\u0301 \ud800 lone surrogate",
)


@pytest.fixture
def fresh() -> Iterator[None]:
    detector.load.cache_clear()
    yield
    detector.load.cache_clear()


def drawn(seed: int, number: int) -> list[str]:
    """Texts of one sentence to hundreds, and what is left when they are cut anywhere."""
    rng = Random(seed)
    texts = []
    for _ in range(number):
        text = " ".join(rng.choices(SENTENCES, k=rng.choice((1, 1, 1, 2, 5, 40))))
        texts.append(text[rng.randrange(20) : rng.choice((3, 15, 60, len(text)))])
    return [*texts, "", "\0\0"]


def test_many_texts_have_the_languages_that_each_has_alone() -> None:
    assert detector.load().slower == ""
    texts = drawn(5, 700)
    told = detector.load().tell(texts)
    assert told == [py3langid.classify(text)[0] for text in texts]
    assert len(set(told)) > 8
    assert detector.load().tell(texts[::-1]) == told[::-1], "however they are put together"
    assert detector.load().tell([]) == []


def test_languages_are_of_words_and_not_of_names() -> None:
    english, spanish = SENTENCES[:2]
    assert languages.languages([english, spanish, english, ""]) == ["en", "es", "en", languages.TOO_SHORT]
    names = "#" + "amor" * 20 + " @felicidad_de_la_familia https://familia.example/felicidad/de/la/familia "
    assert languages.language(names) == languages.TOO_SHORT
    assert languages.language(names + english) == "en"


def test_twenty_letters_are_enough_and_fewer_are_not() -> None:
    assert languages.language("a b c d e f g h i j k l m n o p q r s 1 2 3 🎉") == languages.TOO_SHORT
    assert languages.language("what a day it was for you") == languages.TOO_SHORT  # 19 letters
    assert languages.language("what a day it was for them") == "en"  # 20


def test_of_a_long_text_the_beginning_is_told() -> None:
    english, spanish = (text * 200 for text in SENTENCES[:2])
    assert languages.PREFIX == 2_200 and len(english) > 10_000
    assert languages.language(english + spanish * 20) == "en"
    beginning = " ".join([SENTENCES[1]] * 40)[: languages.PREFIX]
    assert languages.language(beginning + " " + english) == "es" == py3langid.classify(beginning)[0]


@pytest.mark.parametrize("change", ["gone", "of other states", "of another type"])
def test_a_package_that_is_built_otherwise_is_asked_for_one_text_at_a_time(
    change: str, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    identifier = langid._get_identifier()

    class Changed:
        def __getattr__(self, name: str) -> object:
            if name == "tk_output":
                if change == "gone":
                    raise AttributeError("no tk_output")
                return [-1] * len(identifier.tk_output) if change == "of other states" else "other"
            return getattr(identifier, name)

    monkeypatch.setattr(langid, "_get_identifier", Changed)
    monkeypatch.setattr(py3langid, "classify", identifier.classify)
    found = detector.load()
    assert found.slower.startswith("py3langid 0.") and "is not as postmill knows it" in found.slower
    texts = drawn(6, 20)
    assert found.tell(texts) == [identifier.classify(text)[0] for text in texts]
