"""Where the sources are within what was named: in its place, a folder or two further down, in a zip of another name.

A download adds a folder of its own, unpacking it another, and a browser names zips as it likes. What is there once is
taken, and said; of what is there twice nothing is taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Any

from postmill.ingest.source.layout import LAYOUTS, discover
from postmill.ingest.source.shapes import contents
from postmill.ingest.zipformat.part_names import LAST, file_name, natural, parse_name
from postmill.shards.run.sources import NONE, Locations, Place
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.progress import log

_DEEP = 3  # folders below the one that was named
_FOLDERS = 300  # looked into, at most
_ENTRIES = 5_000  # of a folder, of which the folders are sought: in one of a million files there are none
_ZIPS = 30  # of a folder, looked into
_NAMED = 6  # in a message
_ARCHIVES = ("metadata", "images")


def find_sources(
    source: str | None,
    metadata: Place | None = None,
    images: Place | None = None,
    mapping: str | None = None,
    influencers: str | None = None,
    known: Locations | None = None,
) -> Locations:
    """Find the sources as :func:`.layout.discover` does, and in ``source`` wherever else they may be.

    Raises:
        UsageError: One is in none of these places, in several, or within a zip that has to be unpacked.
        PostmillError: An address cannot be asked for.
    """
    typed = {"metadata": metadata, "images": images, "mapping": mapping, "influencers": influencers}
    found: dict[str, Any] = dict(typed)
    if source is not None and not is_url(source) and Path(source).exists():
        found = _found_in(Path(source), typed, known is not None)
        source = source if Path(source).is_dir() or found == typed else None
    return discover(source, **found, known=known)


def zips_of(folder: Path) -> list[str]:
    """Return a part of each zip that lies in ``folder`` itself: the last one where it tells itself by its name."""
    sets: dict[tuple[int, str], str] = {}
    with os.scandir(folder) as found:
        files = sorted((entry.path for entry in islice(found, _ENTRIES) if entry.is_file()), key=natural)
    for path in files:
        name = parse_name(path)
        if name is not None and not file_name(path).startswith("._"):
            key = id(name.scheme), name.stem
            if key not in sets or name.number == LAST:
                sets[key] = path
    return list(sets.values())


def folders_below(root: Path) -> Iterator[Path]:
    """Yield the folders below ``root``, those nearest first, as far as one looks."""
    level = [root]
    for _ in range(_DEEP):
        level = [folder for above in level for folder in _folders_in(above)]
        yield from level


def _found_in(root: Path, typed: Mapping[str, Place | None], known: bool) -> dict[str, Place | None]:
    """Return ``typed`` with what is found in ``root``, wherever :func:`.layout.discover` does not look."""
    if root.is_file():
        held = contents.of_zip(str(root))
        return _collected(root, typed) if held is not None and held.collected else dict(typed)
    places = max((layout.look(str(root)) for layout in LAYOUTS), key=lambda found: sum(map(bool, found.values())))
    missing = [name for name, path in typed.items() if path is None and places[name] is None]
    if not missing or (known and any(places.values())):  # what is not in it, the run knows
        return dict(typed)
    found = _below(root, missing)
    found |= _in_zips(root, [name for name in _ARCHIVES if name in missing and name not in found])
    if "metadata" in missing and "metadata" not in found:
        held = contents.of_folder(root)
        if held.collected and "images" not in found:
            return _collected(root, {name: path or places[name] or found.get(name) for name, path in typed.items()})
        if held.bare:
            raise UsageError(
                "holds pictures as instaloader calls them, and no JSON of their posts, where all else stands",
                place=root,
                hint="fetch that as well: instaloader without --no-metadata-json",
            )
    if found:
        log.info("%s: takes %s from %s", root, ", ".join(found), os.path.commonpath(found.values()))
    return {**typed, **found}


def _collected(place: Path, typed: Mapping[str, Place | None]) -> dict[str, Place | None]:
    """Return ``typed`` with a collector's files for what was not: they are metadata and pictures, and tell the rest."""
    found = {"metadata": str(place), "images": str(place), "mapping": NONE, "influencers": NONE}
    return {name: path or found[name] for name, path in typed.items()}


def _below(root: Path, missing: list[str]) -> dict[str, str]:
    """Return where the sources ``missing`` lie below ``root``.

    Raises:
        UsageError: One lies in several places.
    """
    found: dict[str, dict[str, None]] = {name: {} for name in missing}  # ordered sets
    for folder in islice(folders_below(root), _FOLDERS):
        for layout in LAYOUTS:
            for name, path in layout.look(str(folder)).items():
                if path is not None and name in found:
                    found[name][path] = None
    several = {name: list(paths) for name, paths in found.items() if len(paths) > 1}
    if several:
        name, paths = max(several.items(), key=lambda item: len(item[1]))
        more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        raise UsageError(
            f"has the {', the '.join(several)} in several folders: {', '.join(paths[:_NAMED])}{more}",
            place=root,
            hint=f"name the folder that is meant in place of {root}, or the source alone: --{name} {quote(paths[0])}",
        )
    return {name: next(iter(paths)) for name, paths in found.items() if paths}


def _in_zips(root: Path, missing: list[str]) -> dict[str, str]:
    """Return which zips in ``root``, whatever they are called, hold the archives ``missing``.

    Raises:
        UsageError: There is none, but some hold parts of zips.
    """
    if not missing:
        return {}
    held = {path: contents.of_zip(path) for path in zips_of(root)[:_ZIPS]}
    found: dict[str, str] = {}
    for name in missing:
        paths = [path for path, each in held.items() if each is not None and _holds(each, name)]
        if len(paths) > 1:
            named = ", ".join(map(file_name, paths[:_NAMED]))
            hint = f"name the one that is meant: --{name} {quote(paths[0])}"
            raise UsageError(f"has several zips with {name}: {named}", place=root, hint=hint)
        if paths:
            found[name] = paths[0]
    packed = [path for path, each in held.items() if each is not None and each.parts and not each.infos]
    if packed and len(found) < len(missing):
        inside = contents_of(held[packed[0]])
        raise UsageError(
            f"has the dataset packed once more: {', '.join(map(file_name, packed[:_NAMED]))} hold {inside}",
            place=root,
            hint="unpack that, and what is within stays as it is: "
            + "; ".join(f"unzip -n {quote(path)} -d {quote(str(root))}" for path in packed),
        )
    return found


def _holds(held: contents.Contents, name: str) -> bool:
    return held.infos > 0 if name == "metadata" else held.pictures > 0 and not held.collected


def contents_of(held: contents.Contents | None) -> str:
    """Say which parts a zip holds."""
    names = [] if held is None else sorted(held.parts, key=natural)
    return ", ".join(names[:_NAMED]) + (" and others" if len(names) > _NAMED else "")


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as found:
            return sorted(
                Path(entry.path)
                for entry in islice(found, _ENTRIES)
                if entry.is_dir(follow_symlinks=True) and not entry.name.startswith((".", "__MACOSX"))
            )
    except OSError:
        return []
