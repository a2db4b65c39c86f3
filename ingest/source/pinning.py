"""What tells a dataset's sources from another dataset's, and their archives opened as they were pinned."""

from __future__ import annotations

import hashlib
from pathlib import Path

from postmill.ingest.remote.files import Forbidden
from postmill.ingest.remote.stores import is_http
from postmill.ingest.source import credentials, textfile
from postmill.ingest.source.layout import root_of
from postmill.ingest.zipformat.part_names import folder_of
from postmill.ingest.zipformat.parts import lay_out_holes, measure, there
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.formats.plan import ARCHIVES
from postmill.shards.run.folder import Run
from postmill.shards.run.sources import Locations, PinnedArchive, PinnedText, Sources
from postmill.shards.runtime.addresses import is_url, split
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Progress

_HASHED_BYTES = 1 << 20  # at the end of an archive
_TEXTS = ("mapping", "influencers")


def pinned_archive(space: AddressSpace) -> PinnedArchive:
    """Return what pins an archive: its parts' names and sizes, and a hash of its end.

    The end is where its central directory states the CRC-32 of every entry.

    Raises:
        PostmillError: It cannot be read.
    """
    start, end = space.stretches()[-1]
    length = min(_HASHED_BYTES, end - start)
    tail = space.read(end - length, length)
    parts = tuple((part.name, None if part.missing else part.size) for part in space.parts)
    return PinnedArchive(parts, hashlib.sha256(tail).hexdigest())


def sources_now(pinned: Sources, seen: Locations | None, locations: Locations, progress: Progress) -> Sources | None:
    """Return the sources at ``locations`` as they are now, to be compared with those that a run was planned with.

    What the run may not need any more need not be there: parts that are gone are taken to be what they were, and so is
    a source that is gone altogether from where it was last seen.

    Args:
        pinned: The sources as they were planned.
        seen: Where they were last seen, if that is known, with what gave the right to read.
        locations: Where they are now.
        progress: Told of the bytes of the text files, which are read through.

    Returns:
        The sources; None where there is no part of an archive of the names that were planned.

    Raises:
        PostmillError: A source cannot be read.
    """

    def may_be_gone(name: str) -> bool:
        return seen is not None and getattr(locations, name) == getattr(seen, name)

    gone = [name for name in (*ARCHIVES, *_TEXTS) if may_be_gone(name) and there(getattr(locations, name)) is None]
    if gone:
        progress.note(
            f"not where the run last saw it: {', '.join(gone)}; what has moved is found by postmill plan NEW_PLACE RUN"
        )
    metadata, images = (
        _archive_now(getattr(pinned, name), getattr(locations, name), may_be_gone(name)) for name in ARCHIVES
    )
    if metadata is None or images is None:
        return None
    mapping, influencers = (
        _text_now(getattr(pinned, name), getattr(locations, name), may_be_gone(name), progress, name) for name in _TEXTS
    )
    return Sources(metadata, images, mapping, influencers)


def open_archive(run: Run, archive: int, first: int, last: int, *, lazily: bool = False) -> AddressSpace:
    """Open the metadata or the picture archive (METADATA or IMAGES) where the run last saw it, as it was planned.

    Only the parts from ``first`` to ``last`` are looked at and may be read: the others need not be there (any more).
    ``lazily``, those behind HTTP are looked at when they are read, where every answer states the size: a request less.

    Raises:
        PostmillError: One of these parts is missing, or is not the one that the run was planned with.
    """
    name = ARCHIVES[archive]
    pinned: PinnedArchive = getattr(run.sources, name)
    location = getattr(credentials.recall(run.fingerprint, run.locations), name)
    space = _space(pinned, location, _elsewhere(run, name))
    for part in () if lazily and is_http(location) else space.parts[first : last + 1]:
        planned = None if part.missing else part.size
        try:
            size = measure(part.path)
        except Forbidden as error:  # of what is not there, too, if an object store says so
            raise PostmillError(error.cause, place=part.path, hint=_elsewhere(run, name)) from error
        if size != planned:
            gone = "is missing"
            raise PostmillError(
                f"{gone if size is None else f'has {size:,} bytes'}; the run was planned with {part.name}"
                f" {'missing' if planned is None else f'of {planned:,} bytes'}",
                place=part.path,
                hint=_elsewhere(run, name),
            )
    return space


def _elsewhere(run: Run, name: str) -> str:
    """Say how a run is told where its archive ``name`` lies now; nothing has to be planned again for that."""
    location = getattr(run.locations, name)
    if is_url(location):
        return (
            "no signature and no password stands in a run; give the address anew, with what it takes to read it: "
            f"postmill plan {run.word} --{name} NEW_ADDRESS"
        )
    place = f"postmill plan {run.word} --{name} NEW_PLACE" if root_of(run.locations) is None else ""
    return f"bring it back, or say where it lies now: {place or f'postmill plan NEW_PLACE {run.word}'}"


def _paths(pinned: PinnedArchive, location: str) -> list[str]:
    """Return where the parts of an archive lie of which ``location`` is one, or is the folder."""
    folder = f"{location}/" if not is_url(location) and Path(location).is_dir() else folder_of(location)
    return [f"{folder}{name}{split(location)[1]}" for name, _ in pinned.parts]


def _space(pinned: PinnedArchive, location: str, elsewhere: str | None = None) -> AddressSpace:
    paths = _paths(pinned, location)
    sizes = {path: size for path, (_, size) in zip(paths, pinned.parts, strict=True) if size is not None}
    return AddressSpace(lay_out_holes(paths, sizes), elsewhere)


def _archive_now(pinned: PinnedArchive, location: str, may_be_gone: bool) -> PinnedArchive | None:
    sizes = [there(path) for path in _paths(pinned, location)]
    if sizes and all(size is None for size in sizes):
        return pinned if may_be_gone else None
    parts = tuple(
        (name, planned if size is None else size) for (name, planned), size in zip(pinned.parts, sizes, strict=True)
    )
    if parts != pinned.parts:
        return PinnedArchive(parts, pinned.end_sha256)
    with _space(pinned, location) as space:
        start, end = space.stretches()[-1]
        first = space.part_at(max(start, end - _HASHED_BYTES))
        if None in sizes[first : space.part_at(end - 1) + 1]:
            return pinned  # the end was read when it was there
        return pinned_archive(space)


def _text_now(pinned: PinnedText, location: str, may_be_gone: bool, progress: Progress, name: str) -> PinnedText:
    if may_be_gone and there(location) is None:
        return pinned
    return textfile.pinned(location, progress, f"plan: compare the {name} file")
