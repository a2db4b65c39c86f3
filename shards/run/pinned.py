"""How a folder becomes a run: what it is pinned to, and its plan and ``run.json`` published as one.

A run is there when ``run.json`` is. The plan comes first, whole, by one renaming that fails where another plan has come
meanwhile; its manifest states what it was pinned to, so that ``run.json`` follows from it. A kill before leaves what
counts as nothing, a kill between the two a plan that the same command takes over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from postmill.shards.run import folder as runs
from postmill.shards.run import manifests, options, publish, regular, sources
from postmill.shards.run.folder import Run
from postmill.shards.run.manifests import Manifest
from postmill.shards.run.options import Options
from postmill.shards.run.publish import Unit
from postmill.shards.run.regular import RUN_FILE
from postmill.shards.run.sources import Locations, Sources
from postmill.shards.run.temporary import TEMPORARY
from postmill.shards.runtime.errors import UsageError

PLAN = "plan"
_WORK = ("spool", "posts", "embeddings", "models", "insights", "report")
_PINNED = "pinned"  # in the info of the plan's manifest


@dataclass(frozen=True)
class Pinned:
    """What a folder is pinned to.

    Attributes:
        fingerprint: Of the run.
        sources: What is pinned of each source.
        options: The pinned options.
        locations: Where the sources were last seen; None where ``run.json`` is not there, and only a plan is.
    """

    fingerprint: str
    sources: Sources
    options: Options
    locations: Locations | None


def look(folder: Path) -> Pinned | None:
    """Return what ``folder`` is pinned to; None for a folder that is new, or holds no more than leftovers.

    Raises:
        UsageError: It is a file, holds something that is not a run, or a run in another version of the format.
        PostmillError: Its ``run.json`` is damaged, or it cannot be read.
    """
    try:
        names = {path.name for path in folder.iterdir() if not path.name.startswith(TEMPORARY)}
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise UsageError("is a file, not a run folder", place=folder, hint="name a new folder for the run") from error
    except OSError as error:
        raise regular.unreadable(folder, error) from error
    if RUN_FILE in names:
        run = runs.open_run(folder)
        return Pinned(run.fingerprint, run.sources, run.options, run.locations)
    pinned = _by_plan(manifests.read(folder / PLAN, PLAN))
    if names - {PLAN, "logs", "secret", *_WORK} or (pinned is None and work_of(folder) == ""):
        if (folder / RUN_FILE).exists():  # another command has published it meanwhile
            return look(folder)
        held = runs.archive_in(folder)
        raise UsageError(
            "is neither empty nor a run folder" + ("" if held is None else f": it holds {held}"),
            place=folder,
            hint="name a new or an empty folder for the run",
        )
    return pinned


def state(unit: Unit, run: Run) -> None:
    """State in the plan's manifest what the run is pinned to."""
    unit.info[_PINNED] = runs.pinned_json(run.sources, run.options)


def work_of(folder: Path) -> str | None:
    """Return the fingerprint of the run whose work ``folder`` holds beside a plan.

    None where there is no work; empty where what is there has no manifest that says whose it is.
    """
    found: str | None = None
    for path in _files(folder):
        manifest = manifests.read(path.parent, path.stem) if path.suffix == ".json" else None
        if manifest is not None:
            return manifest.run
        found = ""
    return found


def refuse_options(folder: Path, pinned: Pinned, now: Options) -> UsageError:
    """Return what is said where other options are typed than those of a run that has been worked on."""
    changed = options.differences(pinned.options, now)
    was, is_now, typed = (" ".join(words) for words in zip(*changed, strict=True))
    return UsageError(
        f"this run was planned with {was}, and now it is {is_now}",
        place=folder,
        hint="leave out what the run knows, or start afresh in a new run folder: postmill plan SOURCE NEW_RUN " + typed,
    )


def refuse_sources(folder: Path, what: str) -> UsageError:
    """Return what is said where the sources are not those of the run; ``what`` is of :func:`.sources.difference`."""
    return UsageError(
        f"this run was planned with {what}",
        place=folder,
        hint="name the sources that it was planned with, or start afresh in a new run folder: "
        "postmill plan SOURCE NEW_RUN",
    )


def publish_plan(run: Run, made: Path, before: Pinned | None) -> None:
    """Put a finished plan and ``run.json`` into the run's folder.

    Args:
        run: What the folder will be.
        made: The folder of the plan's tables and its manifest, beside where they go.
        before: What :func:`look` said when the work began: that may be replaced, and nothing else.

    Raises:
        UsageError: The folder has become another run meanwhile.
        PostmillError: The disk is full, or the folder cannot be written.
    """
    there = _refuse_another(run, before)
    if not publish.put_folder(made, run.plan):
        there = _refuse_another(run, before)
        if manifests.done(run.plan, PLAN, run.fingerprint) is None:
            if there is not None and there.fingerprint != run.fingerprint:
                publish.remove(run.folder / RUN_FILE)  # from here on there is no run, until there is the new one
            publish.put_unit(made, run.plan, PLAN)
    runs.put(run)


def _refuse_another(run: Run, before: Pinned | None) -> Pinned | None:
    there = look(run.folder)
    if there is None or there.fingerprint == run.fingerprint or there == before:
        return there
    what = sources.difference(there.sources, run.sources, run.options.level)
    raise refuse_options(run.folder, there, run.options) if what is None else refuse_sources(run.folder, what)


def _by_plan(manifest: Manifest | None) -> Pinned | None:
    """Return what a plan's manifest says that it was pinned to, if it is of this version."""
    try:
        stated = {} if manifest is None else manifest.info[_PINNED]
        if manifest is None or stated["schema"] != manifests.SCHEMA_VERSION:
            return None
        found = Sources.from_json(stated["sources"], stated["schema"]), Options.from_json(stated["options"])
    except (KeyError, TypeError, ValueError):
        return None
    return Pinned(manifest.run, *found, None) if runs.fingerprint(stated) == manifest.run else None


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of what was made after the plan, temporaries left out.

    Raises:
        PostmillError: A folder cannot be listed, which is not to be taken for its being empty.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise regular.unreadable(Path(error.filename), error) from error

    for name in _WORK:
        for parent, _, files in os.walk(folder / name, onerror=refuse):
            yield from (Path(parent, file) for file in files if not file.startswith(TEMPORARY))
