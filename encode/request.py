"""What a call of encoding was asked for: refused before anything is loaded, or, on request, found beforehand."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from postmill.encode.device import check_device, choose_device
from postmill.encode.interface import EncodeSettings
from postmill.encode.models import check_models
from postmill.encode.options import ModelSet, Precision
from postmill.encode.registry import encoder_names, encoder_specs
from postmill.shards.formats.encoders import Encoder
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import unknown
from postmill.shards.runtime.progress import Progress, Silent


def check(
    encoders: Sequence[str],
    models: ModelSet,
    overrides: Mapping[str, str],
    device: Device,
    precision: Precision = Precision.AUTO,
) -> None:
    """Refuse names that mean nothing to :func:`.stage.encode_run`; nothing is loaded and no model is looked for.

    Raises:
        UsageError: One of the arguments names something unknown, or the precision is not for the device.
        PostmillError: An installed plug-in has a name that it may not have.
    """
    check_names(encoders)
    check_device(device, precision)
    check_models(models, overrides)


def check_names(encoders: Sequence[str], option: str = "--encoder") -> None:
    """Refuse names of encoders that there are not, given by an option.

    Raises:
        UsageError: One is neither postmill's nor a plug-in's.
        PostmillError: An installed plug-in has a name that it may not have.
    """
    known = encoder_names()
    for name in encoders:
        if name not in known:
            raise unknown(name, known, place=option)


def find_models(
    encoders: Sequence[str],
    models: ModelSet,
    overrides: Mapping[str, str],
    device: Device,
    precision: Precision = Precision.AUTO,
    progress: Progress | None = None,
) -> tuple[Encoder, ...]:
    """Return what each of ``encoders`` would be, having found its model and the device: nothing is encoded.

    For a caller that would rather know now than after hours of ingest that a model cannot be had. Unlike :func:`check`
    it loads torch, and downloads what is not on this machine.

    Raises:
        UsageError: One of the arguments names something unknown, or CUDA was asked for and is not there.
        PostmillError: A model cannot be had.
    """
    check(encoders, models, overrides, device, precision)
    compute = functools.cache(functools.partial(choose_device, device, None, progress or Silent(), precision))
    settings = EncodeSettings(ModelSet(models), dict(overrides), compute)
    return tuple(spec.encoder for spec in encoder_specs(encoders, settings))
