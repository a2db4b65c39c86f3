"""The table of word lists has what their files say, its numbers are those of words, and what is no list is refused."""

from __future__ import annotations

import importlib.machinery
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from postmill.shards.indicators import installed, lexica, lists
from postmill.shards.indicators.lexica import SCORES, Lexica, Word
from postmill.shards.runtime.errors import PostmillError

FILES = {
    "labMTsimple": ("data/LabMT/labMT2english.txt", "data/WK/BRM-emot-submit.csv"),
    "nrclex": ("data/nrc_en.json",),
    "emosent": ("data/Emoji_Sentiment_Data_v1.0.csv",),
}


@pytest.fixture(scope="module")
def table() -> Lexica:
    return lexica.load()


def folder_of(package: str) -> Path:
    found = find_spec(package)
    assert found is not None and found.origin is not None
    return Path(found.origin).parent


def scores_of(table: Lexica, language: str, word: str) -> list[float]:
    return [round(float(score), 2) for score in table.scores[table.rows[language][word]]]


def test_the_lists_say_what_their_files_say(table: Lexica) -> None:
    assert list(table.rows) == ["en", "es", "fr", "de", "pt", "ru", "ko", "zh", "ar", "id", "hi", "ur", "ps"]
    for language, name in (("en", "english"), ("fr", "french"), ("zh", "chinese"), ("ps", "pashto")):
        lines = (folder_of("labMTsimple") / f"data/LabMT/labMT2{name}.txt").read_text("utf-8").splitlines()[1:]
        for line in lines[::97]:
            fields = line.split("\t")
            if fields[0].isalpha() and fields[0] == fields[0].lower():
                assert scores_of(table, language, fields[0])[0] == float(fields[2])
    assert scores_of(table, "en", "laughter")[:4] == [8.5, 8.05, 5.39, 7.02]
    assert scores_of(table, "ru", "любовь")[0] == 8.22 and scores_of(table, "ko", "사랑해")[0] == 7.84
    carried = dict(zip(SCORES[4:], scores_of(table, "en", "abandonment")[4:], strict=True))
    assert {name for name, value in carried.items() if value} == {"anger", "fear", "negative", "sadness", "surprise"}
    assert np.isnan(table.scores[table.rows["en"]["the"]][1:]).all()
    assert np.isnan(table.scores[table.rows["es"]["amor"]][1:]).all(), "English alone has more than happiness"


def test_urdu_is_looked_up_as_urdu_is_written(table: Lexica) -> None:
    row = table.rows["ur"]["میں"]
    assert table.word(int(table.numbers[row])).word == "م\u064aں"  # with Arabic's letter, as the list has it


def test_emoji_have_their_authors_ranks(table: Lexica) -> None:
    assert table.emoji["😂"] == (6845 - 3614) / 14622
    assert table.emoji["❤"] == (6361 - 355) / 8050
    assert not {"═", "►", "©", "\ufffc", "🇪"} & set(table.emoji)
    assert all(-1 <= rank <= 1 for rank in table.emoji.values()) and len(table.emoji) > 600


def test_entries_are_numbered_through_in_the_order_of_the_files(table: Lexica) -> None:
    assert table.word(0) == Word("en", "laughter", 8.5) and table.word(10_221) == Word("en", "terrorist", 1.3)
    assert table.word(10_222) == Word("es", "amor", 8.68)
    last = sum(map(len, table.entries.values())) - 1
    assert table.word(last).language == "ps"
    for number in (-1, last + 1):
        with pytest.raises(IndexError, match="no word's number"):
            table.word(number)
    named = table.numbers[table.numbers >= 0]
    assert len(np.unique(named)) == len(named)
    for language, rows in table.rows.items():
        for word, row in list(rows.items())[::501]:
            if table.numbers[row] >= 0:
                entry = table.word(int(table.numbers[row]))
                assert entry.language == language and word in (entry.word.lower(), *entry.word.split(), word)
                assert np.float32(entry.happiness) == table.scores[row, 0]


def test_the_packages_are_read_and_never_run(table: Lexica) -> None:
    assert not {"labMTsimple", "nrclex", "emosent"} & set(sys.modules)
    assert not table.scores.flags.writeable and not table.numbers.flags.writeable


def test_a_package_that_is_missing_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda name: None if name in ("nrclex", "py3langid") else object())
    lexica.load.cache_clear()
    with pytest.raises(PostmillError, match="need nrclex, py3langid, which are not installed") as caught:
        lexica.load()
    assert caught.value.hint == "install it: pip install 'postmill[emotion]'"


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The packages' lists in a folder of the test's own, which are taken for the installed ones."""
    for package in FILES:
        shutil.copytree(folder_of(package) / "data", tmp_path / package / "data")

    def found(name: str) -> importlib.machinery.ModuleSpec:
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(tmp_path / name)]
        return spec

    monkeypatch.setattr(lists, "find_spec", found)
    lexica.load.cache_clear()
    yield tmp_path
    lexica.load.cache_clear()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2 - 40],
    "not UTF-8": lambda content: content.replace(b"a", b"\xff", 1)[: len(content)],
    "another scale": lambda content: content.replace(b"8.50", b"85.0", 1).replace(b"6.26", b"nan", 1),
}


@pytest.mark.parametrize("damage", ["empty", "not UTF-8"])
@pytest.mark.parametrize(("package", "name"), [(package, name) for package, names in FILES.items() for name in names])
def test_a_file_that_is_no_list_is_refused(copied: Path, package: str, name: str, damage: str) -> None:
    path = copied / package / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(PostmillError, match="is no word list as postmill knows it") as caught:
        lexica.load()
    assert str(path) in str(caught.value) and "pip install 'postmill[emotion]'" in str(caught.value.hint)


@pytest.mark.parametrize("name", FILES["labMTsimple"])
def test_a_number_off_the_scale_is_refused(copied: Path, name: str) -> None:
    path = copied / "labMTsimple" / name
    path.write_bytes(DAMAGES["another scale"](path.read_bytes()))
    with pytest.raises(PostmillError, match="is not from 1 to 9"):
        lexica.load()


def test_an_emotion_that_there_is_not_is_refused(copied: Path) -> None:
    path = copied / "nrclex" / FILES["nrclex"][0]
    path.write_text(json.dumps({"good": ["joy"], "bad": ["gloom"]}))
    with pytest.raises(PostmillError, match="'gloom'"):
        lexica.load()


def test_a_file_that_is_gone_is_named(copied: Path) -> None:
    (copied / "emosent" / FILES["emosent"][0]).unlink()
    with pytest.raises(PostmillError, match="cannot be read: No such file") as caught:
        lexica.load()
    assert "--force-reinstall" in str(caught.value.hint)


def test_other_lists_have_another_hash(copied: Path, table: Lexica) -> None:
    assert lexica.load().sha256 == table.sha256
    path = copied / "labMTsimple" / FILES["labMTsimple"][0]
    path.write_bytes(path.read_bytes().replace(b"8.50", b"8.49", 1))
    lexica.load.cache_clear()
    assert lexica.load().sha256 != table.sha256
