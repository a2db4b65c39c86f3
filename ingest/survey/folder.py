"""What a folder holds, its folders with it, and the command that does something with that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from shlex import quote

from postmill.ingest.source import invented
from postmill.ingest.source.shapes import contents
from postmill.ingest.source.shapes.finding import find_sources, folders_below
from postmill.ingest.survey.archives import FoundArchive, archives_among
from postmill.ingest.survey.texts import FoundText, text_in
from postmill.ingest.zipformat.part_names import file_name, folder_of, parse_name
from postmill.shards.run.regular import RUN_FILE
from postmill.shards.run.sources import INVENTED_MARK, NONE, Locations, places_of
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.errors import PostmillError, UsageError

_FOLDERS = 60  # looked into, at most
_FILES = 5_000  # of each
_TEXTS = ("mapping", "influencers")
_RUNS = 100  # names that are tried for a new run
# What may be done without, in the order in which it is.
_WITHOUT: tuple[tuple[str, ...], ...] = (
    *((), ("influencers",), ("mapping",), ("mapping", "influencers")),
    *(("images",), ("images", "influencers"), ("images", "mapping"), ("images", "mapping", "influencers")),
)


@dataclass(frozen=True)
class FoundFiles:
    """A folder of files.

    Attributes:
        source: ``metadata``, ``images`` or ``files of instaloader``.
        place: The folder.
        files: How many there are of its kind, or of those that were looked at, where ``more``.
        more: Whether there are more.
    """

    source: str
    place: str
    files: int
    more: bool


@dataclass(frozen=True)
class Survey:
    """What a folder holds.

    Attributes:
        archives, texts, files: What is there of a dataset.
        runs: Folders of runs.
        notes: What else there is to know, a sentence each.
        command: What to type next, as a shell takes it; None where something must come, or be chosen, before.
        invented: Whether the data are marked as invented.
    """

    archives: tuple[FoundArchive, ...] = ()
    texts: tuple[FoundText, ...] = ()
    files: tuple[FoundFiles, ...] = ()
    runs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    command: str | None = None
    invented: bool = False


def survey(root: Path) -> Survey:
    """Look into the folder ``root``.

    Reads the directories of zips that are whole, the beginning of every part, and the first 8 MiB of text files.

    Raises:
        PostmillError: A folder or a file in it cannot be read.
    """
    try:
        return _survey(root)
    except OSError as error:
        raise PostmillError(
            f"cannot be read: {error.strerror}",
            place=error.filename or root,
            hint="check the disk, and who may read it",
        ) from error


def _survey(root: Path) -> Survey:
    if (root / RUN_FILE).is_file():
        return Survey(runs=(str(root),), command=f"postmill status {quote(str(root))}")
    if not any(True for _ in _visible(root)):
        note = "nothing is in it; a small invented dataset to try things on:"
        return Survey(notes=(note,), command=f"postmill sample {quote(str(root))}")
    folders = [root, *islice(folders_below(root), _FOLDERS)]
    runs = [folder for folder in folders if (folder / RUN_FILE).is_file()]
    folders = [folder for folder in folders if not any(folder.is_relative_to(run) for run in runs)]
    files = [[path for path, is_file in _visible(folder) if is_file] for folder in folders]
    archives = [archive for paths in files for archive in archives_among(paths)]
    texts = [text for paths in files for path in paths if (text := text_in(path)) is not None]
    found = Survey(tuple(archives), tuple(texts), runs=tuple(map(str, runs)))
    return with_command(found, str(root))


def with_command(found: Survey, root: str) -> Survey:
    """Return what was found in the folder, or at the address, ``root`` with the command that fits it."""
    locations, without, refusal = _sources(root)
    if locations is None:
        return _with_why_not(found, root, refusal)
    archives = dict.fromkeys((*places_of(locations.metadata), *places_of(locations.images)))
    places = [place for place in archives if place != NONE]
    trees = tuple(each for place in places if Path(place).is_dir() for each in _files_of(Path(place)))
    mine = [each for each in found.archives if any(_same_set(each, place) for place in places)]
    found = replace(found, invented=invented.is_marked(locations))
    notes = [f"the data are invented: {INVENTED_MARK} says so"] if found.invented else []
    notes += [f"nothing of it is the {name}: --{name} {NONE} does without" for name in without]
    blocked = [each for each in mine if each.first is not None]
    doubtful = not all(each.whole for each in mine)
    if blocked:
        notes += [f"{each.source}: {each.first}" for each in blocked]
        if any(each.source != "images" for each in blocked):
            return replace(found, files=trees, notes=tuple(notes))
        notes.append(f"until then, --images {NONE} does with the text alone")
        without, doubtful = (*without, "images"), any(not each.whole for each in mine if each.source != "images")
    words = [quote(root), _new_run(), *(f"--{name} {NONE}" for name in without)]
    if doubtful:
        notes.append("what is missing may come, and what is doubtful may be fetched again, when the plan is made")
        command = " ".join(["postmill plan", *words, "--await-parts"])
    else:
        notes.append("without --models light, models are the study's own, which are fetched once")
        command = " ".join(["postmill run", *words, "--models light"])
    return replace(found, files=trees, notes=tuple(notes), command=command)


def _with_why_not(found: Survey, root: str, refusal: str | None) -> Survey:
    """Return what was found where it makes no dataset: with the reason, or with what shows the run that is there."""
    files = () if is_url(root) else _files_of(Path(root))
    if found.runs and not (found.archives or found.texts):
        return replace(found, command=f"postmill status {quote(found.runs[0])}")
    theirs = [each for each in found.archives if each.source != "other files"]
    if refusal is None or not (theirs or found.texts or files):
        refusal = "nothing of it is a dataset's, as far as names tell"
    return replace(found, files=files, notes=(refusal,))


def _sources(root: str) -> tuple[Locations | None, tuple[str, ...], str | None]:
    """Return where the sources are, what of them is not there and need not be, or why nothing can be done."""
    refusal = None
    for without in _WITHOUT:
        images, mapping, influencers = (NONE if name in without else None for name in ("images", *_TEXTS))
        try:
            return find_sources(root, None, images, mapping, influencers), without, None
        except UsageError as error:
            refusal = refusal or f"{error.cause}: {error.hint}"
    return None, (), refusal


def _same_set(archive: FoundArchive, place: str) -> bool:
    return folder_of(archive.place) == folder_of(place) and file_name(place) in archive.names


def is_one_archive(root: Path) -> bool:
    """Say whether all that lies in the folder ``root`` are parts of one archive, which can be looked into itself."""
    files = list(_visible(root))
    names = [parse_name(path) for path, is_file in files if is_file]
    first = names[0] if names else None
    if first is None or len(names) < len(files) or not all(name is not None and name.same_set(first) for name in names):
        return False
    held = contents.of_zip(first.path)
    return held is None or not (held.collected or held.parts)


def _files_of(folder: Path) -> tuple[FoundFiles, ...]:
    held = contents.of_folder(folder)
    kinds = {"files of instaloader": held.documents if held.collected else 0, "metadata": held.infos}
    kinds["images"] = 0 if held.collected else held.pictures
    return tuple(FoundFiles(kind, str(folder), count, held.more) for kind, count in kinds.items() if count)


def _visible(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield the first files and folders of ``folder`` that no program keeps for itself, and which are files."""
    with os.scandir(folder) as found:
        entries = sorted(islice(found, _FILES), key=lambda entry: entry.name)
    for entry in entries:
        if not entry.name.startswith("."):
            yield entry.path, entry.is_file()


def _new_run() -> str:
    """Return a name for a run that nothing has here."""
    names = ["run", *(f"run-{number}" for number in range(2, _RUNS))]
    return next((name for name in names if not Path(name).exists()), "RUN")
