"""The parts that lie in a folder, by their names, whatever else lies there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from postmill.ingest.zipformat.part_names import NumberedName, file_name, natural, parse_name
from postmill.shards.runtime.errors import UsageError

GLOB = "*?["  # of a path any of these makes a pattern


def parts_at(path: Path, salvage: bool) -> list[str]:
    """Return the paths of the parts of the archive at ``path``: one of them, a folder with one archive in it, a glob.

    Args:
        path: Any of these.
        salvage: Whether the part that is named may be missing.

    Raises:
        UsageError: Nothing is there, or more than one archive.
    """
    if path.is_dir():
        return _only_set(path, files_of(path.iterdir()))
    name = parse_name(str(path))
    if path.is_file() or (salvage and name is not None and path.parent.is_dir()):
        siblings = [] if name is None else _same_set(name, files_of(path.parent.iterdir()))
        if siblings or path.is_file():
            return siblings or [str(path)]
    if any(sign in path.name for sign in GLOB):
        if files := files_of(path.parent.glob(path.name)):
            return _only_set(path, files)
        raise UsageError("no file matches", place=path, hint="check the folder and the pattern")
    if path.exists():
        hint = "write the list to a file, for later commands read it too"
        raise UsageError("is a pipe or a device, and no file", place=path, hint=hint)
    raise UsageError("there is no such file or folder", place=path, hint="name a part of the archive, or its folder")


def files_of(paths: Iterable[Path]) -> list[str]:
    """Return the files among ``paths``, without what macOS puts beside each on a disk of another system."""
    files = sorted((str(path) for path in paths if path.is_file()), key=natural)
    names = {file_name(path) for path in files}
    return [path for path in files if not ((name := file_name(path)).startswith("._") and name[2:] in names)]


def _same_set(name: NumberedName, files: Iterable[str]) -> list[str]:
    return [path for path in files if (other := parse_name(path)) is not None and other.same_set(name)]


def _only_set(given: Path, files: list[str]) -> list[str]:
    """Return the one archive among ``files``; refuse several with a list of them."""
    sets: dict[tuple[int, str], list[NumberedName]] = {}
    for path in files:
        if (name := parse_name(path)) is not None:
            sets.setdefault((id(name.scheme), name.stem), []).append(name)
    for key in [key for key, names in sets.items() if any(_fetched_again(names, other) for other in sets.values())]:
        del sets[key]
    if len(sets) > 1 and not given.is_dir() and all(len(names) == 1 for names in sets.values()):
        # A pattern of the user's own, and names in which nothing else counts the parts.
        return [path for path in files if parse_name(path) is not None]
    if len(sets) > 1:
        stems = ", ".join(sorted(stem for _, stem in sets))
        hint = "name one part of the one you mean, or a pattern in quotes where these are parts of one"
        raise UsageError(f"more than one archive here: {stems}", place=given, hint=hint)
    if sets:
        return [name.path for name in next(iter(sets.values()))]
    if files and not given.is_dir():
        return files  # the user's own naming, such as the `xaa xab` of split
    raise UsageError("no archive here", place=given, hint="expected NAME.zip and NAME.z01 ..., or NAME.zip.001 ...")


def _fetched_again(names: list[NumberedName], other: list[NumberedName]) -> bool:
    """Tell whether ``names`` are what was fetched a second time of ``other``, by what it is called."""
    fewer = len(names) < len(other) or (len(names) == 1 and names[0].scheme is not other[0].scheme)
    return fewer and names[0].is_copy_of(other[0])
