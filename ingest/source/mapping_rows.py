"""Rows of the mapping file, a block of lines at a time: parsed by Arrow, checked by patterns, nothing evaluated.

What Arrow's reader cannot take as it is, rows of another program or bytes that are no text, is made so before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from postmill.ingest.source.columns import Columns, split_fields
from postmill.ingest.source.layout import INFO_SUFFIX
from postmill.shards.formats.bounds import MAX_PICTURES
from postmill.shards.formats.faults import Fault
from postmill.shards.formats.reasons import Reason

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
INFO = rf"^{_PLAIN_NAME}\.info$"
_LIST = rf"^\[ *(?:'{_PLAIN_NAME}'(?: *, *'{_PLAIN_NAME}')*)? *\]$"
# A field that a spreadsheet put into quotation marks, as it does where the list has a comma; inner ones are doubled.
_QUOTED = re.compile(rb'(?<![^\t\n])"((?:[^"\t\n]|"")*)"(?= *(?:[\t\n]|$))')
# A list as JSON writes it.
_JSON_LIST = re.compile(rb'(?<=\t)\[ *"[^"\'\t\n]+"(?: *, *"[^"\'\t\n]+")* *\](?= *$)', re.MULTILINE)
_OUTER_BLANKS = (b" \t", b"\t ", b" \n", b"\n ")  # at the ends of a field, which no name of the dataset has


def parse_rows(block: bytes, first_line: int, columns: Columns) -> tuple[pa.RecordBatch, list[Fault], int]:
    """Return the rows of ``block``, the faults of those that tell of no post, and the number of lines.

    Args:
        block: Whole lines, each with its newline, without a carriage return.
        first_line: The number of the first of them in the file.
        columns: Where account, metadata file and pictures lie in a row.
    """
    block = _readable(block if columns.usual else b"".join(_usual(block, columns)))
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
        pc.and_(pc.match_substring_regex(info, INFO), pc.match_substring_regex(images, _LIST)),
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
    bad = [(first_line + row - 1, text.split("\t"), "not as many fields as columns") for row, text in skipped]
    for row in np.flatnonzero(~good.to_numpy(zero_copy_only=False)).tolist():
        fields = [influencer[row].as_py(), info[row].as_py(), images[row].as_py()]
        bad.append((int(numbers[row]), fields, _why(*fields)))
    named, faults = [], []
    for line, fields, detail in sorted(bad):
        if len(fields) > 1 and re.match(_INFLUENCER, fields[0]) and re.match(INFO, fields[1]):
            values = line, fields[0], fields[1].removesuffix(INFO_SUFFIX), None, detail
            named.append(dict(zip(ROWS.names, values, strict=True)))
        else:
            faults.append(Fault(Reason.MALFORMED_MAPPING_ROW, line=line, detail=detail))
    if named:
        rows = pa.concat_batches([rows, pa.RecordBatch.from_pylist(named, schema=ROWS)]).sort_by("line")
    return rows, faults, lines


def _usual(block: bytes, columns: Columns) -> Iterator[bytes]:
    """Yield the lines of ``block`` as the dataset's own file has them.

    Of a row that has not as many fields as it should, account and metadata stay at most, so that it is malformed still.
    """
    for line in block.decode("utf-8", "surrogateescape").split("\n")[:-1]:
        fields = split_fields(line, columns.delimiter)
        wanted = [fields[position].replace("\t", "\x01") for position in columns.positions if position < len(fields)]
        if len(fields) != columns.width:
            del wanted[2:]
        yield "\t".join(wanted).encode("utf-8", "surrogateescape") + b"\n"


def _readable(block: bytes) -> bytes:
    """Return ``block`` as Arrow's reader takes it: in UTF-8, fields bare and trimmed, and lists as Python writes them.

    What is no text is replaced by a control character, which no name may have, so that its row is malformed.
    """
    if any(blank in block for blank in _OUTER_BLANKS) or block.startswith(b" "):
        block = b"\n".join(b"\t".join(field.strip(b" ") for field in line.split(b"\t")) for line in block.split(b"\n"))
    if b'"' in block:
        block = _QUOTED.sub(lambda field: field[1].replace(b'""', b'"'), block)
        block = _JSON_LIST.sub(lambda pictures: pictures[0].replace(b'"', b"'"), block)
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
    inner = pc.replace_substring_regex(images, r"^\[ *'?|'? *\]$", "")
    names = pc.split_pattern_regex(inner, "' *, *'")
    empty = pc.equal(inner, "")
    return pc.if_else(empty, pa.scalar([], pa.list_(pa.string())), names) if pc.any(empty).as_py() else names


def _why(influencer: str, info: str, images: str) -> str:
    if not influencer or not pc.match_substring_regex(pa.array([influencer]), _INFLUENCER)[0].as_py():
        return "the account is empty or no plain name"
    if not pc.match_substring_regex(pa.array([info]), INFO)[0].as_py():
        return "the second field is no plain name ending in .info"
    if (listed := images.count("'") // 2) > MAX_PICTURES:
        return f"{listed:,} pictures, where a post has {MAX_PICTURES:,} at most"
    return f"the third field is no list of quoted picture names: {images[:60]!r}"
