"""Emotions by models of the hub: all labels, only in languages that a model is for, and what was not judged is said."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from postmill.encode import models
from postmill.encode.encoders.cards import card_languages
from postmill.encode.encoders.emotion_models import _KNOWN
from postmill.encode.options import EMOTION_MODELS, ModelSet, model_name, model_of, usual
from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings
from postmill.shards.formats.encoders import encode_command
from postmill.shards.indicators import languages
from postmill.shards.indicators.coverage import Coverage, coverage
from postmill.shards.indicators.indicator import Kind, Side, indicators_of
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.shards.runtime.progress import Silent
from tests.encode.tone.classifiers import GO_EMOTIONS, by_pipeline, classifier, roberta

ENGLISH = "What a lovely day it is to be outside with all of you, my friends"
GERMAN = "Was für ein schöner Tag, um mit euch allen draußen zu sein, meine Freunde"
SPANISH = "Qué día tan bonito para estar fuera con todos vosotros, mis queridos amigos"
MULTI_LABEL = "multi_label_classification"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Notes(Silent):
    """Progress that keeps its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and a hub that refuses connections."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "hub"


def cached(hub: Path, name: str, make: Callable[[Path], Path]) -> Path:
    """Lay a model into the hub cache as a download of it would."""
    folder = hub / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    return make(folder / "snapshots" / COMMIT)


def encoded(run: Run, notes: Notes, encoders: list[str], **options: Any) -> list[Any]:
    options = {"device": "cpu", "progress": notes, **options}
    return [
        (summary.encoder, embeddings.read(run, summary.encoder, 0))
        for summary in encode_run(run, encoders=encoders, **options).encoders
    ]


def test_the_usual_model_judges_english_captions_and_comments_apart(hub: Path, make_posts: Callable[..., Run]) -> None:
    folder = cached(hub, EMOTION_MODELS["go-emotions"], lambda to: roberta(to, GO_EMOTIONS, MULTI_LABEL))
    notes = Notes()
    run = make_posts(caption=[ENGLISH, GERMAN, None, "😍"], comments=[None, ENGLISH, "\u2800", ENGLISH])
    (made, captions), (other, comments) = encoded(run, notes, ["emotion", "emotion-comments"])
    assert (made.models, made.stand_in_for, made.model) == ("paper", "", EMOTION_MODELS["go-emotions"])
    assert captions.scalars.column_names == [*GO_EMOTIONS, "language"]
    assert captions.present.tolist() == [True, True, False, True]
    assert captions.reasons.to_pylist() == [None, None, "no_caption", None]
    assert comments.reasons.to_pylist() == ["no_comments", None, "no_comments", None]
    (said,) = by_pipeline(folder, [ENGLISH])
    for label, number in said.items():
        assert captions.scalars[label].to_pylist() == [pytest.approx(number, abs=1e-5), None, None, None]
        assert comments.scalars[label].to_pylist() == [None, pytest.approx(number, abs=1e-5)] * 2
    assert captions.scalars["language"].to_pylist() == ["en", "de", None, None]
    assert coverage(run, made, [0]) == Coverage(texts=3, languages=2, others=0)
    assert coverage(run, other, [0]) == Coverage(texts=2, languages=0, others=0)
    assert (made.available_before_publication, other.available_before_publication) == (True, False)
    assert {(one.side, one.kind, one.threshold) for one in indicators_of(made)} == {
        (Side.CONTENT, Kind.PROBABILITY, 0.5)
    }
    assert {one.side for one in indicators_of(other)} == {Side.RESPONSE}
    assert encode_command(run, other).endswith("--encoder emotion-comments --models paper --precision float32")


def test_a_short_name_is_a_model_of_the_hub(hub: Path, make_posts: Callable[..., Run]) -> None:
    folder = cached(hub, EMOTION_MODELS["xlm-emo"], lambda to: classifier(to, ("anger", "fear", "joy", "sadness")))
    run, chosen = make_posts(caption=[SPANISH, GERMAN, ENGLISH]), {"emotion": "xlm-emo"}
    ((made, shard),) = encoded(run, Notes(), ["emotion"], models="light", model_overrides=chosen)
    assert (made.folder, made.models) == ("emotion.xlm-emo-t", "override")
    for row, said in enumerate(by_pipeline(folder, [SPANISH, GERMAN, ENGLISH])):
        assert shard.scalars["joy"][row].as_py() == pytest.approx(said["joy"], abs=1e-5)
    assert "--model emotion=xlm-emo" in encode_command(run, made)
    assert model_of("emotion-comments") == "emotion" and model_of("colours") == "colours"
    assert model_name("emotion-comments", "xlm-emo") == EMOTION_MODELS["xlm-emo"]
    assert len(_KNOWN[EMOTION_MODELS["xlm-emo"]].languages) == 19
    with pytest.raises(PostmillError, match="twitter-roberta-base-emotion-multilabel-latest"):
        models.transformers_model("emotion", "twitter-emotion")
    with pytest.raises(UsageError, match="neither a folder nor the name"):
        models.transformers_model("emotion", "no such model")


def test_models_of_tweets_read_names_and_links_as_they_were_taught(hub: Path, make_posts: Callable[..., Run]) -> None:
    folder = cached(hub, EMOTION_MODELS["twitter-emotion"], lambda to: classifier(to, ("joy", "love"), MULTI_LABEL))
    run = make_posts(caption=[f"{ENGLISH} @anna https://x.y"])
    ((_, shard),) = encoded(run, Notes(), ["emotion"], model_overrides={"emotion": "twitter-emotion"})
    (said,) = by_pipeline(folder, [f"{ENGLISH} @user http"])
    assert shard.scalars["love"][0].as_py() == pytest.approx(said["love"], abs=1e-5)


def test_a_folder_judges_what_its_card_says(make_posts: Callable[..., Run], tmp_path: Path) -> None:
    folder = classifier(tmp_path / "some-emotions", ("joy", "key", "language"), MULTI_LABEL)
    run, notes, chosen = make_posts(caption=[ENGLISH, GERMAN]), Notes(), {"emotion": str(folder)}
    (folder / "README.md").write_text("---\nlicense: mit\nlanguage:\n- de\n---\n# A model\nlanguage: en\n")
    ((made, shard),) = encoded(run, notes, ["emotion"], model_overrides=chosen)
    assert shard.scalars.column_names == ["joy", "key_2", "language_2", "language"]
    assert shard.scalars["joy"].is_null().to_pylist() == [True, False]
    assert made.preprocessing["languages"] == ["de"]
    (folder / "README.md").unlink()
    with pytest.raises(UsageError, match=r"another preprocessing\.languages: \['de'\], and now it is None"):
        encoded(run, notes, ["emotion"], model_overrides=chosen)
    shutil.rmtree(run.embeddings)
    ((_, everything),) = encoded(run, notes, ["emotion"], model_overrides=chosen)
    assert everything.scalars["joy"].null_count == 0
    assert everything.scalars["language"].to_pylist() == ["en", "de"]
    assert any("every language" in note for note in notes.notes)


def test_without_a_detector_only_what_is_for_all_languages_is_judged(
    make_posts: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(languages, "languages_can_be_told", lambda: False)
    folder = classifier(tmp_path / "some-emotions", ("joy", "fear"), MULTI_LABEL)
    run, chosen = make_posts(caption=[ENGLISH]), {"emotion": str(folder)}
    (folder / "README.md").write_text("---\nlanguage: en\n---\n")
    with pytest.raises(PostmillError, match="what tells languages is not installed") as caught:
        encoded(run, Notes(), ["emotion"], model_overrides=chosen)
    assert "postmill[languages]" in str(caught.value.hint)
    (folder / "README.md").write_text("---\nlanguage: multilingual\n---\n")
    ((made, shard),) = encoded(run, Notes(), ["emotion"], model_overrides=chosen)
    assert shard.scalars.column_names == ["joy", "fear"] and made.preprocessing["language"] == "not told"


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("---\nlanguage: en\n---\n", {"en"}),
        ("---\nlanguage: [en, 'no', \"pt-BR\"]\ntags: []\n---", {"en", "no", "pt"}),
        ("---\ntags:\n- en\nlanguage:\n  - de # German\n  - fil\nother:\n- fr\n---\n", {"de", "tl"}),
        ("---\nlanguage:\n---\n", None),
        ("---\nlanguage: multilingual\n---\n", None),
        ("---\nlanguage:\n- en\n- code\n---\n", None),
        ("---\ntags: x\n---\nlanguage: en\n", None),
        ("# language: en\n", None),
        ("---\nlanguage: " + "en, " * 100_000 + "\n---\n", None),
        ("---\n" + "\n" * 100_000 + "language: en\n---\n", None),
        ("", None),
    ],
)
def test_languages_of_a_card(tmp_path: Path, card: str, expected: set[str] | None) -> None:
    (tmp_path / "README.md").write_text(card)
    assert card_languages(tmp_path) == expected


def test_who_names_a_model_for_tone_wants_it_told() -> None:
    usually = usual(ModelSet.PAPER, text_only=False)
    assert not {"emotion", "emotion-comments", "sentiment-multilingual", "image-emotion"} & set(usually)
    asked = set(usual(ModelSet.PAPER, {"emotion": "xlm-emo", "text": "x"}, text_only=False))
    assert asked == {*usually, "emotion", "emotion-comments"}
    assert set(usual(ModelSet.LIGHT, {"sentiment-multilingual": "x"}, text_only=True)) > {"sentiment-multilingual"}
    assert "image-emotion" not in usual(ModelSet.PAPER, {"image": "x"}, text_only=False)
