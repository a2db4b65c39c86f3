"""Emotions of texts by models of the hub: the probability of every label, in the languages that a model is for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from postmill.encode import models
from postmill.encode.absence import Absence
from postmill.encode.device import Compute
from postmill.encode.encoders import classification, probes
from postmill.encode.encoders.cards import CARD, card_languages
from postmill.encode.encoders.classification import Probabilities
from postmill.encode.encoders.labels import Activation, Labels, read_labels
from postmill.encode.interface import EncodedShard, EncoderSpec, EncodeSettings, Probe, ShardEncoder, with_variants
from postmill.encode.model_files import ModelFiles
from postmill.encode.options import EMOTION_MODELS, EncoderName
from postmill.shards.formats import posts
from postmill.shards.formats.blank import is_blank
from postmill.shards.indicators import detector, languages
from postmill.shards.indicators.coverage import LANGUAGE, LANGUAGES, TEXT
from postmill.shards.indicators.indicator import INDICATORS, Side, described
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError

_TAKEN = ("key", "present", "reason", LANGUAGE)  # columns that an embedding shard has anyway


@dataclass(frozen=True)
class Texts:
    """Which texts an encoder judges: the record's field, why one is absent, and what it speaks of."""

    field: str
    absence: Absence
    side: Side


@dataclass(frozen=True)
class _Known:
    """What is known of a model: its languages, and whether it was made of tweets with names and links replaced."""

    languages: frozenset[str]
    replaces: bool = False


_KNOWN: Mapping[str, _Known] = {
    EMOTION_MODELS["go-emotions"]: _Known(frozenset({"en"})),
    EMOTION_MODELS["twitter-emotion"]: _Known(frozenset({"en"}), replaces=True),
    # The 19 of Bianchi, Nozza and Hovy, XLM-EMO (WASSA 2022); its card says "multilingual".
    EMOTION_MODELS["xlm-emo"]: _Known(
        frozenset(
            {
                *("ar", "bn", "de", "en", "es", "fr", "hi", "id", "it", "ml"),
                *("pt", "ro", "ru", "ta", "tl", "tr", "uk", "vi", "zh"),
            }
        )
    ),
}


@dataclass(frozen=True)
class _Judge:
    """A model and the texts that it is asked about.

    Attributes:
        model: The model.
        labels: Its labels.
        languages: Of the texts that it judges; None where it judges all.
        tells: Whether languages are told.
        replaces: Whether names and links are replaced.
    """

    model: ModelFiles
    labels: Labels
    languages: frozenset[str] | None
    tells: bool
    replaces: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are written."""
        return (*self.labels.columns, *((LANGUAGE,) if self.tells else ()))


@dataclass(frozen=True)
class _Rows:
    """The rows of a shard: keys, why one is absent, the language of each, and which are judged."""

    keys: list[str]
    reasons: list[Absence | None]
    languages: list[str | None]
    judged: list[int]


def specs(settings: EncodeSettings, texts: Mapping[EncoderName, Texts]) -> list[EncoderSpec]:
    """Return the encoders of ``texts`` (``emotion``, ``emotion-comments``), which share one loaded model.

    Their columns are the probabilities of the labels, null where a text was not judged, and the language.

    Raises:
        PostmillError: The model cannot be had, its labels are none, or it is for some languages and nothing that tells
            languages is installed.
    """
    model = models.transformers_model(EncoderName.EMOTION, settings.overrides.get(EncoderName.EMOTION))
    names, progress = ", ".join(texts), settings.progress
    known = _KNOWN.get(model.name)
    for_languages = card_languages(model.folder) if known is None else known.languages
    tells = languages.languages_can_be_told()
    if for_languages is not None and not tells:
        raise PostmillError(
            f"{model.name} is for {', '.join(sorted(for_languages))} alone, and what tells languages is not installed",
            place=names,
            hint="install it: pip install 'postmill[languages]'",
        )
    if for_languages is None:
        progress.note(f"{names}: {model.name} judges texts of every language, for its {CARD} names none")
    if tells and (slower := detector.load().slower):
        progress.note(f"{names}: languages are told one text at a time, which is slower: {slower}")
    labels = read_labels(model.folder, _TAKEN)
    if labels.activation == Activation.NONE:
        progress.note(f"{names}: {model.name} gives numbers on no known scale: no table of tone is made")
    judge = _Judge(model, labels, for_languages, tells, known is not None and known.replaces)
    replace = classification.placeholders if judge.replaces else None

    def make(compute: Compute) -> list[EncoderSpec]:
        load = functools.cache(
            functools.partial(classification.load_probabilities, model, compute, labels, progress, replace)
        )
        probe = functools.partial(probes.of_texts, load, False)
        return [_spec(name, of_name, judge, compute, load, probe) for name, of_name in texts.items()]

    return with_variants(make, settings.compute())


def _spec(
    name: EncoderName,
    texts: Texts,
    judge: _Judge,
    compute: Compute,
    load: Callable[[], Probabilities],
    probe: Callable[[], Probe],
) -> EncoderSpec:
    for_languages = {} if judge.languages is None else {LANGUAGES: sorted(judge.languages)}
    encoder = judge.model.pin(
        name,
        precision=compute.precision,
        scalars=judge.columns,
        available_before_publication=texts.side is Side.CONTENT,
        preprocessing={
            TEXT: texts.field,
            "absent": "no visible character",
            **for_languages,
            LANGUAGE: languages.told_by() if judge.tells else "not told",
            **classification.preprocessing(judge.model, compute, judge.labels, judge.replaces),
            INDICATORS: described(judge.labels.indicators("", texts.side)),
        },
    )

    def encode(run: Run, shards: Iterable[int]) -> Iterator[EncodedShard]:
        for rows, probabilities in load()(_read(run, shards, texts, judge)):
            yield EncodedShard(rows.keys, rows.reasons, None, _columns(rows, probabilities, judge))

    def load_encoder() -> ShardEncoder:
        load()
        return encode

    return EncoderSpec(encoder, load_encoder, compute, probe=probe)


def _read(run: Run, shards: Iterable[int], texts: Texts, judge: _Judge) -> Iterator[tuple[_Rows, Sequence[str]]]:
    for shard in shards:
        table = posts.read_records(run, shard, ["key", texts.field])
        found = table[texts.field].to_pylist()
        rows = [row for row, text in enumerate(found) if not is_blank(text)]
        told: list[str | None] = [None] * len(found)
        if judge.tells:
            for row, language in zip(rows, languages.languages([found[row] for row in rows]), strict=True):
                told[row] = None if language == languages.TOO_SHORT else language
        judged = [row for row in rows if judge.languages is None or told[row] in judge.languages]
        reasons = [texts.absence if is_blank(text) else None for text in found]
        yield _Rows(table["key"].to_pylist(), reasons, told, judged), [found[row] for row in judged]


def _columns(rows: _Rows, probabilities: npt.NDArray[np.float32], judge: _Judge) -> dict[str, pa.Array]:
    values = np.full((len(rows.keys), len(judge.labels.columns)), np.nan, dtype=np.float32)
    values[rows.judged] = probabilities
    unknown = np.ones(len(rows.keys), dtype=bool)
    unknown[rows.judged] = False
    columns = {
        column: pa.array(np.ascontiguousarray(values[:, number]), mask=unknown)
        for number, column in enumerate(judge.labels.columns)
    }
    return {**columns, LANGUAGE: pa.array(rows.languages, pa.string())} if judge.tells else columns
