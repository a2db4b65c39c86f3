"""What tells a dataset's sources from another dataset's, and their archives opened as they were pinned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from postmill.ingest.remote.files import Forbidden
from postmill.ingest.remote.stores import is_http
from postmill.ingest.source import credentials, textfile
from postmill.ingest.source.file_tree import PlannedFiles, TreeSpace, scan
from postmill.ingest.source.layout import root_of
from postmill.ingest.zipformat.directory import read_directory
from postmill.ingest.zipformat.end_choice import lay_out_slices
from postmill.ingest.zipformat.part_names import shown
from postmill.ingest.zipformat.parts import lay_out_holes, measure, there
from postmill.ingest.zipformat.places.search import is_list, paths_of
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.formats import plan
from postmill.shards.formats.plan import ARCHIVES, Window
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Level
from postmill.shards.run.sources import (
    NO_ARCHIVE,
    NONE,
    Locations,
    PinnedArchive,
    PinnedText,
    Place,
    Sources,
    places_of,
)
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Progress

_HASHED_BYTES = 1 << 20  # at the end of an archive
_TEXTS = ("mapping", "influencers")
_looked_at: set[tuple[str, int]] = set()  # addresses whose length this process has compared, and the length


def pinned_archive(space: AddressSpace, directory: int | None) -> PinnedArchive:
    """Return what pins an archive: its parts' names and sizes, and a hash of its end.

    The end is where its central directory states the CRC-32 of every entry. No byte before the directory is in it, so
    that it is the same when other parts have come.

    Args:
        space: The archive; the sizes of its parts that are missing are not known.
        directory: Offset of its directory; None where that was lost, or is not believed.

    Raises:
        PostmillError: It cannot be read.
    """
    if isinstance(space, TreeSpace):
        return space.tree.pinned()
    start, end = _end(space, directory)
    parts = tuple((part.name, None if part.missing else part.size) for part in space.parts)
    return PinnedArchive(parts, hashlib.sha256(space.read(start, end - start)).hexdigest())


def directory_start(space: AddressSpace, level: Level) -> int | None:
    """Return the offset of the directory, for :func:`pinned_archive`; None where there is none, or ``salvage``."""
    if level is Level.SALVAGE:
        return None
    try:
        return read_directory(space).start
    except PostmillError:  # what is there is another archive, or none, which its hash will show
        return None


def _end(space: AddressSpace, directory: int | None) -> tuple[int, int]:
    start, end = space.stretches()[-1]
    return max(start, end - _HASHED_BYTES, start if directory is None else directory), end


def sources_now(
    pinned: Sources, level: Level, seen: Locations | None, locations: Locations, progress: Progress
) -> Sources | None:
    """Return the sources at ``locations`` as they are now, to be compared with those that a run was planned with.

    What the run may not need any more need not be there: parts that are gone are taken to be what they were, and so is
    a source that is gone altogether from where it was last seen. A part that was awaited may have come. The mark of
    invented data is not looked for again.

    Args:
        pinned: The sources as they were planned.
        level: Of the run.
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

    places = {name: getattr(locations, name) for name in (*ARCHIVES, *_TEXTS)}
    gone = [name for name, place in places.items() if place != NONE and may_be_gone(name) and not _there(place)]
    if gone:
        progress.note(
            f"not where the run last saw it: {', '.join(gone)}; what has moved is found by postmill plan NEW_PLACE RUN"
        )
    metadata, images = (
        _archive_now(getattr(pinned, name), level, getattr(locations, name), may_be_gone(name)) for name in ARCHIVES
    )
    if metadata is None or images is None:
        return None
    mapping, influencers = (
        _text_now(getattr(pinned, name), getattr(locations, name), may_be_gone(name), progress, name) for name in _TEXTS
    )
    return Sources(metadata, images, mapping, influencers, pinned.invented)


def part_paths(run: Run, archive: int) -> list[str]:
    """Return where the parts of the metadata or the picture archive (METADATA or IMAGES) are, or will be.

    Raises:
        UsageError: A list of them is wrong.
    """
    name = ARCHIVES[archive]
    return paths_now(getattr(run.sources, name), getattr(credentials.recall(run.fingerprint, run.locations), name))


def open_window(run: Run, window: Window, *, lazily: bool = False) -> AddressSpace:
    """Open what ``window`` needs of its archive, as :func:`open_archive` does, or of a folder of files.

    Raises:
        PostmillError: As there.
    """
    if (run.sources.metadata, run.sources.images)[window.archive].files is None:
        return open_archive(run, window.archive, window.first_part, window.last_part, lazily=lazily)
    folder = Path(getattr(run.locations, ARCHIVES[window.archive]))
    return PlannedFiles(folder, plan.entries(run, window.archive, window.window))


def open_archive(run: Run, archive: int, first: int, last: int, *, lazily: bool = False) -> AddressSpace:
    """Open the metadata or the picture archive (METADATA or IMAGES) where the run last saw it, as it was planned.

    Only the parts from ``first`` to ``last`` are looked at and may be read: the others need not be there (any more, or
    yet). ``lazily``, those behind HTTP are looked at when they are read, where every answer states the size, and those
    of other stores once in this process, as reads tell of what has become shorter: a request less; but not those that
    were awaited.

    Raises:
        PostmillError: One of these parts is missing, or is not the one that the run was planned with.
    """
    name = ARCHIVES[archive]
    pinned: PinnedArchive = getattr(run.sources, name)
    paths = part_paths(run, archive)
    sizes = {path: size for path, (_, size) in zip(paths, pinned.parts, strict=True) if size is not None}
    awaits = run.options.level is not Level.SALVAGE
    for path, (part, planned) in list(zip(paths, pinned.parts, strict=True))[first : last + 1]:
        if lazily and planned is not None and (is_http(path) or (path, planned) in _looked_at):
            continue
        try:
            size = measure(path)
        except Forbidden as error:  # of what is not there, too, if an object store says so
            raise PostmillError(error.cause, place=shown(part, path), hint=_elsewhere(run, name)) from error
        if planned is None and awaits and size:
            sizes[path] = size
        elif size == planned is not None and is_url(path):
            _looked_at.add((path, planned))
        elif size != planned or (planned is None and awaits):
            gone, without = "is missing", "awaited" if awaits else "missing"
            raise PostmillError(
                f"{gone if size is None else f'has {size:,} bytes'}; the run was planned with {part}"
                f" {without if planned is None else f'of {planned:,} bytes'}",
                place=shown(part, path),
                hint=_elsewhere(run, name),
            )
    names = [part for part, _ in pinned.parts]
    return AddressSpace(lay_out_holes(paths, sizes, names), _elsewhere(run, name))


def _elsewhere(run: Run, name: str) -> str:
    """Say how a run is told where its archive ``name`` lies now; nothing has to be planned again for that."""
    location = getattr(run.locations, name)
    names = [part for part, _ in getattr(run.sources, name).parts]
    lists = [place for place in places_of(location) if is_list(place, names)]
    if lists or not isinstance(location, str):
        fresh = f"write into {lists[-1]} where it lies now, or " if lists else ""
        return f"{fresh}name its place, or a list, anew: postmill ingest {run.word} --{name} NEW_PLACE"
    if is_url(location):
        return (
            "no signature and no password stands in a run; give the address anew, with what it takes to read it: "
            f"postmill plan {run.word} --{name} NEW_ADDRESS"
        )
    place = f"postmill plan {run.word} --{name} NEW_PLACE" if root_of(run.locations) is None else ""
    return f"bring it back, or say where it lies now: {place or f'postmill plan NEW_PLACE {run.word}'}"


def _there(place: Place) -> bool:
    return any(there(each) is not None or Path(each).is_dir() for each in places_of(place))


def paths_now(pinned: PinnedArchive, place: Place) -> list[str]:
    """Return where the parts of an archive are, or will be, that lies at ``place``.

    Raises:
        UsageError: A list of them is wrong.
    """
    if not pinned.parts or pinned.files is not None:
        return [str(place) for _ in pinned.parts]
    return paths_of([name for name, _ in pinned.parts], places_of(place))


def _archive_now(pinned: PinnedArchive, level: Level, place: Place, may_be_gone: bool) -> PinnedArchive | None:
    if place == NONE:
        return NO_ARCHIVE
    if not pinned.parts:
        return None
    if pinned.files is not None:
        if not isinstance(place, str) or not Path(place).is_dir():
            return pinned if may_be_gone else None
        return scan(Path(place)).pinned()
    paths = paths_now(pinned, place)
    sizes = [there(path) for path in paths]
    if all(size is None for size in sizes):
        return pinned if may_be_gone else None
    return archive_of(pinned, level, paths, sizes)


def archive_of(pinned: PinnedArchive, level: Level, paths: Sequence[str], sizes: Sequence[int | None]) -> PinnedArchive:
    """Return an archive as it is now.

    Args:
        pinned: As it was planned.
        level: Of the run.
        paths: Where its parts are.
        sizes: Of the parts that are there, in bytes; None for others, which are taken to be what they were.

    Raises:
        PostmillError: Its end is there and cannot be read.
    """
    parts = tuple(
        (name, planned if size is None or (planned is None and level is not Level.SALVAGE) else size)
        for (name, planned), size in zip(pinned.parts, sizes, strict=True)
    )
    if parts != pinned.parts:
        return PinnedArchive(parts, pinned.end_sha256)
    known = {path: size for path, (_, size) in zip(paths, parts, strict=True) if size is not None}
    with _space(paths, known, [name for name, _ in parts]) as space:
        if sizes[-1] is None and level is not Level.SALVAGE:
            return pinned  # the end was read when it was there
        directory = directory_start(space, level)
        start, end = _end(space, directory)
        if None in sizes[space.part_at(start) : space.part_at(end - 1) + 1]:
            return pinned
        return pinned_archive(space, directory)


def _space(paths: Sequence[str], sizes: Mapping[str, int], names: Sequence[str]) -> AddressSpace:
    slices = None
    if len(sizes) < len(paths) and there(paths[-1]) is not None:
        slices = lay_out_slices(paths, sizes, names)
    return AddressSpace(lay_out_holes(paths, sizes, names) if slices is None else slices.parts)


def _text_now(pinned: PinnedText, location: str, may_be_gone: bool, progress: Progress, name: str) -> PinnedText:
    if location == NONE:
        return textfile.TextHash().pinned()
    if may_be_gone and there(location) is None:
        return pinned
    return textfile.pinned(location, progress, f"plan: compare the {name} file")
