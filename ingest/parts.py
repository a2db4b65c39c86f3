"""Find the parts of an archive and put them in order.

``find_parts`` takes what a user has: one part, a glob, a folder, a list, or a URL, and gives back
the whole set as :class:`Part` rows, each with its place in one absolute address space. Sets are
known by their names; whether they are PKWARE disks or slices of one file is decided later and by content.

=========================  ===================================================
``a.z01`` .. ``a.zip``     Info-ZIP, WinZip, WinRAR; from ``a.z00`` also without ``a.zip``
``a.zx01`` .. ``a.zipx``   WinZip
``a.zip.001`` ..           7-Zip and others, also plain ``a.001`` or from ``000``
``a.zip.aa`` ..            ``split``
``a.zip``                  a whole archive
=========================  ===================================================

Numbers are compared as numbers, so ``.z100`` follows ``.z99``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import fsspec

from shards.errors import PostmillError, UsageError

LAST = 1 << 62  # the number of `.zip` in its set: after every other
_GLOB = re.compile(r"[*?\[]")
_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")
_MOST_PARTS = 1 << 16  # a disk number is 16 bits wide in every writer met; also bounds the probing of a URL

Source = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Part:
    """One file of an archive, at ``start`` of its address space (bytes)."""

    name: str  # for messages: the last component of the path
    path: str  # local path or URL
    start: int
    size: int

    @property
    def end(self) -> int:
        """The first offset after the part."""
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class _Kind:
    """A way to name the parts of a set."""

    part: re.Pattern[str]
    last: str | None  # suffix of the last part, where it has one of its own


_KINDS = (
    _Kind(re.compile(r"(?P<stem>.+)\.z(?P<number>\d{1,9})", re.IGNORECASE), ".zip"),
    _Kind(re.compile(r"(?P<stem>.+)\.zx(?P<number>\d{1,9})", re.IGNORECASE), ".zipx"),
    _Kind(re.compile(r"(?P<stem>.+)\.(?P<number>\d{2,9})", re.IGNORECASE), None),
    _Kind(re.compile(r"(?P<stem>.+\.zipx?)\.(?P<letters>[a-z]{2,4})", re.IGNORECASE), None),
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file name stands: which set, which number."""

    kind: _Kind
    stem: str
    number: int


def is_url(source: Source) -> bool:
    """Tell whether ``source`` goes through fsspec rather than the local file system."""
    return isinstance(source, str) and _URL.match(source) is not None


def lay_out(files: Iterable[tuple[str, int]]) -> tuple[Part, ...]:
    """Return the parts for ``files``, (path or URL, size in bytes) in order.

    Nothing is looked at, so this also serves where a listing is all one has.
    """
    parts: list[Part] = []
    start = 0
    for path, size in files:
        parts.append(Part(_name(path), path, start, size))
        start += size
    return tuple(parts)


def find_parts(source: Source | Sequence[Source]) -> tuple[Part, ...]:
    """Return all parts of the archive that ``source`` names, in order.

    Args:
        source: Any one part, a glob, a folder with one archive in it, a URL of one part, or a list
            of parts. A list whose names follow no scheme is taken in the order given.

    Raises:
        UsageError: Nothing is there, or more than one archive.
        PostmillError: A part is missing, there twice, or empty; all such parts are named.
    """
    if isinstance(source, str | os.PathLike):
        return lay_out(_from_url(source) if isinstance(source, str) and is_url(source) else _from_local(source))
    paths = [str(each) if is_url(each) else os.fspath(each) for each in source]
    if not paths:
        raise UsageError("no parts given", hint="name one part of the archive, or the folder it lies in")
    return lay_out(_measure(_ordered(paths), _url_size if is_url(paths[0]) else _local_size))


def _from_local(source: Source) -> list[tuple[str, int]]:
    path = Path(source)
    if path.is_dir():
        return _measure(_only_set(path, sorted(path.iterdir())), _local_size)
    if path.is_file():
        siblings = [str(each) for each in sorted(path.parent.iterdir()) if each.is_file()]
        return _measure(_set_of(str(path), siblings), _local_size)
    if _GLOB.search(path.name):
        found = sorted(each for each in path.parent.glob(path.name) if each.is_file())
        if not found:
            raise UsageError("no file matches", place=source, hint="quote the pattern, and check the folder")
        return _measure(_only_set(path, found), _local_size)
    raise UsageError("there is no such file or folder", place=source, hint="name a part of the archive, or its folder")


def _only_set(place: Path, files: list[Path]) -> list[str]:
    """The one archive among ``files``, or an error that lists them all."""
    names = [str(each) for each in files if each.is_file()]
    sets: dict[tuple[_Kind, str], str] = {}
    for name in names:
        if (where := _place(name)) is not None:
            sets.setdefault((where.kind, where.stem), name)
    if not sets:
        if names and _GLOB.search(place.name):
            return sorted(names, key=_natural)  # the user's own naming: `xaa xab`
        raise UsageError("no archive here", place=place, hint="expected NAME.zip and NAME.z01 ..., or NAME.zip.001 ...")
    if len(sets) > 1:
        listed = ", ".join(sorted(_name(each) for each in sets.values()))
        raise UsageError(f"more than one archive here: {listed}", place=place, hint="name one part of the one you mean")
    return _set_of(next(iter(sets.values())), names)


def _set_of(path: str, siblings: list[str]) -> list[str]:
    """All of ``siblings`` that belong to the archive of ``path``, in order."""
    where = _place(path)
    if where is None:
        return [path]
    places = [(each, _place(each)) for each in siblings]
    return _ordered([each for each, at in places if at and (at.kind, at.stem) == (where.kind, where.stem)])


def _ordered(paths: list[str]) -> list[str]:
    """Put ``paths`` in order and refuse gaps and doubles."""
    places = [_place(path) for path in paths]
    known = [place for place in places if place is not None]
    if len(known) < len(paths) or len({(place.kind, place.stem) for place in known}) > 1:
        if len(known) == len(paths) and len(paths) > 1:
            stems = ", ".join(sorted({_name(place.stem) for place in known}))
            raise UsageError(f"parts of different archives: {stems}", place=_parent(paths[0]), hint="name those of one")
        return paths  # no scheme in the names: the order is the user's
    if len(paths) == 1 and known[0].kind.last is None and not known[0].stem.lower().endswith((".zip", ".zipx")):
        return paths  # a whole archive with a number for a suffix, such as a year
    numbered = sorted(zip((place.number for place in known), paths, strict=True))
    twice = [f"{_name(a)} and {_name(b)}" for (m, a), (n, b) in pairwise(numbered) if m == n]
    if twice:
        where = _parent(paths[0])
        raise PostmillError(f"the same part twice: {'; '.join(twice)}", place=where, hint="move one of each away")
    _refuse_gaps([number for number, _ in numbered], known[0], numbered[0][1])
    return [path for _, path in numbered]


def _refuse_gaps(numbers: list[int], where: _Place, example: str) -> None:
    counted = [number for number in numbers if number != LAST]
    if not counted:
        return
    missing = sorted(set(range(min(1, counted[0]), min(counted[-1], counted[0] + _MOST_PARTS))) - set(counted))
    if missing:
        folder = _parent(example)
        names = [_spell(where, number, example) for number in missing[:8]]
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        raise PostmillError(
            f"{len(missing)} part{'s' if len(missing) > 1 else ''} missing: {', '.join(names)}{more}",
            place=folder,
            hint=f"fetch what is missing into {folder}; the {len(counted)} numbered parts there can stay as they are",
        )


def _place(path: str) -> _Place | None:
    """Read the number out of a file name."""
    name, folder = _name(path), path[: len(path) - len(_name(path))]
    for kind in _KINDS:
        if match := kind.part.fullmatch(name):
            groups = match.groupdict()
            number = int(groups["number"]) if groups.get("number") else _letters(groups["letters"]) + 1
            return _Place(kind, folder + match["stem"], number)
        if kind.last and name.lower().endswith(kind.last):
            return _Place(kind, folder + name[: -len(kind.last)], LAST)
    return None


def _letters(text: str) -> int:
    number = 0
    for letter in text.lower():
        number = number * 26 + ord(letter) - ord("a")
    return number


def _spell(where: _Place, number: int, example: str) -> str:
    """Name part ``number`` of the set the way its neighbour ``example`` is named."""
    name = _name(example)
    match = where.kind.part.fullmatch(name)
    assert match is not None  # `example` is the set's lowest number, so it has one
    if match.groupdict().get("number"):
        return name[: match.start("number")] + str(number).zfill(len(match["number"]))
    text = ""
    number -= 1
    for _ in match["letters"]:
        text = chr(ord("a") + number % 26) + text
        number //= 26
    return name[: match.start("letters")] + text


def _from_url(url: str) -> list[tuple[str, int]]:
    """Probe for the neighbours of ``url``: not every server lists a folder."""
    where = _place(url)
    if where is None:
        return _measure([url], _url_size)
    name = _name(url)
    if where.number == LAST:
        suffix = name[len(_name(where.stem)) :]
        example = where.stem + suffix[:2] + ("x" if len(suffix) > 4 else "") + "01"
    else:
        example = url
    sizes: dict[str, int] = {}
    numbers = [where.number, LAST] if where.kind.last else [where.number]
    for number in (*numbers, 0, *range(1, _MOST_PARTS)):
        at = _last(where, example) if number == LAST else _parent(example) + _spell(where, number, example)
        if at in sizes:
            continue
        try:
            sizes[at] = _url_size(at)
        except FileNotFoundError:
            if number > 0 and number != LAST and (number > where.number or where.number == LAST):
                break
    if not sizes:
        raise UsageError("there is no such file", place=url, hint="check the address; name any part of the archive")
    return [(path, sizes[path]) for path in _ordered(list(sizes))]


def _last(where: _Place, example: str) -> str:
    suffix = where.kind.last or ""
    return where.stem + (suffix.upper() if _name(example)[len(_name(where.stem)) :].startswith(".Z") else suffix)


def _measure(paths: Iterable[str], size: Callable[[str], int]) -> list[tuple[str, int]]:
    files: list[tuple[str, int]] = []
    for path in paths:
        try:
            files.append((path, size(path)))
        except FileNotFoundError as error:
            raise UsageError("there is no such file", place=path, hint="check the list of parts") from error
    empty = [_name(path) for path, length in files if length == 0]
    if empty:
        raise PostmillError(
            f"empty: {', '.join(empty)}",
            place=_parent(files[0][0]),
            hint="fetch it again; a transfer that was cut off leaves such a file",
        )
    return files


def _local_size(path: str) -> int:
    return Path(path).stat().st_size


def _url_size(url: str) -> int:
    fs, path = fsspec.core.url_to_fs(url)
    size = fs.info(path)["size"]
    if size is None:
        raise UsageError("the server does not say how large the file is", place=url, hint="download the parts first")
    return int(size)


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _parent(path: str) -> str:
    """The folder of ``path``, with its slash; empty for a bare name."""
    return path[: len(path) - len(_name(path))]


def _natural(path: str) -> list[tuple[int, str]]:
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", path)]
