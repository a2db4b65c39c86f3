"""The encoders of tone write columns that say what they mean, of captions and of comments apart."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from postmill.console import steps
from postmill.encode.encoders.lexical import COLUMNS
from postmill.encode.interface import EncodeSettings
from postmill.encode.options import EncoderName, ModelSet, Precision, not_usual, usual
from postmill.encode.registry import encoder_specs
from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings
from postmill.shards.formats.choices import Layout
from postmill.shards.formats.export import export
from postmill.shards.indicators import installed, lexica
from postmill.shards.indicators.coverage import coverage
from postmill.shards.indicators.indicator import Kind, Side, indicators_of
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Silent
from postmill.shards.state.tasks import WHOLE

BEACH = "We love the beautiful sunshine at the beach"
WAR = "Nothing but pain, hate and terrible war all day"
TONE = ["emotion", "emotion-comments"]


class Spoken(Silent):
    """Progress that keeps what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def encode(run: Run, **options: Any) -> Any:
    return encode_run(run, **{"encoders": TONE, "models": "light", "device": "cpu", **options})


CAPTIONS = [
    BEACH,
    None,
    "\u2800 \n",
    WAR,
    "Ciao a tutti, buona giornata e tanti baci",
    "السعادة في قلوب الناس كل يوم يا صديقي",
]
COMMENTS = [WAR, BEACH, BEACH, None, "\ufe0f", "ok"]


def test_captions_and_comments_are_two_things(make_posts: Callable[..., Run]) -> None:
    run = make_posts(caption=CAPTIONS, comments=COMMENTS)
    captions, comments = encode(run).encoders
    for summary, texts, reason in ((captions, CAPTIONS, "no_caption"), (comments, COMMENTS, "no_comments")):
        shard = embeddings.read(run, summary.encoder, 0)
        blank = [text is None or not text.strip("\u2800\ufe0f \n") for text in texts]
        assert shard.present.tolist() == [not is_blank for is_blank in blank]
        assert shard.reasons.to_pylist() == [reason if is_blank else None for is_blank in blank]
        assert shard.vectors is None and shard.scalars.column_names == list(COLUMNS)
        assert all(shard.scalars["words"].is_null().to_numpy() == np.array(blank))
        by_text = {BEACH: 6.6825, WAR: 3.877778}
        for text, happiness in zip(texts, shard.scalars["happiness"].to_pylist(), strict=True):
            assert happiness == (pytest.approx(by_text[text], abs=1e-5) if text in by_text else happiness)
    assert (captions.encoder.folder, comments.encoder.folder) == ("emotion.lexica", "emotion-comments.lexica")
    assert captions.encoder.available_before_publication and not comments.encoder.available_before_publication
    assert (captions.coverage.texts, captions.coverage.languages, captions.coverage.others) == (4, 1, 0)
    assert (comments.coverage.texts, comments.coverage.languages, comments.coverage.others) == (4, 1, 0)
    assert captions.coverage.told() == "25 % of 4 texts could not be judged: 25 % language"
    assert coverage(run, captions.encoder, [0]) == captions.coverage


def test_the_columns_say_what_they_mean(make_posts: Callable[..., Run]) -> None:
    run = make_posts(caption=[BEACH], comments=[WAR])
    for summary, side in zip(encode(run).encoders, (Side.CONTENT, Side.RESPONSE), strict=True):
        found = {each.column: each for each in indicators_of(summary.encoder)}
        assert {each.side for each in found.values()} == {side} and {each.kind for each in found.values()} == {
            Kind.SCORE
        }
        assert [name for name, each in found.items() if each.pleasantness] == ["happiness"]
        assert (found["happiness"].low, found["happiness"].high, found["emoji"].low, found["joy"].high) == (1, 9, -1, 1)
        assert set(COLUMNS) - set(found) == {
            *("words", "happiness_hits", "vad_hits", "emolex_hits", "emoji_hits", "language", "happiness_words")
        }
        pinned = json.loads((run.embeddings / summary.encoder.folder / "encoder.json").read_bytes())
        assert pinned["stand_in_for"] == "SamLowe/roberta-base-go_emotions" and pinned["model"] == "lexica"
        assert pinned["weights_sha256"] == lexica.load().sha256 and "py3langid" in pinned["preprocessing"]["language"]


def test_the_same_bytes_with_any_number_of_threads(
    make_run: Callable[..., Run], make_record: Callable[..., Any]
) -> None:
    rows = [(make_record(f"k{n}", caption=CAPTIONS[n % 6], comments=COMMENTS[n % 5]), []) for n in range(40)]
    run = make_run([rows[:20], rows[20:], []])

    def contents() -> dict[str, str]:
        files = [path for path in sorted(run.embeddings.rglob("*")) if path.is_file()]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    encode(run, workers=1)
    before = contents()
    for path in run.embeddings.rglob("posts-000000.json"):
        path.unlink()
    again = encode(run, workers=3).encoders
    assert [(each.done, each.skipped) for each in again] == [(1, 2)] * 2 and contents() == before
    schemas = {embeddings.read(run, each.encoder, shard).scalars.schema for each in again for shard in range(3)}
    assert len(schemas) == 1, "a shard without texts has the same columns"


def test_lists_of_words_are_exported_where_there_are_lists(make_posts: Callable[..., Run], tmp_path: Path) -> None:
    run = make_posts(caption=CAPTIONS, comments=COMMENTS)
    encode(run)
    export(run, Layout.CSV, tmp_path / "csv")
    header, *rows = csv.reader((tmp_path / "csv" / "posts.csv").read_text().splitlines())
    assert "emotion_lexica_happiness" in header and not [name for name in header if name.endswith("happiness_words")]
    assert float(rows[0][header.index("emotion_comments_lexica_happiness")]) == pytest.approx(3.877778, abs=1e-5)
    export(run, Layout.HUGGING_FACE, tmp_path / "hf")
    table = pq.read_table(next((tmp_path / "hf" / "data").iterdir()))
    words = [None if text is None else len(text) for text in table["emotion_lexica_happiness_words"].to_pylist()]
    assert words == [8, None, None, 9, 0, 7]


def test_what_stands_in_and_under_which_licences_is_said(make_posts: Callable[..., Run]) -> None:
    spoken = Spoken()
    encode(make_posts(caption=[BEACH]), progress=spoken)
    said = "\n".join(spoken.notes)
    assert "emotion: lexica stands in for SamLowe/roberta-base-go_emotions" in spoken.notes
    assert all(licence in said for licence in ("CC BY-NC-SA 4.0", "for research alone", "CC BY-SA 4.0"))


def test_without_the_extra_it_is_left_out_or_refused(
    make_posts: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(TONE) <= set(usual(ModelSet.LIGHT, text_only=False)) and not not_usual(ModelSet.LIGHT)
    assert not set(TONE) & set(usual(ModelSet.PAPER, text_only=False)) and not not_usual(ModelSet.PAPER)
    monkeypatch.setattr(installed, "find_spec", lambda name: None if name == "emosent" else find_spec(name))
    assert not set(TONE) & set(usual(ModelSet.LIGHT, text_only=True))
    assert not_usual(ModelSet.LIGHT) == (
        "emotion and emotion-comments are left out, for they need emosent: pip install 'postmill[emotion]'"
    )
    lexica.load.cache_clear()
    with pytest.raises(PostmillError, match="need emosent, which is not installed") as caught:
        encode(make_posts(caption=[BEACH]))
    assert "pip install 'postmill[emotion]'" in str(caught.value.hint)


def test_a_command_that_names_none_says_what_it_leaves_out(
    make_posts: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda name: None if name == "nrclex" else find_spec(name))
    monkeypatch.setattr(steps, "usual", lambda *_, text_only: (EncoderName.METADATA,))  # the others take longer
    spoken, run = Spoken(), make_posts(caption=[BEACH])
    asked = ModelSet.LIGHT, {}, Device.CPU, Precision.AUTO, WHOLE, spoken
    steps.encode(run, (), *asked)
    said = not_usual(ModelSet.LIGHT)
    assert "nrclex: pip install 'postmill[emotion]'" in said and said in spoken.notes
    steps.encode(run, ("metadata",), *asked)
    assert spoken.notes.count(said) == 1, "who names encoders is not told of others"


def test_asking_what_they_would_be_needs_no_device(tmp_path: Path) -> None:
    def compute() -> Any:
        raise AssertionError("a device was asked for")

    specs = encoder_specs(TONE, EncodeSettings(ModelSet.LIGHT, {}, compute))
    assert [spec.encoder.encoder for spec in specs] == [EncoderName.EMOTION, EncoderName.EMOTION_COMMENTS]
