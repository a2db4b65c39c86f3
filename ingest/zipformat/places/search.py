"""Where the parts of an archive lie of which the names are known: looked for in one place after another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from postmill.ingest.zipformat.part_names import file_name, folder_of, parse_name
from postmill.ingest.zipformat.places.folders import GLOB
from postmill.ingest.zipformat.places.lists import read_list
from postmill.shards.runtime.addresses import is_url, split
from postmill.shards.runtime.errors import UsageError


def paths_of(names: Sequence[str], places: Sequence[str]) -> list[str]:
    """Return the path or address of each part of ``names``, in order; no address is asked for.

    A part that two places have is read in the later one, and one that none has would lie in the first: beside the part
    that this names, in the folder that it is, or, below the name of a list, nowhere.

    Args:
        names: Of the parts of one archive.
        places: As :func:`.parts.find_parts` has them.

    Raises:
        UsageError: A list is wrong.
    """
    paths = {name: _beside(places[0], name, names) for name in names}
    for place in places:
        if len(places) > 1 or not _is_part(place, names):
            paths |= parts_in(place, names)
    return [paths[name] for name in names]


def parts_in(place: str, names: Iterable[str]) -> Mapping[str, str]:
    """Return the paths, by name, of those of the parts ``names`` that ``place`` has: all of a list, asking no server.

    Raises:
        UsageError: The list is wrong.
    """
    wanted = set(names)
    if is_url(place):
        return {name: place for name in wanted if name == file_name(place)}
    listed = None if _is_part(place, wanted) else read_list(place)
    if listed is not None:
        return {part.name: part.path for part in listed if part.name in wanted}
    return {name: path for name in wanted if Path(path := _folder(place) + name).is_file()}


def is_list(place: str, names: Iterable[str]) -> bool:
    """Say whether ``place``, of the parts ``names``, is a list, or, where nothing is there, can have been nothing else.

    Of what is called as one of the parts nothing is read.
    """
    if is_url(place) or _is_part(place, names) or Path(place).is_dir():
        return False
    if not Path(place).exists():
        return parse_name(place) is None and not _is_pattern(place)
    try:
        return read_list(place) is not None
    except UsageError:  # one with a wrong line in it
        return True


def _beside(place: str, name: str, names: Sequence[str]) -> str:
    """Return where the part ``name`` would lie if it lay where ``place`` is."""
    if is_url(place):
        return f"{folder_of(place)}{name}{split(place)[1]}"
    if _is_part(place, names) or parse_name(place) is not None or _is_pattern(place):
        return _folder(place) + name
    return f"{place}/{name}"  # a folder, or a list, which may be gone


def _is_pattern(place: str) -> bool:
    return any(sign in Path(place).name for sign in GLOB)


def _folder(place: str) -> str:
    return f"{place}/" if Path(place).is_dir() else folder_of(place)


def _is_part(place: str, names: Iterable[str]) -> bool:
    return file_name(place) in names
