"""Which encoders there are: this package's, a line each, and those of plug-ins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from postmill.encode.encoders import emotion, image, metadata, sentiment, text
from postmill.encode.interface import EncoderSpec, EncodeSettings
from postmill.encode.options import EncoderName
from postmill.encode.plugins import plugin_names, plugin_spec

_ENCODERS: Mapping[str, Callable[[EncodeSettings], EncoderSpec]] = {
    EncoderName.SENTIMENT: sentiment.spec,
    EncoderName.SENTIMENT_MULTILINGUAL: sentiment.multilingual_spec,
    EncoderName.METADATA: lambda _: metadata.spec(),
}
_Specs = Callable[[EncodeSettings, Sequence[EncoderName]], list[EncoderSpec]]
_SHARING: Sequence[tuple[_Specs, Sequence[EncoderName]]] = (
    (text.specs, (EncoderName.TEXT, EncoderName.TEXT_WITH_COMMENTS)),
    (emotion.specs, (EncoderName.EMOTION, EncoderName.EMOTION_COMMENTS)),
    (image.specs, (EncoderName.IMAGE, EncoderName.IMAGE_EMOTION)),
)
"""Encoders that share what is loaded for them."""


def encoder_names() -> tuple[str, ...]:
    """Return the names of all encoders, those of installed plug-ins last; nothing is loaded for it.

    Raises:
        PostmillError: A plug-in's name is taken, or none that may be.
    """
    return (*EncoderName, *plugin_names())


def encoder_specs(names: Sequence[str], settings: EncodeSettings) -> list[EncoderSpec]:
    """Return the encoders ``names``, each one of :func:`encoder_names`, in this order.

    Raises:
        UsageError: CUDA was asked for and is not there.
        PostmillError: A model cannot be had, or a plug-in does not give an encoder.
    """
    specs: dict[str, EncoderSpec] = {}
    for make, sharing in _SHARING:
        if wanted := [name for name in sharing if name in names]:
            specs.update(zip(map(str, wanted), make(settings, wanted), strict=True))
    for name, spec in _ENCODERS.items():
        if name in names:
            specs[name] = spec(settings)
    for name in names:
        if name not in specs:
            specs[name] = plugin_spec(name, settings)
    return [specs[name] for name in names]
