"""The options that a run pins: what was chosen once and holds for every command after, without being typed again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, NamedTuple

from postmill.shards.run.chosen import ALL, Chosen, TypedChosen

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
        chosen: What is taken of the dataset.
    """

    shard_bytes: int = SHARD_BYTES
    max_entry: int = MAX_ENTRY
    raw: bool = True
    level: Level = Level.DEFAULT
    pictureless: bool = False
    chosen: Chosen = ALL

    def words(self) -> dict[str, str]:
        """Return each option as it is typed, by its name here."""
        levels = {Level.STRICT: "--strict", Level.SALVAGE: "--salvage", Level.DEFAULT: "--no-strict"}
        return {
            "shard_bytes": f"--shard-size {self.shard_bytes / (1 << 20):g}",
            "max_entry": f"--max-entry {self.max_entry / (1 << 20):g}",
            "raw": "--raw" if self.raw else "--no-raw",
            "level": levels[self.level],
            "pictureless": "--pictureless" if self.pictureless else "--no-pictureless",
            "chosen": self.chosen.words(),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the options as ``run.json`` has them."""
        stated = {**asdict(self), "level": self.level.value, "chosen": self.chosen.to_json()}
        if not self.pictureless:  # as in runs that were made before there was a choice
            del stated["pictureless"]
        if self.chosen == ALL:  # likewise
            del stated["chosen"]
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
        if value.keys() - {"pictureless", "chosen"} != {"shard_bytes", "max_entry", "raw", "level"}:
            raise ValueError("an option that is not known")
        chosen = Chosen.from_json(value["chosen"]) if "chosen" in value else ALL
        return cls(shard_bytes, max_entry, raw, Level(value["level"]), pictureless, chosen)


@dataclass(frozen=True)
class TypedOptions:
    """The options of a command as they were typed: None for each that was not. The fields are those of Options."""

    shard_bytes: int | None = None
    max_entry: int | None = None
    raw: bool | None = None
    level: Level | None = None
    pictureless: bool | None = None
    chosen: TypedChosen = field(default_factory=TypedChosen)

    def over(self, known: Options) -> Options:
        """Return ``known``, what a run has or else the defaults, with what was typed in its place."""
        typed = {each.name: getattr(self, each.name) for each in fields(self)}
        typed["chosen"] = self.chosen.over(known.chosen)
        return replace(known, **{name: value for name, value in typed.items() if value is not None})


class Difference(NamedTuple):
    """An option in which two runs differ, as it is told of the old one and of the new one, and as the new is typed."""

    was: str
    now: str
    typed: str


def differences(old: Options, new: Options) -> list[Difference]:
    """Return the options in which two sets differ."""
    told = [{**options.words(), "chosen": str(options.chosen)} for options in (old, new)]
    return [
        Difference(told[0][name], told[1][name], typed)
        for name, typed in new.words().items()
        if getattr(old, name) != getattr(new, name)
    ]
