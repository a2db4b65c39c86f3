"""The plan: both central directories and the mapping, joined on disk, cut into windows and post shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import duckdb

from postmill.ingest.archive.levels import open_space
from postmill.ingest.plan import joins
from postmill.ingest.plan.accounts import listed_in_plan
from postmill.ingest.plan.load import load_sources
from postmill.ingest.plan.write import write_tables
from postmill.ingest.source import credentials, invented
from postmill.ingest.source.confirm import RememberingSpace
from postmill.ingest.source.file_tree import TreeSpace, is_tree, scan
from postmill.ingest.source.layout import absolute
from postmill.ingest.source.pinning import directory_start, pinned_archive, sources_now
from postmill.shards.formats import plan
from postmill.shards.formats.counts import PlanCounts
from postmill.shards.run import folder as runs
from postmill.shards.run import manifests, pinned, publish, temporary
from postmill.shards.run.chosen import Accounts
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Level, Options, TypedOptions, differences
from postmill.shards.run.pinned import Pinned
from postmill.shards.run.sources import NONE, Locations, Place, Sources, difference
from postmill.shards.runtime.cores import cores
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.shards.runtime.progress import Progress, Silent

MEMORY_LIMIT = "2800MB"  # of the joins; what does not fit goes to disk
_THREADS = 4  # of the joins, at most: each wants its share of the memory


def make_plan(
    locations: Locations,
    folder: Path,
    options: Options | TypedOptions | None = None,
    progress: Progress | None = None,
    *,
    await_parts: bool = False,
    accounts: Sequence[str] | None = None,
) -> tuple[Run, PlanCounts]:
    """Make the plan of a dataset, and pin the run ``folder`` to it, unless that is done.

    Nothing is pinned before the plan is whole. A run of which nothing but the plan is made may be planned again with
    other options; where it has been worked on, it keeps those that it has. Of a plan that is there, the sources are
    compared, and where they lie now is remembered.

    Args:
        locations: Where the dataset lies.
        folder: The run folder, new or of the same dataset and options.
        options: What to pin; of those that were not typed, what the run has, or else the defaults.
        progress: Told of the rows and entries read.
        await_parts: Whether parts may come later; the plan is the same whichever have come.
        accounts: The list whose hash the options have, where they have one; None for that which the plan has kept.

    Returns:
        The run, and what the manifest of its plan states.

    Raises:
        UsageError: ``folder`` belongs to another dataset or has other options.
        ValueError: ``accounts`` are not those whose hash the options have.
        PostmillError: A source is incomplete or cannot be read, or nothing of the mapping is in the archives.
    """
    progress, locations = progress or Silent(), absolute(locations)
    before = pinned.look(folder)
    known = Options() if before is None else before.options
    options = options if isinstance(options, Options) else (options or TypedOptions()).over(known)
    if accounts is not None and Accounts.of(accounts) != options.chosen.accounts:
        raise ValueError("the accounts are not those of the options")
    changes = [] if before is None else differences(before.options, options)
    if before is not None and changes and pinned.work_of(folder) is not None:
        raise pinned.refuse_options(folder, before, options)
    for was, now, _ in changes:
        progress.note(f"{folder} is planned anew with {now} and not {was}: nothing but its plan had been made")
    sources = None
    if before is not None and not changes and manifests.done(folder / plan.NAME, plan.NAME, before.fingerprint):
        seen = before.locations and credentials.recall(before.fingerprint, before.locations)
        sources = sources_now(before.sources, before.options.level, seen, locations, progress)
    if before is None or sources is None or difference(before.sources, sources, before.options.level) is not None:
        if accounts is None and before is not None and options.chosen.accounts is not None:
            accounts = listed_in_plan(Run(folder, before.fingerprint, before.sources, before.options, locations))
        run = _made(locations, folder, options, before, sources, progress, await_parts, accounts)
    else:
        run = runs.new(folder, before.sources, options, locations)
        if before.locations != locations.plain():
            runs.put(run)
        temporary.sweep(folder)  # of one killed after the plan was put in place
    credentials.keep(run.fingerprint, locations, progress)
    return run, plan.counts(run)


def _made(
    locations: Locations,
    folder: Path,
    options: Options,
    before: Pinned | None,
    sources: Sources | None,
    progress: Progress,
    await_parts: bool,
    accounts: Sequence[str] | None,
) -> Run:
    """Make the plan and put it into ``folder``, which is pinned to ``before``.

    Args:
        locations: Where the sources lie.
        folder: The run folder.
        options: What to pin.
        before: What the folder is pinned to.
        sources: The sources as they are now, if they were looked at and are not those of before.
        progress: Told of the rows and entries read.
        await_parts: Whether parts may come later.
        accounts: The accounts that are listed, if any are.
    """
    if before is not None and sources is not None:
        _refuse_others(folder, before, sources)
    try:
        with (
            _remembering(locations.metadata, options.level, await_parts) as metadata,
            _remembering(locations.images, options.level, await_parts) as images,
            publish.writing(folder),
            _made_where_absent(folder),
            temporary.scratch(folder) as scratch,
            duckdb.connect() as db,
        ):
            temporary.sweep(folder)
            if before is not None:  # what differs there is seen before all is read
                archives = [pinned_archive(each, directory_start(each, options.level)) for each in (metadata, images)]
                _refuse_others(folder, before, replace(before.sources, metadata=archives[0], images=archives[1]))
            # Tables in memory are not compressed, which is twice as fast to fill; beyond the limit they go to scratch.
            db.execute(f"SET memory_limit = '{MEMORY_LIMIT}'; SET preserve_insertion_order = false")
            db.execute(f"SET threads = {min(cores(), _THREADS)}")
            db.execute("SET temp_directory = ?", [str(scratch)])
            joins.execute(db, joins.TABLES)
            loaded = load_sources(db, options, locations, (metadata, images), scratch, progress, accounts)
            found = _with_mark(loaded.sources, locations, before)
            run = runs.new(folder, found, options, locations)
            _refuse_others(folder, before, found)
            _refuse_other_work(run)
            steps = joins.steps(options.chosen)
            one_archive = loaded.sources.metadata == loaded.sources.images
            values = joins.values(options, text_only=locations.text_only, one_archive=one_archive)
            with progress.track("plan: join", len(steps), "steps") as advance:
                for step in steps:
                    joins.execute(db, step, **values)
                    advance(1)
            if options.level is Level.STRICT:
                _refuse_contradictions(db)
            made = replace(run, folder=scratch)
            write_tables(db, made, loaded.counts, loaded.parts, progress)
            pinned.publish_plan(run, made.plan, before)
            return run
    except duckdb.IOException as error:
        raise PostmillError(
            f"the plan's join failed: {error}",
            place=folder,
            hint="it needs about 8 GB of disk there for 10 million posts; free some and run the command again",
        ) from error
    except (MemoryError, duckdb.OutOfMemoryException) as error:
        raise PostmillError(
            f"the plan ran out of memory: {error}",
            place=folder,
            hint="it needs about 4 GB for 10 million posts, and as much disk for what does not fit; give it more, "
            "lift `ulimit -v`, and run the same command again",
        ) from error


@contextmanager
def _made_where_absent(folder: Path) -> Iterator[None]:
    """Make the run folder for the block, and unmake it, if it is empty, where the block fails."""
    was_there = folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if not was_there:
            with suppress(OSError):  # another command has put something there
                folder.rmdir()
        raise


def _remembering(location: Place, level: Level, await_parts: bool) -> RememberingSpace:
    if location == NONE:
        return RememberingSpace(())
    if is_tree(location):
        return TreeSpace(scan(Path(location)))
    with open_space(location, level, await_parts=await_parts) as space:
        return RememberingSpace(space.parts)


def _with_mark(sources: Sources, locations: Locations, before: Pinned | None) -> Sources:
    """Return ``sources`` with the mark of invented data, where it lies beside them or they are those of ``before``."""
    marked = replace(sources, invented=True)
    known = before is not None and difference(before.sources, marked, before.options.level) is None
    return marked if known or invented.is_marked(locations) else sources


def _refuse_others(folder: Path, before: Pinned | None, sources: Sources) -> None:
    """Refuse ``sources`` that are not those of ``before``: of a run, or of a plan whose run has been worked on."""
    what = None if before is None else difference(before.sources, sources, before.options.level)
    if before is not None and what is not None and (before.locations is not None or pinned.work_of(folder) is not None):
        raise pinned.refuse_sources(folder, what)


def _refuse_other_work(run: Run) -> None:
    """Refuse to plan beside the work of another run, where neither ``run.json`` nor a plan says of which."""
    work = pinned.work_of(run.folder)
    if work is not None and work != run.fingerprint:
        raise UsageError(
            "holds the work of a run of other sources or other options, and no run.json",
            place=run.folder,
            hint="restore its run.json from a copy, repeat the options that it was planned with, or name a new folder: "
            "postmill plan SOURCE NEW_RUN",
        )


def _refuse_contradictions(db: duckdb.DuckDBPyConnection) -> None:
    rows = joins.query(db, "select_contradiction").fetchall()
    if rows:
        ((reason, entry, detail),) = rows
        raise PostmillError(
            f"{entry}: {reason}: {detail}",
            hint="run the same command without --strict: it is then a fault of that one entry",
        )
