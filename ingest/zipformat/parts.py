"""Find the parts of an archive from whatever a user has of it.

``find_parts`` takes one part, a glob, a folder, a list file, a URL, or several of these, and gives back the whole set
as :class:`.space.Part` rows in order, each with its offset in one absolute address space. Names decide which files
belong together (:mod:`.part_names`); whether they are PKWARE disks or slices of one file is decided
later, by content.

::

    parts = find_parts("Post_images/posts_image.z07")
    with AddressSpace(parts) as space:
        ...
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from postmill.ingest.remote import files as remote_files
from postmill.ingest.remote.files import Forbidden, RequestError, SizeUnknown
from postmill.ingest.zipformat.part_names import LAST, beginning, file_name, folder_of, order, parse_name
from postmill.ingest.zipformat.places.folders import files_of, parts_at
from postmill.ingest.zipformat.places.lists import ListedPart, read_list
from postmill.ingest.zipformat.places.neighbours import say_forbidden, size_if_allowed, with_neighbours
from postmill.ingest.zipformat.places.search import paths_of
from postmill.ingest.zipformat.space import Part, lay_out
from postmill.shards.runtime.addresses import is_url, plain
from postmill.shards.runtime.errors import DamagedSource, PostmillError, UsageError
from postmill.shards.runtime.progress import log

PathOrUrl = str | os.PathLike[str]
_PATIENCE = 16  # parts in a row that may be missing behind a URL
_ADD = "write where it lies into the list, a line NAME ADDRESS, then run the same command again"
_ASSUMED_SIZE = 1 << 32  # bytes of a missing part where there is none to compare with; all that were met are shorter


@dataclass(frozen=True, slots=True)
class _Found:
    """A part that is there, or, of a list, should be: its name, path or URL, and size in bytes, None if it is not."""

    name: str
    path: str
    size: int | None
    list: str | None = None  # in which it stands


def find_parts(source: PathOrUrl | Sequence[PathOrUrl], *, salvage: bool = False) -> tuple[Part, ...]:
    """Return all parts of the archive that ``source`` names, in order.

    Args:
        source: Any one part, a glob, a folder with one archive in it, a list of parts (:mod:`.places.lists`), a URL of
            one part; or several of these, where a part that two of them have is taken from the later one, and a URL
            behind the first stands for one part. Files whose names follow no scheme are taken in the order given, or,
            from a glob, in natural order.
        salvage: Leave a hole for each part that is missing or empty, as long as the longest part that is there; all
            parts but the last have one size, as far as is known. One part named may be missing itself. Parts that
            may be missing behind the last one are not known here.

    Raises:
        UsageError: Nothing is there, a list is wrong, or it is more than one archive.
        PostmillError: A part is there twice or, without ``salvage``, missing or empty; all such parts are named.
    """
    places = [os.fspath(place) for place in ([source] if isinstance(source, str | os.PathLike) else source)]
    if not places:
        raise UsageError("no parts given", hint="name one part of the archive, or the folder it lies in")
    found = _gathered(places, salvage)
    listed = next((each.list for each in found.values() if each.list is not None), None)
    if listed is not None and not salvage:
        _refuse_without_last(list(found), listed)
    folder = listed or folder_of(next(iter(found.values())).path) or "."
    names = order(list(found), gaps=salvage, place=folder, bring=_how_to_bring(places, listed))
    paths = [found[name].path if name in found else paths_of([name], places)[0] for name in names]
    sizes = {each.path: each.size for each in found.values() if each.size or (each.size == 0 and not salvage)}
    if salvage and sizes:
        return lay_out_holes(paths, sizes, names)
    _refuse_empty(found.values())
    return lay_out([(path, sizes[path]) for path in paths], names=names)


def lay_out_holes(paths: Sequence[str], sizes: Mapping[str, int], names: Sequence[str] = ()) -> tuple[Part, ...]:
    """Return the parts ``paths``, called ``names``; those without a size (bytes) are holes, of the largest size."""
    numbered = [sizes[path] for path in paths[:-1] if path in sizes]
    assumed = max(numbered, default=_ASSUMED_SIZE)
    missing = {path for path in paths if path not in sizes}
    return lay_out([(path, sizes.get(path, assumed)) for path in paths], missing, names)


def measure(path: str) -> int | None:
    """Return how many bytes the file or URL ``path`` has, or None if there is none.

    Raises:
        Forbidden: An address may not be read.
        PostmillError: It cannot be asked for.
    """
    return remote_files.size(path) if is_url(path) else Path(path).stat().st_size if Path(path).is_file() else None


def there(path: str) -> int | None:
    """Return as :func:`measure` does; for an address that may not be read (any more) None, for an unknown size 0."""
    try:
        return measure(path)
    except Forbidden:
        return None
    except SizeUnknown:
        return 0


def _gathered(places: Sequence[str], salvage: bool) -> dict[str, _Found]:
    """Return the parts by name, in the order in which they were found."""
    found: dict[str, _Found] = {}
    paths: set[str] = set()
    for number, place in enumerate(places):
        if (place if is_url(place) else str(Path(place))) in paths:  # beside one that was named before
            continue
        for each in _found(place, number == 0, salvage):
            _refuse_another(found.get(each.name), each)
            found[each.name] = each
            paths.add(each.path)
    return found


def _found(place: str, first: bool, salvage: bool) -> Iterator[_Found]:
    """Yield the parts that ``place`` stands for."""
    if is_url(place):
        files = with_neighbours(place, _PATIENCE if salvage else 1) if first else [(place, _size(place))]
        yield from (_Found(file_name(path), path, size) for path, size in files)
    elif (listed := read_list(place)) is not None:
        yield from _listed(place, listed, salvage)
    else:
        paths = parts_at(Path(place), salvage)
        yield from (_Found(file_name(path), path, Path(path).stat().st_size) for path in paths)


def _listed(place: str, listed: Sequence[ListedPart], salvage: bool) -> Iterator[_Found]:
    """Yield the parts of the list ``place``; with ``salvage`` without a size where they are not there."""
    forbidden: list[Forbidden] = []
    for part in listed:
        try:
            allowed = salvage and is_url(part.path)
            size = size_if_allowed(part.path, forbidden) if allowed else measure(part.path)
        except RequestError as error:
            cause = f"{part.name}, line {part.line} of {place}, {error.cause}"
            raise type(error)(cause, place=part.path, hint=error.hint, errno=error.errno) from error
        if size is None and not salvage:
            cause = f"there is no such file, which line {part.line} of {place} has for {part.name}"
            raise UsageError(cause, place=part.path, hint="mend that line, then run the same command again")
        yield _Found(part.name, part.path, size, place)
    say_forbidden(forbidden)


def _refuse_another(other: _Found | None, part: _Found) -> None:
    """Refuse ``part`` where a file of its name was found elsewhere and may be another; say which of two is read."""
    if other is None or other.path == part.path or part.list is not None:
        return
    if parse_name(part.name) is None:
        hint = "name the parts in a list, a text file with a line NAME ADDRESS for each"
        raise UsageError(f"two parts are called {part.name}, by which they cannot be told", place=part.path, hint=hint)
    if other.size is not None and other.size != part.size:
        raise PostmillError(
            f"the same part twice: of {other.size:,} bytes in {folder_of(other.path)}, and of {part.size:,} here",
            place=part.path,
            hint="move the one away that is not whole, or not of this archive",
        )
    log.info("%s is there twice, and read in %s, which was named later", part.name, folder_of(plain(part.path)))


def _refuse_without_last(names: Sequence[str], place: str) -> None:
    """Refuse a list of numbered parts from 1 on without the last, which has the directory and a name of its own."""
    known = [name for name in map(parse_name, names) if name is not None]
    first = min(known, key=lambda name: name.number, default=None)
    if first is None or len(known) < len(names) or not first.scheme.last or not all(map(first.same_set, known)):
        return
    if first.number >= 1 and all(name.number != LAST for name in known):
        last = first.stem + first.scheme.last
        raise DamagedSource(f"lists no {last}, the last part, which has the directory", place=place, hint=_ADD)


def _how_to_bring(places: Sequence[str], listed: str | None) -> str:
    """Say what to do about parts that are missing."""
    if listed is not None:
        return _ADD
    folder = folder_of(places[0]) if is_url(places[0]) or not Path(places[0]).is_dir() else places[0]
    what = f"fetch what is missing into {folder or '.'}"
    return what if len(places) == 1 else f"{what}, or name the place where it lies, too"


def strangers(parts: Sequence[Part]) -> list[str]:
    """Return the names of local files that lie beside ``parts``, begin as they do, and are none of them.

    What is called after one part, such as a checksum of it, is left out.
    """
    if is_url(parts[-1].path):
        return []
    known = {part.name for part in parts}
    begins, companions = beginning(parts[-1].name), tuple(f"{name}." for name in known)
    try:
        names = list(map(file_name, files_of(Path(parts[-1].path).parent.iterdir())))
    except OSError:  # a folder that may be entered and not listed
        return []
    return [name for name in names if name.startswith(begins) and name not in known and not name.startswith(companions)]


def _size(url: str) -> int:
    size = remote_files.size(url)
    if size is None:
        raise UsageError("there is no such file", place=url, hint="check the list of parts")
    return size


def _refuse_empty(found: Iterable[_Found]) -> None:
    empty = [each for each in found if not each.size]
    if empty:
        raise DamagedSource(
            f"empty: {', '.join(each.name for each in empty)}",
            place=folder_of(empty[0].path) or ".",
            hint="fetch it again, for a transfer that was cut off leaves such a file, and run the same command",
        )
