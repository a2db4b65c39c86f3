"""Wait for awaited parts to come."""

from __future__ import annotations

import time
from collections.abc import Sequence

from postmill.ingest.source.pinning import part_paths
from postmill.ingest.source.places.arrivals import AwaitedPart, awaited_parts
from postmill.shards.run.folder import Run
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.progress import Progress

_POLL_S, _POLL_REMOTE_S = 2.0, 60.0  # between two looks, at a folder and at an address


def until_more_come(run: Run, awaited: Sequence[AwaitedPart], progress: Progress) -> None:
    """Return when one of the parts ``awaited`` is to be taken.

    Args:
        run: A planned run.
        awaited: What the last pass waited for, at least one.
        progress: Told of the parts while it waits.

    Raises:
        PostmillError: A part is there and cannot be read.
        Interrupted: A signal came.
    """
    wanted = {archive: [part.part for part in awaited if part.archive == archive] for archive in (0, 1)}
    paths = {archive: part_paths(run, archive) for archive in wanted}
    remote = any(is_url(paths[part.archive][part.part]) for part in awaited)
    left = len(awaited_parts(run, wanted))
    if left < len(awaited):
        return
    progress.note(f"waiting for {_first(awaited)}; Ctrl-C ends this, and the same command goes on")
    with progress.track("ingest: parts to come", None, "parts") as advance:
        while left == len(awaited):
            time.sleep(_POLL_REMOTE_S if remote else _POLL_S)
            left = len(awaited_parts(run, wanted))
        advance(len(awaited) - left)


def _first(awaited: Sequence[AwaitedPart]) -> str:
    more = f" and {len(awaited) - 1} more" if len(awaited) > 1 else ""
    return f"{awaited[0].name}{more}"
