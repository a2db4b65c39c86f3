"""What is chosen of encoders by name. Nothing is loaded for it: help and completion must not wait for torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from postmill.shards.indicators import installed


class EncoderName(StrEnum):
    """The encoders of this package; other packages bring more (:mod:`.plugins`)."""

    TEXT = "text"
    TEXT_WITH_COMMENTS = "text-with-comments"
    SENTIMENT = "sentiment"
    SENTIMENT_MULTILINGUAL = "sentiment-multilingual"
    IMAGE = "image"
    IMAGE_EMOTION = "image-emotion"
    METADATA = "metadata"
    EMOTION = "emotion"
    EMOTION_COMMENTS = "emotion-comments"


class ModelSet(StrEnum):
    """Where encoders take their models from: the study's own, or small packaged stand-ins."""

    PAPER = "paper"
    LIGHT = "light"


EMOTION_MODELS: Mapping[str, str] = {
    "go-emotions": "SamLowe/roberta-base-go_emotions",
    "twitter-emotion": "cardiffnlp/twitter-roberta-base-emotion-multilabel-latest",
    "xlm-emo": "MilaNLProc/xlm-emo-t",
}
"""Short names for models of emotions on the hub; the first is the usual one."""

_MODEL_OF = {
    EncoderName.TEXT_WITH_COMMENTS: EncoderName.TEXT,
    EncoderName.EMOTION_COMMENTS: EncoderName.EMOTION,
    EncoderName.IMAGE_EMOTION: EncoderName.IMAGE,
}


def model_of(encoder: str) -> str:
    """Return the encoder by whose name the model of ``encoder`` is chosen: several share one model."""
    return str(_MODEL_OF.get(EncoderName(encoder), encoder)) if encoder in list(EncoderName) else encoder


def model_name(encoder: str, name: str) -> str:
    """Return the name on the hub of what the option ``--model`` calls ``name``, a short name or any other."""
    return EMOTION_MODELS.get(name, name) if model_of(encoder) == EncoderName.EMOTION else name


OF_TONE = (EncoderName.EMOTION, EncoderName.EMOTION_COMMENTS)
"""The encoders of tone. The study had none."""

_BY_NAME = {EncoderName.SENTIMENT_MULTILINGUAL, EncoderName.IMAGE_EMOTION}  # which have no packaged stand-in


def usual(models: ModelSet, named: Collection[str] = (), *, text_only: bool) -> tuple[EncoderName, ...]:
    """Return the encoders that are run where none is named; some are run by their names alone.

    Args:
        models: The set of models: those of tone are in ``light`` alone, where their packages are installed.
        named: The encoders for which the user named a model: who names one for tone wants it told.
        text_only: Whether no pictures were asked for, and so none are encoded.
    """
    out = _BY_NAME | ({EncoderName.IMAGE} if text_only else set())
    if models != ModelSet.LIGHT or installed.missing():
        out |= set(OF_TONE)
    out -= {name for name in (*OF_TONE, EncoderName.SENTIMENT_MULTILINGUAL) if model_of(name) in named}
    return tuple(name for name in EncoderName if name not in out)


def not_usual(models: ModelSet, named: Collection[str] = ()) -> str:
    """Return what is said of encoders that :func:`usual` leaves out for want of packages; empty where it does not."""
    missing = installed.missing() if models == ModelSet.LIGHT and EncoderName.EMOTION not in named else ()
    if not missing:
        return ""
    return f"{' and '.join(OF_TONE)} are left out, for they need {', '.join(missing)}: {installed.INSTALL}"


class Precision(StrEnum):
    """Number format of weights and activations.

    ``auto`` is float16 on CUDA; on the CPU it is what the encoder's folder was begun in, or else float32, unless a
    trial finds one in which the model is faster and gives as good as the same numbers (:mod:`.trial`).
    """

    AUTO = "auto"
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT16_MKL = "float16-mkl"
