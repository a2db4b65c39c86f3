"""The sentiment encoder: a label and a score for the caption, and for the comments, in columns of their own."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from encode import models, quicken
from encode.batches import TOKENS, TextModel, Tokens, over_texts
from encode.device import Compute, place
from encode.encoders import MAX_CHARACTERS, SENTIMENT, Absence, Recipe, Rows, Settings, blank
from encode.models import Source
from shards import posts
from shards.embeddings import Encoder
from shards.run import Run

VADER_CHARACTERS = 2_200  # the longest caption there is: VADER's time grows with the square of the words it knows
FIELDS = ("caption", "comments")
TYPES: Mapping[str, pa.DataType] = {"label": pa.string(), "score": pa.float32(), "compound": pa.float32()}
PAPER_COLUMNS, LIGHT_COLUMNS = ("label", "score"), ("label", "score", "compound")
VADER_THRESHOLD = 0.05  # of the compound score, as the authors of VADER set it in their read-me

Scores = Mapping[str, Sequence[Any]]  # column without the field's name -> one value a text
Shards = Iterable[tuple[Any, Sequence[str]]]
Score = Callable[[Shards], Iterator[tuple[Any, Scores]]]  # of the texts of each shard; it may read ahead


def recipe(settings: Settings) -> Recipe:
    """Return the sentiment encoder.

    Its columns are ``caption_label``, ``caption_score``, ``comments_label``, ``comments_score``, null where the
    field is absent, and with VADER ``caption_compound`` and ``comments_compound``. A score is the model's
    confidence in the label, from 0 to 1. The columns of the comments exist only after publication.

    Raises:
        PostmillError: The model cannot be had.
    """
    override = settings.overrides.get(SENTIMENT)
    if settings.models == models.LIGHT and override is None:
        source = models.packaged(SENTIMENT, "vaderSentiment", "vaderSentiment", "vaderSentiment", "vader_lexicon.txt")
        encoder = _encoder(source, "float64", LIGHT_COLUMNS, _vader_preprocessing(source))
        return Recipe(encoder, lambda: functools.partial(encode, LIGHT_COLUMNS, _vader()))
    source = models.transformers_model(SENTIMENT, override)
    compute = settings.compute()
    preprocessing = {
        "truncation": "at the length the model was made for, as the pipeline with truncation=True",
        "characters": MAX_CHARACTERS,
        "tokens_of_a_batch": TOKENS * compute.batch_scale,
        "configuration_sha256": source.configuration_sha256,
    }
    encoder = _encoder(source, compute.precision, PAPER_COLUMNS, preprocessing)
    return Recipe(encoder, lambda: functools.partial(encode, PAPER_COLUMNS, load(source, compute)), compute)


def encode(columns: Sequence[str], score: Score, run: Run, shards: Iterable[int]) -> Iterator[Rows]:
    """Yield the sentiment of the captions and comments of each of ``shards``."""
    for (keys, present), scores in score(_read(run, shards)):
        scalars: dict[str, pa.Array] = {}
        start = 0
        for field, there in zip(FIELDS, present, strict=True):
            rows = np.flatnonzero(there).tolist()
            for column in columns:
                values: list[Any] = [None] * len(keys)
                for row, value in zip(rows, scores[column][start : start + len(rows)], strict=True):
                    values[row] = value
                scalars[f"{field}_{column}"] = pa.array(values, TYPES[column])
            start += len(rows)
        absent = ~np.logical_or.reduce(present)
        yield Rows(keys, [Absence.NO_TEXT if is_absent else None for is_absent in absent.tolist()], None, scalars)


_Shard = tuple[list[str], list[npt.NDArray[np.bool_]]]  # keys, and for each field which rows have it


def _read(run: Run, shards: Iterable[int]) -> Iterator[tuple[_Shard, list[str]]]:
    for shard in shards:
        table = posts.read_records(run, shard, ["key", *FIELDS])
        columns = [table[field].to_pylist() for field in FIELDS]
        present = [np.array([not blank(text) for text in texts], dtype=bool) for texts in columns]
        yield (table["key"].to_pylist(), present), [text for texts in columns for text in texts if not blank(text)]


def load(source: Source, compute: Compute) -> Score:
    """Load a classifier; the function returned gives what the ``sentiment-analysis`` pipeline gives.

    Raises:
        PostmillError: The weights or the tokenizer cannot be used.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DistilBertForSequenceClassification

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with models.loading(source):
        tokenizer = AutoTokenizer.from_pretrained(source.folder, **options)
        network = AutoModelForSequenceClassification.from_pretrained(source.folder, weights_only=True, **options)
    place(compute, network)
    if isinstance(network, DistilBertForSequenceClassification):
        quicken.first_token_of_distilbert(network.distilbert)
    longest = min(tokenizer.model_max_length, network.config.max_position_embeddings)
    names = np.array([network.config.id2label[n] for n in range(network.config.num_labels)])

    def lengths(batch: list[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(batch, truncation=True, max_length=longest).input_ids]

    def tokenize(batch: list[str]) -> Tokens:
        return tokenizer(batch, truncation=True, max_length=longest, padding=True, return_tensors="pt")

    @torch.inference_mode()
    def forward(tokens: Tokens) -> Any:
        return network(**tokens.to(compute.device, non_blocking=True)).logits.float().softmax(dim=-1)

    model = TextModel(lengths, tokenize, forward, len(names))

    def score(shards: Shards) -> Iterator[tuple[Any, Scores]]:
        for context, found in over_texts(compute, model, shards):
            yield context, {"label": names[found.argmax(axis=1)].tolist(), "score": found.max(axis=1)}

    return score


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


def _vader() -> Score:
    analyzer = models.import_light("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()

    def score(shards: Shards) -> Iterator[tuple[Any, Scores]]:
        for context, texts in shards:
            cut = [text[:VADER_CHARACTERS] for text in texts]
            distinct = {text: analyzer.polarity_scores(text)["compound"] for text in dict.fromkeys(cut)}
            compounds = [distinct[text] for text in cut]
            labels = [vader_label(compound) for compound in compounds]
            yield context, {"label": [n for n, _ in labels], "score": [s for _, s in labels], "compound": compounds}

    return score


def _vader_preprocessing(source: Source) -> dict[str, Any]:
    emoji = hashlib.sha256((source.folder / "emoji_utf8_lexicon.txt").read_bytes()).hexdigest()
    return {
        "emoji_lexicon_sha256": emoji,
        "label": f"POSITIVE where compound >= {VADER_THRESHOLD}, NEGATIVE where <= -{VADER_THRESHOLD}, else NEUTRAL",
        "score": "|compound|; for NEUTRAL 1 - |compound|",
        "characters": VADER_CHARACTERS,
    }


def _encoder(source: Source, precision: str, columns: Sequence[str], preprocessing: Mapping[str, Any]) -> Encoder:
    return Encoder(
        encoder=SENTIMENT,
        models=source.models,
        model=source.name,
        revision=source.revision,
        weights_sha256=source.weights_sha256,
        precision=precision,
        dimensions=0,
        dtype="",
        scalars=tuple(f"{field}_{column}" for field in FIELDS for column in columns),
        features=(),
        available_before_publication=False,
        stand_in_for=source.stand_in_for,
        preprocessing={"texts": "caption; comments: each apart", **preprocessing},
    )
