"""Find the central directory of an archive, and decide what kind of split the archive has.

``read_directory(space)`` returns a :class:`Directory`; :func:`.directory_records.batches` streams its records.

The kind is decided by content, never by names: an end record that lies on a disk above 0 belongs to
PKWARE disks, where offsets count from the start of each disk; with several parts and disk 0 it is one
file cut into slices, and offsets are absolute (APPNOTE 6.3.10, 4.3.16 and 4.4.16).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from postmill.ingest.zipformat.end_choice import choose_end, directory_shift
from postmill.ingest.zipformat.end_record import EndRecord, end_records
from postmill.ingest.zipformat.part_names import absent_of, beginning, folder_of
from postmill.ingest.zipformat.parts import find_parts, strangers
from postmill.ingest.zipformat.signatures import DIRECTORY_RECORD, LOCAL_SIGNATURE, RECORD_SIGNATURE, SPLIT_MARKER
from postmill.ingest.zipformat.space import AddressSpace
from postmill.ingest.zipformat.stand_ins import LOOKED_AT, other_format, stand_ins
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.errors import DamagedSource, PostmillError

_NAMED = 8  # parts in a message, at most
_JOIN_ANEW = (
    "join the parts anew, by number and NAME.zip last: cat NAME.z01 NAME.z02 ... NAME.zip > WHOLE.zip; or read them as "
    "they are, which needs no joining"
)
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
    shift: int  # to add to every offset: bytes in front of the archive; negative where some are gone
    warnings: list[str] = field(default_factory=list, compare=False)  # `batches` adds what it finds
    beyond: Counter[int] = field(default_factory=Counter, compare=False)  # entries behind the end of a disk
    starts: tuple[int, ...] = ()  # of disks that were joined in one file: where each begins
    wrapped: bool = False  # offsets are modulo 4 GiB, in the order of the entries


def read_directory(space: AddressSpace, *, strict: bool = False) -> Directory:
    """Find the central directory. Reads the last 64 KiB and a few records.

    Args:
        space: All parts.
        strict: Refuse what would be a warning.

    Raises:
        PostmillError: There is no end record, more than one that could be right, or the parts are not
            those of one whole archive: missing, too many, cut short, or another archive's.
    """
    ends = end_records(space)
    last = space.parts[-1].path
    if not ends:
        raise _stand_ins(space) or _beside(space, _no_end(space))
    fitting, shift, starts, wrapped, warnings = choose_end(space, ends)
    if len(fitting) > 1:
        where = " and ".join(str(end.position) for end in fitting[:4])
        raise PostmillError(
            f"{len(fitting)} ends of central directory that could each be right, at {where}",
            place=last,
            hint="such a file shows different readers different contents; repack it with a tool you trust",
        )
    if not fitting:
        reaching = [end for end in ends if end.reaches == space.size]
        raise _stand_ins(space) or _beside(space, _explanation(space, (reaching or ends)[0]))
    end = fitting[0]
    warnings = [*warnings, *end.notes]
    if end.entries * DIRECTORY_RECORD.size > end.directory_size:
        warnings.append(f"the end record counts {end.entries} entries, more than its directory can hold")
    if strict and warnings:
        raise PostmillError("; ".join(warnings), place=last, hint="read it without `strict` to go on with a warning")
    kind, start = _kind(space, end, starts), end.limit - end.directory_size
    if kind == "disks":
        warnings += _odd_sizes(space)  # no contradiction, so not for `strict`; slices have been proved by their sum
    return Directory(kind, start, end.limit, end.entries, end.zip64, shift, warnings, starts=starts, wrapped=wrapped)


def _no_end(space: AddressSpace) -> PostmillError:
    """Return the error for parts that do not end as an archive does."""
    last = space.parts[-1].path
    if len(space.parts) == 1 and space.read(0, min(len(RECORD_SIGNATURE), space.size)) == RECORD_SIGNATURE:
        cause = "it begins with its central directory, and looks joined of parts in the wrong order"
        return DamagedSource(cause, place=last, hint=_JOIN_ANEW)
    what = other_format(space.read(0, min(space.size, LOOKED_AT)))
    if what is not None and len(space.parts) == 1:
        return PostmillError(
            f"no end of central directory: this is not a zip but {what}",
            place=last,
            hint="name the zip, or fetch it again",
        )
    return DamagedSource(
        "no end of central directory: this is not a zip, or its end is missing",
        place=last,
        hint="check that the last part (usually NAME.zip) is there and was transferred whole",
    )


def _kind(space: AddressSpace, end: EndRecord, starts: tuple[int, ...]) -> Kind:
    if len(space.parts) == 1:
        return "single"
    return "disks" if end.disk > 0 and not starts else "bytes"


def _explanation(space: AddressSpace, end: EndRecord) -> PostmillError:
    """Say why the parts do not make one whole archive."""
    parts = space.parts
    last = parts[-1]
    if end.broken:
        return PostmillError(end.broken, place=last.path, hint="a part is missing, cut short, or of another archive")
    if end.disk > 0 and end.disk + 1 != len(parts):
        counted = end.disk + 1
        if len(parts) == 1 and (joined := _joined(space, end, counted)) is not None:
            return joined
        cause = f"it is the last of {counted} parts, and {len(parts)} {'is' if len(parts) == 1 else 'are'} here"
        if counted > len(parts):
            lacking = counted - len(parts)
            hint = (
                f"bring the {lacking} missing one{'s' if lacking > 1 else ''} into its folder, then run the same "
                "command. To begin before that, plan with --await-parts"
            )
            if missing := absent_of([part.path for part in parts], counted):
                more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
                cause += f"; missing: {', '.join(missing[:_NAMED])}{more}"
            return DamagedSource(cause, place=last.path, hint=hint)
        return PostmillError(cause, place=last.path, hint="move those of another archive away, or list the right ones")
    if len(parts) > 1 and _is_whole(space, end):
        return PostmillError(
            "it is a whole archive by itself, and the other parts belong to another one",
            place=last.path,
            hint="move it or them to a folder of their own",
        )
    if end.reaches > space.size:
        cause = f"the comment of its end record is cut off after {space.size - end.position} bytes"
        return DamagedSource(cause, place=last.path, hint="fetch the last part again")
    first = parts[end.directory_disk].start if end.directory_disk < len(parts) else 0
    distance = directory_shift(end) - first
    if distance == 0:
        cause = f"there is no directory at {end.directory_offset}, where its end record points"
    else:
        cause = (
            f"there are {abs(distance)} bytes {'more' if distance > 0 else 'fewer'} than its end record accounts for"
        )
    usual = _usual_size(space)
    odd = [part.name for part in parts[:-1] if part.size != usual]
    if odd:
        cause += f"; of an unusual size: {', '.join(odd[:_NAMED])}"
    hint = "a part was cut short, is there twice, or belongs to another archive: compare sizes with the source"
    return DamagedSource(cause, place=last.path, hint=hint)


def _beside(space: AddressSpace, error: PostmillError) -> PostmillError:
    """Point to where the parts of ``space`` may be under other names: beside it, or beside what it is a link to."""
    last = space.parts[-1]
    names = strangers(space.parts)
    hint = error.hint
    if names:
        named = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        hint = f"{hint}; beside it lie {named}: if these are parts of it, {_named_together(space, names)}"
    elif len(space.parts) == 1 and not is_url(last.path) and Path(last.path).is_symlink():
        hint = f"{hint}; it is a link: if the other parts lie beside {Path(last.path).resolve()}, name that"
    return type(error)(error.cause, place=error.place, hint=hint)


def _named_together(space: AddressSpace, names: list[str]) -> str:
    """Say how the parts of ``space`` and the files ``names`` beside it are read as one archive."""
    last = space.parts[-1]
    pattern = f"{folder_of(last.path)}{beginning(last.name)}*"
    try:
        found = {part.name for part in find_parts(pattern)}
    except PostmillError:  # names of several archives, or with gaps
        found = set()
    if found.issuperset(names):
        return f"name all by a pattern in quotes, in whose order they are, such as '{pattern}'"
    return "rename them to NAME.z01, NAME.z02, ..., NAME.zip, or slices of one file to NAME.zip.001, NAME.zip.002, ..."


def _stand_ins(space: AddressSpace) -> PostmillError | None:
    """Return the error for parts in whose place something else stands, if there are any."""
    found = stand_ins(space)
    if not found:
        return None
    names = ", ".join(part.name for part, _ in found[:_NAMED])
    kind = DamagedSource if len(found) < len(space.parts) else PostmillError  # of these nothing can be taken
    return kind(
        "; ".join(sentence for _, sentence in found[:_NAMED]),
        place=found[0][0].path,
        hint=f"fetch {names} again, then run the same command",
    )


def _joined(space: AddressSpace, end: EndRecord, counted: int) -> PostmillError | None:
    """Return the error for a file in which the parts of an archive were put one behind another, if it looks so.

    Offsets count from the beginnings of the parts, which such a file does not show.
    """
    last = space.parts[-1].path
    if end.reaches < space.size:
        return PostmillError(
            f"it is the last of {counted} parts with {space.size - end.reaches:,} bytes behind it, and looks joined in "
            "the wrong order",
            place=last,
            hint=_JOIN_ANEW,
        )
    if directory_shift(end) <= 0 or space.read(0, 4) not in (SPLIT_MARKER, LOCAL_SIGNATURE):
        return None
    return DamagedSource(
        f"{counted} parts look joined in this file, but not all, or not in order: where one ends, the next one of the "
        "directory does not begin",
        place=last,
        hint="name the parts as they were, which need no joining; or join all of them anew by number, for a shell "
        "sorts z100 before z11",
    )


def _is_whole(space: AddressSpace, end: EndRecord) -> bool:
    """Tell whether the last part has its directory where a zip of one part has it."""
    start = space.parts[-1].start + end.directory_offset
    return end.disk == 0 and end.directory_size > 0 and start + end.directory_size == end.limit


def _usual_size(space: AddressSpace) -> int:
    return Counter(part.size for part in space.parts[:-1]).most_common(1)[0][0] if len(space.parts) > 1 else 0


def _odd_sizes(space: AddressSpace) -> list[str]:
    """Parts so much smaller than the largest that they may be cut short: a writer need not fill them, but does."""
    before = [part for part in space.parts[:-1] if not part.missing]
    largest = max((part.size for part in before), default=0)
    return [
        f"{part.name} is {largest - part.size} bytes smaller than the largest part; it may be cut short"
        for part in before
        if largest - part.size > _ODD_SIZE
    ]
