"""What a zip or a folder of files is of, told by names: metadata, pictures, a collector's files, parts of a zip."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from postmill.ingest.source.layout import INFO_SUFFIX, LAYOUTS
from postmill.ingest.source.shapes.instaloader import HEAD, XZ_DOCUMENT
from postmill.ingest.zipformat import directory_records
from postmill.ingest.zipformat.directory import read_directory
from postmill.ingest.zipformat.part_names import LAST, file_name, parse_name
from postmill.ingest.zipformat.parts import find_parts
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.runtime.errors import PostmillError

LOOKED_AT = 20_000  # names of a zip or files of a folder
_HEADS = 20  # JSON files of a folder that are looked into
_HEAD_BYTES = 256
_PICTURES = tuple(suffix for layout in LAYOUTS for suffix in layout.images.suffixes)
_STAMPED = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_UTC(_\d+)?\.\w+$")
_TEXTS = tuple(name for layout in LAYOUTS for name in (layout.mapping, layout.influencers))


@dataclass(frozen=True)
class Contents:
    """How many of the names that were looked at are of what, and whether there may be more.

    Attributes:
        infos: Metadata as the dataset has it.
        pictures: Pictures.
        documents: JSON files of a collector.
        parts: Names of zips and of parts of zips, and of the dataset's text files.
        bare: Pictures that a collector named by their time, where none of its JSON files is.
        more: Whether not all names were looked at.
    """

    infos: int
    pictures: int
    documents: int
    parts: tuple[str, ...]
    bare: int
    more: bool

    @property
    def collected(self) -> bool:
        """Whether these are a collector's files."""
        return self.documents > 0 and not self.infos


def of_zip(part: str) -> Contents | None:
    """Return what the zip is of which ``part`` is one; None for one that is not whole or that is none."""
    try:
        with AddressSpace(find_parts(part)) as space:
            directory = read_directory(space)
            batches = directory_records.batches(space, directory)
            names = [name for batch in islice(batches, 1) for name in batch["name"].to_pylist()]
            return _of(names, directory.entries > len(names), None)
    except PostmillError:
        return None


def of_folder(folder: Path) -> Contents:
    """Return what the files below ``folder`` are."""
    found = (
        os.path.join(where, name)  # noqa: PTH118  a path object for each of them would take longer than the walk
        for where, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".")
    )
    paths = list(islice(found, LOOKED_AT + 1))
    return _of(paths[:LOOKED_AT], len(paths) > LOOKED_AT, folder)


def _of(names: Iterable[str], more: bool, folder: Path | None) -> Contents:
    infos = pictures = documents = heads = stamped = 0
    parts: list[str] = []
    for name in names:
        lower = name.lower()
        if lower.endswith(INFO_SUFFIX):
            infos += 1
        elif lower.endswith(_PICTURES):
            pictures += 1
            stamped += _STAMPED.search(name) is not None
        elif lower.endswith(XZ_DOCUMENT):
            documents += 1
        elif lower.endswith(".json") and folder is not None and heads < _HEADS:
            heads += 1
            documents += _is_collected(name)
        elif _is_part(file_name(name)):
            parts.append(name)
    return Contents(infos, pictures, documents, tuple(parts), 0 if infos or documents else stamped, more)


def _is_collected(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            return HEAD in file.read(_HEAD_BYTES)
    except OSError:
        return False


def _is_part(name: str) -> bool:
    parsed = parse_name(name)
    if parsed is not None and (parsed.number == LAST or parsed.scheme.last is not None or ".zip" in parsed.stem):
        return True
    return name.startswith(_TEXTS)
