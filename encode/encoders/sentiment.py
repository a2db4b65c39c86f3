"""The sentiment encoder: a label and a score for the caption, and for the comments, in columns of their own."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from postmill.encode import models
from postmill.encode.device import Compute, prepare_for_inference
from postmill.encode.interface import (
    MAX_CHARACTERS,
    Absence,
    EncodedShard,
    EncoderSpec,
    EncodeSettings,
    ShardEncoder,
)
from postmill.encode.model_files import ModelFiles, loading
from postmill.encode.options import EncoderName
from postmill.encode.preparation.batches import TOKENS, TextModel, Tokens, over_texts
from postmill.encode.speed.quicken import quicken_distilbert
from postmill.shards.formats import posts
from postmill.shards.formats.blank import is_blank
from postmill.shards.formats.encoders import Encoder
from postmill.shards.run.folder import Run
from postmill.shards.runtime.progress import Progress

VADER_CHARACTERS = 2_200  # the longest caption there is: VADER's time grows with the square of the words it knows
FIELDS = ("caption", "comments")
TYPES: Mapping[str, pa.DataType] = {"label": pa.string(), "score": pa.float32(), "compound": pa.float32()}
PAPER_COLUMNS, LIGHT_COLUMNS = ("label", "score"), ("label", "score", "compound")
VADER_THRESHOLD = 0.05  # of the compound score, as the authors of VADER set it in their read-me

TextColumns = Mapping[str, Sequence[Any]]  # column without the field's name -> one value a text
ShardTexts = Iterable[tuple[Any, Sequence[str]]]  # what the caller knows a shard by, and its texts
Classifier = Callable[[ShardTexts], Iterator[tuple[Any, TextColumns]]]  # it may read ahead


@dataclass(frozen=True)
class _FieldRows:
    """The rows of a shard: their keys, and for each of :data:`FIELDS` which of them have it."""

    keys: list[str]
    present: list[npt.NDArray[np.bool_]]


def spec(settings: EncodeSettings) -> EncoderSpec:
    """Return the sentiment encoder.

    Its columns are ``caption_label``, ``caption_score``, ``comments_label``, ``comments_score``, null where the
    field is absent, and with VADER ``caption_compound`` and ``comments_compound``. A score is the model's
    confidence in the label, from 0 to 1. The columns of the comments exist only after publication.

    Raises:
        PostmillError: The model cannot be had.
    """
    name = EncoderName.SENTIMENT
    if settings.packaged(name):
        model = models.packaged_model(name, "vaderSentiment", "vaderSentiment", "vaderSentiment", "vader_lexicon.txt")
        encoder = _pin(model, "float64", LIGHT_COLUMNS, _vader_preprocessing(model))
        return EncoderSpec(encoder, lambda: functools.partial(encode_sentiment, LIGHT_COLUMNS, load_vader()))
    model = models.transformers_model(name, settings.overrides.get(name))
    compute = settings.compute()
    preprocessing = {
        "truncation": "at the length the model was made for, as the pipeline with truncation=True",
        "characters": MAX_CHARACTERS,
        "tokens_of_a_batch": TOKENS * compute.batch_scale,
        "configuration_sha256": model.configuration_sha256,
    }
    encoder = _pin(model, compute.precision, PAPER_COLUMNS, preprocessing)

    def load() -> ShardEncoder:
        return functools.partial(encode_sentiment, PAPER_COLUMNS, load_classifier(model, compute, settings.progress))

    return EncoderSpec(encoder, load, compute)


def encode_sentiment(
    columns: Sequence[str], classify: Classifier, run: Run, shards: Iterable[int]
) -> Iterator[EncodedShard]:
    """Yield the sentiment of the captions and comments of each of ``shards``.

    Args:
        columns: Those that ``classify`` gives, in the order in which they are written.
        classify: Gives the columns of all texts of a shard, captions before comments.
        run: The run.
        shards: Numbers of post shards.
    """
    for shard_rows, results in classify(_texts_of(run, shards)):
        keys = shard_rows.keys
        scalars: dict[str, pa.Array] = {}
        start = 0
        for field, has_text in zip(FIELDS, shard_rows.present, strict=True):
            rows = np.flatnonzero(has_text).tolist()
            for column in columns:
                values: list[Any] = [None] * len(keys)
                for row, value in zip(rows, results[column][start : start + len(rows)], strict=True):
                    values[row] = value
                scalars[f"{field}_{column}"] = pa.array(values, TYPES[column])
            start += len(rows)
        absent = (~np.logical_or.reduce(shard_rows.present)).tolist()
        yield EncodedShard(keys, [Absence.NO_TEXT if is_absent else None for is_absent in absent], None, scalars)


def _texts_of(run: Run, shards: Iterable[int]) -> Iterator[tuple[_FieldRows, list[str]]]:
    for shard in shards:
        table = posts.read_records(run, shard, ["key", *FIELDS])
        columns = [table[field].to_pylist() for field in FIELDS]
        present = [np.array([not is_blank(text) for text in texts], dtype=bool) for texts in columns]
        yield (
            _FieldRows(table["key"].to_pylist(), present),
            [text for texts in columns for text in texts if not is_blank(text)],
        )


def load_classifier(model: ModelFiles, compute: Compute, progress: Progress) -> Classifier:
    """Load a classifier; the function returned gives what the ``sentiment-analysis`` pipeline gives.

    Args:
        model: The model.
        compute: Where it runs.
        progress: Told where the network is not made faster.

    Raises:
        PostmillError: The weights or the tokenizer cannot be used.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DistilBertForSequenceClassification

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with loading(model):
        tokenizer = AutoTokenizer.from_pretrained(model.folder, **options)
        network = AutoModelForSequenceClassification.from_pretrained(model.folder, weights_only=True, **options)
    prepare_for_inference(compute, network)
    if isinstance(network, DistilBertForSequenceClassification):
        quicken_distilbert(network.distilbert, progress)
    longest = min(tokenizer.model_max_length, network.config.max_position_embeddings)
    labels = np.array([network.config.id2label[n] for n in range(network.config.num_labels)])

    def lengths(batch: list[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(batch, truncation=True, max_length=longest).input_ids]

    def tokenize(batch: list[str]) -> Tokens:
        return tokenizer(batch, truncation=True, max_length=longest, padding=True, return_tensors="pt")

    @torch.inference_mode()
    def forward(tokens: Tokens) -> Any:
        return network(**tokens.to(compute.device, non_blocking=True)).logits.float().softmax(dim=-1)

    text_model = TextModel(lengths, tokenize, forward, len(labels))

    def classify(shards: ShardTexts) -> Iterator[tuple[Any, TextColumns]]:
        for context, confidences in over_texts(compute, text_model, shards):
            label = labels[confidences.argmax(axis=1)].tolist()
            yield context, {"label": label, "score": confidences.max(axis=1)}

    return classify


def vader_label(compound: float) -> tuple[str, float]:
    """Return label and score of a compound score from -1 to 1.

    From 0.05 on it is POSITIVE, from -0.05 down NEGATIVE, between them NEUTRAL. The score is the distance from
    what the label denies: the compound's size for the first two, one less that for NEUTRAL.
    """
    if compound >= VADER_THRESHOLD:
        return "POSITIVE", compound
    if compound <= -VADER_THRESHOLD:
        return "NEGATIVE", -compound
    return "NEUTRAL", 1 - abs(compound)


def load_vader() -> Classifier:
    """Load VADER; the function returned gives label, score and compound score.

    Raises:
        PostmillError: It is not installed.
    """
    analyzer = models.import_light("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()

    def classify(shards: ShardTexts) -> Iterator[tuple[Any, TextColumns]]:
        for context, texts in shards:
            cut = [text[:VADER_CHARACTERS] for text in texts]
            distinct = {text: analyzer.polarity_scores(text)["compound"] for text in dict.fromkeys(cut)}
            compounds = [distinct[text] for text in cut]
            verdicts = [vader_label(compound) for compound in compounds]
            label, score = [verdict[0] for verdict in verdicts], [verdict[1] for verdict in verdicts]
            yield context, {"label": label, "score": score, "compound": compounds}

    return classify


def _vader_preprocessing(model: ModelFiles) -> dict[str, Any]:
    emoji = hashlib.sha256((model.folder / "emoji_utf8_lexicon.txt").read_bytes()).hexdigest()
    return {
        "emoji_lexicon_sha256": emoji,
        "label": f"POSITIVE where compound >= {VADER_THRESHOLD}, NEGATIVE where <= -{VADER_THRESHOLD}, else NEUTRAL",
        "score": "|compound|; for NEUTRAL 1 - |compound|",
        "characters": VADER_CHARACTERS,
    }


def _pin(model: ModelFiles, precision: str, columns: Sequence[str], preprocessing: Mapping[str, Any]) -> Encoder:
    return model.pin(
        EncoderName.SENTIMENT,
        precision=precision,
        scalars=tuple(f"{field}_{column}" for field in FIELDS for column in columns),
        available_before_publication=False,
        preprocessing={"texts": "caption; comments: each apart", "absent": "no visible character", **preprocessing},
    )
