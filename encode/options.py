"""What is chosen of encoders by name. Nothing is loaded for it: help and completion must not wait for torch."""

from __future__ import annotations

from enum import StrEnum


class EncoderName(StrEnum):
    """The encoders of this package; other packages bring more (:mod:`.plugins`)."""

    TEXT = "text"
    TEXT_WITH_COMMENTS = "text-with-comments"
    SENTIMENT = "sentiment"
    SENTIMENT_MULTILINGUAL = "sentiment-multilingual"
    IMAGE = "image"
    IMAGE_EMOTION = "image-emotion"
    METADATA = "metadata"


_BY_NAME = frozenset({EncoderName.SENTIMENT_MULTILINGUAL, EncoderName.IMAGE_EMOTION})


def usual(*, text_only: bool) -> tuple[EncoderName, ...]:
    """Return the encoders that are run where none is named: the study's, without that of pictures where there are none.

    The others are run where they are named.
    """
    left_out = _BY_NAME | ({EncoderName.IMAGE} if text_only else set())
    return tuple(name for name in EncoderName if name not in left_out)


class ModelSet(StrEnum):
    """Where encoders take their models from: the study's own, or small packaged stand-ins."""

    PAPER = "paper"
    LIGHT = "light"


class Precision(StrEnum):
    """Number format of weights and activations; ``auto`` is float32 on the CPU and float16 on CUDA."""

    AUTO = "auto"
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT16_MKL = "float16-mkl"
