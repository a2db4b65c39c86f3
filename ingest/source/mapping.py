"""The mapping file: which pictures belong to which post.

One header line, told by its position, then tab-separated rows: account, metadata file name, and the picture names as
the repr of a Python list. Rows are parsed by Arrow and checked by a pattern; nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from postmill.ingest.source.layout import INFO_SUFFIX
from postmill.ingest.source.textfile import TextHash, blocks
from postmill.ingest.source.wholeness import refuse_hole, torn
from postmill.shards.formats.bounds import MAX_PICTURES
from postmill.shards.formats.faults import Fault
from postmill.shards.formats.reasons import Reason
from postmill.shards.runtime.errors import PostmillError

ROWS = pa.schema(
    [
        ("line", pa.int64()),  # from 1, the header being line 1
        ("influencer", pa.string()),
        ("post_id", pa.string()),  # the metadata file name without .info
        ("images", pa.list_(pa.string())),  # picture file names; null where the row is malformed
        ("malformed", pa.string()),  # what is wrong with a row of which only account and post can be told; else null
    ]
)

_FIELDS = ["influencer", "info", "images"]
# Names hold neither control characters, which would break tables and terminals, nor a slash, which would be a path.
_PLAIN_NAME = r"[^\x00-\x1f\x7f/\\'\"]+"
_INFLUENCER = rf"^{_PLAIN_NAME}$"
_INFO = rf"^{_PLAIN_NAME}\.info$"
_LIST = rf"^\[(?:'{_PLAIN_NAME}'(?:, ?'{_PLAIN_NAME}')*)?\] *$"
# A field that a spreadsheet put into quotation marks, as it does where the list has a comma; inner ones are doubled.
_QUOTED = re.compile(rb'(?<![^\t\n])"((?:[^"\t\n]|"")*)"(?= *(?:[\t\n]|$))')


def read_mapping(
    path: str, text_hash: TextHash | None = None, *, salvage: bool = False
) -> Iterator[tuple[pa.RecordBatch, list[Fault]]]:
    """Yield the rows of the mapping file ``path`` (schema :data:`ROWS`) with the faults of those that tell of no post.

    Reads LF and CRLF, plain, gzip and Zstandard, in memory that does not grow with the file. Fields that a spreadsheet
    quoted are read as they were. A malformed row that names account and metadata is a row, for its post is lost by it.

    Args:
        path: A local path or an address.
        text_hash: Takes what pins the file.
        salvage: Take a file that ends within a row, or has a hole, as it is.

    Raises:
        DamagedSource: It ends within a row, or zeros stand where rows were, and not ``salvage``.
        PostmillError: The file cannot be read, or its first rows show that it is no mapping file.
    """
    line = 0
    good = bad = 0
    for block in blocks(path, text_hash=text_hash):
        if line == 0:
            block = _without_header(block, path)
            line = 1
        if not salvage:
            refuse_hole(path, block, line + 1)
        whole = not block or block.endswith(b"\n")
        batch, faults, lines = _parse_rows(block if whole else block + b"\n", line + 1)
        line += lines
        malformed = batch.filter(batch["malformed"].is_valid())["line"].to_pylist()
        if not whole and not salvage and line in [*malformed, *(fault.line for fault in faults)]:
            raise torn(path, block, line)
        good += batch.num_rows - len(malformed)
        bad += len(faults) + len(malformed)
        if good == 0 and bad >= 100:
            raise PostmillError(
                f"is not a mapping file: none of its first {bad} rows is account, name.info and a list of pictures",
                place=path,
                hint="the dataset's file is JSON-Image_files_mapping.txt; name it with --mapping",
            )
        yield batch, faults
    if line == 0:
        raise PostmillError("is empty", place=path, hint="copy JSON-Image_files_mapping.txt again")
    if good == 0:
        raise PostmillError(
            "is not a mapping file: it has no row of account, name.info and a list of pictures",
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


def _parse_rows(block: bytes, first_line: int) -> tuple[pa.RecordBatch, list[Fault], int]:
    """Return the rows of ``block``, the faults of those that tell of no post, and the number of lines."""
    block = _readable(block.replace(b"\r\n", b"\n"))
    lines = block.count(b"\n")
    skipped: list[tuple[int, str]] = []

    def skip(row: csv.InvalidRow) -> str:
        skipped.append((row.number, row.text))
        return "skip"

    if not lines:
        return pa.RecordBatch.from_pylist([], schema=ROWS), [], 0
    table = csv.read_csv(
        pa.py_buffer(block),
        csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=_FIELDS),
        csv.ParseOptions(
            delimiter="\t",
            quote_char=False,
            escape_char=False,
            ignore_empty_lines=False,
            invalid_row_handler=skip,
        ),
        csv.ConvertOptions(column_types=dict.fromkeys(_FIELDS, pa.string()), strings_can_be_null=False),
    )
    numbers = np.delete(np.arange(first_line, first_line + lines), [row - 1 for row, _ in skipped])
    influencer, info, images = (table[name].combine_chunks() for name in _FIELDS)
    good = pc.and_(
        pc.match_substring_regex(influencer, _INFLUENCER),
        pc.and_(pc.match_substring_regex(info, _INFO), pc.match_substring_regex(images, _LIST)),
    )
    if (pc.max(pc.binary_length(images)).as_py() or 0) > MAX_PICTURES:  # a shorter list cannot have more pictures
        good = pc.and_(good, pc.less_equal(pc.count_substring(images, "'"), 2 * MAX_PICTURES))
    rows = pa.RecordBatch.from_arrays(
        [
            pa.array(numbers, pa.int64()).filter(good),
            influencer.filter(good),
            pc.utf8_slice_codeunits(info.filter(good), 0, -len(INFO_SUFFIX)),
            _picture_names(images.filter(good)),
            pa.nulls(pc.sum(good).as_py() or 0, pa.string()),
        ],
        schema=ROWS,
    )
    bad = [(first_line + row - 1, text.split("\t"), "not three tab-separated fields") for row, text in skipped]
    for row in np.flatnonzero(~good.to_numpy(zero_copy_only=False)).tolist():
        fields = [influencer[row].as_py(), info[row].as_py(), images[row].as_py()]
        bad.append((int(numbers[row]), fields, _why(*fields)))
    named, faults = [], []
    for line, fields, detail in sorted(bad):
        if len(fields) > 1 and re.match(_INFLUENCER, fields[0]) and re.match(_INFO, fields[1]):
            values = line, fields[0], fields[1].removesuffix(INFO_SUFFIX), None, detail
            named.append(dict(zip(ROWS.names, values, strict=True)))
        else:
            faults.append(Fault(Reason.MALFORMED_MAPPING_ROW, line=line, detail=detail))
    if named:
        rows = pa.concat_batches([rows, pa.RecordBatch.from_pylist(named, schema=ROWS)]).sort_by("line")
    return rows, faults, lines


def _readable(block: bytes) -> bytes:
    """Return ``block`` as Arrow's reader takes it: in UTF-8, no field quoted, no carriage return.

    What is neither is replaced by a control character, which no name may have, so that its row is malformed.
    """
    if b"\r" in block:  # Arrow would take it for the end of a line
        block = block.replace(b"\r", b"\x01")
    if b'"' in block:
        block = _QUOTED.sub(lambda field: field[1].replace(b'""', b'"'), block)
    try:
        block.decode()
    except UnicodeDecodeError:
        return b"\n".join(map(_as_utf8, block.split(b"\n")))
    return block


def _as_utf8(line: bytes) -> bytes:
    try:
        line.decode()
    except UnicodeDecodeError:
        return line.decode("utf-8", "replace").replace("\ufffd", "\x01").encode()
    return line


def _picture_names(images: pa.Array) -> pa.Array:
    """Return the lists that the texts ``['a.jpg', 'b.jpg']`` stand for."""
    inner = pc.replace_substring_regex(images, r"^\['?|'?\] *$", "")
    names = pc.split_pattern_regex(inner, "', ?'")
    empty = pc.equal(inner, "")
    return pc.if_else(empty, pa.scalar([], pa.list_(pa.string())), names) if pc.any(empty).as_py() else names


def _why(influencer: str, info: str, images: str) -> str:
    if not influencer or not pc.match_substring_regex(pa.array([influencer]), _INFLUENCER)[0].as_py():
        return "the account is empty or no plain name"
    if not pc.match_substring_regex(pa.array([info]), _INFO)[0].as_py():
        return "the second field is no plain name ending in .info"
    if (listed := images.count("'") // 2) > MAX_PICTURES:
        return f"{listed:,} pictures, where a post has {MAX_PICTURES:,} at most"
    return f"the third field is no list of quoted picture names: {images[:60]!r}"
