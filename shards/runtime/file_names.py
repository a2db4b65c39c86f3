"""Names of files that are not text: the run folder's JSON, Parquet and DuckDB take only such as are UTF-8."""

from __future__ import annotations

import os

from postmill.shards.runtime.errors import UsageError


def check_text(path: str) -> None:
    """Refuse a path that is not UTF-8, such as one from an old file system in Latin-1.

    Args:
        path: As Python has it, with surrogates for the bytes that it could not read.

    Raises:
        UsageError: It is not, or this Python was told to read names as something else.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        raw = os.fsencode(path)
    else:
        return
    shown = raw.decode("utf-8", "backslashreplace")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"has a byte in its path that is not UTF-8: {raw[error.start : error.start + 1].hex()} in hexadecimal",
            place=shown,
            hint="rename the folder or file, or reach it through a link that has a plain name",
        ) from None
    raise UsageError(
        "has letters in its path that this locale does not know",
        place=shown,
        hint="set PYTHONUTF8=1, or LC_ALL=C.UTF-8, and run the same command again",
    )
