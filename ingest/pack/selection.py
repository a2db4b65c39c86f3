"""Which pieces of a stage the user asked for: those of a range of parts, or of a range of post shards."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from postmill.shards.formats import plan
from postmill.shards.formats.plan import ARCHIVES, METADATA
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import UsageError


@dataclass(frozen=True)
class Selection:
    """A choice of pieces; None takes all.

    Attributes:
        parts: As in ``z01-z10,zip``: a piece belongs to the part in which its window ends, or which completes its
            post shard. The names are those of the stage's own archive.
        shards: As in ``0-99,120``: numbers of post shards. The metadata, which all of them need, is never left out.
    """

    parts: str | None = None
    shards: str | None = None

    def part_indices(self, run: Run, archive: int) -> Container[int]:
        """Return the indices of the chosen parts of ``archive``.

        Raises:
            UsageError: There is no such part, or a range runs backwards.
        """
        pinned = run.sources.metadata if archive == METADATA else run.sources.images
        names = [name for name, _ in pinned.parts]
        if self.parts is None:
            return range(len(names))

        def index(word: str) -> int:
            indices = [i for i, name in enumerate(names) if word and (name == word or name.endswith(f".{word}"))]
            if len(indices) != 1:
                raise UsageError(
                    f"{word!r} is no part of the {ARCHIVES[archive]} archive",
                    place="--parts",
                    hint=f"its parts are {names[0]} to {names[-1]}; write their endings, as in z01-z10,zip",
                )
            return indices[0]

        return _numbers(self.parts, index, "--parts")

    def shard_numbers(self, run: Run) -> Container[int]:
        """Return the numbers of the chosen post shards.

        Raises:
            UsageError: The text is no list of numbers and ranges, or the plan has no such post shard.
        """
        count = plan.counts(run).shards
        if self.shards is None:
            return range(count)

        def number(word: str) -> int:
            if not (word.isascii() and word.isdigit()) or int(word) >= count:
                raise UsageError(
                    f"{word!r} is no number of a post shard",
                    place="--shards",
                    hint=f"the plan has post shards 0 to {count - 1}; write --shards 0-9,12",
                )
            return int(word)

        return _numbers(self.shards, number, "--shards")


EVERYTHING = Selection()


def _numbers(text: str, read: Callable[[str], int], option: str) -> set[int]:
    """Return the numbers that ``text`` lists, as in ``a-b,c``; both ends of a range belong to it."""
    chosen: set[int] = set()
    for item in text.split(","):
        first, dash, last = item.strip().partition("-")
        low = read(first)
        high = read(last) if dash else low
        if high < low:
            raise UsageError(f"{item.strip()} runs backwards", place=option, hint="write the lower end first")
        chosen.update(range(low, high + 1))
    return chosen
