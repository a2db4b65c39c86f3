"""What file names say about the parts of an archive: which set, which number, what is missing.

=========================  ===================================================
``a.z01`` .. ``a.zip``     Info-ZIP, WinZip, WinRAR; from ``a.z00`` also without ``a.zip``
``a.zx01`` .. ``a.zipx``   WinZip
``a.zip.001`` ..           7-Zip and others, also plain ``a.001``, or from ``000``
``a.zip.aa`` ..            ``split``
``a.zip``                  a whole archive
=========================  ===================================================

Numbers are compared as numbers, so ``.z100`` follows ``.z99``. Nothing here touches a file; paths are
local ones or URLs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from shards.errors import PostmillError, UsageError

LAST = 1 << 62  # the number of `.zip` in its set: after every other
MOST_PARTS = 1 << 16  # a disk number has 16 bits in every writer met; bounds loops over hostile names


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to name the parts of an archive."""

    part: re.Pattern[str]
    last: str | None  # suffix of the last part, where it has one of its own


_SCHEMES = (
    Scheme(re.compile(r"(?P<stem>.+)\.z(?P<number>\d{1,9})", re.IGNORECASE), ".zip"),
    Scheme(re.compile(r"(?P<stem>.+)\.zx(?P<number>\d{1,9})", re.IGNORECASE), ".zipx"),
    Scheme(re.compile(r"(?P<stem>.+)\.(?P<number>\d{2,9})"), None),
    Scheme(re.compile(r"(?P<stem>.+\.zipx?)\.(?P<letters>[a-z]{2,4})"), None),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file name stands: in which archive, and as which number."""

    scheme: Scheme
    folder: str  # with its slash; empty for a bare name
    stem: str
    number: int

    def same_set(self, other: Place) -> bool:
        """Tell whether both names belong to one archive, in whatever folders."""
        return self.scheme is other.scheme and self.stem == other.stem


def file_name(path: str) -> str:
    """Return the last component of a path or URL."""
    return path.rstrip("/").rpartition("/")[2]


def folder_of(path: str) -> str:
    """Return the folder of a path or URL, with its slash; empty for a bare name."""
    return path[: len(path) - len(file_name(path))]


def place(path: str) -> Place | None:
    """Read the number out of a file name; None where it follows no scheme."""
    name = file_name(path)
    for scheme in _SCHEMES:
        if match := scheme.part.fullmatch(name):
            groups = match.groupdict()
            number = int(groups["number"]) if groups.get("number") else _from_letters(groups["letters"])
            return Place(scheme, folder_of(path), match["stem"], number)
        if scheme.last and name.lower().endswith(scheme.last) and len(name) > len(scheme.last):
            return Place(scheme, folder_of(path), name[: -len(scheme.last)], LAST)
    return None


def spell(number: int, example: str) -> str:
    """Return the path of part ``number`` in the manner of ``example``, the path of another numbered part."""
    where = place(example)
    if where is None or where.number == LAST:
        raise ValueError(f"{example} has no number")
    name = file_name(example)
    match = where.scheme.part.fullmatch(name)
    key = "number" if match and match.groupdict().get("number") else "letters"
    width = len(name) - len(where.stem) if match is None else len(match[key])
    head = name[: len(name) - width]
    return where.folder + head + (str(number).zfill(width) if key == "number" else _to_letters(number, width))


def order(paths: Sequence[str], *, gaps: bool = False) -> list[str]:
    """Return the paths of one archive in order; where names follow no scheme, as they came.

    With ``gaps`` the result includes the paths that missing parts would have, each in its place.

    Raises:
        UsageError: They are of different archives.
        PostmillError: A part is missing or there twice; all such parts are named.
    """
    places = [place(path) for path in paths]
    known = [each for each in places if each is not None]
    if len(known) < len(paths):
        return list(paths)
    first = known[0]
    if not all(each.same_set(first) for each in known):
        stems = ", ".join(sorted({each.stem for each in known}))
        raise UsageError(f"parts of different archives: {stems}", place=first.folder, hint="name those of one")
    if len(paths) == 1 and first.scheme.last is None and not first.stem.lower().endswith((".zip", ".zipx")):
        return list(paths)  # a whole archive with a number for a suffix, such as a year
    numbered = sorted(zip((each.number for each in known), paths, strict=True))
    twice = [f"{file_name(a)} and {file_name(b)}" for (m, a), (n, b) in pairwise(numbered) if m == n]
    if twice:
        raise PostmillError(
            f"the same part twice: {'; '.join(twice)}", place=first.folder or ".", hint="move one of each away"
        )
    absent = _absent([number for number, _ in numbered if number != LAST])
    if gaps:
        numbered = sorted([*numbered, *((number, spell(number, numbered[0][1])) for number in absent)])
    else:
        _refuse_gaps(absent, numbered)
    return [path for _, path in numbered]


def _absent(numbers: list[int]) -> list[int]:
    """Return the numbers that ``numbers`` (ascending) leave out, as far as they tell."""
    if not numbers:
        return []
    return sorted(set(range(min(1, numbers[0]), min(numbers[-1], numbers[0] + MOST_PARTS))) - set(numbers))


def _refuse_gaps(absent: list[int], numbered: list[tuple[int, str]]) -> None:
    example = numbered[0][1]
    missing = [file_name(spell(number, example)) for number in absent]
    if missing:
        there = sum(number != LAST for number, _ in numbered)
        folder = folder_of(example) or "."
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        raise PostmillError(
            f"{len(missing)} part{'s' if len(missing) > 1 else ''} missing: {', '.join(missing[:8])}{more}",
            place=folder,
            hint=f"fetch what is missing into {folder}; the {there} numbered parts there can stay as they are. "
            "`postmill inspect --salvage` reads the entries that lie wholly on the parts there",
        )


def natural(path: str) -> list[tuple[int, str]]:
    """A sort key that compares runs of digits as numbers."""
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in re.split(r"(\d+)", path)]


def _from_letters(text: str) -> int:
    """Number ``aa`` 1, ``ab`` 2, ...: like the other schemes, the first part has number 1."""
    number = 0
    for letter in text:
        number = number * 26 + ord(letter) - ord("a")
    return number + 1


def _to_letters(number: int, width: int) -> str:
    text = ""
    number -= 1
    for _ in range(width):
        text = chr(ord("a") + number % 26) + text
        number //= 26
    return text
