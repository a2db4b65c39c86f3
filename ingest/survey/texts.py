"""The dataset's text files in a folder: told by what is in them, whatever they are called."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from postmill.ingest.source import textfile
from postmill.ingest.source.influencers import read_influencers
from postmill.ingest.source.layout import LAYOUTS
from postmill.ingest.source.mapping import read_mapping
from postmill.ingest.text.encoding import encoding_of
from postmill.ingest.zipformat.part_names import file_name
from postmill.shards.runtime.errors import PostmillError

_ENDINGS = (".txt", ".csv", ".tsv")
_MOST_INFLUENCERS = 64 << 20  # bytes: the list has 35,000 rows
_HEAD = 64  # bytes


@dataclass(frozen=True)
class FoundText:
    """A text file of the dataset.

    Attributes:
        source: ``mapping`` or ``influencers``.
        place: Its path.
        bytes: As it lies.
        form: Its compression or encoding, in a word.
        rows: How many there are, or, where ``more``, in its first 8 MiB.
        more: Whether there are more.
        doubt: What is wrong with it; None where it can be read.
    """

    source: str
    place: str
    bytes: int
    form: str
    rows: int
    more: bool
    doubt: str | None


def text_in(path: str) -> FoundText | None:
    """Return what the file ``path`` is, None where it is none of the dataset's text files."""
    name = file_name(path).lower()
    source_called = called(name)
    if source_called is None and not _plain(name).endswith(_ENDINGS):
        return None
    size, form = Path(path).stat().st_size, _form(path)
    doubts: dict[str, str] = {}
    for source in ("mapping", "influencers"):
        if source == "influencers" and size > _MOST_INFLUENCERS:
            continue
        try:
            rows, more = _rows(path, source)
        except PostmillError as error:
            doubts[source] = error.cause
        else:
            return FoundText(source, path, size, form, rows, more, None)
    if source_called is None:
        return None
    return FoundText(source_called, path, size, form, 0, False, doubts.get(source_called, "is far too large for one"))


def called(name: str) -> str | None:
    """Return of which source the text file ``name`` is by what it is called; None where that tells nothing."""
    name = _plain(name.lower())
    for layout in LAYOUTS:
        for source, usual in (("mapping", layout.mapping), ("influencers", layout.influencers)):
            if name == usual.lower():
                return source
    return None


def _plain(name: str) -> str:
    return name.removesuffix(".gz").removesuffix(".zst")


def _rows(path: str, source: str) -> tuple[int, bool]:
    """Return how many rows of the source the file has, and whether there may be more.

    Raises:
        PostmillError: It is no such file, or damaged.
    """
    if source == "influencers":
        return len(read_influencers(path)[0]), False
    batches = list(islice(read_mapping(path), 2))
    return sum(batch.num_rows for batch, _ in batches[:1]), len(batches) > 1


def _form(path: str) -> str:
    with Path(path).open("rb") as file:
        head = file.read(_HEAD)
    return textfile.compression_of(head) or encoding_of(head)[1].upper()
