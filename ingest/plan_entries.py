"""The records of one central directory with the place that each has among the others.

Where an entry ends, and whether it overlaps another, is known when all records have been seen. The directory is
streamed to a file meanwhile; only four numbers of each entry are held.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest import geometry, records
from ingest.geometry import Placed
from ingest.levels import Listing
from ingest.space import AddressSpace
from ingest.witness import check_parts
from shards.plan import ENTRIES
from shards.progress import Advance
from shards.run import Run

SCHEMA = pa.schema(
    [
        ("position", pa.int64()),  # in the directory, from 0
        ("name", pa.string()),  # as ingest.records has it
        ("raw_name", pa.binary()),  # null where it is `name` in UTF-8
        *((name, ENTRIES.field(name).type) for name in ("offset", "end", "compressed_size", "size")),
        *((name, ENTRIES.field(name).type) for name in ("crc32", "method", "flags", "window")),
        ("overlapping", pa.bool_()),
        ("fault", pa.string()),
        ("detail", pa.string()),
    ]
)


def placed_entries(run: Run, space: AddressSpace, listing: Listing, kept: Path, advance: Advance) -> Iterator[pa.Table]:
    """Yield the entries of ``listing``, folders left out, in tables of :data:`SCHEMA`.

    Args:
        run: The pinned run, for its level and the length of its windows.
        space: The archive.
        listing: Its directory.
        kept: A file to put the records in meanwhile; deleted at the end.
        advance: Told of the records that were read.

    Raises:
        PostmillError: The archive cannot be read or ``kept`` cannot be written.
    """
    placed = _read(run, space, listing, kept, advance)
    done = 0
    with pa.OSFile(str(kept)) as file, pa.ipc.open_stream(file) as stream:
        for batch in stream:
            usable = batch["fault"].is_null().to_numpy(zero_copy_only=False)
            mine = slice(done, done + int(np.count_nonzero(usable)))
            done = mine.stop
            same = pc.equal(batch["raw_name"], batch["name"].cast(pa.binary()))
            columns = {
                "position": batch["index"].cast(pa.int64()),
                "name": batch["name"],
                "raw_name": pc.if_else(same, pa.scalar(None, pa.binary()), batch["raw_name"]),
                "offset": batch["offset"].cast(pa.int64(), safe=False),
                "end": _spread(placed.end[mine], usable),
                "compressed_size": batch["compressed_size"].cast(pa.int64(), safe=False),
                "size": batch["size"].cast(pa.int64(), safe=False),
                "crc32": batch["crc32"],
                "method": batch["method"],
                "flags": batch["flags"],
                "window": _spread(placed.window[mine], usable),
                "overlapping": _spread(placed.overlaps[mine], usable),
                "fault": batch["fault"].cast(pa.string()),
                "detail": batch["detail"],
            }
            yield pa.table(columns, schema=SCHEMA).filter(pc.invert(batch["is_dir"]))
    kept.unlink()


def _read(run: Run, space: AddressSpace, listing: Listing, kept: Path, advance: Advance) -> Placed:
    """Copy the records to ``kept``, and place those that have no fault."""
    directory = listing.directory
    offset, length, size = [np.empty(0, np.int64)], [np.empty(0, np.uint16)], [np.empty(0, np.int64)]
    with pa.OSFile(str(kept), "wb") as file, pa.ipc.new_stream(file, records.SCHEMA) as stream:
        for batch in check_parts(space, directory, listing.batches(), strict=run.options["level"] == "strict"):
            stream.write_batch(batch.cast(records.SCHEMA))
            usable = batch.filter(batch["fault"].is_null())
            offset.append(usable["offset"].to_numpy().astype(np.int64))
            length.append(usable["name_length"].to_numpy())
            size.append(usable["compressed_size"].to_numpy().astype(np.int64))
            advance(batch.num_rows)
    parts = [(part.start, part.size) for part in space.parts]
    columns = _joined(offset), _joined(length), _joined(size)
    return geometry.place(*columns, directory.start, parts, int(run.options["shard_bytes"]), space.holes)


def _joined(pieces: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return ``pieces`` as one array, and let go of them."""
    whole = np.concatenate(pieces)
    pieces.clear()
    return whole


def _spread(values: npt.NDArray[Any], rows: npt.NDArray[np.bool_]) -> pa.Array:
    """Return ``values`` at the true places of ``rows``, null at the others."""
    if len(values) == len(rows):
        return pa.array(values)
    spread = np.zeros(len(rows), values.dtype)
    spread[rows] = values
    return pa.array(spread, mask=~rows)
