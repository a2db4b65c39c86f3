"""Three levels of trust in an archive, and what each makes of its directory.

============  =====================================================================================================
``strict``    any contradiction is an error
``default``   what is wrong with one entry is its fault; parts that are missing and a lost directory are errors
``salvage``   parts may be missing, and without a whole directory one is rebuilt from what is there
============  =====================================================================================================

::

    with open_space("posts_image.z01", Level.SALVAGE) as space:
        reader = open_directory(space, Level.SALVAGE)
        for batch in reader.batches():
            ...
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import pyarrow as pa

from postmill.ingest.archive.holes import first_entries, mark_holes
from postmill.ingest.archive.salvage_walk import Walk
from postmill.ingest.zipformat import directory_records
from postmill.ingest.zipformat.directory import Directory, Kind, read_directory
from postmill.ingest.zipformat.end_choice import lay_out_slices
from postmill.ingest.zipformat.end_record import EndRecord, end_records
from postmill.ingest.zipformat.part_names import LAST, MOST_PARTS, parse_name
from postmill.ingest.zipformat.parts import PathOrUrl, find_parts, lay_out_holes
from postmill.ingest.zipformat.places.search import paths_of
from postmill.ingest.zipformat.signatures import SPLIT_MARKER
from postmill.ingest.zipformat.space import AWAITED_SIZE, AddressSpace, Part, lay_out
from postmill.ingest.zipformat.unaligned import AnyArray
from postmill.shards.run import publish
from postmill.shards.run.options import Level
from postmill.shards.runtime.errors import DamagedSource, PostmillError


@dataclass(frozen=True)
class DirectoryReader:
    """Reads the directory of an archive as a level of trust has it.

    Attributes:
        directory: Where it lies; if rebuilt, where the entries end.
    """

    directory: Directory
    _space: AddressSpace
    _level: Level
    _first: AnyArray | None = None  # of `first_entries`, where parts may be missing or cut short
    _store: IO[bytes] | None = None  # the rebuilt directory, in a file without a name: no kill leaves it

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield record batches of :data:`.directory_records.SCHEMA`; may be called again, and several at a time.

        Raises:
            PostmillError: As :func:`.directory_records.batches`.
        """
        if self._store is not None:
            with pa.ipc.open_stream(_FromStart(self._store.fileno())) as stream:
                yield from stream
            return
        batches = directory_records.batches(self._space, self.directory, strict=self._level is Level.STRICT)
        yield from batches if self._first is None else mark_holes(self._space, self._first, batches)


def open_space(
    source: PathOrUrl | Sequence[PathOrUrl], level: Level = Level.DEFAULT, *, await_parts: bool = False
) -> AddressSpace:
    """Find the parts; at level ``salvage`` with holes for those that are missing.

    How many parts are missing right before the last one, the end record says, if it is there.

    Args:
        source: As :func:`.parts.find_parts` has it.
        level: How much to trust.
        await_parts: Whether parts may come later. Those before the directory are then taken to be missing, whether they
            are or not, and nothing is known of their sizes, so that what follows is the same whichever have come.

    Raises:
        PostmillError: As :func:`.parts.find_parts`; or, of awaited parts, one that holds the directory is missing.
    """
    if await_parts:
        return _awaiting(source)
    space = AddressSpace(find_parts(source, salvage=level is Level.SALVAGE))
    end = None if level is not Level.SALVAGE or space.parts[-1].missing else _end_of_disks(space)
    if end is None:
        return space
    with space:
        sizes = {part.path: part.size for part in space.parts if not part.missing}
        paths, names = _all_parts(space, end.disk + 1)
        return AddressSpace(lay_out_holes(paths, sizes, names))


def _awaiting(source: PathOrUrl | Sequence[PathOrUrl]) -> AddressSpace:
    with AddressSpace(find_parts(source, salvage=True)) as space:
        if space.parts[-1].missing:
            raise _directory_missing(space.parts[-1:])
        end = _end_of_disks(space)
        sizes = {part.path: part.size for part in space.parts if not part.missing}
        if end is None:
            return _awaiting_slices(source, space, sizes)
        paths, names = _all_parts(space, end.disk + 1)
    awaited = paths[: end.directory_disk]
    files = [(path, AWAITED_SIZE) for path in awaited]
    files += [(path, sizes.get(path, AWAITED_SIZE)) for path in paths[end.directory_disk :]]
    parts = lay_out(files, {path for path in paths if path not in sizes or path in awaited}, names)
    lacking = [part for part in parts[end.directory_disk :] if part.missing]
    if lacking:
        raise _directory_missing(lacking)
    return AddressSpace(parts)


def _awaiting_slices(
    source: PathOrUrl | Sequence[PathOrUrl], space: AddressSpace, sizes: Mapping[str, int]
) -> AddressSpace:
    """Return one file, or slices of one, of which all that the directory does not need may come later."""
    paths, names = [part.path for part in space.parts], [part.name for part in space.parts]
    name = parse_name(names[-1])
    if len(paths) == 1 and name is not None and name.scheme.last is None and 1 < name.number < MOST_PARTS:
        names[:0] = [name.spelled(number) for number in range(1, name.number)]  # or a whole one that is called so
        paths[:0] = paths_of(names[:-1], paths)
    if name is not None and name.scheme.last is not None and name.number != LAST:
        raise DamagedSource(
            f"the directory of the archive is on its last part, {name.stem}{name.scheme.last}, which is not here",
            place=paths[-1],
            hint="bring that first, then run the same command; all other parts may come later",
        )
    slices = lay_out_slices(paths, sizes, names)
    if slices is not None:
        awaited = slices.parts[: slices.directory_part]
        lacking = [part for part in slices.parts[slices.directory_part :] if part.missing]
        if lacking:
            raise _directory_missing(lacking)
        awaited = tuple(replace(part, missing=True) for part in awaited)
        return AddressSpace((*awaited, *slices.parts[slices.directory_part :]))
    if len(sizes) == len(space.parts) and end_records(space):
        return AddressSpace(find_parts(source))
    raise DamagedSource(
        f"the directory is at the end of the last slice, and {space.parts[-1].name} does not end with one, or the"
        " slices are not of one length, by which those that are not here could be counted",
        place=space.parts[-1].path,
        hint="bring the last slice first; where slices are of many lengths, bring them all",
    )


def _end_of_disks(space: AddressSpace) -> EndRecord | None:
    """Return the end record of an archive of PKWARE disks, if there is just one that reaches to its end."""
    ends = [end for end in end_records(space) if end.reaches == space.size and end.disk > 0]
    return ends[0] if len(ends) == 1 else None


def _all_parts(space: AddressSpace, counted: int) -> tuple[list[str], list[str]]:
    """Return paths and names of the parts of ``space``, and of those missing before the last of ``counted``."""
    paths, names = [part.path for part in space.parts], [part.name for part in space.parts]
    last = parse_name(names[-1])
    absent = counted - len(names)
    if last is not None and last.number == LAST and 0 < absent < MOST_PARTS:
        before = parse_name(names[-2]) if len(names) > 1 else None
        example, number = (before, before.number) if before is not None else (last.first(), 0)
        names[-1:-1] = [example.spelled(number + 1 + more) for more in range(absent)]
        paths[-1:-1] = paths_of(names[len(paths) - 1 : -1], paths[-1:])
    return paths, names


def _directory_missing(parts: Sequence[Part]) -> DamagedSource:
    names = ", ".join(part.name for part in parts)
    return DamagedSource(
        f"the directory of the archive is on parts that are not here: {names}",
        place=parts[0].path,
        hint="bring them first, then run the same command; all other parts may come later",
    )


def open_directory(space: AddressSpace, level: Level = Level.DEFAULT) -> DirectoryReader:
    """Return the directory of the archive in ``space``.

    At level ``salvage`` its records are read once here, so as to know whether it is whole; if it is not, everything
    that is there is read once, and the rebuilt directory goes to a temporary file, about 100 bytes for each entry.

    Args:
        space: Of :func:`open_space`.
        level: How much to trust.

    Raises:
        PostmillError: As :func:`.directory.read_directory`, except for ``salvage``.
        PartError: A part that is there cannot be read.
    """
    if level is not Level.SALVAGE:
        return DirectoryReader(read_directory(space, strict=level is Level.STRICT), space, level)
    missing = [part.name for part in space.parts if part.missing]
    warnings = [f"missing: {', '.join(missing)}; assumed to have the size of the others"] if missing else []
    try:
        directory = read_directory(space)
        first = first_entries(space, directory_records.batches(space, directory))
    except PostmillError as error:
        warnings.append(f"the central directory is not used: {error}")
        return _rebuilt(space, warnings)
    directory.warnings.extend(warnings)
    return DirectoryReader(directory, space, level, first)


class _FromStart(io.RawIOBase):
    """An open file read from its start, at a place of this reader's own: there may be several at a time."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd, self._position = fd, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """Fill ``buffer`` with what comes next; return how many bytes there were."""
        read = os.preadv(self._fd, [buffer], self._position)
        self._position += read
        return read


def _rebuilt(space: AddressSpace, warnings: list[str]) -> DirectoryReader:
    walk = Walk(space)
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with publish.writing(Path(tempfile.gettempdir())):
        store = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the reader
        with pa.ipc.new_stream(store, directory_records.SCHEMA, options=options) as stream:
            for batch in walk.batches():
                stream.write_batch(batch)
        store.flush()
    salvaged = walk.salvaged
    start = space.size if salvaged.directory is None else salvaged.directory
    warnings = [*warnings, *salvaged.sentences(space)]
    directory = Directory(_likely_kind(space), start, space.size, salvaged.entries, False, 0, warnings)
    return DirectoryReader(directory, space, Level.SALVAGE, None, store)


def _likely_kind(space: AddressSpace) -> Kind:
    """Say what is known of the kind without an end record: the marker of PKWARE disks, or its absence."""
    if len(space.parts) == 1:
        return "single"
    marked = space.stretch_end(0) >= 4 and space.read(0, 4) == SPLIT_MARKER
    return "disks" if marked else "bytes"
