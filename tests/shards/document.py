"""docs/formats.md as tests read it: its examples and its tables."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa

DOC = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text()


def documented(example: str) -> bool:
    """Whether the document shows `example` as a block of its own."""
    return f"\n{example}```\n" in DOC


def section(title: str) -> str:
    """The text under the heading `title`."""
    return DOC.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows_after(title: str, words: str) -> list[list[str]]:
    """The cells of the first table after `words` in a section, without its head."""
    anchor = r"\s+".join(map(re.escape, words.split()))  # wherever its lines break
    lines = re.split(anchor, section(title), maxsplit=1)[1].splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("|"))
    found = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def table_of(title: str, words: str) -> list[tuple[str, str, bool]]:
    """Name, type and whether it may be null of each column that the document gives."""
    return [(row[0].strip("` "), row[1], row[2] == "yes") for row in rows_after(title, words)]


def columns(schema: pa.Schema) -> list[tuple[str, str, bool]]:
    """The same of a schema."""

    def kind(type_: pa.DataType) -> str:
        return f"list of {type_.value_type}" if pa.types.is_list(type_) else str(type_)

    return [(field.name, kind(field.type), field.nullable) for field in schema]
