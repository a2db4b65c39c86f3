"""The options that a run pins: what was chosen once and holds for every command after, without being typed again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

SHARD_BYTES = 256 << 20
"""Picture bytes of a window and so, about, of a post shard."""

MAX_ENTRY = 64 << 20
"""Largest entry that is taken, bytes."""


class Level(StrEnum):
    """How much contradiction in an archive is borne; see :mod:`.archive.levels`."""

    STRICT = "strict"
    DEFAULT = "default"
    SALVAGE = "salvage"


@dataclass(frozen=True)
class Options:
    """The options of a run.

    Attributes:
        shard_bytes: Picture bytes of a window and so, about, of a post shard.
        max_entry: Largest entry that is taken, bytes.
        raw: Whether post shards keep the original metadata bytes.
        level: How much contradiction in an archive is borne.
        pictureless: Whether posts are kept of which no picture is there.
    """

    shard_bytes: int = SHARD_BYTES
    max_entry: int = MAX_ENTRY
    raw: bool = True
    level: Level = Level.DEFAULT
    pictureless: bool = False

    def words(self) -> dict[str, str]:
        """Return each option as it is typed, by its name here."""
        levels = {Level.STRICT: "--strict", Level.SALVAGE: "--salvage", Level.DEFAULT: "--no-strict"}
        return {
            "shard_bytes": f"--shard-size {self.shard_bytes / (1 << 20):g}",
            "max_entry": f"--max-entry {self.max_entry / (1 << 20):g}",
            "raw": "--raw" if self.raw else "--no-raw",
            "level": levels[self.level],
            "pictureless": "--pictureless" if self.pictureless else "--no-pictureless",
        }

    def to_json(self) -> dict[str, Any]:
        """Return the options as ``run.json`` has them."""
        stated = {**asdict(self), "level": self.level.value}
        if not self.pictureless:  # as in runs that were made before there was a choice
            del stated["pictureless"]
        return stated

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Options:
        """Return the options that ``run.json`` states.

        Raises:
            KeyError, TypeError, ValueError: One is missing, of another type, or not known.
        """
        shard_bytes, max_entry, raw = value["shard_bytes"], value["max_entry"], value["raw"]
        pictureless = value.get("pictureless", False)
        if [*map(type, (shard_bytes, max_entry, raw, pictureless))] != [int, int, bool, bool]:
            raise TypeError("an option of another type")
        if value.keys() - {"pictureless"} != {"shard_bytes", "max_entry", "raw", "level"}:
            raise ValueError("an option that is not known")
        return cls(shard_bytes, max_entry, raw, Level(value["level"]), pictureless)


@dataclass(frozen=True)
class TypedOptions:
    """The options of a command as they were typed: None for each that was not. The fields are those of Options."""

    shard_bytes: int | None = None
    max_entry: int | None = None
    raw: bool | None = None
    level: Level | None = None
    pictureless: bool | None = None

    def over(self, known: Options) -> Options:
        """Return ``known``, what a run has or else the defaults, with what was typed in its place."""
        typed = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(known, **{name: value for name, value in typed.items() if value is not None})


def differences(old: Options, new: Options) -> list[tuple[str, str]]:
    """Return the options in which two sets differ, as they are typed: the old one and the new one."""
    words = zip(old.words().values(), new.words().values(), strict=True)
    return [(was, now) for was, now in words if was != now]
