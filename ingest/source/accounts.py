"""A list of accounts, as people keep them: a name a line, or the table of one that a plan has kept."""

from __future__ import annotations

from codecs import BOM_UTF8

import pyarrow as pa

from postmill.ingest.source.textfile import blocks
from postmill.shards.formats import plan
from postmill.shards.formats.bounds import MAX_NAME
from postmill.shards.run import parquet
from postmill.shards.runtime.errors import PostmillError, UsageError

_PARQUET = b"PAR1"


def read_accounts(path: str) -> list[str]:
    """Return the accounts of ``path``, each once, in their order.

    Blank lines count for nothing, nor does what follows a ``#``, a byte order mark, or the ``@`` before a name. The
    accounts.parquet of a plan is read too.

    Raises:
        UsageError: A line is no name, or the file has none.
        PostmillError: The file cannot be read.
    """
    content = b"".join(blocks(path))
    if content.startswith(_PARQUET):
        return _of_plan(path, content)
    names = []
    for number, raw in enumerate(content.removeprefix(BOM_UTF8).splitlines(), 1):
        text = raw.partition(b"#")[0].decode("utf-8", errors="replace").strip()
        name = text.removeprefix("@")
        if text and (not name or not name.isprintable() or len(name) > MAX_NAME or len(name.split()) > 1):
            raise UsageError(
                f"line {number} is no name of an account: {text[:80]!r}",
                place=path,
                hint="write one account a line, as the mapping has it, and nothing else but # comments",
            )
        if name:
            names.append(name)
    if not names:
        raise UsageError("names no account", place=path, hint="write one account a line, as the mapping has it")
    return list(dict.fromkeys(names))


def _of_plan(path: str, content: bytes) -> list[str]:
    try:
        return list(parquet.parsed(content, [plan.ACCOUNTS.names[0]])[0].to_pylist())
    except pa.ArrowException as error:
        raise PostmillError(
            f"is no table of accounts: {error}", place=path, hint="give a text file, one account a line"
        ) from error
