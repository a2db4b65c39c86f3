"""What waits for a whole copy of a part, as people are told of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from postmill.console.output import out

if TYPE_CHECKING:
    from postmill.shards.run.folder import Run

_NAMED = 5  # parts in a message, at most


def say_what_waits(run: Run) -> None:
    """Say how many posts wait for other bytes, in which parts, and what takes them up; nothing where none does.

    Where parts have grown since ``--salvage`` went on without them, say that too: only a new run has what they hold.
    """
    from postmill.ingest.pack.mend import grown_parts, waiting
    from postmill.ingest.source.layout import source_words
    from postmill.shards.run.options import Level, Options, differences

    waits, grown = waiting(run), grown_parts(run)
    if waits.parts:
        parts = _listed([f"{name} ({entries:,} entries)" for name, entries in waits.parts.most_common()])
        again = f"; fetch these parts again, then: postmill mend {run.word}"
        what = f"waiting: {waits.posts:,} posts, for their bytes are not what the directory says, in {parts}"
        theirs = waits.parts.keys().isdisjoint(part.name for part in grown)
        out.print(escape(f"{what}{again if theirs else ''}"), soft_wrap=True)
    if grown:
        parts = _listed([f"{part.name} has {part.bytes:,} bytes, and had {part.planned:,}" for part in grown])
        typed = [now for _, now in differences(Options(), replace(run.options, level=Level.DEFAULT))]
        words = [source_words(run.locations), replace(run, folder=Path(f"{run.folder}-whole")).word, *typed]
        what = f"more is there than when this run was planned: {parts}; only a new run has what was lacking"
        out.print(escape(f"{what}: postmill plan {' '.join(words)}"), soft_wrap=True)


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:_NAMED]) + (f" and {len(parts) - _NAMED} more parts" if len(parts) > _NAMED else "")
