"""What a run pins of its sources, so that another dataset is told from the same one, and where they were last seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from postmill.shards.run.options import Level
from postmill.shards.runtime.addresses import plain

INVENTED_MARK = "INVENTED.txt"
INVENTED_SENTENCE = "These data are invented: nobody posted them, and their numbers say nothing about people."
"""The mark of invented data, beside a dataset and in what is exported, is a text file that begins with this."""


@dataclass(frozen=True)
class PinnedArchive:
    """An archive as it was when the run was planned.

    Attributes:
        parts: Name and size in bytes of each part, in order; None for the size of one that was missing, or is awaited.
        end_sha256: SHA-256 (hexadecimal) of its last bytes, where the directory states the CRC-32 of every entry; of a
            folder of files, of their paths and lengths.
        files: How many files, where it is a folder of files; None for an archive.
    """

    parts: tuple[tuple[str, int | None], ...]
    end_sha256: str
    files: int | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PinnedArchive:
        """Return what ``run.json`` states of an archive.

        Raises:
            KeyError, TypeError, ValueError: It does not state it.
        """
        parts = tuple((str(name), None if size is None else int(size)) for name, size in value["parts"])
        files = value.get("files")
        return cls(parts, str(value["end_sha256"]), None if files is None else int(files))

    def to_json(self) -> dict[str, Any]:
        """Return the archive as ``run.json`` has it."""
        files = {} if self.files is None else {"files": self.files}
        return {"parts": [list(part) for part in self.parts], "end_sha256": self.end_sha256, **files}


NO_ARCHIVE = PinnedArchive((), "")
"""What pins pictures that were not asked for."""

NONE = "none"
"""The location of pictures, of a mapping or of an influencers file that are not asked for."""

Place = str | tuple[str, ...]
"""Where an archive lies: a path, an address or a list of these; several of them where its parts lie apart."""


def places_of(place: Place) -> tuple[str, ...]:
    """Return the places of an archive, each by itself."""
    return (place,) if isinstance(place, str) else place


@dataclass(frozen=True)
class PinnedText:
    """A text file as it was then, as it lies: its length, and the SHA-256 (hexadecimal) of all of it.

    The hash is None in a run of format 2, which had another one, of the ends alone.
    """

    bytes: int
    sha256: str | None

    @classmethod
    def from_json(cls, value: Mapping[str, Any], format_version: int) -> PinnedText:
        """Return what ``run.json`` states of a text file.

        Raises:
            KeyError, TypeError, ValueError: It does not state it.
        """
        return cls(int(value["bytes"]), str(value["sha256"]) if format_version > 2 else None)


@dataclass(frozen=True)
class Sources:
    """The four sources of a dataset as they were then, and whether it was marked as invented."""

    metadata: PinnedArchive
    images: PinnedArchive
    mapping: PinnedText
    influencers: PinnedText
    invented: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the sources as ``run.json`` has them."""
        archives = {"metadata": self.metadata.to_json(), "images": self.images.to_json()}
        mark = {"invented": True} if self.invented else {}
        return {**archives, "mapping": asdict(self.mapping), "influencers": asdict(self.influencers), **mark}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], format_version: int) -> Sources:
        """Return the sources that ``run.json`` states.

        Raises:
            KeyError, TypeError, ValueError: It does not state them.
        """
        if value.get("invented", True) is not True:
            raise ValueError("a mark of invented data that is none")
        return cls(
            PinnedArchive.from_json(value["metadata"]),
            PinnedArchive.from_json(value["images"]),
            PinnedText.from_json(value["mapping"], format_version),
            PinnedText.from_json(value["influencers"], format_version),
            "invented" in value,
        )


@dataclass(frozen=True)
class Locations:
    """Where each source was last seen: a path or an address; of an archive, :data:`Place`. Not pinned, for a dataset
    may move.

    An address may hold what gives the right to read, as long as it is not written down. ``images``,
    ``mapping`` and ``influencers`` may be NONE.
    """

    metadata: Place
    images: Place
    mapping: str
    influencers: str

    @property
    def text_only(self) -> bool:
        """Whether no pictures were asked for."""
        return self.images == NONE

    def to_json(self) -> dict[str, Any]:
        """Return the places as ``run.json`` has them: without what is secret in an address."""
        return self.plain().stated()

    def stated(self) -> dict[str, Any]:
        """Return the places as JSON has them, as they are."""
        places = asdict(self)
        return {name: list(place) if isinstance(place, tuple) else place for name, place in places.items()}

    def plain(self) -> Locations:
        """Return the places without what is secret in an address."""
        return self.mapped(plain)

    def mapped(self, change: Callable[[str], str]) -> Locations:
        """Return the places with ``change`` done to each path and address."""

        def changed(place: Place) -> Place:
            return change(place) if isinstance(place, str) else tuple(map(change, place))

        return Locations(changed(self.metadata), changed(self.images), change(self.mapping), change(self.influencers))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Locations:
        """Return the places that ``run.json`` states.

        Raises:
            KeyError, TypeError: It does not state them.
        """
        metadata, images = (_place(value[name]) for name in ("metadata", "images"))
        texts = [value[name] for name in ("mapping", "influencers")]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a location that is no text")
        return cls(metadata, images, *texts)


def _place(value: object) -> Place:
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value or not all(isinstance(place, str) for place in value):
        raise TypeError("a location that is no text")
    return tuple(value)


def difference(old: Sources, new: Sources, level: Level) -> str | None:
    """Return in words what of ``new`` is not as it was in ``old``; None where they are the same.

    A part of which one of them has no size is the same part, awaited; not so at the level ``salvage``, which went on
    without it.
    """
    archives = (("metadata", old.metadata, new.metadata), ("picture", old.images, new.images))
    for name, was, now in archives:
        if was != (now if level is Level.SALVAGE else _where_known(now, was)):
            return f"another {name} archive: {_of_archives(was, now, level)}"
    for name, pinned, found in (
        ("mapping", old.mapping, new.mapping),
        ("influencers", old.influencers, new.influencers),
    ):
        if pinned.bytes != found.bytes:
            return f"another {name} file: it had {pinned.bytes:,} bytes, and now {found.bytes:,}"
        if pinned != found:
            return f"another {name} file: as long as it was, with other content"
    if old.invented != new.invented:
        marked = ("not marked", "marked")
        return f"another dataset: it was {marked[old.invented]} as invented, and now it is {marked[new.invented]}"
    return None


def _where_known(archive: PinnedArchive, other: PinnedArchive) -> PinnedArchive:
    """Return ``archive`` with the sizes of ``other`` where one of the two has none."""
    if len(archive.parts) != len(other.parts):
        return archive
    parts = tuple(
        (name, size if size is not None and planned is not None else planned)
        for (name, size), (_, planned) in zip(archive.parts, other.parts, strict=True)
    )
    return replace(archive, parts=parts)


def _of_archives(old: PinnedArchive, new: PinnedArchive, level: Level) -> str:
    """Say how two archives that are not the same differ."""
    if old.files is not None and new.files is not None:
        if old.files != new.files:
            return f"it had {old.files:,} files, and now {new.files:,}"
        return "other names or lengths of its files"
    if len(old.parts) != len(new.parts):
        return f"{_parts(old)}, and now {_parts(new)}"
    for (was, size), (now, new_size) in zip(old.parts, new.parts, strict=True):
        if was != now:
            return f"{was} is {now} now"
        if size != new_size and (level is Level.SALVAGE or None not in (size, new_size)):
            had = "was missing" if size is None else f"had {size:,} bytes"
            has = "is missing" if new_size is None else f"has {new_size:,}"
            return f"{was} {had}, and now {has}"
    return f"the directory at the end of {old.parts[-1][0]} is not the one that it was"


def _parts(archive: PinnedArchive) -> str:
    names = [name for name, _ in archive.parts]
    if not names:
        return "none"
    return names[0] if len(names) == 1 else f"{len(names)} parts, {names[0]} to {names[-1]}"
