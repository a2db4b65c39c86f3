"""What lies at an address, where its server lists that: told by names, for nothing of it is fetched."""

from __future__ import annotations

from collections.abc import Iterable

from postmill.ingest.remote import files as remote_files
from postmill.ingest.source.layout import LAYOUTS
from postmill.ingest.survey.archives import FoundArchive, named_source
from postmill.ingest.survey.folder import Survey, with_command
from postmill.ingest.survey.texts import FoundText, called
from postmill.ingest.zipformat.part_names import LAST, NumberedName, file_name, order, parse_name
from postmill.shards.runtime.errors import PostmillError

_FOLDERS = tuple(files.folder for layout in LAYOUTS for files in (layout.metadata, layout.images))


def survey_address(url: str) -> Survey:
    """Return what lies at ``url``, and in those of its folders that the dataset has.

    Raises:
        UsageError: A package is missing that the protocol takes.
        RequestError: It cannot be listed.
    """
    found = _listed(url)
    for folder, _ in list(found):
        if file_name(folder) in _FOLDERS:
            found += _listed(folder)
    sizes = dict(found)
    sets: dict[tuple[int, str], list[NumberedName]] = {}
    for path in sizes:
        name = parse_name(path)
        if name is not None:
            sets.setdefault((id(name.scheme), f"{name.folder}{name.stem}"), []).append(name)
    known = [names for names in sets.values() if named_source(names[0]) != "other files"]
    archives = tuple(_archive(names, sizes) for names in known)
    texts = tuple(
        FoundText(source, path, size or 0, "not read", 0, False, None)
        for path, size in found
        if (source := called(file_name(path))) is not None
    )
    return with_command(Survey(archives, texts), url)


def _listed(url: str) -> list[tuple[str, int | None]]:
    folder = url.rstrip("/")
    return [
        (path.rstrip("/"), size) for path, size in remote_files.listed(f"{folder}/") if path.startswith(f"{folder}/")
    ]


def _archive(names: Iterable[NumberedName], sizes: dict[str, int | None]) -> FoundArchive:
    ordered = sorted(names, key=lambda name: name.number)
    paths = [name.path for name in ordered]
    last = ordered[-1]
    first = None
    if last.scheme.last is not None and last.number != LAST:
        first = f"the directory of the archive is on its last part, {last.stem}{last.scheme.last}, which is not there"
    try:
        missing = [file_name(path) for path in order(paths, gaps=True) if path not in sizes]
    except PostmillError as error:  # one of them is there twice
        missing, first = [], error.cause
    empty = [f"{file_name(path)} is empty" for path in paths if sizes[path] == 0]
    return FoundArchive(
        source=named_source(last),
        place=paths[-1],
        names=tuple(map(file_name, paths)),
        bytes=sum(sizes[path] or 0 for path in paths),
        missing=tuple(missing),
        doubts=tuple(empty),
        first=first,
        within=(),
    )
