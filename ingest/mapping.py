"""The mapping file: which pictures belong to which post.

One header line, told by its position, then tab-separated rows: account, metadata file name, and the picture names as
the repr of a Python list. Rows are parsed by Arrow and checked by a pattern; nothing is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from ingest.textfile import blocks
from shards.errors import PostmillError
from shards.faults import Fault
from shards.reasons import Reason

ROWS = pa.schema(
    [
        ("line", pa.int64()),  # from 1, the header being line 1
        ("influencer", pa.string()),
        ("post_id", pa.string()),  # the metadata file name without .info
        ("images", pa.list_(pa.string())),  # picture file names
    ]
)

SUFFIX = ".info"
_COLUMNS = ["influencer", "info", "images"]
# Names hold neither control characters, which would break tables and terminals, nor a slash, which would be a path.
_NAME = r"[^\x00-\x1f\x7f/\\'\"]+"
_INFLUENCER = rf"^{_NAME}$"
_INFO = rf"^{_NAME}\.info$"
_LIST = rf"^\[(?:'{_NAME}'(?:, ?'{_NAME}')*)?\] *$"


def read_mapping(path: str) -> Iterator[tuple[pa.RecordBatch, list[Fault]]]:
    """Yield the rows of the mapping file ``path`` (schema :data:`ROWS`) with the faults of the malformed ones.

    Reads LF and CRLF, plain, gzip and Zstandard, in memory that does not grow with the file.

    Raises:
        PostmillError: The file cannot be read, or its first rows show that it is no mapping file.
    """
    line = 0
    good = bad = 0
    for block in blocks(path):
        if line == 0:
            block = _without_header(block, path)
            line = 1
        batch, faults, lines = _parse(block, line + 1)
        line += lines
        good += batch.num_rows
        bad += len(faults)
        if good == 0 and bad >= 100:
            raise PostmillError(
                f"is not a mapping file: none of its first {bad} rows is account, name.info and a list of pictures",
                place=path,
                hint="the dataset's file is JSON-Image_files_mapping.txt; name it with --mapping",
            )
        yield batch, faults
    if line == 0:
        raise PostmillError("is empty", place=path, hint="copy JSON-Image_files_mapping.txt again")
    if good == 0 and bad:
        raise PostmillError(
            "is not a mapping file: no row is account, name.info and a list of pictures",
            place=path,
            hint="the dataset's file is JSON-Image_files_mapping.txt; name it with --mapping",
        )


def _without_header(block: bytes, path: str) -> bytes:
    """Return ``block`` without its first line; a file that begins with a row would lose a post, so it is refused."""
    header, _, rest = block.partition(b"\n")
    if b"\t" in header:
        raise PostmillError(
            "has no header line: its first line is a row already",
            place=path,
            hint="put back the dataset's first line: influencer_name JSON_PostMetadata_file_name Image_file_name",
        )
    return rest


def _parse(block: bytes, first_line: int) -> tuple[pa.RecordBatch, list[Fault], int]:
    """Return the good rows of ``block``, the faults of the others, and the number of lines."""
    block = block.replace(b"\r\n", b"\n")
    if b"\r" in block:  # Arrow would take it for the end of a line; a control character makes the row malformed
        block = block.replace(b"\r", b"\x01")
    lines = block.count(b"\n")
    skipped: list[int] = []

    def skip(row: csv.InvalidRow) -> str:
        skipped.append(row.number)
        return "skip"

    if not lines:
        return pa.RecordBatch.from_pylist([], schema=ROWS), [], 0
    table = csv.read_csv(
        pa.py_buffer(block),
        csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=_COLUMNS),
        csv.ParseOptions(
            delimiter="\t",
            quote_char=False,
            escape_char=False,
            ignore_empty_lines=False,
            invalid_row_handler=skip,
        ),
        csv.ConvertOptions(column_types=dict.fromkeys(_COLUMNS, pa.binary()), strings_can_be_null=False),
    )
    numbers = np.delete(np.arange(first_line, first_line + lines), np.array(skipped, dtype=np.int64) - 1)
    influencer, info, images = (_text(table[name].combine_chunks()) for name in _COLUMNS)
    good = pc.and_(
        pc.match_substring_regex(influencer, _INFLUENCER),
        pc.and_(pc.match_substring_regex(info, _INFO), pc.match_substring_regex(images, _LIST)),
    )
    faults = [_fault(first_line + row - 1, "not three tab-separated fields") for row in skipped]
    for row in np.flatnonzero(~good.to_numpy(zero_copy_only=False)):
        which = influencer[row].as_py(), info[row].as_py(), images[row].as_py()
        faults.append(_fault(int(numbers[row]), _what(*which)))
    rows = pa.RecordBatch.from_arrays(
        [
            pa.array(numbers, pa.int64()).filter(good),
            influencer.filter(good),
            pc.utf8_slice_codeunits(info.filter(good), 0, -len(SUFFIX)),
            _names(images.filter(good)),
        ],
        schema=ROWS,
    )
    return rows, sorted(faults, key=lambda fault: fault.line or 0), lines


def _text(column: pa.Array) -> pa.Array:
    """Return ``column`` of bytes as strings; what is not UTF-8 becomes an empty string, which no pattern allows."""
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_decoded(value) for value in column.to_pylist()], pa.string())


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return ""


def _names(images: pa.Array) -> pa.Array:
    """Return the lists that the texts ``['a.jpg', 'b.jpg']`` stand for."""
    inner = pc.replace_substring_regex(images, r"^\['?|'?\] *$", "")
    names = pc.split_pattern_regex(inner, "', ?'")
    empty = pc.equal(inner, "")
    return pc.if_else(empty, pa.scalar([], pa.list_(pa.string())), names) if pc.any(empty).as_py() else names


def _what(influencer: str, info: str, images: str) -> str:
    if not influencer or not pc.match_substring_regex(pa.array([influencer]), _INFLUENCER)[0].as_py():
        return "the account is empty or no plain name"
    if not pc.match_substring_regex(pa.array([info]), _INFO)[0].as_py():
        return "the second field is no plain name ending in .info"
    return f"the third field is no list of quoted picture names: {images[:60]!r}"


def _fault(line: int, detail: str) -> Fault:
    return Fault(Reason.MALFORMED_MAPPING_ROW, line=line, detail=detail)
