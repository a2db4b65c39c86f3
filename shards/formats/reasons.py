"""Why something of the input could not be used as it was meant: a closed list, one word each.

The words stand in fault tables and are a contract; :data:`MEANING` is what a reader is told. What concerns a whole
archive or file is a :class:`.errors.PostmillError` instead.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """One thing that can be wrong with a row, a post or an entry of an archive."""

    METADATA_MISSING = "metadata_missing"
    METADATA_UNREADABLE = "metadata_unreadable"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    FIELD_TOO_LARGE = "field_too_large"
    NO_IMAGE = "no_image"
    IMAGE_MISSING = "image_missing"
    IMAGE_EMPTY = "image_empty"
    IMAGE_UNREADABLE = "image_unreadable"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_DAMAGED = "image_damaged"
    DUPLICATE_MAPPING_ROW = "duplicate_mapping_row"
    CONFLICTING_MAPPING_ROW = "conflicting_mapping_row"
    MALFORMED_MAPPING_ROW = "malformed_mapping_row"
    MALFORMED_INFLUENCER_ROW = "malformed_influencer_row"
    DUPLICATE_INFLUENCER_ROW = "duplicate_influencer_row"
    INFLUENCER_MISSING = "influencer_missing"
    UNMAPPED_METADATA = "unmapped_metadata"
    UNMAPPED_IMAGE = "unmapped_image"
    VIDEO = "video"

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


COPY_FAULTS = frozenset(
    {
        Reason.NAME_MISMATCH,
        Reason.METHOD_MISMATCH,
        Reason.FLAGS_MISMATCH,
        Reason.SIZE_MISMATCH,
        Reason.CRC_MISMATCH,
        Reason.DESCRIPTOR_MISMATCH,
        Reason.SIZE_LIE,
        Reason.CRC_WRONG,
        Reason.DATA_CORRUPT,
        Reason.TRUNCATED,
        Reason.HEADER_CORRUPT,
    }
)
"""What is true of the bytes at hand, which do not fit what the directory says of them: another copy may have others."""

PICTURE_FAULTS = (Reason.IMAGE_EMPTY, Reason.IMAGE_UNREADABLE, Reason.IMAGE_TOO_LARGE, Reason.IMAGE_DAMAGED)
"""What an encoder finds when it decodes the pictures of a post shard: ingest copies them as they are."""

MEANING: dict[Reason, str] = {
    Reason.METADATA_MISSING: "the mapping lists the post, the metadata archive has no such entry",
    Reason.METADATA_UNREADABLE: "the metadata entry is empty, not JSON, or not a post",
    Reason.NUMBER_OUT_OF_RANGE: "a count, a size or a time is no whole number that it can be; the field is null",
    Reason.FIELD_TOO_LARGE: "a text or a list is longer than any post's; texts and lists are cut, a name is left out",
    Reason.NO_IMAGE: "none of the post's pictures could be had",
    Reason.IMAGE_MISSING: "the mapping lists the picture, the picture archive has no such entry",
    Reason.IMAGE_EMPTY: "the picture has no bytes; no encoder can use it",
    Reason.IMAGE_UNREADABLE: "the picture is no JPEG, PNG or WebP, whatever its name; no encoder can use it",
    Reason.IMAGE_TOO_LARGE: "the picture states more pixels than are decoded; no encoder can use it",
    Reason.IMAGE_DAMAGED: "the picture is cut short or its data are wrong; no encoder can use it",
    Reason.DUPLICATE_MAPPING_ROW: "the mapping has this row more than once; the first counts",
    Reason.CONFLICTING_MAPPING_ROW: "the mapping lists this post again with other pictures; the first row counts",
    Reason.MALFORMED_MAPPING_ROW: "the row is not user, metadata name and pictures; a post that it names is lost",
    Reason.MALFORMED_INFLUENCER_ROW: "the row of influencers.txt is not name, category and three numbers",
    Reason.DUPLICATE_INFLUENCER_ROW: "influencers.txt has this account more than once; the first row counts",
    Reason.INFLUENCER_MISSING: "influencers.txt lacks this account of the mapping: category and followers are null",
    Reason.UNMAPPED_METADATA: "the archive has this metadata entry; mapping, or else its name, tells of no post",
    Reason.UNMAPPED_IMAGE: "the archive has this picture; mapping, or else its name, tells of no post",
    Reason.VIDEO: "a collector's video: no encoder can use it; the still beside it is a picture of the post",
    Reason.NAME_HOSTILE: "the name could lead out of a folder, has a control byte, or is too long",
    Reason.NAME_UNDECODABLE: "the name is not text in the encoding its record declares",
    Reason.NAME_MISMATCH: "directory and local header give different names",
    Reason.DUPLICATE_NAME: "a later entry of the directory has this name; the last one wins",
    Reason.METHOD_MISMATCH: "directory and local header give different compression methods",
    Reason.METHOD_UNSUPPORTED: "compressed by a method that is not read, which is named",
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
    Reason.PART_MISSING: "the entry lies on a part that is not there, or reaches into one",
    Reason.TRUNCATED: "the data run past the end of what is there",
    Reason.HEADER_CORRUPT: "a header is not where it should be, or its fields do not fit together",
}

_COPY = "another copy of the part in its place: postmill mend RUN then looks at those posts again"
_MAPPING = "mend the row in a copy of the mapping, and plan a new run"
_INFLUENCERS = "mend the row in a copy of influencers.txt, and plan a new run"
_PICTURE = "another copy of the picture: postmill mend RUN looks again where a part was damaged; else nothing"

REMEDY: dict[Reason, str] = {
    **dict.fromkeys(COPY_FAULTS, _COPY),
    Reason.METADATA_MISSING: "nothing here: the archive lists no such entry; another issue of the dataset may",
    Reason.METADATA_UNREADABLE: "nothing here: the entry's checksum is right, so it was archived like that",
    Reason.NUMBER_OUT_OF_RANGE: "nothing is to be done: the post is used without the field",
    Reason.FIELD_TOO_LARGE: "nothing is to be done: the post is used, with the field cut",
    Reason.NO_IMAGE: "what mends its pictures; or a new run planned with --pictureless, which keeps the post",
    Reason.IMAGE_MISSING: "nothing here: the archive lists no such entry; another issue of the dataset may",
    Reason.IMAGE_EMPTY: _PICTURE,
    Reason.IMAGE_UNREADABLE: _PICTURE,
    Reason.IMAGE_TOO_LARGE: "nothing is to be done: the post is used without the picture",
    Reason.IMAGE_DAMAGED: _PICTURE,
    Reason.DUPLICATE_MAPPING_ROW: "nothing is to be done",
    Reason.CONFLICTING_MAPPING_ROW: _MAPPING,
    Reason.MALFORMED_MAPPING_ROW: _MAPPING,
    Reason.MALFORMED_INFLUENCER_ROW: _INFLUENCERS,
    Reason.DUPLICATE_INFLUENCER_ROW: _INFLUENCERS,
    Reason.INFLUENCER_MISSING: "add the account to a copy of influencers.txt, and plan a new run",
    Reason.UNMAPPED_METADATA: "add its row to a copy of the mapping, and plan a new run",
    Reason.UNMAPPED_IMAGE: "add it to its post's row in a copy of the mapping, and plan a new run",
    Reason.VIDEO: "nothing is to be done",
    Reason.NAME_HOSTILE: "nothing here: the archive itself is wrong; another copy of it may not be",
    Reason.NAME_UNDECODABLE: "nothing here: the archive itself is wrong; another copy of it may not be",
    Reason.DUPLICATE_NAME: "nothing is to be done, where the last one is the right one",
    Reason.METHOD_UNSUPPORTED: "pack the entry anew by a method that is read (docs/archives.md), and plan a new run",
    Reason.ENCRYPTED: "an archive without a password, and a new run",
    Reason.TOO_LARGE: "a new run planned with a larger --max-entry",
    Reason.OVERLAP: "nothing here: the archive itself is wrong; another copy of it may not be",
    Reason.OFFSET_OUT_OF_RANGE: "nothing here: the archive itself is wrong; another copy of it may not be",
    Reason.PART_MISSING: "fetch the part, and plan a new run with it",
}
"""What would mend it, or why nothing would."""
