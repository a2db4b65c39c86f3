"""Ingest and encoding on a small disk: a few post shards at a time are packed, encoded, and their tars let go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from postmill.console.output import did, out
from postmill.console.steps import encoded
from postmill.console.waiting import Evict, say_what_is_awaited, say_what_is_dropped, say_what_is_spare, say_what_waits
from postmill.encode.options import ModelSet, Precision, not_usual, usual
from postmill.shards.formats.choices import Stage
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.interrupt import interruptible
from postmill.shards.runtime.progress import Progress, Within
from postmill.shards.state.tasks import WHOLE

if TYPE_CHECKING:
    from postmill.ingest.source.places.arrivals import AwaitedPart
    from postmill.shards.formats.encoders import Encoder
    from postmill.shards.run.folder import Run


def pack_and_encode(
    run: Run,
    encoders: Sequence[Encoder],
    models: ModelSet,
    overrides: Mapping[str, str],
    device: Device,
    precision: Precision,
    workers: int,
    shown: Progress,
    follow: bool = False,
    evict: Evict = Evict.NOTHING,
) -> None:
    """Do ingest and encoding of ``run`` with the tars of ``workers`` post shards at a time, and say what was done.

    A tar is let go when every encoder has done it. Killed anywhere, the next call goes on.

    Args:
        run: The run.
        encoders: What the encoders are; of these the disk is foretold.
        models: Where their models come from that ``overrides`` does not name.
        overrides: A folder or hub id by kind of encoder.
        device: Where they compute.
        precision: In which number format.
        workers: How many processes, and post shards at a time.
        shown: Told of each post shard that is done.
        follow: Go on as awaited parts come, until all have.
        evict: What becomes of parts that nothing needs any more.

    Raises:
        PostmillError: It cannot go on, or most of the posts that were asked for are lost.
    """
    from postmill.ingest.pack.workers import workforce
    from postmill.shards.runtime.pace import size

    if without := not_usual(models, overrides):
        shown.note(without)
    _foretell(run, encoders, workers)
    with workforce(workers, preload="postmill.ingest.pack.stages") as perform:
        from postmill.encode.gpu import visible
        from postmill.encode.stage import encoding
        from postmill.ingest.pack.outcome import refuse_mostly_lost
        from postmill.ingest.pack.stages import ingest
        from postmill.ingest.source.places.follow import until_more_come
        from postmill.shards.formats import plan, posts, shard_lists
        from postmill.shards.state.room import taken

        within = Within(shown)
        encode = encoding(
            run,
            encoders=usual(models, overrides, text_only=run.locations.text_only),
            models=models,
            model_overrides=overrides,
            device=device,
            precision=precision,
            progress=within,
        )
        if device != Device.CPU and len(cards := visible.own().names) > 1:
            within.note(f"lean: of {len(cards)} GPUs one is used; without --lean all are")
        shards = range(plan.counts(run).shards)
        dropped = posts.dropped(run, shards)
        for shard in dropped:
            posts.drop_tar(run, shard)  # which a kill may have left half done
        packed: Counter[Stage] = Counter()
        done: Counter[str] = Counter()  # by the folder of the encoder
        most = 0
        with shown.track("lean", len(shards), "post shards", len(dropped)) as advance:
            while True:
                awaited: list[AwaitedPart] = []
                made = 0
                for summary in ingest(run, tuple(Stage), WHOLE, perform, within, at_most=workers):
                    packed[summary.stage] += summary.done
                    made += summary.done
                    awaited += summary.awaited
                whole = posts.with_tar(run, shards)
                done += Counter({each.encoder.folder: each.done for each in encode(whole)})
                most = max(most, taken(run))
                for shard in whole:
                    posts.drop_tar(run, shard)
                    advance(1)
                if made and evict is Evict.DELETE:
                    say_what_is_spare(run, evict, within, going_on=True)
                if not made and not (follow and awaited):
                    break
                if not made:
                    until_more_come(run, awaited, within)
        shard_lists.write(run)
        for stage in Stage:
            out.note(f"ingest {stage.value}: {did(packed[stage], 0)}")
        summaries = encode(posts.dropped(run, shards))  # which finds all of them done, some of them by this call
        now = [done[each.encoder.folder] for each in summaries]
        encoded(run, [replace(each, done=n, skipped=each.skipped - n) for each, n in zip(summaries, now, strict=True)])
    if evict is Evict.LIST:
        say_what_is_spare(run, evict, shown)
    out.note(f"lean: the run took at most {size(most)} on disk at a time")
    with interruptible():
        say_what_waits(run)
        say_what_is_awaited(run, awaited)
        say_what_is_dropped(run, len(posts.dropped(run, shards)))
    refuse_mostly_lost(run, shards)


def _foretell(run: Run, encoders: Sequence[Encoder], at_once: int) -> None:
    """Say how much of the disk ``run`` will take at a time, and how much it would take whole."""
    from postmill.shards.runtime.pace import size
    from postmill.shards.state.room import foretold

    room = foretold(run, encoders)
    out.note(
        f"lean: about {size(room.lean(at_once))} on disk at a time, {size(room.set_aside)} of them set aside on the "
        f"way; whole it would be {size(room.whole)}"
    )
