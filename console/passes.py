"""The passes of ingest: one, or, where parts are awaited, one after another as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from postmill.console.output import did, out
from postmill.console.waiting import Evict, say_what_is_awaited, say_what_is_spare, say_what_waits
from postmill.shards.formats.choices import Stage
from postmill.shards.runtime.interrupt import interruptible
from postmill.shards.runtime.progress import Progress
from postmill.shards.state.tasks import Task

if TYPE_CHECKING:
    from postmill.ingest.pack.selection import Selection
    from postmill.ingest.source.places.arrivals import AwaitedPart
    from postmill.shards.run.folder import Run


def ingest(
    run: Run,
    stages: Sequence[Stage],
    task: Task,
    workers: int,
    shown: Progress,
    selection: Selection | None = None,
    mending: bool = False,
    follow: bool = False,
    evict: Evict = Evict.NOTHING,
    restoring: bool = False,
) -> None:
    """Run the stages of ingest, or only on what has waited for other bytes, and say what each did.

    Args:
        run: The run.
        stages: Which stages.
        task: The share of each.
        workers: How many processes.
        shown: Told of each piece.
        selection: Which pieces; None for all.
        mending: Do only what has waited for other bytes.
        follow: Go on as awaited parts come, until all have.
        evict: What becomes of parts that nothing needs any more, after each pass.
        restoring: Pack again, too, the post shards whose tar was dropped.

    Raises:
        PostmillError: It cannot go on, or most of the posts that were asked for are lost.
    """
    from postmill.ingest.pack.workers import workforce

    shards: set[int] = set()
    with workforce(workers, preload="postmill.ingest.pack.stages") as perform:
        from postmill.ingest.pack.outcome import refuse_mostly_lost  # while the workers load it too
        from postmill.ingest.pack.selection import EVERYTHING
        from postmill.ingest.pack.stages import ingest as ingest_stages
        from postmill.ingest.source.places.follow import until_more_come

        while True:
            awaited: list[AwaitedPart] = []
            for summary in ingest_stages(
                run, stages, task, perform, shown, selection or EVERYTHING, mending, restoring
            ):
                out.note(f"ingest {summary.stage.value}: {did(summary.done, summary.skipped, summary.waiting)}")
                if summary.waiting:
                    what = "parts that have not come" if summary.awaited else "what is not done"
                    out.print(f"ingest {summary.stage.value}: {summary.waiting:,} wait for {what}")
                shards.update(summary.shards)
                awaited += summary.awaited
            if evict is not Evict.NOTHING:
                say_what_is_spare(run, evict, shown)
            if not (follow and awaited):
                break
            until_more_come(run, awaited, shown)
    with interruptible():
        say_what_waits(run)
        say_what_is_awaited(run, awaited)
    refuse_mostly_lost(run, shards)
