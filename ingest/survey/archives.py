"""Zips and their parts in a folder: which are there, which are not, and which do not look as parts do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from postmill.ingest.archive.levels import open_space
from postmill.ingest.source.layout import LAYOUTS
from postmill.ingest.source.shapes import contents
from postmill.ingest.source.shapes.contents import Contents
from postmill.ingest.zipformat.part_names import NumberedName, file_name, natural, parse_name
from postmill.ingest.zipformat.space import AddressSpace, PartError, lay_out
from postmill.ingest.zipformat.stand_ins import stand_in
from postmill.shards.formats.plan import ARCHIVES
from postmill.shards.runtime.errors import PostmillError

UNFINISHED = (
    *(".crdownload", ".part", ".partial", ".download", ".opdownload", ".filepart"),
    *(".aria2", ".st", ".!qb", ".tmp"),
)
"""How browsers and download programs call what they have not fetched to its end, or what they keep beside it."""

_SHORTER = 1024  # bytes by which a part may be shorter than its siblings: a header is not cut in two


@dataclass(frozen=True)
class FoundArchive:
    """A zip, whole or in parts.

    Attributes:
        source: ``metadata``, ``images``, ``metadata and images``, ``files of instaloader``, ``parts of zips`` or
            ``other files``.
        place: The path of one of its parts.
        names: Of the parts that are there, in order.
        bytes: Of these together.
        missing: Names of parts that are not there.
        doubts: What is wrong with those that are, a sentence each.
        first: Why nothing can be planned with what is there; None where that can.
        within: What lies in it, of a zip of parts.
    """

    source: str
    place: str
    names: tuple[str, ...]
    bytes: int
    missing: tuple[str, ...]
    doubts: tuple[str, ...]
    first: str | None
    within: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is known to be missing of it."""
        return not self.missing and not self.doubts and self.first is None


def archives_among(files: Iterable[str]) -> list[FoundArchive]:
    """Return the archives of which ``files``, all of one folder, are parts."""
    sets: dict[tuple[int, str], list[NumberedName]] = {}
    paths = list(files)
    for path in paths:
        name = parse_name(path)
        if name is not None and not file_name(path).startswith("."):
            sets.setdefault((id(name.scheme), name.stem), []).append(name)
    unfinished = [path for path in paths if path.lower().endswith(UNFINISHED)]
    return [_found(names, unfinished) for names in sets.values() if _is_zip(names)]


def _is_zip(names: Sequence[NumberedName]) -> bool:
    """Tell parts of zips from files that have a number for an ending."""
    first = names[0]
    known = first.stem in {files.stem for layout in LAYOUTS for files in (layout.metadata, layout.images)}
    return first.scheme.last is not None or ".zip" in first.stem.lower() or known


def _found(names: Sequence[NumberedName], unfinished: Sequence[str]) -> FoundArchive:
    ordered = sorted(names, key=lambda name: (name.number, natural(name.path)))
    sizes = {name.path: Path(name.path).stat().st_size for name in ordered}
    last = ordered[-1].path
    missing, first = _lacking(last)
    doubts = [*_doubts(sizes), *_being_fetched(ordered[0], unfinished)]
    held = contents.of_zip(last) if not missing and not doubts and first is None else None
    return FoundArchive(
        source=_source(ordered[0], held),
        place=last,
        names=tuple(map(file_name, sizes)),
        bytes=sum(sizes.values()),
        missing=tuple(missing),
        doubts=tuple(doubts),
        first=first,
        within=() if held is None else tuple(sorted(held.parts, key=natural)),
    )


def _lacking(last: str) -> tuple[list[str], str | None]:
    """Return which parts are not there, and why nothing can be planned with those that are, if nothing can."""
    try:
        with open_space(last, await_parts=True) as space:
            return [part.name for part in space.parts if not Path(part.path).exists()], None
    except PostmillError as error:
        return [], error.cause


def _doubts(sizes: dict[str, int]) -> list[str]:
    """Return a sentence for each part that is empty, is something else, or is shorter than its siblings."""
    *before, last = sizes.items()
    usual = Counter(size for _, size in before).most_common(1)[0][0] if len(before) > 1 else 0
    found = []
    for path, size in (*before, last):
        stands = None
        if size:
            with AddressSpace(lay_out([(path, size)])) as space:
                try:
                    stands = stand_in(space, space.parts[0])
                except PartError as error:
                    stands = f"{file_name(path)} {error.cause}"
        if not size:
            found.append(f"{file_name(path)} is empty")
        elif stands is not None:
            found.append(stands)
        elif path != last[0] and usual - size > _SHORTER:
            found.append(f"{file_name(path)} has {size:,} bytes, where others have {usual:,}: it may be cut short")
    return found


def _being_fetched(name: NumberedName, unfinished: Sequence[str]) -> list[str]:
    """Return a sentence for each part that is yet to be fetched to its end, by what lies in the folder."""
    found = []
    for path in unfinished:
        base = file_name(path)
        stem = next(base[: -len(ending)] for ending in UNFINISHED if base.lower().endswith(ending))
        other = parse_name(stem)
        if other is not None and other.scheme is name.scheme and other.stem == name.stem:
            found.append(f"{stem} is being fetched, as {base}")
    return found


def named_source(name: NumberedName) -> str:
    """Return of what the archive is of which ``name`` is a part, as far as its name tells."""
    for layout in LAYOUTS:
        for source, files in zip(ARCHIVES, (layout.metadata, layout.images), strict=True):
            if name.stem.removesuffix(".zip") == files.stem:
                return source
    return "other files"


def _source(name: NumberedName, held: Contents | None) -> str:
    if held is None:
        return named_source(name)
    if held.collected:
        return "files of instaloader"
    kinds = [source for source, count in zip(ARCHIVES, (held.infos, held.pictures), strict=True) if count]
    return " and ".join(kinds) or ("parts of zips" if held.parts else "other files")
