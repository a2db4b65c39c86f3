"""The constants of the zip format, once: signatures, records, flags, extra fields, methods, sentinels.

Numbers in comments are sections of PKWARE's APPNOTE 6.3.10 (2022). Signatures are bytes, as they stand in a file;
records are :class:`struct.Struct`, whose ``size`` counts the bytes before a name or any other field of varying length.
All numbers in a zip are little-endian and unsigned (4.4.1.1).
"""

from __future__ import annotations

import struct

# Signatures that records begin with.
LOCAL_SIGNATURE = b"PK\x03\x04"  # 4.3.7
DESCRIPTOR_SIGNATURE = b"PK\x07\x08"  # 4.3.9.3: may be left out
ARCHIVE_EXTRA_SIGNATURE = b"PK\x06\x08"  # 4.3.11
RECORD_SIGNATURE = b"PK\x01\x02"  # 4.3.12, of a directory record
DIGITAL_SIGNATURE = b"PK\x05\x05"  # 4.3.13: may follow the last record within the directory
ZIP64_END_SIGNATURE = b"PK\x06\x06"  # 4.3.14
ZIP64_LOCATOR_SIGNATURE = b"PK\x06\x07"  # 4.3.15
END_SIGNATURE = b"PK\x05\x06"  # 4.3.16

# What may stand before the first local header.
SPLIT_MARKER = b"PK\x07\x08"  # 8.5.3: of a set of disks
SINGLE_MARKER = b"PK00"  # 8.5.4: of a set of disks for which one was enough

# Records. Time and date of change (4.4.6) are one number of 4 bytes here.
LOCAL_HEADER = struct.Struct("<4sHHHIIIIHH")  # 4.3.7
LOCAL_LENGTHS = struct.Struct("<26xHH")  # of it, the lengths of name and extra field
DESCRIPTOR = struct.Struct("<III")  # 4.3.9: checksum, compressed size, size
ZIP64_DESCRIPTOR = struct.Struct("<IQQ")  # 4.3.9.2
DIRECTORY_RECORD = struct.Struct("<4sHHHHIIIIHHHHHII")  # 4.3.12
RECORD_LENGTHS = struct.Struct("<28xHHH")  # of it, the lengths of name, extra field and comment
ZIP64_END = struct.Struct("<4sQHHIIQQQQ")  # 4.3.14
ZIP64_LOCATOR = struct.Struct("<4sIQI")  # 4.3.15
END = struct.Struct("<4sHHHHIIH")  # 4.3.16
EXTRA_HEADER = struct.Struct("<HH")  # 4.5.1: of each field of an extra area, its id and the bytes that follow

# The same two records by the names of their fields, as numpy takes them; the signature is a number there.
_COMMON_FIELDS = [
    ("needed", "<u2"),
    ("flags", "<u2"),
    ("method", "<u2"),
    ("modified", "<u4"),
    ("crc32", "<u4"),
    ("compressed_size", "<u4"),
    ("size", "<u4"),
    ("name_length", "<u2"),
    ("extra_length", "<u2"),
]
LOCAL_FIELDS = [("signature", "<u4"), *_COMMON_FIELDS]
RECORD_FIELDS = [
    ("signature", "<u4"),
    ("made_by", "<u2"),
    *_COMMON_FIELDS,
    ("comment_length", "<u2"),
    ("disk", "<u2"),
    ("internal", "<u2"),
    ("external", "<u4"),
    ("offset", "<u4"),
]

# A field that is all ones has its value in a ZIP64 record or extra field (4.4.1.4, 4.5.3).
SENTINEL16 = 0xFFFF
SENTINEL32 = 0xFFFF_FFFF
WRAP = 1 << 32  # bytes after which offsets begin anew where a writer knows no ZIP64
NOWHERE = 0xFFFF_FFFF_FFFF_FFFF  # ours: the offset of an entry that lies in no part

# Bytes at most: lengths of names, extra fields and comments have 2 bytes.
MOST_COMMENT = 0xFFFF
MOST_LOCAL_HEADER = LOCAL_HEADER.size + 2 * 0xFFFF
MOST_RECORD = DIRECTORY_RECORD.size + 3 * 0xFFFF
MOST_DESCRIPTOR = len(DESCRIPTOR_SIGNATURE) + ZIP64_DESCRIPTOR.size
# The largest local extra field and data descriptor, which stand around the data.
MOST_AFTER_NAME = 0xFFFF + MOST_DESCRIPTOR

# General purpose flags (4.4.4).
FLAG_ENCRYPTED = 1 << 0
FLAG_DESCRIPTOR = 1 << 3  # checksum and sizes stand behind the data
FLAG_UTF8 = 1 << 11  # of name and comment
FLAGS_RESERVED = 0xC780  # bits 7 to 10, 14 and 15, which mean nothing

# Ids of extra fields.
EXTRA_ZIP64 = 0x0001  # 4.5.3
EXTRA_UNICODE_PATH = 0x7075  # 4.6.9
EXTRAS_UNIX = (0x5855, 0x7855, 0x7875)  # 4.6.1: owner and times as only Unix versions of Info-ZIP write them

# Compression methods (4.4.5): those that are read here, the names of others met, and all that were ever given out.
STORED, DEFLATE, DEFLATE64, BZIP2, LZMA, ZSTANDARD, XZ = 0, 8, 9, 12, 14, 93, 95
METHOD_NAMES = {
    STORED: "stored",
    1: "shrink",
    **dict.fromkeys(range(2, 6), "reduce"),
    6: "implode",
    DEFLATE: "deflate",
    DEFLATE64: "deflate64",
    BZIP2: "bzip2",
    LZMA: "lzma",
    ZSTANDARD: "zstandard",
    94: "mp3",
    XZ: "xz",
    96: "jpeg",
    97: "wavpack",
    98: "ppmd",
    99: "aes",
}
ASSIGNED_METHODS = frozenset([*range(21), *range(92, 100)])

# "Version made by" and "version needed" (4.4.2, 4.4.3): the host in the high byte, the version in the low one.
UNIX_HOSTS = (3, 19)  # 4.4.2.2: Unix, and macOS
MOST_HOST = 20
MOST_VERSION = 63  # 4.4.3.2


def method_name(method: int) -> str:
    """Name a compression method in a message."""
    name = METHOD_NAMES.get(method)
    return f"method {method}" if name is None else f"method {method}, {name}"
