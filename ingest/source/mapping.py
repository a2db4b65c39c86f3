"""The mapping file: which pictures belong to which post.

One header line, then tab-separated rows: account, metadata file name, and the picture names as the repr of a Python
list. Files that another program wrote may have other columns beside these, or none of the header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa

from postmill.ingest.source.columns import Columns, find_columns, split_fields
from postmill.ingest.source.mapping_rows import INFO, parse_rows
from postmill.ingest.source.textfile import TextHash, blocks
from postmill.ingest.source.wholeness import refuse_hole, torn
from postmill.shards.formats.faults import Fault
from postmill.shards.runtime.errors import PostmillError

COLUMNS = ("influencer_name", "JSON_PostMetadata_file_name", "Image_file_name")  # as the dataset's header names them
_ENOUGH = 100  # rows without a good one, after which a file is none of the dataset's


def read_mapping(
    path: str, text_hash: TextHash | None = None, *, salvage: bool = False
) -> Iterator[tuple[pa.RecordBatch, list[Fault]]]:
    """Yield the rows of the mapping file ``path`` (schema :data:`.mapping_rows.ROWS`), and faults.

    Reads what :func:`.textfile.blocks` reads, in memory that does not grow with the file. Fields that a spreadsheet
    quoted are read as they were; a header that names the columns tells where they lie and what separates them. A
    malformed row that names account and metadata is a row, for its post is lost by it; of others there is a fault.

    Args:
        path: A local path or an address.
        text_hash: Takes what pins the file.
        salvage: Take a file that ends within a row, or has a hole, as it is.

    Raises:
        DamagedSource: It ends within a row, or zeros stand where rows were, and not ``salvage``.
        PostmillError: The file cannot be read, or its first rows show that it is no mapping file.
    """
    columns: Columns | None = None
    line = 0  # of the file, that was read last
    good = bad = 0
    first = ""  # what is wrong with the first row that is malformed
    for block in blocks(path, text_hash=text_hash):
        if not salvage:
            refuse_hole(path, block, line + 1)
        if columns is None:
            columns, header = _columns(block, path)
            if header:
                block, line = block.partition(b"\n")[2], 1
        whole = not block or block.endswith(b"\n")
        batch, faults, lines = parse_rows(block if whole else block + b"\n", line + 1, columns)
        line += lines
        malformed = batch.filter(batch["malformed"].is_valid())
        details = dict(zip(malformed["line"].to_pylist(), malformed["malformed"].to_pylist(), strict=True))
        details.update((fault.line, fault.detail) for fault in faults)
        good += batch.num_rows - len(malformed)
        bad += len(details)
        # Where no row is right, it is another file, wherever that ends.
        if not whole and not salvage and line in details and (good or bad == 1 < line):
            raise torn(path, block, line)
        if details and not first:
            first = f"; line {min(details)}: {details[min(details)]}"
        if good == 0 and bad >= _ENOUGH:
            raise _no_mapping(path, f"none of its first {bad} rows is", first)
        yield batch, faults
    if columns is None:
        raise PostmillError("is empty", place=path, hint="copy JSON-Image_files_mapping.txt again")
    if good == 0:
        raise _no_mapping(path, "it has no row of", first)


def _columns(block: bytes, path: str) -> tuple[Columns, bool]:
    """Return the columns of the file that begins with ``block``, and whether its first line is a header.

    A row is told from a header by a field that is the name of a metadata file.
    """
    first, second = (line.decode("utf-8", "replace") for line in [*block.split(b"\n", 2), b""][:2])
    columns = find_columns(first, COLUMNS, path).below(second)
    return columns, not any(re.match(INFO, field) for field in split_fields(first, columns.delimiter))


def _no_mapping(path: str, which: str, first: str) -> PostmillError:
    return PostmillError(
        f"is not a mapping file: {which} account, name.info and a list of pictures{first}",
        place=path,
        hint="the dataset's file is JSON-Image_files_mapping.txt; name it with --mapping. One with other columns, or"
        f" another order of them, is read by a first line that names them: {', '.join(COLUMNS)}",
    )
