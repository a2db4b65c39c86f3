"""What waits for parts, or for a whole copy of one, and which parts nothing waits for, as people are told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from rich.markup import escape

from postmill.console.output import out

if TYPE_CHECKING:
    from postmill.ingest.source.places.arrivals import AwaitedPart
    from postmill.shards.run.folder import Run
    from postmill.shards.runtime.progress import Progress

_NAMED = 5  # parts in a message, at most


class Evict(Enum):
    """What becomes of parts that nothing needs any more."""

    NOTHING = auto()
    LIST = auto()
    DELETE = auto()


def say_what_waits(run: Run) -> None:
    """Say how many posts wait for other bytes, in which parts, and what takes them up; nothing where none does.

    Where parts have grown since ``--salvage`` went on without them, say that too: only a new run has what they hold.
    """
    from postmill.ingest.pack.mend import grown_parts, waiting
    from postmill.ingest.source.layout import source_words
    from postmill.shards.formats import plan
    from postmill.shards.run.chosen import ALL
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
        plain = replace(run.options, level=Level.DEFAULT, chosen=ALL)
        typed = [each.typed for each in differences(Options(), plain)]
        if run.options.chosen != ALL:
            typed.append(run.options.chosen.words(quote(str(run.plan / plan.ACCOUNTS_FILE))))
        words = [source_words(run.locations), replace(run, folder=Path(f"{run.folder}-whole")).word, *typed]
        what = f"more is there than when this run was planned: {parts}; only a new run has what was lacking"
        out.print(escape(f"{what}: postmill plan {' '.join(words)}"), soft_wrap=True)


def say_what_is_awaited(run: Run, needed: Sequence[AwaitedPart] | None = None) -> None:
    """Say which parts have not come, and what goes on when they have; nothing where none is awaited.

    Args:
        run: The run.
        needed: Those that are still needed, if that is known.
    """
    from postmill.ingest.pack.stages import awaited as awaited_parts
    from postmill.shards.formats.plan import ARCHIVES

    awaited = awaited_parts(run) if needed is None else needed
    for archive, name in enumerate(ARCHIVES):
        theirs = [f"{part.name} {part.why}" for part in awaited if part.archive == archive]
        if theirs:
            parts = len(getattr(run.sources, name).parts)
            out.print(
                escape(f"awaited: {len(theirs):,} of {parts:,} parts of {name}: {_listed(theirs)}"), soft_wrap=True
            )
    if awaited:
        again = f"postmill ingest {run.word}, or, to go on by itself as they come: postmill ingest {run.word} --follow"
        elsewhere = f"to another place: --{ARCHIVES[awaited[0].archive]} PLACE"
        out.print(escape(f"when they have come: {again}; {elsewhere}"), soft_wrap=True)


def say_what_is_dropped(run: Run, dropped: int) -> None:
    """Say that so many post shards are without their tar, and what brings it back; nothing where none is."""
    from postmill.shards.formats import posts

    if dropped:
        what = f"dropped: the tars of {dropped:,} post shards, whose records and embeddings are kept"
        out.print(escape(f"{what}; to pack them again: {posts.restore_command(run)}"), soft_wrap=True)


def say_what_is_spare(run: Run, evict: Evict, shown: Progress, *, going_on: bool = False) -> None:
    """Say which parts nothing needs any more; where ``evict`` deletes, delete them.

    Args:
        run: The run.
        evict: Whether they are deleted.
        shown: Told of the parts looked at.
        going_on: Whether this is asked again and again: then nothing is said where there is none.

    Raises:
        PostmillError: A part cannot be deleted, or a file of the run cannot be read.
    """
    from postmill.ingest.pack import evict as eviction

    spare = eviction.spare_parts(run, shown)
    size = sum(part.bytes for part in spare) / 1e6
    if not spare and going_on:
        return
    if not spare:
        out.note("evict: no part that nothing needs any more")
    elif evict is Evict.DELETE:
        gone = [part.name for part in eviction.evict(spare)]
        out.print(escape(f"evicted: {_listed(gone)}; {size:,.1f} MB are free"), soft_wrap=True)
    else:
        for part in spare:
            out.print(escape(f"not needed any more: {part.path}"), soft_wrap=True)
        delete = f"delete them: postmill ingest {run.word} --evict --yes"
        out.print(escape(f"evict: {len(spare):,} parts, {size:,.1f} MB, verified; {delete}"), soft_wrap=True)


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:_NAMED]) + (f" and {len(parts) - _NAMED:,} more parts" if len(parts) > _NAMED else "")
