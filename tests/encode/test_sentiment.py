"""Sentiment equals the pipeline's, or VADER's, and stands in columns of its own for caption and comments."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from postmill.encode import models
from postmill.encode.device import Compute
from postmill.encode.encoders import sentiment
from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.progress import Silent

CPU = Compute(Device.CPU, 2)
TEXTS = [
    "I love this so much!",
    "worst day ever, I hate it",
    "a photo of a table",
    "🔥🔥🔥 amazing 😍",
    "nicht auf Englisch",
    "good " * 1500,
    "x",
    "\n#ootd\n@friend",
    "東京の朝",
]


def test_equals_the_pipeline_with_truncation(distilbert_folder: Path) -> None:
    import transformers

    pipeline = transformers.pipeline("sentiment-analysis", model=str(distilbert_folder), device="cpu")
    expected = pipeline(TEXTS, truncation=True)
    model = models.transformers_model("sentiment", str(distilbert_folder))
    ((_, columns),) = sentiment.load_classifier(model, CPU, Silent())([(None, TEXTS)])
    assert columns["label"] == [label_and_score["label"] for label_and_score in expected]
    np.testing.assert_allclose(columns["score"], [label_and_score["score"] for label_and_score in expected], atol=1e-5)
    assert set(columns["label"]) == {"POSITIVE", "NEGATIVE"}


def test_columns_of_the_paper(make_posts: Callable[..., Run], distilbert_folder: Path) -> None:
    run = make_posts(caption=["lovely", None, None, "\u2800"], comments=["awful", "awful", None, ""])
    override = {"sentiment": str(distilbert_folder)}
    (summary,) = encode_run(run, encoders=["sentiment"], model_overrides=override, device="cpu").encoders
    shard = embeddings.read(run, summary.encoder, 0)
    assert shard.scalars.column_names == ["caption_label", "caption_score", "comments_label", "comments_score"]
    assert shard.present.tolist() == [True, True, False, False]
    assert shard.reasons.to_pylist() == [None, None, "no_text", "no_text"]
    nulls = {name: shard.scalars[name].is_null().to_pylist() for name in shard.scalars.column_names}
    assert nulls["caption_label"] == nulls["caption_score"] == [False, True, True, True]
    assert nulls["comments_label"] == nulls["comments_score"] == [False, False, True, True]
    assert shard.scalars["comments_score"][0] == shard.scalars["comments_score"][1]
    assert (shard.vectors, summary.encoder.dimensions) == (None, 0)


def test_vader_columns(make_posts: Callable[..., Run]) -> None:
    run = make_posts(caption=TEXTS[:5], comments=TEXTS[4::-1])
    (summary,) = encode_run(run, encoders=["sentiment"], models="light", device="cpu").encoders
    table: dict[str, list[Any]] = embeddings.read(run, summary.encoder, 0).scalars.to_pydict()
    compounds = [SentimentIntensityAnalyzer().polarity_scores(text)["compound"] for text in TEXTS[:5]]
    np.testing.assert_allclose(table["caption_compound"], compounds, atol=1e-6)
    np.testing.assert_allclose(table["comments_compound"], compounds[::-1], atol=1e-6)
    assert table["caption_label"] == ["POSITIVE", "NEGATIVE", "NEUTRAL", "POSITIVE", "NEUTRAL"]
    assert summary.encoder.folder == "sentiment.vaderSentiment"
    assert summary.encoder.stand_in_for.endswith("distilbert-base-uncased-finetuned-sst-2-english")


@pytest.mark.parametrize(
    ("compound", "label", "score"),
    [
        (1.0, "POSITIVE", 1.0),
        (0.05, "POSITIVE", 0.05),
        (0.0499, "NEUTRAL", 0.9501),
        (0.0, "NEUTRAL", 1.0),
        (-0.0499, "NEUTRAL", 0.9501),
        (-0.05, "NEGATIVE", 0.05),
        (-1.0, "NEGATIVE", 1.0),
    ],
)
def test_thresholds(compound: float, label: str, score: float) -> None:
    assert sentiment.vader_label(compound) == (label, pytest.approx(score))


@pytest.mark.parametrize("models_set", ["light", "paper"])
def test_a_shard_without_texts_has_the_same_column_types(
    models_set: str, make_run: Callable[..., Run], make_record: Callable[..., Any], distilbert_folder: Path
) -> None:
    silent = [(make_record("a", caption=None, comments=None), [])]
    spoken = [(make_record("b"), [])]
    run = make_run([silent, spoken, []])
    override = {"sentiment": str(distilbert_folder)} if models_set == "paper" else {}
    (summary,) = encode_run(
        run, encoders=["sentiment"], models=models_set, model_overrides=override, device="cpu"
    ).encoders
    schemas = [embeddings.read(run, summary.encoder, shard).scalars.schema for shard in range(3)]
    assert schemas[0] == schemas[1] == schemas[2]
    assert summary.absent == 1


def test_hostile_texts_take_bounded_time(make_posts: Callable[..., Run]) -> None:
    run = make_posts(caption=["😀" * 30_000, "but " * 30_000])
    (summary,) = encode_run(run, encoders=["sentiment"], models="light", device="cpu").encoders
    assert summary.done == 1
    pinned = json.loads((run.embeddings / summary.encoder.folder / "encoder.json").read_bytes())
    assert pinned["preprocessing"]["characters"] == sentiment.VADER_CHARACTERS
