"""What word lists say of texts is what is worked out by hand; where they know too little, it is nothing."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from postmill.encode.encoders import lexical
from postmill.encode.encoders.lexical import COLUMNS, judge
from postmill.ingest.sample.captions import MOODS, caption
from postmill.ingest.sample.truth import draw_truth
from postmill.shards.indicators import lexica
from postmill.shards.indicators.lexica import Lexica

# ruff: noqa: RUF001
BEACH = "We love the beautiful sunshine at the beach"
HINDI = "मैं आज बहुत खुश हूं और मुझे अपनी मां से प्यार है"
WAR = "Nothing but pain, hate and terrible war all day"
TONE = ["emotion", "emotion-comments"]


@pytest.fixture(scope="module")
def table() -> Lexica:
    return lexica.load()


def judged(text: str, table: Lexica) -> dict[str, Any]:
    return {name: column[0].as_py() for name, column in judge([text], table).items()}


def mean(*numbers: float) -> Any:
    return pytest.approx(sum(numbers) / len(numbers), abs=1e-6)


def test_english_has_all_lists(table: Lexica) -> None:
    found = judged(BEACH, table)
    assert list(found) == list(COLUMNS)
    assert (found["language"], found["words"]) == ("en", 8)
    assert found["happiness"] == mean(6.38, 8.42, 4.98, 7.92, 7.94, 4.90, 4.98, 7.94)
    assert found["valence"] == mean(8.00, 7.61, 8.14, 7.21)  # love, beautiful, sunshine, beach
    assert found["arousal"] == mean(5.36, 5.71, 5.32, 5.10) and found["dominance"] == mean(5.92, 6.17, 5.43, 5.70)
    assert (found["joy"], found["positive"], found["anger"], found["negative"]) == (1.0, 0.75, 0.0, 0.0)
    hits = [found[name] for name in ("happiness_hits", "vad_hits", "emolex_hits", "emoji_hits")]
    assert hits == [8, 4, 4, 0] and found["emoji"] is None
    words = [table.word(number).word for number in found["happiness_words"]]
    assert words == ["we", "love", "the", "beautiful", "sunshine", "at", "the", "beach"]
    sad = judged(WAR, table)
    assert sad["happiness"] == mean(3.90, 4.24, 2.10, 2.34, 5.22, 2.84, 1.80, 6.22, 6.24)
    assert {name: sad[name] for name in ("anger", "disgust", "fear", "sadness", "joy", "negative")} == {
        **{"anger": 0.5, "disgust": 0.5, "fear": 1.0, "sadness": 0.75, "joy": 0.0, "negative": 1.0}
    }


@pytest.mark.parametrize(
    ("language", "text", "happiness"),
    [
        ("es", "El amor y la felicidad de toda mi familia", (5.82, 8.68, 5.34, 5.3, 8.6, 5.42, 6.24, 6.12, 7.98)),
        ("fr", "Le bonheur est dans l'amour des enfants", (5.08, 8.38, 5.3, 5.18, 8.08, 5.02, 7.14)),
        ("de", "Ich bin verliebt und glücklich mit dir", (6.2, 5.46, 8.14, 5.26, 7.82, 5.56, 5.94)),
        ("pt", "Muito feliz com o amor da minha família hoje", (6.7, 8.48, 5.46, 4.84, 8.46, 5.04, 6.36, 8.0, 6.54)),
        ("ru", "Я люблю тебя и твою любовь каждый день", (6.5, 8.22, 5.58, 5.08, 5.32, 8.22, 5.24, 5.8)),
        ("ko", "오늘 정말 감사합니다 그리고 사랑합니다 여러분 행복", (5.74, 5.76, 7.14, 5.34, 7.84, 5.78, 7.62)),
        ("ar", "السعادة والحب في قلوب الناس كل يوم يا صديقي", (8.24, 5.0, 5.84, 5.46, 5.4, 4.96, 7.12)),
        ("id", "Saya sangat bahagia dan cinta kamu setiap hari", (6.0, 5.92, 8.26, 5.22, 7.88, 5.72, 5.56, 5.6)),
        ("hi", HINDI, (6.26, 6.2, 6.76, 7.24, 5.58, 6.06, 6.14, 6.36, 7.86, 5.7, 6.0)),
        ("ur", "میں آج بہت خوش ہوں اور مجھے محبت ہے", (6.18, 6.32, 7.1, 5.84, 6.04, 6.14, 7.14, 5.54)),
        ("ps", "زه نن ډېر خوشحاله یم او ستاسو مننه کوم", (6.08, 6.64, 6.46, 7.44, 6.18, 6.34, 6.26, 7.14, 5.98)),
    ],
)
def test_other_languages_have_happiness_alone(
    language: str, text: str, happiness: tuple[float, ...], table: Lexica
) -> None:
    found = judged(text, table)
    assert (found["language"], found["happiness_hits"]) == (language, len(happiness))
    assert found["happiness"] == mean(*happiness)
    assert (found["valence"], found["joy"], found["vad_hits"], found["emolex_hits"]) == (None, None, 0, 0)


def test_chinese_is_cut_into_the_longest_words_that_are_known(table: Lexica) -> None:
    found = judged("今天我非常快乐，因为我爱我的家人和朋友，大家都很幸福！", table)
    words = [table.word(number).word for number in found["happiness_words"]]
    assert "".join(words) == "今天我非常快乐因为我爱我的家人和朋友大家都很幸福"
    assert max(map(len, words)) == 2 and {"快乐", "因为", "家人", "朋友", "幸福"} <= set(words)
    assert (found["language"], found["words"], found["happiness_hits"]) == ("zh", 16, 16)
    unknown = judged("今天我非常快乐鿃鿃iphone手机因为我爱我的家人和朋友", table)
    assert unknown["words"] - unknown["happiness_hits"] == 3, "a character that begins no word is one, and so is Latin"


def test_words_of_parts_are_looked_up_whole_and_then_in_parts(table: Lexica) -> None:
    found = judged("We're so sun-kissed, and it's a well-being wi-fi day for us all today", table)
    words = [table.word(number).word for number in found["happiness_words"]]
    assert {"we're", "it's", "sun", "kissed"} <= set(words) and "sun-kissed" not in words


def test_below_three_words_of_a_list_it_says_nothing(table: Lexica) -> None:
    unknown = "가나다라마바사아자차카타파하 거너더러머버서어저처커터퍼허 "
    two, three = (judged(unknown + known, table) for known in ("오늘 사랑합니다", "오늘 사랑합니다 행복"))
    assert (two["language"], two["happiness_hits"], two["happiness"]) == ("ko", 2, None)
    assert two["happiness_words"] and two["words"] == 4, "what it knows is counted all the same"
    assert (three["happiness_hits"], three["happiness"]) == (3, mean(5.74, 7.84, 7.62))
    two, three = (judged(f"and then they were at the {known} with us", table) for known in ("beach", "beautiful beach"))
    assert (two["vad_hits"], two["valence"], two["emolex_hits"]) == (1, None, 1)
    assert (three["vad_hits"], three["valence"]) == (2, None)
    enough = judged("and then they were at the beautiful beach with us, in love", table)
    assert (enough["vad_hits"], enough["emolex_hits"], enough["joy"]) == (3, 3, 1.0)
    assert enough["valence"] == mean(7.61, 7.21, 8.00)


def test_a_language_without_a_list_and_a_short_text_are_present_and_not_judged(table: Lexica) -> None:
    italian = judged("Ciao a tutti, buona giornata e tanti baci dalla spiaggia", table)
    assert (italian["language"], italian["words"], italian["happiness_hits"]) == ("it", 10, 0)
    assert italian["happiness"] is None and italian["happiness_words"] == []
    short = judged("so happy 😍", table)
    assert (short["language"], short["happiness"], short["words"]) == (None, None, 2)
    assert short["emoji"] == pytest.approx(table.emoji["😍"]), "emoji are of no language"


def test_names_are_not_what_a_text_says(table: Lexica) -> None:
    names = " #love #happiness @laughter https://love.example/joy"
    with_names, without = judged(BEACH + names, table), judged(BEACH, table)
    assert with_names == without


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        ("😂", "😂"),
        ("😂❤️ two", "😂❤"),
        ("👍🏽👍🏽", "👍👍"),
        ("❤️‍🔥", "❤"),
        ("👩‍❤️‍💋‍👨", "👩"),
        ("🇪🇸 flag ═══ ► ©", ""),
        ("a\u200d😂", ""),
        ("no emoji", ""),
        ("🔥" * 50_000, "🔥" * 50_000),
    ],
)
def test_emoji_count_each_and_joined_ones_once(text: str, signs: str, table: Lexica) -> None:
    found = judged(text, table)
    assert found["emoji_hits"] == len(signs)
    if signs:
        assert found["emoji"] == pytest.approx(sum(table.emoji[sign] for sign in signs) / len(signs), abs=1e-6)
    else:
        assert found["emoji"] is None


def test_every_emoji_of_the_list_is_found_in_texts(table: Lexica) -> None:
    signs = list(table.emoji)
    assert judge([f"x {sign}." for sign in signs], table)["emoji_hits"].to_pylist() == [1] * len(signs)


def test_texts_are_judged_alike_alone_and_among_others(table: Lexica) -> None:
    rng = Random(4)
    pieces = [
        BEACH,
        WAR,
        "El amor y la felicidad de toda mi familia",
        "今天我非常快乐因为我爱我的家人和朋友们",
        "😍",
        "",
    ]
    texts = [" ".join(rng.choices(pieces, k=rng.randrange(1, 9))) for _ in range(300)]
    together = pa.table(judge(texts, table))
    assert together.schema == pa.schema(list(COLUMNS.items()))
    assert together.to_pylist() == [judged(text, table) for text in texts]
    assert pa.table(judge([], table)).schema == together.schema


def test_an_endless_text_is_read_to_its_bound(table: Lexica) -> None:
    endless = judged("we love the sunshine " * 50_000, table)
    assert endless["words"] == pytest.approx(lexical.MAX_CHARACTERS / len("we love the sunshine ") * 4, abs=4)
    chinese = judged("今天我非常快乐因为我爱我的家人和朋友们" * 10_000, table)
    assert chinese["language"] == "zh" and 10_000 < chinese["words"] <= lexical.MAX_CHARACTERS


@pytest.mark.parametrize(("language", "least"), [("en", 0.7), ("es", 0.7)])
def test_planted_moods_are_told(language: str, least: float, table: Lexica) -> None:
    rows = [row for row in draw_truth(3000, 60, 5).table.to_pylist() if row["mood"] is not None]
    rows = [row for row in rows if row["language"] == language][:1000]
    moods = np.array([MOODS.index(row["mood"]) for row in rows])
    texts = [
        caption(Random(n), row["category"], mood, row["topic"], language)
        for n, (row, mood) in enumerate(zip(rows, moods.tolist(), strict=True))
    ]
    found = judge(texts, table)["happiness"].to_numpy(zero_copy_only=False)
    known = ~np.isnan(found)
    assert known.mean() > 0.9 and known.sum() > 150
    assert spearmanr(found[known], moods[known]).statistic > least
