"""The mark of invented data: a small text file beside a dataset, which every run of that dataset pins.

Numbers from a sample look like any others. So what ``postmill sample`` writes says that it is invented, and a run
remembers it when the mark is out of reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from postmill.ingest.remote import files
from postmill.ingest.source.layout import LAYOUTS
from postmill.shards.run import regular
from postmill.shards.run.sources import INVENTED_MARK, INVENTED_SENTENCE, NONE, Locations, places_of
from postmill.shards.runtime.addresses import is_url, split

_FOLDERS = {
    name for layout in LAYOUTS for each in (layout.metadata, layout.images) for name in (each.folder, each.files)
}


def mark_text(command: str) -> str:
    """Return what the mark says of data that ``command`` made."""
    return f"{INVENTED_SENTENCE}\nThey were made by: {command}\n"


def is_marked(locations: Locations) -> bool:
    """Say whether the mark lies beside one of the sources, or where the dataset's layout has it.

    What answers under that name counts only if it begins with the mark's sentence: some servers answer to any name. A
    server that refuses the name has no mark.

    Raises:
        PostmillError: A file of that name is there and cannot be read.
    """
    places = chain.from_iterable(map(places_of, asdict(locations).values()))
    folders = dict.fromkeys(folder for place in places if place != NONE for folder in _folders(place))
    return any(_says_so(folder) for folder in folders)


def _folders(place: str) -> Iterator[tuple[str, str]]:
    """Yield the folders in which the mark of ``place`` may lie, each with the query of an address."""
    query = split(place)[1] if is_url(place) else ""
    folder, _, _ = place.removesuffix(query).rstrip("/").rpartition("/")
    if not is_url(place) and Path(place).is_dir():
        yield place, query
    above, _, name = folder.rpartition("/")
    yield (above if name in _FOLDERS else folder), query


def _says_so(folder: tuple[str, str]) -> bool:
    path = f"{folder[0]}/{INVENTED_MARK}{folder[1]}"
    begin = INVENTED_SENTENCE.encode()
    if is_url(path):
        try:
            with files.open_stream(path) as stream:
                return stream.read(len(begin)) == begin
        except files.RequestError:
            return False
    if not Path(path).is_file():
        return False
    try:
        with Path(path).open("rb") as file:
            return file.read(len(begin)) == begin
    except OSError as error:
        raise regular.unreadable(Path(path), error) from error
