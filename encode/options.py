"""What is chosen of encoders by name. Nothing is loaded for it: help and completion must not wait for torch."""

from __future__ import annotations

from enum import StrEnum


class EncoderName(StrEnum):
    """The encoders of this package; other packages bring more (:mod:`.plugins`)."""

    TEXT = "text"
    TEXT_WITH_COMMENTS = "text-with-comments"
    SENTIMENT = "sentiment"
    IMAGE = "image"
    METADATA = "metadata"


def usual(*, text_only: bool) -> tuple[EncoderName, ...]:
    """Return the encoders that are run where none is named: all, or, where no pictures were asked for, all others."""
    return tuple(name for name in EncoderName if not (text_only and name is EncoderName.IMAGE))


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
