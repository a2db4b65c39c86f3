"""What file names say about the parts of an archive: which set, which number, what is missing.

=========================  ===================================================
``a.z01`` .. ``a.zip``     Info-ZIP, WinZip, WinRAR; from ``a.z00`` also without ``a.zip``
``a.zx01`` .. ``a.zipx``   WinZip
``a.zip.001`` ..           7-Zip and others, also plain ``a.001``, or from ``000``, or ``a.zip.1``
``a.zip.aa`` ..            ``split``, and what people have it write: ``a.zip.part-aa``, ``a.zip.part00``, ``a.zip_aa``,
                           ``a.zipaa``, ``a.zip-00``, ``a.zip.part01of04``, ``a.parta``
``a.zip``                  a whole archive
=========================  ===================================================

A browser that knows better renames ``a.z01`` to ``a.z01.zip``; what it was still shows. Numbers are compared as
numbers, so ``.z100`` follows ``.z99``. Nothing here touches a file; paths are local ones or URLs, of which the siblings
have the same query: a token may give the right to a whole folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from postmill.shards.runtime.addresses import plain, split
from postmill.shards.runtime.errors import DamagedSource, PostmillError, UsageError

LAST = 1 << 62  # the number of `.zip` in its set: after every other
MOST_PARTS = 1 << 16  # a disk number has 16 bits in every writer met; bounds loops over hostile names


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to name the parts of an archive."""

    part: re.Pattern[str]
    last: str | None  # suffix of the last part, where it has one of its own


# Letters of three and more begin with `a` in any set that was met, unlike the endings `.bak`, `.tmp` and `.part`.
_LETTERS = r"(?P<letters>[a-z]{1,2}|(?!asc$)a[a-z]{2,3})"
_WORD = r"(?:part|split|chunk|piece|vol)"
_SCHEMES = (
    Scheme(re.compile(r"(?P<stem>.+)\.z(?P<number>\d{1,9})(?:\.zip)?", re.IGNORECASE), ".zip"),
    Scheme(re.compile(r"(?P<stem>.+)\.zx(?P<number>\d{1,9})(?:\.zipx)?", re.IGNORECASE), ".zipx"),
    Scheme(re.compile(r"(?P<stem>.+\.zipx?)\.(?P<number>\d{1,9})", re.IGNORECASE), None),
    Scheme(re.compile(r"(?P<stem>.+)\.(?P<number>\d{2,9})"), None),
    Scheme(re.compile(rf"(?P<stem>.+\.zipx?[._-]?{_WORD}?[._-]?)(?P<number>\d{{1,9}})(?:of\d+)?", re.IGNORECASE), None),
    Scheme(re.compile(rf"(?P<stem>.+(?i:\.zipx?)(?:[._-]|[._-]?{_WORD}[._-]?)){_LETTERS}"), None),
    Scheme(re.compile(r"(?P<stem>.+\.(?:(?i:zipx?)|part[._-]?))(?P<letters>[a-z]{2})"), None),
)


@dataclass(frozen=True, slots=True)
class NumberedName:
    """What the path of a part says: of which archive it is, and as which number."""

    path: str
    scheme: Scheme
    folder: str  # with its slash; empty for a bare name
    stem: str
    number: int

    def same_set(self, other: NumberedName) -> bool:
        """Tell whether both names belong to one archive, in whatever folders."""
        return self.scheme is other.scheme and self.stem == other.stem

    def is_copy_of(self, other: NumberedName) -> bool:
        """Tell whether this is what a browser or wget calls a file that it fetches again: `a (1).z01`, `a.zip.1`."""
        if self.scheme is other.scheme:
            return re.fullmatch(re.escape(other.stem) + r" ?\(\d{1,3}\)", self.stem) is not None
        return (
            self.stem == other.stem + (other.scheme.last or "") and file_name(self.path) == f"{self.stem}.{self.number}"
        )

    def first(self, *, upper: bool = False) -> NumberedName:
        """Return the name of part 1 of a set whose last part this is."""
        suffix = ".zx01" if self.scheme.last == ".zipx" else ".z01"
        path = self.folder + self.stem + (suffix.upper() if upper else suffix) + split(self.path)[1]
        return NumberedName(path, self.scheme, self.folder, self.stem, 1)

    def spelled(self, number: int) -> str:
        """Return the path of part ``number`` in the manner of this one, which is not the last.

        Raises:
            ValueError: This name has no number.
        """
        name = file_name(self.path)
        match = self.scheme.part.fullmatch(name)
        if match is None:
            raise ValueError(f"{self.path} has no number")
        key = "number" if match.groupdict().get("number") else "letters"
        start, end = match.span(key)
        digits = str(number).zfill(end - start) if key == "number" else _to_letters(number, end - start)
        return self.folder + name[:start] + digits + name[end:] + split(self.path)[1]


def file_name(path: str) -> str:
    """Return the last component of a path or URL, without a query."""
    return plain(path).rstrip("/").rpartition("/")[2]


def shown(name: str, path: str) -> str:
    """Return how a message names the part ``name``: by its path or URL, which need not end with the name."""
    return path if file_name(path) == name else f"{name} at {path}"


def folder_of(path: str) -> str:
    """Return the folder of a path or URL, with its slash, and what gives the right to read; empty for a bare name."""
    whole = path.removesuffix(split(path)[1])
    return whole[: len(whole) - len(file_name(path))]


def parse_name(path: str) -> NumberedName | None:
    """Read the number out of a file name; None where it follows no scheme."""
    name = file_name(path)
    for scheme in _SCHEMES:
        if match := scheme.part.fullmatch(name):
            groups = match.groupdict()
            number = int(groups["number"]) if groups.get("number") else _from_letters(groups["letters"])
            return NumberedName(path, scheme, folder_of(path), match["stem"], number)
        if scheme.last and name.lower().endswith(scheme.last) and len(name) > len(scheme.last):
            return NumberedName(path, scheme, folder_of(path), name[: -len(scheme.last)], LAST)
    return None


def order(names: Sequence[str], *, gaps: bool = False, place: str = ".", bring: str = "fetch it") -> list[str]:
    """Return the names of the parts of one archive in order; where they follow no scheme, as they came.

    Args:
        names: The names.
        gaps: Whether the result includes the names that missing parts would have.
        place: Where the parts lie, for messages.
        bring: What to do about parts that are missing, for messages.

    Raises:
        UsageError: They are of different archives.
        PostmillError: A part is missing or there twice; all such parts are named.
    """
    known = [name for name in map(parse_name, names) if name is not None]
    if len(known) < len(names):
        return list(names)
    first = known[0]
    if len(known) > 1 and all(name.number == LAST for name in known) and len({name.stem for name in known}) > 1:
        return list(names)  # whole zips by their names, so these tell nothing of an order: `a.part1.zip`, `a.part2.zip`
    if not all(name.same_set(first) for name in known):
        stems = ", ".join(sorted({name.stem for name in known}))
        raise UsageError(f"parts of different archives: {stems}", place=place, hint="name those of one")
    if len(names) == 1 and first.scheme.last is None and ".zip" not in first.stem.lower():
        return list(names)  # a whole archive with a number for a suffix, such as a year
    known.sort(key=lambda name: (name.number, name.path))
    twice = [f"{a.path} and {b.path}" for a, b in pairwise(known) if a.number == b.number]
    if twice:
        raise PostmillError(f"the same part twice: {'; '.join(twice)}", place=place, hint="move one of each away")
    absent = _absent([name.number for name in known if name.number != LAST])
    if absent and not gaps:
        raise _gaps(absent, known, place, bring)
    spelled = [(number, known[0].spelled(number)) for number in absent]
    return [name for _, name in sorted([*((name.number, name.path) for name in known), *spelled])]


def absent_of(paths: Sequence[str], counted: int) -> list[str]:
    """Return the file names of the parts that lack to ``counted``, where the last is called as last parts are.

    Args:
        paths: Of the parts that are there.
        counted: How many there are, as the end record says.
    """
    known = [name for name in map(parse_name, paths) if name is not None]
    last = next((name for name in known if name.number == LAST), None)
    if last is None or len(known) < len(paths):
        return []
    numbered = next((name for name in known if name is not last), last.first(upper=last.path.endswith(".ZIP")))
    absent = sorted(set(range(1, min(counted, MOST_PARTS))) - {name.number for name in known})
    return [file_name(numbered.spelled(number)) for number in absent]


def _absent(numbers: list[int]) -> list[int]:
    """Return the numbers that ``numbers`` (ascending) leave out, as far as they tell."""
    if not numbers:
        return []
    return sorted(set(range(min(1, numbers[0]), min(numbers[-1], numbers[0] + MOST_PARTS))) - set(numbers))


def _gaps(absent: list[int], names: list[NumberedName], place: str, bring: str) -> DamagedSource:
    """Name the parts with the numbers ``absent``, and say what to do."""
    missing = [names[0].spelled(number) for number in absent]
    present = sum(name.number != LAST for name in names)
    more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
    return DamagedSource(
        f"{len(missing)} part{'s' if len(missing) > 1 else ''} missing: {', '.join(missing[:8])}{more}",
        place=place,
        hint=f"{bring}, then run the same command; the {present} numbered parts there can stay as they are. To begin "
        "before they come, plan with --await-parts",
    )


def beginning(name: str) -> str:
    """Return what the files of one archive have in common, whatever counts them: what precedes dot, digit or brace."""
    match = re.match(r"[^.\d(]+", name)
    return name.partition(".")[0] if match is None else match[0].rstrip()


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
