"""Local headers without a directory: read one, and judge whether it can be one.

Format: APPNOTE 6.3.10, sections 4.3.7 and 4.4.2 to 4.4.5.
"""

from __future__ import annotations

from typing import NamedTuple

from postmill.ingest.zipformat.entry_names import MOST_NAME, decode
from postmill.ingest.zipformat.extra_fields import zip64_sizes
from postmill.ingest.zipformat.local_header import header_size
from postmill.ingest.zipformat.lookahead import Lookahead
from postmill.ingest.zipformat.signatures import (
    ASSIGNED_METHODS,
    FLAGS_RESERVED,
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    MOST_HOST,
    MOST_VERSION,
)
from postmill.shards.formats.reasons import Reason

_EXTRA_LOOKED_AT = 2048  # bytes of an extra area; what follows is padding


class LocalHeader(NamedTuple):
    """A local header. Offsets and sizes in bytes; the sizes and the checksum may be unknown or wrong."""

    offset: int
    raw_name: bytes
    extra: bytes
    flags: int
    method: int
    crc32: int
    compressed_size: int
    size: int
    data: int  # where the data begin; may lie behind the end of what is there


def read_local_header(lookahead: Lookahead, offset: int, end: int, *, searching: bool = False) -> LocalHeader | None:
    """Return the local header at ``offset``, or None where none can be; ``searching`` asks for more.

    The name must lie before ``end``; the extra field may be cut off there.
    """
    fixed = lookahead.peek(offset, LOCAL_HEADER.size, end)
    if not is_local_header(fixed):
        return None
    _, _, flags, method, _, crc32, compressed_size, size, names, extras = LOCAL_HEADER.unpack(fixed)
    rest = lookahead.peek(offset + LOCAL_HEADER.size, names + extras, end)
    if len(rest) < names:
        return None
    name, extra = rest[:names], rest[names : names + _EXTRA_LOOKED_AT]
    if searching:
        if flags & FLAGS_RESERVED or not 0 < names <= MOST_NAME:
            return None
        undecodable = decode(name, flags, extra).reason is Reason.NAME_UNDECODABLE
        if undecodable or any(byte < 0x20 for byte in name):
            return None
    size, compressed_size = zip64_sizes(extra, size, compressed_size)
    data = offset + header_size(fixed)
    return LocalHeader(offset, name, extra, flags, method, crc32, compressed_size, size, data)


def is_local_header(fixed: bytes) -> bool:
    """Tell whether ``fixed`` can be a local header up to its name."""
    if len(fixed) != LOCAL_HEADER.size or not fixed.startswith(LOCAL_SIGNATURE):
        return False
    _, needed, _, method, *_ = LOCAL_HEADER.unpack(fixed)
    return plausible(needed, needed, method)


def plausible(made_by: int, needed: int, method: int) -> bool:
    """Tell whether the versions and the method of a record are any that were ever given out."""
    version, host = max(made_by & 0xFF, needed & 0xFF), max(made_by >> 8, needed >> 8)
    return version <= MOST_VERSION and host <= MOST_HOST and method in ASSIGNED_METHODS
