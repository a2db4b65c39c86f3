"""Three levels of trust in an archive, and what each makes of its directory.

============  =====================================================================================================
``strict``    any contradiction is an error
``default``   what is wrong with one entry is its fault; parts that are missing and a lost directory are errors
``salvage``   parts may be missing, and without a whole directory one is rebuilt from what is there
============  =====================================================================================================

::

    with open_space("posts_image.z01", "salvage") as space:
        listing = open_directory(space, "salvage")
        for batch in listing.batches():
            ...
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import pyarrow as pa

from ingest import records
from ingest.directory import Directory, Kind, read_directory
from ingest.endrecord import end_records
from ingest.holes import Array, first_entries, mark_holes
from ingest.naming import LAST, MOST_PARTS, place, spell
from ingest.options import Level
from ingest.parts import Source, find_parts, lay_out_holes
from ingest.salvage import Salvaged, Walk
from ingest.space import AddressSpace
from shards.errors import PostmillError


@dataclass(frozen=True)
class Listing:
    """The directory of an archive as a level of trust has it.

    Attributes:
        directory: Where it lies; if rebuilt, where the entries end.
        salvaged: What the rebuilding found; None if the archive's own directory is used.
    """

    directory: Directory
    salvaged: Salvaged | None
    _space: AddressSpace
    _level: Level
    _first: Array | None = None  # of `first_entries`, where parts may be missing or cut short
    _store: IO[bytes] | None = None  # the rebuilt directory; deleted when the last listing that uses it goes

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield record batches of :data:`ingest.records.SCHEMA`; may be called again, and several at a time.

        Raises:
            PostmillError: As :func:`ingest.records.batches`.
        """
        if self._store is not None:
            with pa.OSFile(self._store.name) as file, pa.ipc.open_stream(file) as stream:
                yield from stream
            return
        found = records.batches(self._space, self.directory, strict=self._level == "strict")
        yield from found if self._first is None else mark_holes(self._space, self._first, found)


def open_space(source: Source | Sequence[Source], level: Level = "default") -> AddressSpace:
    """Find the parts; at level ``salvage`` with holes for those that are missing.

    How many parts are missing right before the last one, the end record says, if it is there.

    Raises:
        PostmillError: As :func:`ingest.parts.find_parts`.
    """
    space = AddressSpace(find_parts(source, salvage=level == "salvage"))
    if level != "salvage" or space.parts[-1].missing:
        return space
    ends = [end for end in end_records(space) if end.reaches == space.size and end.disk > 0]
    last = place(space.parts[-1].path)
    absent = ends[0].disk + 1 - len(space.parts) if len(ends) == 1 else 0
    if last is None or last.number != LAST or not 0 < absent < MOST_PARTS:
        return space
    space.close()
    paths = [part.path for part in space.parts]
    stem = last.folder + last.stem
    example = paths[-2] if len(paths) > 1 else f"{stem}.z{'x' if last.scheme.last == '.zipx' else ''}01"
    before = place(example)
    number = 0 if len(paths) == 1 or before is None else before.number
    paths[-1:-1] = [spell(number + 1 + more, example) for more in range(absent)]
    return AddressSpace(lay_out_holes(paths, {part.path: part.size for part in space.parts if not part.missing}))


def open_directory(space: AddressSpace, level: Level = "default") -> Listing:
    """Return the directory of the archive in ``space``.

    At level ``salvage`` its records are read once here, so as to know whether it is whole; if it is not, everything
    that is there is read once, and the rebuilt directory goes to a temporary file, about 100 bytes for each entry.

    Args:
        space: Of :func:`open_space`.
        level: How much to trust.

    Raises:
        PostmillError: As :func:`ingest.directory.read_directory`, except for ``salvage``.
        PartError: A part that is there cannot be read.
    """
    if level != "salvage":
        return Listing(read_directory(space, strict=level == "strict"), None, space, level)
    missing = [part.name for part in space.parts if part.missing]
    warnings = [f"missing: {', '.join(missing)}; assumed to have the size of the others"] if missing else []
    try:
        directory, first = _own_directory(space)
    except PostmillError as error:
        warnings.append(f"the central directory is not used: {error}")
        return _rebuilt(space, warnings)
    directory.warnings.extend(warnings)
    return Listing(directory, None, space, level, first)


def _own_directory(space: AddressSpace) -> tuple[Directory, Array]:
    directory = read_directory(space)
    _, first = first_entries(space, records.batches(space, directory))
    return directory, first


def _rebuilt(space: AddressSpace, warnings: list[str]) -> Listing:
    walk = Walk(space)
    store = tempfile.NamedTemporaryFile(prefix="postmill-salvage-")  # noqa: SIM115  lives as long as the listing
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(store, records.SCHEMA, options=options) as stream:
        for batch in walk.batches():
            stream.write_batch(batch)
    store.flush()
    found = walk.found
    start = space.size if found.directory is None else found.directory
    warnings = [*warnings, *found.sentences(space)]
    directory = Directory(_kind(space), start, space.size, found.entries, False, 0, warnings)
    return Listing(directory, found, space, "salvage", None, store)


def _kind(space: AddressSpace) -> Kind:
    """Say what is known of the kind without an end record: the marker of PKWARE disks, or its absence."""
    if len(space.parts) == 1:
        return "single"
    marked = space.stretch_end(0) >= 4 and space.read(0, 4) == b"PK\x07\x08"
    return "disks" if marked else "bytes"
