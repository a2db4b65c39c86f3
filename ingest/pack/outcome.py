"""Whether an ingest came to anything: of how many planned posts the shards that it was asked for hold none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from postmill.shards.formats import plan, posts
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError

_NAMED = 3  # reasons in a message, at most


def refuse_mostly_lost(run: Run, shards: Iterable[int]) -> None:
    """End with an error if most posts that were planned for ``shards`` are not there; what is not done does not count.

    Single posts are lost in every dataset. Where fewer than half are left, it is the sources that are wrong, and what
    is made of the rest would pass for the dataset.

    Raises:
        PostmillError: Fewer than half of the planned posts are in the shards, which stay as they are.
    """
    asked = set(shards)
    planned = {shard.shard: shard.posts for shard in plan.shards(run) if shard.shard in asked}
    made = {shard: counts for shard in planned if (counts := posts.counts(run, shard)) is not None}
    held = sum(counts.posts for counts in made.values())
    wanted = sum(planned[shard] - counts.not_chosen for shard, counts in made.items())
    if 2 * held >= wanted:
        return
    reasons: Counter[str] = Counter()
    for counts in made.values():
        reasons.update(counts.reasons)
    named = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common(_NAMED))
    raise PostmillError(
        f"only {held:,} of {wanted:,} planned posts are in its shards ({named}); what was made stays",
        place=run.folder,
        hint=f"see what is wrong with the sources: postmill faults {run.word}",
    )
