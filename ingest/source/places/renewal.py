"""Places that are named of a run that is planned: where more of its parts lie, or the same ones now.

A signature that has expired, a disk that was full, a part that came later: nothing is planned again for that. What is
named has to be the parts that the run was planned with, by their names, lengths and the end of the archive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from postmill.ingest.remote.files import RequestError, SizeUnknown
from postmill.ingest.source import credentials
from postmill.ingest.source.layout import absolute
from postmill.ingest.source.pinning import archive_of
from postmill.ingest.zipformat.part_names import shown
from postmill.ingest.zipformat.parts import measure, there
from postmill.ingest.zipformat.places.lists import read_list
from postmill.ingest.zipformat.places.search import parts_in, paths_of
from postmill.shards.formats.plan import ARCHIVES
from postmill.shards.run import folder as runs
from postmill.shards.run import pinned
from postmill.shards.run.folder import Run
from postmill.shards.run.sources import PinnedArchive, Place, difference, places_of
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.progress import Progress


def with_places(run: Run, named: Mapping[str, Place], progress: Progress) -> Run:
    """Return ``run`` with further places of its archives, and remember them.

    A part that lies in several is read in the one that was named last. Where what is named now has all parts, the
    places before are forgotten.

    Args:
        run: A planned run.
        named: The places, by the name of the archive (:data:`.plan.ARCHIVES`).
        progress: Told where what gives the right to read is kept.

    Raises:
        UsageError: A place has no part of the archive, a list is wrong or lists another, or they are other parts.
        PostmillError: One of them cannot be read.
    """
    seen = credentials.recall(run.fingerprint, run.locations)
    typed = replace(seen, metadata=named.get("metadata", seen.metadata), images=named.get("images", seen.images))
    now = absolute(typed)
    metadata, images = (
        _renewed(run, name, places_of(getattr(seen, name)), places_of(getattr(now, name)))
        if name in named
        else _Archive(getattr(seen, name), getattr(run.sources, name))
        for name in ARCHIVES
    )
    sources = replace(run.sources, metadata=metadata.pinned, images=images.pinned)
    what = difference(run.sources, sources, run.options.level)
    if what is not None:
        raise pinned.refuse_sources(run.folder, what)
    locations = replace(seen, metadata=metadata.place, images=images.place)
    renewed = replace(run, locations=locations)
    if run.locations != locations.plain():
        runs.put(renewed)
    credentials.keep(run.fingerprint, locations, progress)
    return renewed


@dataclass(frozen=True)
class _Archive:
    """Where an archive lies, and what pins it as it lies there."""

    place: Place
    pinned: PinnedArchive


def _renewed(run: Run, name: str, before: Sequence[str], added: Sequence[str]) -> _Archive:
    archive: PinnedArchive = getattr(run.sources, name)
    _refuse_if_not_of_parts(run, name, archive)
    paths = _found(name, archive, added)
    sizes = [_size(part, paths.get(part)) for part, _ in archive.parts]
    where = [paths.get(part, part) for part, _ in archive.parts]
    found = archive_of(archive, run.options.level, where, sizes)
    return _Archive(_joined(() if len(paths) == len(archive.parts) else before, added), found)


def _refuse_if_not_of_parts(run: Run, name: str, archive: PinnedArchive) -> None:
    if not archive.parts or archive.files is not None:
        what = "has no such archive" if not archive.parts else "was planned with a folder of files"
        hint = f"what has moved is found by: postmill plan NEW_PLACE {run.word}"
        raise UsageError(f"this run {what}, so that no part of one can be named", place=f"--{name}", hint=hint)


def _found(name: str, archive: PinnedArchive, added: Sequence[str]) -> dict[str, str]:
    """Return where the places ``added`` have parts of ``archive``, by their names."""
    names = [part for part, _ in archive.parts]
    paths: dict[str, str] = {}
    for place in added:
        for part in read_list(place) or ():
            if part.name not in names:
                raise UsageError(
                    f"line {part.line} is of {part.name}, and the {name} archive of this run has no such part",
                    place=place,
                    hint=f"its parts are {names[0]} to {names[-1]}; where an address ends otherwise: NAME ADDRESS",
                )
        theirs = parts_in(place, names)
        if not theirs:
            raise UsageError(
                f"is no place of a part of the {name} archive of this run",
                place=place,
                hint=f"its parts are {names[0]} to {names[-1]}; name one, their folder, or a list with NAME ADDRESS",
            )
        paths |= theirs
    if is_url(added[0]):  # what it was given with may give the right to all of them, which lie beside it
        beside = dict(zip(names, paths_of(names, added), strict=True))
        if all(there(beside[part]) for part, size in archive.parts if part not in paths and size is not None):
            return beside
    return paths


def _size(part: str, path: str | None) -> int | None:
    """Return how long a part is, in bytes; None where it is not named, not here, or the server does not say."""
    if path is None:
        return None
    try:
        return measure(path) or None
    except SizeUnknown:
        return None
    except RequestError as error:
        raise type(error)(error.cause, place=shown(part, path), hint=error.hint, errno=error.errno) from error


def _joined(before: Sequence[str], added: Sequence[str]) -> Place:
    places = [*(place for place in before if place not in added), *dict.fromkeys(added)]
    return places[0] if len(places) == 1 else tuple(places)
