"""What the tests of the central directory and of parts share."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from postmill.ingest.zipformat.directory import Directory, read_directory
from postmill.ingest.zipformat.directory_records import SCHEMA, batches
from postmill.ingest.zipformat.parts import find_parts
from postmill.ingest.zipformat.space import AddressSpace

OpenSpace = Callable[..., AddressSpace]


def zipped(*names: str | zipfile.ZipInfo, comment: bytes = b"") -> bytes:
    """A zip with a few bytes in each entry."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(name, b"entry %d" % number)
        archive.comment = comment
    return out.getvalue()


def rows(space: AddressSpace, directory: Directory | None = None, **options: Any) -> list[dict[str, Any]]:
    """All records of a directory; each batch is what its schema says."""
    parts = list(batches(space, directory or read_directory(space), **options))
    for batch in parts:
        batch.validate(full=True)
        assert batch.schema == SCHEMA
    return pa.Table.from_batches(parts, SCHEMA).to_pylist()  # type: ignore[no-any-return]


def names(space: AddressSpace) -> list[str]:
    return [row["name"] for row in rows(space)]


def make(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_bytes(b"x" * (number + 1))


def names_of(source: object) -> list[str]:
    return [part.name for part in find_parts(source)]  # type: ignore[arg-type]
