"""Encoders of other packages: entry points of the group ``postmill.encoders``, by name."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint, entry_points

from postmill.encode.interface import EncoderSpec, EncodeSettings
from postmill.encode.options import EncoderName
from postmill.shards.runtime.errors import PostmillError

GROUP = "postmill.encoders"
_PLUGIN_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")  # it becomes part of names of folders and tasks


def plugin_names() -> list[str]:
    """Return the names of the encoders that installed packages bring, sorted.

    Raises:
        PostmillError: A name is taken, or not of lower-case letters and digits with ``-`` between.
    """
    names = [point.name for point in entry_points(group=GROUP)]
    for name in names:
        if name in list(EncoderName) or names.count(name) > 1 or not _PLUGIN_NAME.fullmatch(name):
            why = (
                "is taken" if _PLUGIN_NAME.fullmatch(name) else "is not of lower-case letters and digits with - between"
            )
            raise PostmillError(
                f"an installed package brings an encoder named {name!r}, which {why}",
                place=f"entry points {GROUP}",
                hint="give it another name in the package's pyproject.toml, or uninstall the package",
            )
    return sorted(names)


def plugin_spec(name: str, settings: EncodeSettings) -> EncoderSpec:
    """Return the encoder ``name``, one of :func:`plugin_names`.

    Raises:
        PostmillError: The package does not give one, or one of another name.
    """
    (point,) = entry_points(group=GROUP, name=name)
    result = _call_plugin(point, settings)
    if not isinstance(result, EncoderSpec) or result.encoder.encoder != name:
        raise PostmillError(
            f"{point.value} of the encoder {name!r} must return a postmill.encode.interface.EncoderSpec for an"
            " encoder of that name",
            place=f"entry points {GROUP}",
            hint="see docs/encoders.md",
        )
    return result


def _call_plugin(point: EntryPoint, settings: EncodeSettings) -> object:
    try:
        function = point.load()
    except (ImportError, AttributeError) as error:
        raise PostmillError(
            f"the encoder {point.name!r} cannot be imported ({error})",
            place=f"entry points {GROUP}",
            hint="reinstall the package that brings it",
        ) from error
    result: object = function(settings)
    return result
