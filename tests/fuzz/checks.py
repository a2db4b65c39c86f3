"""What must hold for the archive reader whatever bytes it is given. Knows nothing of any fuzzer.

An input is one byte that says how the rest is laid out in parts, and the rest:

====================  ==============================================================================
bits 0 to 3           number of parts less one
bit 5 (``SALVAGE``)   salvage it too: what the usual reading finds no fault with comes out the same
bit 6 (``STRICT``)    read it strictly first: if that goes through, the usual reading finds no fault
bit 7 (``SIZED``)     the sizes of all parts but the last follow, 2 bytes each; else all are alike
====================  ==============================================================================
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from postmill.ingest.archive.entries import Entry
from postmill.ingest.archive.inspect import describe
from postmill.ingest.archive.reader import Archive
from postmill.ingest.zipformat.faults import EntryFault
from postmill.shards.runtime.errors import PostmillError

MAX_ENTRY = 16 << 20  # bytes; small, so that a limit that does not hold shows in the memory
_PIECE = 32 << 20  # bytes
_MOST_READ = 64  # entries to read singly as well
_PARTS, SALVAGE, STRICT, SIZED = 0x0F, 0x20, 0x40, 0x80

Outcome = tuple[int, int] | str  # length and checksum of the data, or the reason there are none


class Finding(Exception):
    """The reader broke a promise."""


def pack(parts: Sequence[bytes], strict: bool = False) -> bytes:
    """Return the input that stands for ``parts``: at most 16, and all but the last below 64 KiB."""
    sizes = struct.pack(f"<{len(parts) - 1}H", *map(len, parts[:-1]))
    return bytes([len(parts) - 1 | SIZED | (STRICT if strict else 0)]) + sizes + b"".join(parts)


def unpack(data: bytes) -> list[bytes]:
    """Return the parts that an input stands for."""
    how, rest = data[0], data[1:]
    count = (how & _PARTS) + 1
    if how & SIZED:
        table = rest[: 2 * (count - 1)].ljust(2 * (count - 1), b"\0")
        sizes = list(struct.unpack(f"<{count - 1}H", table))
        rest = rest[2 * (count - 1) :]
    else:
        sizes = [len(rest) // count] * (count - 1)
    parts, start = [], 0
    for size in sizes:
        parts.append(rest[start : start + size])
        start += size
    return [*parts, rest[start:]]


def check(data: bytes, folder: Path) -> None:
    """Read the archive that ``data`` stands for in every way, its parts written into ``folder``.

    Raises:
        Finding: Something was promised that does not hold.
        Exception: Any other than the reader's own is a finding too.
    """
    if not data:
        return
    paths = []
    for number, part in enumerate(unpack(data)):
        path = folder / f"part{number}"  # follows no scheme of names, so the order given counts
        path.write_bytes(part)
        paths.append(path)
    sound = read_all(paths, strict=True) if data[0] & STRICT else None
    outcomes = read_all(paths)
    saved = read_all(paths, salvage=True) if data[0] & SALVAGE else None
    if sound is not None and sound != outcomes:
        raise Finding(f"strictly it is {sound}, and else {outcomes}")
    faultless = outcomes is not None and not any(isinstance(outcome, str) for outcome in outcomes)
    if saved is not None and faultless and saved != outcomes:
        raise Finding(f"salvaged it is {saved}, and else {outcomes}")


def read_all(paths: Sequence[Path], *, strict: bool = False, salvage: bool = False) -> list[Outcome] | None:
    """Return what comes of each entry; None where the archive is refused as a whole.

    Raises:
        Finding: Listing, streaming and reading contradict each other, or data are not what was declared.
    """
    try:
        with Archive.open(list(paths), strict=strict, salvage=salvage, max_entry=MAX_ENTRY) as archive:
            rows = sum(batch.num_rows for batch in archive.batches())
            entries = list(archive.entries())
            _expect([entry.number for entry in entries] == list(range(rows)), "entries are not the batches' rows")
            for entry in entries:
                _check_entry(entry)
            outcomes = _stream(archive, entries, strict)
            for entry in entries[:_MOST_READ]:
                _expect(_read(archive, entry) == outcomes[entry.number], f"{entry}: read and stream differ")
                if entry.size <= MAX_ENTRY:
                    in_pieces = _pieces(archive, entry)
                    same = in_pieces == outcomes[entry.number] or isinstance(in_pieces, str)
                    both = isinstance(in_pieces, str) == isinstance(outcomes[entry.number], str)
                    _expect(same and both, f"{entry}: {in_pieces} in pieces, {outcomes[entry.number]} at once")
            described = describe(archive)
            _expect(described.files + described.folders == rows, "the description counts other entries")
            _expect(len(described.parts) == len(paths), "the description has other parts")
    except PostmillError as error:
        _expect(bool(str(error)), "an error without a word")
        return None
    return outcomes


def _stream(archive: Archive, entries: Sequence[Entry], strict: bool) -> list[Outcome]:
    outcomes: dict[int, Outcome] = {}
    offset = 0
    for entry, data in archive.stream():
        _expect(entry == entries[entry.number], f"{entry} is listed as {entries[entry.number]}")
        _expect(entry.number not in outcomes, f"{entry} is streamed twice")
        _expect(entry.offset >= offset, f"{entry} is streamed after {offset}")
        offset = entry.offset
        outcomes[entry.number] = str(data.reason) if isinstance(data, EntryFault) else _measure(entry, data)
    for entry in entries:
        if entry.number not in outcomes:
            _expect(entry.fault is not None, f"{entry} is not streamed and has no fault")
            outcomes[entry.number] = str(entry.fault)
    faults = any(isinstance(outcome, str) for outcome in outcomes.values())
    _expect(not (strict and faults), "strict lets a fault pass")
    return [outcomes[entry.number] for entry in entries]


def _read(archive: Archive, entry: Entry) -> Outcome:
    try:
        return _measure(entry, archive.read(entry))
    except EntryFault as fault:
        _expect(bool(fault.detail), f"{entry}: a fault without detail")
        return str(fault.reason)


def _pieces(archive: Archive, entry: Entry) -> Outcome:
    length = checksum = 0
    try:
        for piece in archive.pieces(entry):
            length, checksum = length + len(piece), zlib.crc32(piece, checksum)
            _expect(length <= entry.size + _PIECE, f"{entry}: pieces go on beyond the declared size")
    except EntryFault as fault:
        return str(fault.reason)
    return length, checksum


def _measure(entry: Entry, data: bytes) -> Outcome:
    _expect(entry.fault is None, f"{entry} has a fault and data")
    _expect(len(data) == entry.size <= MAX_ENTRY, f"{entry}: {len(data)} bytes")
    checksum = zlib.crc32(data)
    _expect(checksum == entry.crc32, f"{entry}: checksum {checksum:#010x}")
    return len(data), checksum


def _check_entry(entry: Entry) -> None:
    """Judge names by rules of our own, not by the reader's."""
    _expect((entry.fault is None) == (entry.detail is None), f"{entry}: fault and detail do not go together")
    _expect(not any(character in entry.name for character in "\0\n\r\x1b\x7f\u2028\u2029\x85"), f"{entry}: control")
    if entry.fault is None:
        components = entry.name.removesuffix("/").split("/")
        _expect("\\" not in entry.name and entry.name[1:2] != ":", f"{entry}: a Windows path")
        _expect(not {"", ".", ".."} & set(components), f"{entry}: a path that leads elsewhere")
        _expect(len(entry.name.encode()) <= 4096, f"{entry}: too long")


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise Finding(what)
