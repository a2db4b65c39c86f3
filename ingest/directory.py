"""Find the central directory of an archive, and decide what kind of split the archive has.

``read_directory(space)`` returns a :class:`Directory`; :func:`ingest.records.batches` streams its records.

The kind is decided by content, never by names: an end record that lies on a disk above 0 belongs to
PKWARE disks, where offsets count from the start of each disk; with several parts and disk 0 it is one
file cut into slices, and offsets are absolute (APPNOTE 6.3.10, 4.3.16 and 4.4.16).

Which end record counts: the one whose comment ends where the archive ends and whose directory ends where
it begins. If there is none such, one file with something in front of it is taken with its offsets
corrected, or something behind it is left out; both are warnings, and errors if ``strict``. Anything else,
two right ones among it, is refused.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from ingest.endrecord import EndRecord, end_records
from ingest.space import AddressSpace
from shards.errors import PostmillError

RECORD_SIGNATURE = b"PK\x01\x02"
RECORD_SIZE = 46  # of a directory record before its name
_LOCAL_SIGNATURE = b"PK\x03\x04"
_SALVAGE = "`postmill inspect --salvage` reads what lies whole on what is there"
_ODD_SIZE = 256 << 10  # a writer closes a part early by a header, at most 192 KiB

Kind = Literal["single", "disks", "bytes"]


@dataclass(frozen=True)
class Directory:
    """Where the central directory lies, in bytes of the address space."""

    kind: Kind  # one part; PKWARE disks; slices of one file
    start: int
    end: int
    entries: int  # as the end record counts them; the records themselves decide
    zip64: bool
    shift: int  # to add to every offset: bytes in front of the archive
    warnings: list[str] = field(default_factory=list, compare=False)  # `batches` adds what it finds


def read_directory(space: AddressSpace, *, strict: bool = False) -> Directory:
    """Find the central directory. Reads the last 64 KiB and a few records.

    Args:
        space: All parts.
        strict: Refuse what would be a warning.

    Raises:
        PostmillError: There is no end record, more than one that could be right, or the parts are not
            those of one whole archive: missing, too many, cut short, or another archive's.
    """
    found = end_records(space)
    last = space.parts[-1].path
    if not found:
        raise PostmillError(
            "no end of central directory: this is not a zip, or its end is missing",
            place=last,
            hint="check that the last part (usually NAME.zip) is there and was transferred whole; " + _SALVAGE,
        )
    reaching = [end for end in found if end.reaches == space.size]
    fitting = [end for end in reaching if _fits(space, end, 0)]
    shift, warnings = 0, list[str]()
    if not fitting and len(space.parts) == 1:
        fitting = [end for end in reaching if _shift(end) > 0 and end.directory_size and _fits(space, end, _shift(end))]
        if fitting:
            shift = _shift(fitting[0])
            if any(space.read(at, 4) == _LOCAL_SIGNATURE for at in (0, 4)):
                raise PostmillError(
                    "its end is lost: it begins with an entry of its own, and the directory that it ends with belongs "
                    "to a zip within the archive",
                    place=last,
                    hint="fetch the file again; " + _SALVAGE,
                )
            warnings.append(f"{shift} bytes stand in front of the archive; offsets are corrected by as much")
    if not fitting:
        fitting = [end for end in found if end.reaches < space.size and _fits(space, end, 0)]
        if fitting:
            warnings.append(f"{space.size - fitting[0].reaches} bytes behind the archive are left out")
    if len(fitting) > 1:
        where = " and ".join(str(end.position) for end in fitting[:4])
        raise PostmillError(
            f"{len(fitting)} ends of central directory that could each be right, at {where}",
            place=last,
            hint="such a file shows different readers different contents; repack it with a tool you trust",
        )
    if not fitting:
        raise _explanation(space, (reaching or found)[0])
    end = fitting[0]
    warnings += end.notes
    if end.entries * RECORD_SIZE > end.directory_size:
        warnings.append(f"the end record counts {end.entries} entries, more than its directory can hold")
    if strict and warnings:
        raise PostmillError("; ".join(warnings), place=last, hint="read it without `strict` to go on with a warning")
    kind, start = _kind(space, end), end.limit - end.directory_size
    if kind == "disks":
        warnings += _odd_sizes(space)  # no contradiction, so not for `strict`; slices have been proved by their sum
    return Directory(kind, start, end.limit, end.entries, end.zip64, shift, warnings)


def _kind(space: AddressSpace, end: EndRecord) -> Kind:
    if len(space.parts) == 1:
        return "single"
    return "disks" if end.disk > 0 else "bytes"


def _shift(end: EndRecord) -> int:
    """How far the directory lies behind its stated offset."""
    return end.limit - end.directory_size - end.directory_offset


def _fits(space: AddressSpace, end: EndRecord, shift: int) -> bool:
    """Tell whether the directory of ``end`` ends where it must, and begins with a record."""
    if end.broken or (end.disk > 0 and end.disk + 1 != len(space.parts)) or end.directory_disk > end.disk:
        return False
    start = space.parts[end.directory_disk].start + end.directory_offset + shift
    if start < 0 or start + end.directory_size != end.limit:
        return False
    if end.directory_size == 0:
        return end.entries == 0
    if end.directory_size < RECORD_SIZE:
        return False
    record = space.read(start, RECORD_SIZE)
    if record[:4] != RECORD_SIGNATURE:
        return False
    if shift == 0:
        return True
    # A corrected offset must prove itself on the first entry, or stay unused.
    local = int.from_bytes(record[42:46], "little") + shift
    return local + 4 <= space.size and space.read(local, 4) == _LOCAL_SIGNATURE


def _explanation(space: AddressSpace, end: EndRecord) -> PostmillError:
    """Say why the parts do not make one whole archive."""
    parts = space.parts
    last = parts[-1]
    if end.broken:
        return PostmillError(end.broken, place=last.path, hint="a part is missing, cut short, or of another archive")
    if end.disk > 0 and end.disk + 1 != len(parts):
        wanted = end.disk + 1
        if wanted > len(parts):
            hint = f"bring the {wanted - len(parts)} missing ones into its folder; {_SALVAGE}"
        else:
            hint = "move those of another archive away, or list the right ones"
        cause = f"it is the last of {wanted} parts, and {len(parts)} {'is' if len(parts) == 1 else 'are'} here"
        return PostmillError(cause, place=last.path, hint=hint)
    if len(parts) > 1 and _alone(space, end):
        return PostmillError(
            "it is a whole archive by itself, and the other parts belong to another one",
            place=last.path,
            hint="move it or them to a folder of their own",
        )
    if end.reaches > space.size:
        cause = f"the comment of its end record is cut off after {space.size - end.position} bytes"
        return PostmillError(cause, place=last.path, hint=f"fetch the last part again; {_SALVAGE}")
    first = parts[end.directory_disk].start if end.directory_disk < len(parts) else 0
    distance = _shift(end) - first
    if distance == 0:
        cause = f"there is no directory at {end.directory_offset}, where its end record points"
    else:
        cause = (
            f"there are {abs(distance)} bytes {'more' if distance > 0 else 'fewer'} than its end record accounts for"
        )
    odd = [part.name for part in parts[:-1] if part.size != _usual(space)]
    if odd:
        cause += f"; of an unusual size: {', '.join(odd[:8])}"
    hint = "a part was cut short, is there twice, or belongs to another archive: compare sizes with the source; "
    hint += _SALVAGE
    return PostmillError(cause, place=last.path, hint=hint)


def _alone(space: AddressSpace, end: EndRecord) -> bool:
    at = space.parts[-1].start + end.directory_offset
    return end.disk == 0 and end.directory_size > 0 and at + end.directory_size == end.limit


def _usual(space: AddressSpace) -> int:
    return Counter(part.size for part in space.parts[:-1]).most_common(1)[0][0] if len(space.parts) > 1 else 0


def _odd_sizes(space: AddressSpace) -> list[str]:
    """Parts so much smaller than the largest that they may be cut short: a writer need not fill them, but does."""
    before = space.parts[:-1]
    largest = max((part.size for part in before), default=0)
    return [
        f"{part.name} is {largest - part.size} bytes smaller than the largest part; it may be cut short"
        for part in before
        if largest - part.size > _ODD_SIZE
    ]
