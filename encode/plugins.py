"""Encoders of other packages: entry points of the group ``postmill.encoders``, by name."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint, entry_points

from encode.encoders import ENCODERS, Recipe, Settings
from shards.errors import PostmillError

GROUP = "postmill.encoders"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")  # it becomes part of names of folders and tasks


def names() -> list[str]:
    """Return the names of the encoders that installed packages bring, sorted.

    Raises:
        PostmillError: A name is taken, or not of lower-case letters and digits with ``-`` between.
    """
    found = [point.name for point in entry_points(group=GROUP)]
    for name in found:
        if name in ENCODERS or found.count(name) > 1 or not _NAME.fullmatch(name):
            why = "is taken" if _NAME.fullmatch(name) else "is not of lower-case letters and digits with - between"
            raise PostmillError(
                f"an installed package brings an encoder named {name!r}, which {why}",
                place=f"entry points {GROUP}",
                hint="give it another name in the package's pyproject.toml, or uninstall the package",
            )
    return sorted(found)


def recipe(name: str, settings: Settings) -> Recipe:
    """Return the encoder ``name``, one of :func:`names`.

    Raises:
        PostmillError: The package does not give one, or one of another name.
    """
    (point,) = entry_points(group=GROUP, name=name)
    made = _made(point, settings)
    if not isinstance(made, Recipe) or made.encoder.encoder != name:
        raise PostmillError(
            f"{point.value} of the encoder {name!r} must return an encode.encoders.Recipe for an encoder of that name",
            place=f"entry points {GROUP}",
            hint="see docs/encoders.md",
        )
    return made


def _made(point: EntryPoint, settings: Settings) -> object:
    try:
        function = point.load()
    except (ImportError, AttributeError) as error:
        raise PostmillError(
            f"the encoder {point.name!r} cannot be imported ({error})",
            place=f"entry points {GROUP}",
            hint="reinstall the package that brings it",
        ) from error
    made: object = function(settings)
    return made
