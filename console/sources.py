"""Where the sources of a run are, and its plan: found, made, and told of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from postmill.console.arguments import choosing
from postmill.console.output import out
from postmill.console.waiting import say_what_is_awaited
from postmill.shards.formats.reasons import Reason
from postmill.shards.run.options import Level, TypedOptions
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.interrupt import interruptible
from postmill.shards.runtime.progress import Progress

if TYPE_CHECKING:
    from postmill.shards.run.folder import Run
    from postmill.shards.run.sources import Locations, Place


def take_places(
    run: Run, metadata: Sequence[str] | None, images: Sequence[str] | None, headers: Path | None, shown: Progress
) -> Run:
    """Return ``run`` with the places that are named of its archives, if any are, which it remembers.

    Requests for its sources have the headers of the file ``headers``, if one was named, from now on.

    Raises:
        UsageError: The file of headers cannot be used, or what is named are not the parts of the run.
        PostmillError: A part cannot be asked for.
    """
    from postmill.ingest.source import credentials
    from postmill.ingest.source.places.renewal import with_places

    if headers is not None:
        from postmill.ingest.remote.headers import use

        use(headers)
        credentials.keep(run.fingerprint, credentials.recall(run.fingerprint, run.locations), shown)
    named = {"metadata": place_of(metadata, "--metadata"), "images": place_of(images, "--images")}
    places = {name: place for name, place in named.items() if place is not None}
    return with_places(run, places, shown) if places else run


def place_of(typed: Sequence[str] | None, option: str) -> Place | None:
    """Return where an archive lies, as the values of ``option`` say; None where it was not typed.

    Raises:
        UsageError: Pictures are not asked for, and asked for.
    """
    from postmill.shards.run.sources import NONE

    if not typed:
        return None
    if len(typed) > 1 and NONE in typed:
        raise UsageError(f"{NONE} and another place exclude each other", place=option, hint="choose one")
    return typed[0] if len(typed) == 1 else tuple(typed)


def locate(
    source: str | None,
    folder: Path,
    metadata: Sequence[str] | None = None,
    images: Sequence[str] | None = None,
    mapping: str | None = None,
    influencers: str | None = None,
    headers: Path | None = None,
) -> Locations:
    """Return where the sources are: named one by one, in the dataset's folder ``source``, or where the run saw them.

    Requests have the headers of the file ``headers`` from now on.

    Raises:
        UsageError: One is in none of these places, ``folder`` is no run folder, or ``headers`` cannot be used.
        PostmillError: ``run.json`` is damaged, or an address cannot be asked for.
    """
    from postmill.ingest.remote.headers import use
    from postmill.ingest.source import credentials
    from postmill.ingest.source.shapes.finding import find_sources
    from postmill.shards.run import pinned
    from postmill.shards.run.sources import NONE

    use(headers)
    if source is not None:
        _refuse_swapped(source, folder)
    there = pinned.look(folder)
    seen = None if there is None else there.locations
    if there is not None and seen is not None:
        seen = credentials.recall(there.fingerprint, seen)
    metadata_place, images_place = place_of(metadata, "--metadata"), place_of(images, "--images")
    if images_place is None and there is not None and not there.sources.images.parts:
        images_place = NONE
    if mapping is None and there is not None and not there.sources.mapping.bytes:
        mapping = NONE
    if influencers is None and there is not None and not there.sources.influencers.bytes:
        influencers = NONE
    return find_sources(source, metadata_place, images_place, mapping, influencers, seen)


def _refuse_swapped(source: str, folder: Path) -> None:
    """Refuse a dataset where the run is named, and what may be the run's name where the dataset is."""
    from postmill.shards.run.folder import archive_in
    from postmill.shards.run.regular import RUN_FILE

    named = Path(source)
    if is_url(source) or not folder.is_dir() or archive_in(folder) is None:
        return
    if not named.exists() or (named.is_dir() and ((named / RUN_FILE).exists() or not any(named.iterdir()))):
        raise UsageError(
            "is a dataset, and stands where the run is named",
            place=folder,
            hint=f"SOURCE comes first, then RUN: postmill plan {quote(str(folder))} {quote(source)}",
        )


def plan(
    locations: Locations,
    folder: Path,
    options: TypedOptions,
    shown: Progress,
    checksums: Sequence[str] | None,
    await_parts: bool = False,
    accounts: str | None = None,
) -> Run:
    """Plan and pin, and say what the plan holds.

    Args:
        locations: Where the dataset lies.
        folder: The run folder.
        options: As they were typed.
        shown: Told of the rows and entries read.
        checksums: Lists of checksums, which are compared first.
        await_parts: Whether parts may come later.
        accounts: The file of ``--accounts``, if it was typed.
    """
    from postmill.ingest.plan.copies import check_copies
    from postmill.ingest.plan.make import make_plan
    from postmill.shards.run.sources import NONE
    from postmill.shards.runtime.pace import size
    from postmill.shards.state.room import foretold

    chosen, names = choosing.looked_up(options.chosen, accounts)
    options = replace(options, chosen=chosen)
    if checksums:
        check_copies(locations, checksums, options.level or Level.DEFAULT, shown)
    run, counts = make_plan(locations, folder, options, shown, await_parts=await_parts, accounts=names)
    pictures = "without pictures" if locations.text_only else f"with {counts.planned_images:,} pictures"
    posts = "posts, by their names," if locations.mapping == NONE else "mapped posts"
    left_out = f"{counts.not_chosen:,} not chosen, " if counts.not_chosen else ""
    out.print(
        f"plan: {counts.planned_posts:,} of {counts.mapped_posts:,} {posts} {pictures} "
        f"in {counts.shards:,} shards; {counts.lost:,} lost, "
        f"{left_out}{counts.faults:,} faults; {counts.spanning_posts:,} posts span windows "
        f"({counts.spool_bytes / 1e6:,.1f} MB written twice){'; the data are invented' if run.invented else ''}"
    )
    room = foretold(run)
    out.note(
        f"plan: about {size(room.whole)} on disk when it is packed, or {size(room.lean(1))} at a time with "
        "postmill run --lean; embeddings and models come on top"
    )
    if run.options.chosen.by_time:
        out.note("plan: which posts are of that span of time their metadata tell, when they are read")
    if unlisted := counts.reasons.get(Reason.INFLUENCER_MISSING):
        lacks = (
            "of {} accounts no profile is there"
            if locations.influencers == NONE
            else "influencers.txt lacks {} accounts"
        )
        out.print(f"plan: {lacks.format(f'{unlisted:,}')}: their posts have no category and no followers")
    if await_parts:
        with interruptible():
            say_what_is_awaited(run)
    return run
