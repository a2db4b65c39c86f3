"""The stage of insights: one unit of work, made from what encoders of tone say of all posts of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from postmill.shards.formats import counts, custody, plan
from postmill.shards.formats.counts import InsightsCounts
from postmill.shards.formats.encoders import Encoder, encode_command
from postmill.shards.indicators import tables
from postmill.shards.indicators.tables import Insights
from postmill.shards.run import manifests, publish, temporary
from postmill.shards.run.folder import Run
from postmill.shards.run.sealed import canonical_hash
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.shards.runtime.progress import Progress, Silent
from postmill.train.data import algebra
from postmill.train.evaluation import cells
from postmill.train.insights import columns, compute, guard, statement

METHOD = "1"
"""Of all that is done here: another one, and the tables are made anew."""

CAVEATS = b"caveats"


@dataclass(frozen=True)
class InsightsSummary:
    """What there is.

    Attributes:
        written: Whether this call made it.
        insights: The tables.
        caveats: What is to be borne in mind of them.
        left_out: Encoders that have not done all post shards, and why, in words.
    """

    written: bool
    insights: Insights
    caveats: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def claims(self) -> int:
        """How many effects are claimed."""
        return sum(effect.claimed for effect in self.insights.effects)

    @property
    def suppressed(self) -> bool:
        """Whether not even all posts together may be told of."""
        return not any(row.value is not None for row in self.insights.tone)


@algebra.single_core()
def write_insights(run: Run, progress: Progress | None = None) -> InsightsSummary:
    """Write ``RUN/insights`` from the posts and what encoders of tone say of them, unless it says so already.

    Args:
        run: A run of which all post shards are finished.
        progress: Told of each step, and of encoders that are left out.

    Raises:
        UsageError: Post shards are missing, no encoder of tone has done them all, or few posts are others than when
            the tables were made before.
        PostmillError: A shard is damaged, or the disk is full.
    """
    progress = progress or Silent()
    encoders, left_out = _encoders(run)
    for what in left_out:
        progress.note(what)
    shards = range(plan.counts(run).shards)
    inputs = {
        custody.RECORDS_INPUT: custody.contents(run.posts, shards, custody.RECORDS),
        **{
            custody.embeddings_input(encoder.folder): custody.contents(
                run.embeddings / encoder.folder, shards, custody.EMBEDDINGS
            )
            for encoder in encoders
        },
    }
    settings = canonical_hash(
        {"method": METHOD, "least": [cells.MIN_ACCOUNTS, cells.MIN_POSTS], "most": guard.MOST_SHARE}
    )
    said = tuple(statement.caveats(run, encoders))
    if run.insights.is_dir():
        temporary.sweep(run.insights)
    there = _whole(run, inputs, settings)
    if there is not None:
        return InsightsSummary(False, there, said, left_out)
    insights = compute.insights(run, encoders, progress, _earlier(run, progress))
    with publish.unit(run.insights, tables.UNIT, run.fingerprint, compared=True) as unit:
        tables.put(unit, insights, {CAVEATS: "\n".join(said).encode()})
        unit.file(tables.STATEMENT_FILE).write(statement.readme(run, encoders, insights).encode())
        claims = sum(effect.claimed for effect in insights.effects)
        InsightsCounts(insights.indicators[0].posts, len(insights.indicators), claims).put(unit)
        counts.put_settings(unit, settings)
        unit.inputs.update(inputs)
        custody.put_shards(unit, shards)
    return InsightsSummary(unit.published, insights, said, left_out)


def _whole(run: Run, inputs: Mapping[str, str], settings: str) -> Insights | None:
    """Return the tables where they were made of just that, and nothing of them is damaged."""
    before = manifests.done(run.insights, tables.UNIT, run.fingerprint)
    if before is None or before.inputs != inputs or counts.settings_of(before) != settings:
        return None
    return None if any(manifests.differences(run.insights, before)) else tables.read(run)


def _earlier(run: Run, progress: Progress) -> Insights | None:
    """Return the tables that were made before of other posts: somebody may have them, and take them from the new ones.

    Those that are damaged are nobody's to read.
    """
    try:
        return tables.read(run, stale=True)
    except PostmillError as error:
        progress.note(f"{error}: the insights are made anew")
        return None


def _encoders(run: Run) -> tuple[list[Encoder], tuple[str, ...]]:
    """Return the encoders of tone that have done all post shards, and what is said of the others.

    Raises:
        UsageError: There are none.
    """
    shards = range(plan.counts(run).shards)
    found = columns.encoders_of_tone(run)
    lacking = {encoder.folder: columns.missing(run, encoder, shards) for encoder in found}
    done = [encoder for encoder in found if not lacking[encoder.folder]]
    left_out = tuple(
        f"{folder} is left out of the insights: {missing:,} of {len(shards):,} shards are not encoded"
        for folder, missing in lacking.items()
        if missing
    )
    if not done:
        raise UsageError(
            "; ".join(left_out),
            place=run.embeddings,
            hint=f"encode the rest: {encode_command(run, found[0])}",
        )
    return done, left_out
