"""The records of one central directory, with where each entry ends, its window, and whether it overlaps another.

That is known when all records have been seen. The directory is streamed to a file meanwhile; only four numbers of each
entry stay in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from postmill.ingest.archive.levels import DirectoryReader
from postmill.ingest.archive.part_check import check_parts
from postmill.ingest.plan import windows
from postmill.ingest.plan.windows import Placed
from postmill.ingest.source.file_tree import FileTree
from postmill.ingest.zipformat import directory_records
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.formats.plan import ENTRIES
from postmill.shards.run.options import Level, Options
from postmill.shards.runtime.progress import Advance

PLACED_ENTRIES = pa.schema(
    [
        ("position", pa.int64()),  # in the directory, from 0
        ("name", pa.string()),  # as directory_records has it
        ("raw_name", pa.binary()),  # null where it is `name` in UTF-8
        *((name, ENTRIES.field(name).type) for name in ("offset", "end", "compressed_size", "size")),
        *((name, ENTRIES.field(name).type) for name in ("crc32", "method", "flags", "window")),
        ("overlapping", pa.bool_()),
        ("fault", pa.string()),
        ("detail", pa.string()),
    ]
)


def place_entries(
    options: Options, space: AddressSpace, listing: DirectoryReader | FileTree, scratch: Path, advance: Advance
) -> Placed:
    """Place the entries of ``listing`` that have no fault, and put all its records aside for :func:`placed_entries`.

    Args:
        options: Of the run, for its level and the length of its windows.
        space: The archive.
        listing: Its directory.
        scratch: A file to put the records in.
        advance: Told of the records that were read.

    Raises:
        PostmillError: The archive cannot be read or ``scratch`` cannot be written.
    """
    directory = listing.directory
    is_tree = isinstance(listing, FileTree)
    if (
        options.level is Level.STRICT and not is_tree
    ):  # a part that is wrong is named, and not the first entry that it spoils
        for _ in check_parts(space, directory, directory_records.batches(space, directory), refuse=True):
            pass
    salvage = options.level is Level.SALVAGE
    offsets, name_lengths, sizes = [np.empty(0, np.int64)], [np.empty(0, np.uint16)], [np.empty(0, np.int64)]
    with pa.OSFile(str(scratch), "wb") as file, pa.ipc.new_stream(file, directory_records.SCHEMA) as stream:
        batches = listing.batches() if is_tree else check_parts(space, directory, listing.batches(), refuse=not salvage)
        for batch in batches:
            stream.write_batch(batch.cast(directory_records.SCHEMA))
            usable = batch.filter(batch["fault"].is_null())
            offsets.append(usable["offset"].to_numpy().astype(np.int64))
            name_lengths.append(usable["name_length"].to_numpy())
            sizes.append(usable["compressed_size"].to_numpy().astype(np.int64))
            advance(batch.num_rows)
    parts = [(part.start, part.size) for part in space.parts]
    columns = _taken_together(offsets), _taken_together(name_lengths), _taken_together(sizes)
    holes = space.holes if salvage else ()
    return windows.assign(*columns, directory.start, parts, options.shard_bytes, holes)


def placed_entries(placed: Placed, scratch: Path) -> Iterator[pa.Table]:
    """Yield the entries that :func:`place_entries` placed, folders left out, in tables of :data:`PLACED_ENTRIES`.

    Args:
        placed: What it returned.
        scratch: The file of records; deleted at the end.
    """
    done = 0  # usable entries of the batches before
    with pa.OSFile(str(scratch)) as file, pa.ipc.open_stream(file) as stream:
        for batch in stream:
            usable = batch["fault"].is_null().to_numpy(zero_copy_only=False)
            rows = slice(done, done + int(np.count_nonzero(usable)))
            done = rows.stop
            same = pc.equal(batch["raw_name"], batch["name"].cast(pa.binary()))
            columns = {
                "position": batch["index"].cast(pa.int64()),
                "name": batch["name"],
                "raw_name": pc.if_else(same, pa.scalar(None, pa.binary()), batch["raw_name"]),
                "offset": _spread(placed.start[rows], usable),
                "end": _spread(placed.end[rows], usable),
                "compressed_size": batch["compressed_size"].cast(pa.int64(), safe=False),
                "size": batch["size"].cast(pa.int64(), safe=False),
                "crc32": batch["crc32"],
                "method": batch["method"],
                "flags": batch["flags"],
                "window": _spread(placed.window[rows], usable),
                "overlapping": _spread(placed.overlaps[rows], usable),
                "fault": batch["fault"].cast(pa.string()),
                "detail": batch["detail"],
            }
            yield pa.table(columns, schema=PLACED_ENTRIES).filter(pc.invert(batch["is_dir"]))
    scratch.unlink()


def _taken_together(arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return ``arrays`` as one, and let go of them: twice of an archive's entries is too much."""
    joined = np.concatenate(arrays)
    arrays.clear()
    return joined


def _spread(values: npt.NDArray[Any], rows: npt.NDArray[np.bool_]) -> pa.Array:
    """Return ``values`` at the true positions of ``rows``, null at the others."""
    if len(values) == len(rows):
        return pa.array(values)
    spread = np.zeros(len(rows), values.dtype)
    spread[rows] = values
    return pa.array(spread, mask=~rows)
