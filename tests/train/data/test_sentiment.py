"""A model with any labels is shown by all of them; one that tells positive from negative by one signed number."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from postmill.shards.formats import embeddings
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import UsageError
from postmill.train.data.features import check_encoders, open_modalities
from postmill.train.models.paper import studied
from postmill.train.stage import train_run
from tests.train.conftest import encoder, write_embeddings

MakeRun = Callable[..., Run]
LABELS = ("joy", "fear", "anger")


def add_emotions(run: Run, posts: int, model: str = "some-emotions", labels: tuple[str, ...] = LABELS) -> np.ndarray:
    """Embeddings of a swapped model of sentiment; the last post has no caption. Returns its numbers, of captions."""
    drawn = np.random.default_rng(7).random((2, posts, len(labels)))
    columns: dict[str, Any] = {}
    for field, values in zip(("caption", "comments"), drawn, strict=True):
        columns[f"{field}_label"] = [labels[n] for n in values.argmax(axis=1)]
        columns[f"{field}_score"] = values.max(axis=1).tolist()
        columns |= {f"{field}_{label}": values[:, n].tolist() for n, label in enumerate(labels)}
    for name in columns:
        if name.startswith("caption"):
            columns[name][-1] = None
    made = encoder(
        *("sentiment", 0), models="override", model=model, dtype="", scalars=tuple(columns),
        available_before_publication=False,
    )  # fmt: skip
    write_embeddings(run, made, None, np.ones(posts, bool), columns)
    return drawn[0]


def only_emotions(run: Run, posts: int, **kinds: Any) -> np.ndarray:
    shutil.rmtree(run.embeddings / "sentiment.tiny-sentiment")
    return add_emotions(run, posts, **kinds)


def test_every_label_of_captions_is_shown_and_of_comments_only_where_asked_for(planted_run: MakeRun) -> None:
    run = planted_run(posts=40)
    values = only_emotions(run, 40)
    shown = open_modalities(run, [0, 1], ["sentiment"], "default", None)["sentiment"]
    assert shown.columns == ("caption_joy", "caption_fear", "caption_anger", "has_caption_sentiment")
    assert shown.before_publication and not shown.is_embedding and shown.width == 4
    taken = shown.take(np.arange(40))
    np.testing.assert_allclose(taken[:-1], np.column_stack([values[:-1], np.ones(39)]), atol=1e-6)
    assert taken[-1].tolist() == [0, 0, 0, 0] and shown.present.tolist() == [True] * 39 + [False]
    leaking = open_modalities(run, [0, 1], ["sentiment"], "paper", None)["sentiment"]
    assert leaking.columns[4:] == ("comments_joy", "comments_fear", "comments_anger", "has_comments_sentiment")
    assert not leaking.before_publication and leaking.present.all()
    assert studied({"sentiment": leaking})["sentiment"].columns == leaking.columns


def test_three_words_stay_one_signed_number_whatever_columns_lie_beside_them(planted_run: MakeRun) -> None:
    run = planted_run(posts=40)
    only_emotions(run, 40, labels=("negative", "neutral", "positive"))
    shown = open_modalities(run, [0, 1], ["sentiment"], "default", None)["sentiment"]
    assert shown.columns == ("caption_sentiment", "has_caption_sentiment")


def test_labels_whose_numbers_were_not_kept_are_refused_with_a_way_out(planted_run: MakeRun) -> None:
    run = planted_run(posts=40)
    shutil.rmtree(run.embeddings / "sentiment.tiny-sentiment")
    made = encoder(
        *("sentiment", 0), models="override", model="old", dtype="", available_before_publication=False,
        scalars=("caption_label", "caption_score", "comments_label", "comments_score"),
    )  # fmt: skip
    columns: dict[str, Any] = {name: ["amusement"] * 40 for name in made.scalars if name.endswith("label")}
    columns |= {name: [0.5] * 40 for name in made.scalars if name.endswith("score")}
    write_embeddings(run, made, None, np.ones(40, bool), {name: columns[name] for name in made.scalars})
    with pytest.raises(UsageError, match="'amusement'") as caught:
        open_modalities(run, [0, 1], ["sentiment"], "default", None)
    assert "encode again" in str(caught.value.hint)


def test_among_several_models_each_way_that_is_named_works(planted_run: MakeRun) -> None:
    run = planted_run(posts=40)  # whose sentiment is of the set light
    add_emotions(run, 40)
    with pytest.raises(UsageError, match="several models") as caught:
        check_encoders(run, ["sentiment"], "default", None)
    hint = str(caught.value.hint)
    assert "--models light" in hint
    assert check_encoders(run, ["sentiment"], "default", "light")["sentiment"].model == "tiny-sentiment"
    command = hint.partition("on some-emotions, keep the rest elsewhere: ")[2]
    assert command.startswith("mv -- ")
    subprocess.run(shlex.split(command), check=True)
    assert check_encoders(run, ["sentiment"], "default", None)["sentiment"].model == "some-emotions"
    assert [one.encoder for one in encoders_of(run)].count("sentiment") == 1


def test_models_are_trained_on_them(planted_run: MakeRun) -> None:
    run = planted_run(posts=120, accounts=15)
    only_emotions(run, 120)
    made = next(one for one in encoders_of(run) if one.encoder == "sentiment")
    assert embeddings.is_done(run, made, 0)
    asked: dict[str, Any] = {"split_names": ["influencer"], "feature_set": "paper", "seeds": 1}
    assert len(train_run(run, names=["boosting", "leak"], **asked).trained) == 2
    assert train_run(run, names=["fusion"], recipe="paper", **asked).trained
