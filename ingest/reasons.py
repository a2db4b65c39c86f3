"""Why an entry of an archive is not taken: a closed list, one word each.

The words go into fault tables and are a contract; :data:`MEANING` is what a reader is told.
A fault is about one entry and leaves the others alone. What concerns the whole archive is a
:class:`shards.errors.PostmillError` instead.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """One thing that can be wrong with an entry."""

    NAME_HOSTILE = "name_hostile"
    NAME_UNDECODABLE = "name_undecodable"
    NAME_MISMATCH = "name_mismatch"
    DUPLICATE_NAME = "duplicate_name"
    METHOD_MISMATCH = "method_mismatch"
    METHOD_UNSUPPORTED = "method_unsupported"
    FLAGS_MISMATCH = "flags_mismatch"
    ENCRYPTED = "encrypted"
    SIZE_MISMATCH = "size_mismatch"
    CRC_MISMATCH = "crc_mismatch"
    DESCRIPTOR_MISMATCH = "descriptor_mismatch"
    SIZE_LIE = "size_lie"
    CRC_WRONG = "crc_wrong"
    DATA_CORRUPT = "data_corrupt"
    TOO_LARGE = "too_large"
    OVERLAP = "overlap"
    OFFSET_OUT_OF_RANGE = "offset_out_of_range"
    PART_MISSING = "part_missing"
    TRUNCATED = "truncated"
    HEADER_CORRUPT = "header_corrupt"


MEANING: dict[Reason, str] = {
    Reason.NAME_HOSTILE: "the name could lead out of a folder: '..', absolute, backslash; or has a control byte; or is too long",
    Reason.NAME_UNDECODABLE: "the name is not text in the encoding its record declares",
    Reason.NAME_MISMATCH: "directory and local header give different names",
    Reason.DUPLICATE_NAME: "an earlier entry of the directory has this name; the first one wins",
    Reason.METHOD_MISMATCH: "directory and local header give different compression methods",
    Reason.METHOD_UNSUPPORTED: "compressed with something other than stored, deflate, deflate64 or Zstandard",
    Reason.FLAGS_MISMATCH: "directory and local header disagree on whether the entry is encrypted",
    Reason.ENCRYPTED: "the entry is encrypted",
    Reason.SIZE_MISMATCH: "directory and local header give different sizes, or a stored entry's two sizes differ",
    Reason.CRC_MISMATCH: "directory and local header give different checksums",
    Reason.DESCRIPTOR_MISMATCH: "what follows the data is no data descriptor with the directory's checksum and sizes",
    Reason.SIZE_LIE: "the data do not decompress to the declared size",
    Reason.CRC_WRONG: "the data do not have the declared checksum",
    Reason.DATA_CORRUPT: "the compressed data cannot be decompressed",
    Reason.TOO_LARGE: "the entry is larger than the limit for one entry",
    Reason.OVERLAP: "the entry shares bytes with another one",
    Reason.OFFSET_OUT_OF_RANGE: "the local header would lie outside the archive, or in its directory",
    Reason.PART_MISSING: "the entry begins on a part that the archive does not have",
    Reason.TRUNCATED: "the data run past the end of what is there",
    Reason.HEADER_CORRUPT: "a header is not where it should be, or its fields do not fit together",
}


class EntryFault(Exception):
    """One entry cannot be taken.

    Args:
        reason: Which of the closed list.
        detail: Both sides of a contradiction, numbers, offsets: what a reader needs to see it.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
