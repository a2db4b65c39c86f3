"""Stream the central directory as Arrow record batches, in bounded memory.

::

    directory = read_directory(space)
    for batch in batches(space, directory):        # pa.RecordBatch of SCHEMA
        ...

A block of the directory is taken apart by numpy. Fixed fields are gathered through a view of the block that has a
record at every byte; names through an Arrow array that has a value for every name and every gap between two.
Format: APPNOTE 6.3.10, sections 4.3.12 (directory record) and 4.5.3 (ZIP64 extra).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from postmill.ingest.zipformat.directory import Directory
from postmill.ingest.zipformat.directory_fields import Unwrapper, check_fields, place_entries
from postmill.ingest.zipformat.entry_names import ENDS_OPEN, decode, mend_all, suspicious
from postmill.ingest.zipformat.extra_fields import find_extras, zip64_values
from postmill.ingest.zipformat.faults import Faults
from postmill.ingest.zipformat.signatures import (
    DIGITAL_SIGNATURE,
    DIRECTORY_RECORD,
    MOST_RECORD,
    RECORD_SIGNATURE,
    UNIX_HOSTS,
)
from postmill.ingest.zipformat.space import BLOCK, AddressSpace
from postmill.ingest.zipformat.stand_ins import stand_in
from postmill.ingest.zipformat.unaligned import RECORD_DTYPE, AnyArray, gather_records, record_starts
from postmill.shards.formats.reasons import Reason
from postmill.shards.runtime.errors import DamagedSource, PostmillError

SCHEMA = pa.schema(
    [
        pa.field("index", pa.uint64(), nullable=False),  # position in the directory, from 0
        pa.field("name", pa.string(), nullable=False),  # decoded; escaped for showing only where the name is at fault
        pa.field("raw_name", pa.binary(), nullable=False),  # as both headers must have it
        pa.field("offset", pa.uint64(), nullable=False),  # of the local header, absolute, bytes; or signatures.NOWHERE
        pa.field("compressed_size", pa.uint64(), nullable=False),  # bytes
        pa.field("size", pa.uint64(), nullable=False),  # bytes
        pa.field("crc32", pa.uint32(), nullable=False),
        pa.field("method", pa.uint16(), nullable=False),
        pa.field("flags", pa.uint16(), nullable=False),  # general purpose bits
        pa.field("name_length", pa.uint16(), nullable=False),  # bytes of raw_name
        pa.field("is_dir", pa.bool_(), nullable=False),
        pa.field("fault", pa.dictionary(pa.int8(), pa.string())),  # a Reason, null where fine
        pa.field("detail", pa.string()),  # of the fault
    ]
)

_RECORD_SIZE = DIRECTORY_RECORD.size  # bytes of a record before its name


def batches(
    space: AddressSpace, directory: Directory, *, strict: bool = False, block: int = BLOCK
) -> Iterator[pa.RecordBatch]:
    """Yield the directory's records in their order, one batch (of :data:`SCHEMA`) for each block.

    When the last is out, a wrong count in the end record is added to ``directory.warnings``.

    Args:
        space: All parts.
        directory: Of :func:`.directory.read_directory`.
        strict: Refuse a wrong count, and any entry with a fault.
        block: Bytes of the directory to read at a time; memory is a few times as much.

    Raises:
        PostmillError: A record is damaged, so that the next cannot be found; or ``strict``.
        PartError: A part cannot be read.
    """
    buffer = bytearray(block + MOST_RECORD)
    view = memoryview(buffer)
    position, rest, index = directory.start, 0, 0
    unwrap = Unwrapper() if directory.wrapped else None
    while position < directory.end:
        take = min(block, directory.end - position)
        space.readinto(position, view[rest : rest + take])
        position, filled = position + take, rest + take
        starts, used = record_starts(buffer, filled)
        if len(starts):
            batch = _batch(buffer, filled, starts, index, space, directory, unwrap)
            if strict and batch["fault"].null_count < len(starts):
                raise _first_fault(batch, space)
            yield batch
            index += len(starts)
        rest = filled - used
        _check_rest(view[used:filled], position == directory.end, position - rest, index, space)
        if view[used : used + 4] == DIGITAL_SIGNATURE:
            break
        view[:rest] = bytes(view[used:filled])
    if index != directory.entries:
        wrapped = " (modulo 65,536, as writers without ZIP64 do)" if directory.entries == index & 0xFFFF else ""
        warning = f"the end record counts {directory.entries} entries and the directory holds {index}{wrapped}"
        if strict:
            raise PostmillError(warning, place=space.parts[-1].path)
        if warning not in directory.warnings:
            directory.warnings.append(warning)


def _check_rest(rest: memoryview, last: bool, offset: int, index: int, space: AddressSpace) -> None:
    """Refuse what follows the complete records of a block unless it can be the beginning of another."""
    begins = bytes(rest[:4])
    if begins == DIGITAL_SIGNATURE or (RECORD_SIGNATURE.startswith(begins) and not (last and begins)):
        return
    part = space.parts[space.part_at(offset)]
    cause = f"the central directory is damaged at byte {offset - part.start}, after {index} records"
    instead = stand_in(space, part)
    raise DamagedSource(
        cause if instead is None else f"{instead}; {cause}",
        place=part.path,
        hint=f"fetch {part.name} again, then run the same command",
    )


def _first_fault(batch: pa.RecordBatch, space: AddressSpace) -> PostmillError:
    row = next(row for row in batch.select(["name", "fault", "detail"]).to_pylist() if row["fault"] is not None)
    return PostmillError(f"{row['name']}: {row['fault']}: {row['detail']}", place=space.parts[-1].path)


def _batch(
    buffer: bytearray,
    filled: int,
    starts: AnyArray,
    index: int,
    space: AddressSpace,
    directory: Directory,
    unwrap: Unwrapper | None,
) -> pa.RecordBatch:
    records = gather_records(buffer, filled, RECORD_DTYPE, starts)
    lengths = records["name_length"].astype(np.int64)
    named = starts + _RECORD_SIZE
    extra = named + lengths
    zip64_starts, zip64_lengths, unicode_path = find_extras(buffer, filled, extra, extra + records["extra_length"])

    faults = Faults(len(starts))
    raw = _raw_names(buffer, named, lengths)
    names = _names(buffer, raw, records, extra, unicode_path, faults)
    size, compressed, offset, disk = zip64_values(buffer, filled, records, zip64_starts, zip64_lengths, faults)
    if unwrap is not None:
        offset = unwrap(offset)
    absolute = place_entries(space, directory, offset, disk, lengths, compressed, faults)
    check_fields(records["method"], records["flags"], size, compressed, faults)

    last = np.frombuffer(buffer, np.uint8)[named + np.maximum(lengths, 1) - 1]
    is_dir = (last == ord("/")) & (lengths > 0)
    backslash = last == ord("\\")
    if backslash.any():
        faults.mark(backslash & (lengths > 0) & (size > 0), Reason.NAME_HOSTILE, lambda row: ENDS_OPEN)
        is_dir |= backslash & (lengths > 0) & (size == 0)
    columns = [
        np.arange(index, index + len(starts), dtype=np.uint64),
        absolute,
        compressed,
        size,
        *(np.ascontiguousarray(records[name]) for name in ("crc32", "method", "flags", "name_length")),
        is_dir,
    ]
    arrays = [pa.array(column) for column in columns]
    return pa.RecordBatch.from_arrays([arrays[0], names, raw, *arrays[1:], *faults.columns()], schema=SCHEMA)


def _raw_names(buffer: bytearray, named: AnyArray, lengths: AnyArray) -> pa.BinaryArray:
    """Return the raw names, copied out of ``buffer``."""
    offsets = np.empty(2 * len(named), dtype=np.int32)
    offsets[0::2] = named
    offsets[1::2] = named + lengths
    values = pa.BinaryArray.from_buffers(
        pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(buffer)]
    )
    return values.take(pa.array(np.arange(0, len(offsets), 2, dtype=np.int32)))


def _names(
    buffer: bytearray, raw: pa.BinaryArray, records: AnyArray, extra: AnyArray, unicode_path: AnyArray, faults: Faults
) -> pa.StringArray:
    """Return the decoded names; plain ASCII shares its bytes with ``raw``."""
    names, rows = _as_they_are(raw)
    if 2 * len(rows) > len(raw):  # a writer that separates folders in a way of its own does so in all its names
        names, rows = _as_they_are(mend_all(raw))
    doubtful = np.union1d(rows, np.flatnonzero(unicode_path))
    if len(doubtful) == 0:
        return names
    mask = np.zeros(len(raw), dtype=bool)
    mask[doubtful] = True
    decoded: list[str] = []
    for row in doubtful.tolist():
        fields = bytes(buffer[extra[row] : extra[row] + int(records["extra_length"][row])])
        unix = int(records["made_by"][row]) >> 8 in UNIX_HOSTS
        entry = decode(raw[row].as_py(), int(records["flags"][row]), fields, unix)
        decoded.append(entry.name)
        if entry.reason is not None:
            faults.put(row, entry.reason, entry.detail or "")
    return pc.replace_with_mask(names, pa.array(mask), pa.array(decoded, pa.string()))


def _as_they_are(raw: pa.BinaryArray) -> tuple[pa.StringArray, AnyArray]:
    """Return the names that share the bytes of ``raw``, and the rows of those that need to be decoded."""
    _, offsets, data = raw.buffers()
    bounds = np.frombuffer(offsets, np.int32, len(raw) + 1)
    flat = np.frombuffer(data, np.uint8, int(bounds[-1])) if data is not None else np.empty(0, np.uint8)
    return pa.StringArray.from_buffers(len(raw), offsets, data), suspicious(flat, bounds)
