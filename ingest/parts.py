"""Find the parts of an archive from whatever a user has of it.

``find_parts`` takes one part, a glob, a folder, a list, or a URL, and gives back the whole set as
:class:`Part` rows in order, each with its place in one absolute address space. Names decide which files
belong together (:mod:`ingest.naming`); whether they are PKWARE disks or slices of one file is decided
later, by content. ``Part``, ``AddressSpace`` and ``PartError`` can be imported from here too.

::

    parts = find_parts("Post_images/posts_image.z07")
    with AddressSpace(parts) as space:
        ...
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ingest.naming import LAST, MOST_PARTS, Place, file_name, folder_of, natural, order, place, spell
from ingest.space import AddressSpace, Part, PartError, is_url, lay_out, network_errors
from shards.errors import PostmillError, UsageError

__all__ = ["AddressSpace", "Part", "PartError", "find_parts", "is_url", "lay_out"]

Source = str | os.PathLike[str]
_GLOB = "*?["
_PATIENCE = 16  # parts in a row that may be missing behind a URL
_UNKNOWN = 1 << 32  # bytes of a missing part where none is there to compare; no part that was met is longer


def find_parts(source: Source | Sequence[Source], *, salvage: bool = False) -> tuple[Part, ...]:
    """Return all parts of the archive that ``source`` names, in order.

    Args:
        source: Any one part, a glob, a folder with one archive in it, a URL of one part, or a list
            of parts. Files whose names follow no scheme are taken in the order given, or, from a
            glob, in natural order.
        salvage: Leave a hole for each part that is missing or empty, as long as the longest part that is there; all
            parts but the last have one size, as far as is known. One part named may be missing itself. Parts that
            may be missing behind the last one are not known here.

    Raises:
        UsageError: Nothing is there, or more than one archive.
        PostmillError: A part is there twice or, without ``salvage``, missing or empty; all such parts are named.
    """
    if isinstance(source, str | os.PathLike):
        if isinstance(source, str) and is_url(source):
            files = _from_url(source, _PATIENCE if salvage else 1)
        else:
            files = _measure(_from_local(Path(source), salvage), _local_size)
    else:
        paths = [os.fspath(each) for each in source]
        if not paths:
            raise UsageError("no parts given", hint="name one part of the archive, or the folder it lies in")
        files = _measure(paths, _url_size if is_url(paths[0]) else _local_size)
    ordered = order([path for path, _ in files], gaps=salvage)
    sizes = {path: size for path, size in files if size or not salvage}
    if salvage and sizes:
        return lay_out_holes(ordered, sizes)
    _refuse_empty(files)
    return lay_out([(path, sizes[path]) for path in ordered])


def lay_out_holes(paths: Sequence[str], sizes: Mapping[str, int]) -> tuple[Part, ...]:
    """Return the parts ``paths``; those of which ``sizes`` (bytes) has nothing are holes, of the largest size."""
    numbered = [sizes[path] for path in paths[:-1] if path in sizes]
    assumed = max(numbered, default=_UNKNOWN)
    missing = {path for path in paths if path not in sizes}
    return lay_out([(path, sizes.get(path, assumed)) for path in paths], missing)


def measure(path: str) -> int | None:
    """Return how many bytes the file or URL ``path`` has, or None if there is none.

    Raises:
        PostmillError: It cannot be asked for.
    """
    return _probe(path) if is_url(path) else _local_size(path) if Path(path).is_file() else None


def _from_local(path: Path, salvage: bool) -> list[str]:
    if path.is_dir():
        return _only_set(path, _files(path.iterdir()))
    where = place(str(path))
    if path.is_file() or (salvage and where is not None and path.parent.is_dir()):
        siblings = [str(path)] if where is None else _same_set(where, _files(path.parent.iterdir()))
        if siblings:
            return siblings
    if any(sign in path.name for sign in _GLOB):
        if found := _files(path.parent.glob(path.name)):
            return _only_set(path, found)
        raise UsageError("no file matches", place=path, hint="check the folder and the pattern")
    raise UsageError("there is no such file or folder", place=path, hint="name a part of the archive, or its folder")


def _files(paths: Iterable[Path]) -> list[str]:
    return sorted((str(path) for path in paths if path.is_file()), key=natural)


def _same_set(where: Place, files: Iterable[str]) -> list[str]:
    return [each for each in files if (other := place(each)) is not None and other.same_set(where)]


def _only_set(given: Path, files: list[str]) -> list[str]:
    """Return the one archive among ``files``; refuse several with a list of them."""
    found: dict[tuple[int, str], Place] = {}
    for each in files:
        if (where := place(each)) is not None:
            found.setdefault((id(where.scheme), where.stem), where)
    if len(found) > 1:
        stems = ", ".join(sorted(stem for _, stem in found))
        raise UsageError(f"more than one archive here: {stems}", place=given, hint="name one part of the one you mean")
    if found:
        return _same_set(next(iter(found.values())), files)
    if files and not given.is_dir():
        return files  # the user's own naming, such as the `xaa xab` of split
    raise UsageError("no archive here", place=given, hint="expected NAME.zip and NAME.z01 ..., or NAME.zip.001 ...")


def _from_url(url: str, patience: int) -> list[tuple[str, int]]:
    """Probe for the neighbours of ``url`` by name, because not every server lists a folder.

    Gives up after ``patience`` names in a row that are not there.
    """
    where = place(url)
    if where is None:
        return _measure([url], _url_size)
    name = file_name(url)
    example, last = url, None
    if where.scheme.last:
        upper = name[len(where.stem) :].isupper()
        last = where.folder + where.stem + (where.scheme.last.upper() if upper else where.scheme.last)
        if where.number == LAST:
            first = ".z01" if where.scheme.last == ".zip" else ".zx01"
            example = where.folder + where.stem + (first.upper() if upper else first)
    sizes = {url: _probe(url)}  # first, so that what is wrong with the server is told of this address
    known = where.number if where.number != LAST else 0
    absent = 0
    for number in range(MOST_PARTS):
        at = spell(number, example)
        if at not in sizes:
            sizes[at] = _probe(at)
        absent = absent + 1 if sizes[at] is None else 0
        if absent >= patience and number > known:
            break
    if last is not None and last not in sizes:
        sizes[last] = _probe(last)
    found = {path: size for path, size in sizes.items() if size is not None}
    if not found:
        hint = "check the address, and that you may read it; name any part of the archive"
        raise UsageError("there is no such file", place=url, hint=hint)
    return list(found.items())


def _measure(paths: Iterable[str], size: Callable[[str], int]) -> list[tuple[str, int]]:
    files: list[tuple[str, int]] = []
    for path in paths:
        try:
            files.append((path, size(path)))
        except FileNotFoundError as error:
            raise UsageError("there is no such file", place=path, hint="check the list of parts") from error
    return files


def _refuse_empty(files: list[tuple[str, int]]) -> None:
    empty = [file_name(path) for path, size in files if size == 0]
    if empty:
        raise PostmillError(
            f"empty: {', '.join(empty)}",
            place=folder_of(files[0][0]) or ".",
            hint="fetch it again; a transfer that was cut off leaves such a file",
        )


def _local_size(path: str) -> int:
    return Path(path).stat().st_size


def _url_size(url: str) -> int:
    """Ask for the size of a file behind a URL; FileNotFoundError if there is none."""
    import fsspec  # where a URL needs it: it is slow to load

    try:
        fs, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:  # a package that the protocol needs; a protocol nobody knows
        raise UsageError(str(error), place=url, hint="install what is named, or download the parts first") from error
    try:
        size = fs.info(path)["size"]
    except (FileNotFoundError, PermissionError) as error:
        # Object stores forbid what is not there. fsspec reports a dead network as a missing file.
        cause = error.__cause__
        if not isinstance(cause, network_errors()) or isinstance(cause, FileNotFoundError) or hasattr(cause, "status"):
            raise FileNotFoundError(url) from error
        raise PartError(f"cannot be reached: {cause}", part=url, hint="check the address and the network") from error
    except network_errors() as error:
        raise PartError(f"cannot be reached: {error}", part=url, hint="check the address and the network") from error
    if size is None:
        raise UsageError("the server does not say how large the file is", place=url, hint="download the parts first")
    return int(size)


def _probe(url: str) -> int | None:
    try:
        return _url_size(url)
    except FileNotFoundError:
        return None
