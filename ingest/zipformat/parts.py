"""Find the parts of an archive from whatever a user has of it.

``find_parts`` takes one part, a glob, a folder, a list, or a URL, and gives back the whole set as
:class:`.space.Part` rows in order, each with its offset in one absolute address space. Names decide which files
belong together (:mod:`.part_names`); whether they are PKWARE disks or slices of one file is decided
later, by content.

::

    parts = find_parts("Post_images/posts_image.z07")
    with AddressSpace(parts) as space:
        ...
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from postmill.ingest.remote import files as remote_files
from postmill.ingest.remote.files import Forbidden, SizeUnknown
from postmill.ingest.zipformat.part_names import (
    LAST,
    MOST_PARTS,
    NumberedName,
    beginning,
    file_name,
    folder_of,
    natural,
    order,
    parse_name,
)
from postmill.ingest.zipformat.space import Part, lay_out
from postmill.shards.runtime.addresses import is_url, split
from postmill.shards.runtime.errors import DamagedSource, UsageError
from postmill.shards.runtime.progress import log

PathOrUrl = str | os.PathLike[str]
_GLOB = "*?["
_MANY = 1_000  # parts: behind a URL, so many may be those of a server that has a page for every name
_PATIENCE = 16  # parts in a row that may be missing behind a URL
_ASSUMED_SIZE = 1 << 32  # bytes of a missing part where there is none to compare with; all that were met are shorter


def find_parts(source: PathOrUrl | Sequence[PathOrUrl], *, salvage: bool = False) -> tuple[Part, ...]:
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
        paths = [os.fspath(path) for path in source]
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
    assumed = max(numbered, default=_ASSUMED_SIZE)
    missing = {path for path in paths if path not in sizes}
    return lay_out([(path, sizes.get(path, assumed)) for path in paths], missing)


def measure(path: str) -> int | None:
    """Return how many bytes the file or URL ``path`` has, or None if there is none.

    Raises:
        Forbidden: An address may not be read.
        PostmillError: It cannot be asked for.
    """
    return remote_files.size(path) if is_url(path) else _local_size(path) if Path(path).is_file() else None


def there(path: str) -> int | None:
    """Return as :func:`measure` does; for an address that may not be read (any more) None, for an unknown size 0."""
    try:
        return measure(path)
    except Forbidden:
        return None
    except SizeUnknown:
        return 0


def _from_local(path: Path, salvage: bool) -> list[str]:
    if path.is_dir():
        return _only_set(path, _files(path.iterdir()))
    name = parse_name(str(path))
    if path.is_file() or (salvage and name is not None and path.parent.is_dir()):
        siblings = [] if name is None else _same_set(name, _files(path.parent.iterdir()))
        if siblings or path.is_file():
            return siblings or [str(path)]
    if any(sign in path.name for sign in _GLOB):
        if files := _files(path.parent.glob(path.name)):
            return _only_set(path, files)
        raise UsageError("no file matches", place=path, hint="check the folder and the pattern")
    raise UsageError("there is no such file or folder", place=path, hint="name a part of the archive, or its folder")


def _files(paths: Iterable[Path]) -> list[str]:
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


def strangers(parts: Sequence[Part]) -> list[str]:
    """Return the names of local files that lie beside ``parts``, begin as they do, and are none of them.

    What is called after one part, such as a checksum of it, is left out.
    """
    if is_url(parts[-1].path):
        return []
    known = {part.name for part in parts}
    begins, companions = beginning(parts[-1].name), tuple(f"{name}." for name in known)
    try:
        names = list(map(file_name, _files(Path(parts[-1].path).parent.iterdir())))
    except OSError:  # a folder that may be entered and not listed
        return []
    return [name for name in names if name.startswith(begins) and name not in known and not name.startswith(companions)]


def _from_url(url: str, patience: int) -> list[tuple[str, int]]:
    """Probe for the neighbours of ``url`` by name, because not every server lists a folder.

    Gives up after ``patience`` names in a row that are not there.
    """
    name = parse_name(url)
    if name is None:
        return _measure([url], _url_size)
    example, last = name, None
    if name.scheme.last:
        upper = file_name(url)[len(name.stem) :].isupper()
        suffix = name.scheme.last.upper() if upper else name.scheme.last
        last = name.folder + name.stem + suffix + split(url)[1]
        if name.number == LAST:
            example = name.first(upper=upper)
    sizes = {url: remote_files.size(url)}  # first, so that an error of the server names this address
    forbidden: list[Forbidden] = []
    known = name.number if name.number != LAST else 0
    absent = 0
    for number in range(MOST_PARTS):
        neighbour = example.spelled(number)
        if neighbour not in sizes:
            sizes[neighbour] = _neighbour_size(neighbour, forbidden)
        absent = absent + 1 if sizes[neighbour] is None else 0
        if number == _MANY and remote_files.size(example.spelled(MOST_PARTS - 1)) is not None:
            raise UsageError(
                "the server answers that there is a file of whatever name", place=url, hint="download the parts first"
            )
        if absent >= patience and number > known:
            break
    if last is not None and last not in sizes:
        sizes[last] = _neighbour_size(last, forbidden)
    _say_forbidden(forbidden)
    files = [(path, size) for path, size in sizes.items() if size is not None]
    if not files:
        hint = "check the address, and that you may read it; name any part of the archive"
        raise UsageError("there is no such file", place=url, hint=hint)
    return files


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
        raise DamagedSource(
            f"empty: {', '.join(empty)}",
            place=folder_of(files[0][0]) or ".",
            hint="fetch it again, for a transfer that was cut off leaves such a file, and run the same command",
        )


def _local_size(path: str) -> int:
    return Path(path).stat().st_size


def _url_size(url: str) -> int:
    """Ask for the size of a file behind a URL; FileNotFoundError if there is none."""
    size = remote_files.size(url)
    if size is None:
        raise FileNotFoundError(url)
    return size


def _neighbour_size(url: str, forbidden: list[Forbidden]) -> int | None:
    """Ask for the size of what may be a neighbour; that it may not be read is put down in ``forbidden``."""
    try:
        return remote_files.size(url)
    except Forbidden as error:
        forbidden.append(error)
        return None


def _say_forbidden(forbidden: Sequence[Forbidden]) -> None:
    """Say which neighbours may not be read: object stores say so of what is not there, and others of what is."""
    if forbidden:
        more = f", and {len(forbidden) - 1} more" if len(forbidden) > 1 else ""
        log.info("%s%s: taken as not there, for object stores say that of what is not there", forbidden[0], more)
