"""Which pieces of a stage the user asked for: those of a range of parts, or of a range of post shards."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from shards.errors import UsageError
from shards.plan import ARCHIVES
from shards.run import Run

MOST = 10**7  # numbers in one range; far more shards than there can be


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
        names = [name for name, _ in run.sources[ARCHIVES[archive]]["parts"]]
        if self.parts is None:
            return range(len(names))

        def index(word: str) -> int:
            found = [i for i, name in enumerate(names) if word and (name == word or name.endswith(f".{word}"))]
            if len(found) != 1:
                raise UsageError(
                    f"{word!r} is no part of the {ARCHIVES[archive]} archive",
                    place="--parts",
                    hint=f"its parts are {names[0]} to {names[-1]}; write their endings, as in z01-z10,zip",
                )
            return found[0]

        return _chosen(self.parts, index, "--parts")

    def shard_numbers(self) -> Container[int]:
        """Return the numbers of the chosen post shards.

        Raises:
            UsageError: The text is no list of numbers and ranges.
        """
        if self.shards is None:
            return range(MOST)

        def number(word: str) -> int:
            if not (word.isascii() and word.isdigit()) or int(word) >= MOST:
                raise UsageError(
                    f"{word!r} is no number of a post shard", place="--shards", hint="write --shards 0-99,120"
                )
            return int(word)

        return _chosen(self.shards, number, "--shards")


EVERYTHING = Selection()


def _chosen(text: str, read: Callable[[str], int], option: str) -> set[int]:
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
