"""`postmill insights`: tone of content and audience response put together, for groups and never for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from postmill.console import steps
from postmill.console.arguments import options
from postmill.console.display import answering, commands
from postmill.console.display.answers import Judged, PutTogether
from postmill.console.output import out, progress
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.progress import Progress

if TYPE_CHECKING:
    from postmill.shards.run.folder import Run
    from postmill.train.insights.stage import InsightsSummary


def insights(folder: options.RunArgument, as_json: commands.JsonOption = False) -> None:
    """Put together what encoders of tone say: tables of groups, never of a person, in `RUN/insights`."""
    with progress(f"insights {folder}", folder) as shown:
        run = steps.open_run(folder)
        done = _made(run, shown)
        if as_json:
            answering.answer(_answer(run, done))
        else:
            _say(run, done)
            out.note(f"next: postmill report {escape(run.word)}")


def where_told(run: Run, shown: Progress) -> None:
    """Do the same where an encoder of tone has done all post shards, and nothing where none has.

    Where the tables may not be made, that is said with what helps, and the rest of a job goes on.
    """
    from postmill.shards.formats import plan
    from postmill.shards.formats.encoders import encoders_of
    from postmill.shards.indicators.indicator import indicators_of
    from postmill.train.insights import columns

    shards = range(plan.counts(run).shards)
    if any(indicators_of(of) and not columns.missing(run, of, shards) for of in encoders_of(run)):
        try:
            done = _made(run, shown)
        except UsageError as error:
            shown.note(f"insights: {error.place}: {error.cause}; {error.hint}")
        else:
            _say(run, done)


def _made(run: Run, shown: Progress) -> InsightsSummary:
    with shown.track("insights: loading", None):
        from postmill.shards.state.underway import underway
        from postmill.train.insights.stage import write_insights

    with underway(run, "insights", ["insights"]):
        return write_insights(run, shown)


def _answer(run: Run, done: InsightsSummary) -> PutTogether:
    groups, hidden = _groups(done)
    return PutTogether(
        run=str(run.folder),
        folder=str(run.insights),
        written=done.written,
        indicators=tuple(
            Judged(row.name, row.label, row.side, row.posts, row.texts, row.judged) for row in done.insights.indicators
        ),
        shown=groups,
        not_shown=hidden,
        effects=_effects(done),
        claims=done.claims,
        left_out=done.left_out,
        caveats=done.caveats,
    )


def _say(run: Run, done: InsightsSummary) -> None:
    groups, hidden = _groups(done)
    if done.suppressed:
        out.print("insights: too few accounts or posts, so no number is told")
    else:
        rest = f", and {hidden:,} are not shown, for they hold what is too small" if hidden else ""
        out.note(f"insights: {len(done.insights.indicators):,} indicators, {groups:,} numbers of groups{rest}")
        out.note(
            f"insights: {done.claims:,} of {_effects(done):,} effects within accounts are claimed, as associations"
        )
    for name in dict.fromkeys(row.encoder for row in done.insights.indicators):
        of_it = [row for row in done.insights.indicators if row.encoder == name]
        shares = sorted(row.judged / row.texts if row.texts else 0.0 for row in of_it)
        out.note(
            f"insights: {escape(name)} could judge {shares[0]:.0%} to {shares[-1]:.0%} of {of_it[0].texts:,} posts that"
            " have what it reads, by indicator"
        )
    for caveat in done.caveats:
        out.print(f"note: {escape(caveat)}", highlight=False)
    note = "" if done.written else " (nothing to do, it says so already)"
    out.print(f"insights: {escape(str(run.insights))}, tables with what they hold in README.md{note}")


def _groups(done: InsightsSummary) -> tuple[int, int]:
    """Return how many numbers of groups are told, and in how many places there are posts that are not."""
    told = sum(row.value is not None for row in done.insights.tone)
    return told, len(done.insights.tone) - told


def _effects(done: InsightsSummary) -> int:
    return sum(row.slope is not None for row in done.insights.effects)
