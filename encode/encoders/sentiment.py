"""The encoders of sentiment: what a model says of the caption, and of the comments, in columns of their own."""

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
from postmill.encode.absence import Absence
from postmill.encode.device import Compute
from postmill.encode.encoders import classification, probes
from postmill.encode.encoders.classification import Placeholders, ShardTexts
from postmill.encode.encoders.labels import THRESHOLD, Activation, Labels, read_labels
from postmill.encode.interface import EncodedShard, EncoderSpec, EncodeSettings, Probe, ShardEncoder, with_variants
from postmill.encode.model_files import ModelFiles
from postmill.encode.options import EncoderName
from postmill.shards.formats import posts
from postmill.shards.formats.blank import is_blank
from postmill.shards.formats.encoders import Encoder
from postmill.shards.indicators.indicator import INDICATORS, Side, described
from postmill.shards.run.folder import Run
from postmill.shards.runtime.progress import Progress

VADER_CHARACTERS = 2_200  # the longest caption there is: VADER's time grows with the square of the words it knows
FIELDS = ("caption", "comments")
SIDES = (Side.CONTENT, Side.RESPONSE)
PAPER_COLUMNS, LIGHT_COLUMNS = ("label", "score"), ("label", "score", "compound")
_TWO_LABELS = {"negative", "positive"}  # of which label and score say all there is
VADER_THRESHOLD = 0.05  # of the compound score, as the authors of VADER set it in their read-me

TextColumns = Mapping[str, Sequence[Any]]  # column without the field's name -> one value a text
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
    confidence in the label, from 0 to 1. A model with other labels than the two of the paper's has a column for the
    probability of each of them too. The columns of the comments exist only after publication.

    Raises:
        PostmillError: The model cannot be had, or its labels are none.
    """
    name = EncoderName.SENTIMENT
    if settings.packaged(name):
        model = models.packaged_model(name, "vaderSentiment", "vaderSentiment", "vaderSentiment", "vader_lexicon.txt")
        encoder = _pin(name, model, "float64", LIGHT_COLUMNS, _vader_preprocessing(model))
        return EncoderSpec(encoder, lambda: functools.partial(encode_sentiment, LIGHT_COLUMNS, load_vader()))
    return _spec(name, models.transformers_model(name, settings.overrides.get(name)), settings, None)


def multilingual_spec(settings: EncodeSettings) -> EncoderSpec:
    """Return the sentiment encoder for many languages, whose model was made of tweets.

    Its columns are those of :func:`spec`, with a column for the probability of each label.

    Raises:
        PostmillError: The model cannot be had, as none is packaged, or its labels are none.
    """
    name = EncoderName.SENTIMENT_MULTILINGUAL
    if settings.packaged(name):
        raise models.not_packaged(name)
    model = models.transformers_model(name, settings.overrides.get(name))
    return _spec(name, model, settings, classification.placeholders)


def _spec(name: EncoderName, model: ModelFiles, settings: EncodeSettings, replace: Placeholders | None) -> EncoderSpec:
    labels = read_labels(model.folder, LIGHT_COLUMNS)
    if labels.activation == Activation.NONE:
        settings.progress.note(f"{name}: {model.name} gives numbers on no known scale: no table of tone is made")

    def make(compute: Compute) -> list[EncoderSpec]:
        load = functools.partial(load_classifier, model, compute, settings.progress, labels, replace)
        return [_spec_in(name, model, compute, labels, replace is not None, functools.cache(load))]

    return with_variants(make, settings.compute())[0]


def _spec_in(
    name: EncoderName,
    model: ModelFiles,
    compute: Compute,
    labels: Labels,
    replaces: bool,
    load: Callable[[], Classifier],
) -> EncoderSpec:
    preprocessing = dict(classification.preprocessing(model, compute, labels, replaces))
    columns: tuple[str, ...] = PAPER_COLUMNS
    if name == EncoderName.SENTIMENT and _says_all(labels):
        del preprocessing["labels"], preprocessing["activation"]  # a run that was begun before they were pinned goes on
    else:
        columns += labels.columns
        sides = zip(FIELDS, SIDES, strict=True)
        meant = [indicator for field, side in sides for indicator in labels.indicators(f"{field}_", side)]
        preprocessing[INDICATORS] = described(meant)
    encoder = _pin(name, model, compute.precision, columns, preprocessing)

    def load_encoder() -> ShardEncoder:
        return functools.partial(encode_sentiment, columns, load())

    def probabilities(shards: ShardTexts) -> Iterator[tuple[Any, npt.NDArray[np.float32]]]:
        for context, told in load()(shards):
            yield context, np.stack([told[column] for column in labels.columns], axis=1)

    def probe() -> Probe:
        load()
        return probes.of_texts(lambda: probabilities, directions=False)

    return EncoderSpec(encoder, load_encoder, compute, probe=probe)


def _says_all(labels: Labels) -> bool:
    """Say whether label and score tell everything: of two labels, the probability of the other is what is missing."""
    usual = labels.activation == Activation.SOFTMAX and set(labels.thresholds) == {THRESHOLD}
    return usual and {name.lower() for name in labels.names} == _TWO_LABELS and len(labels.names) == len(_TWO_LABELS)


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
                kind = pa.string() if column == "label" else pa.float32()
                scalars[f"{field}_{column}"] = pa.array(values, kind)
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


def load_classifier(
    model: ModelFiles,
    compute: Compute,
    progress: Progress,
    labels: Labels | None = None,
    replace: Placeholders | None = None,
) -> Classifier:
    """Load a classifier; the function returned gives what the ``sentiment-analysis`` pipeline gives, and every label.

    Args:
        model: The model.
        compute: Where it runs.
        progress: Told where the network is not made faster.
        labels: Its labels; None to read them.
        replace: What is done to a text before it is tokenized.

    Raises:
        PostmillError: The weights, the tokenizer or the labels cannot be used.
    """
    known = labels or read_labels(model.folder, LIGHT_COLUMNS)
    probabilities = classification.load_probabilities(model, compute, known, progress, replace)
    stated = np.array(known.stated)

    def classify(shards: ShardTexts) -> Iterator[tuple[Any, TextColumns]]:
        for context, confidences in probabilities(shards):
            label = stated[confidences.argmax(axis=1)].tolist()
            named = dict(zip(known.columns, confidences.T, strict=True))
            yield context, {"label": label, "score": confidences.max(axis=1), **named}

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


def _pin(
    name: EncoderName, model: ModelFiles, precision: str, columns: Sequence[str], preprocessing: Mapping[str, Any]
) -> Encoder:
    return model.pin(
        name,
        precision=precision,
        scalars=tuple(f"{field}_{column}" for field in FIELDS for column in columns),
        available_before_publication=False,
        preprocessing={"texts": "caption; comments: each apart", "absent": "no visible character", **preprocessing},
    )
