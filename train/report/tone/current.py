"""The tables of tone as the report takes them: those that were made from what is here now, and what makes them."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote

from postmill.shards.formats import custody, plan, posts
from postmill.shards.formats.encoders import Encoder, encoders_of
from postmill.shards.indicators import tables
from postmill.shards.indicators.indicator import indicators_of
from postmill.shards.indicators.tables import Insights
from postmill.shards.run import manifests
from postmill.shards.run.folder import Run
from postmill.train.insights import columns


@dataclass(frozen=True)
class Tone:
    """What is known of tone.

    Attributes:
        insights: The tables; None where there are none, or none of what is here now.
        why: Why there are none; empty where there are.
        command: What makes them, typed in the folder that holds the run's; empty where there are.
    """

    insights: Insights | None
    why: str = ""
    command: str = ""


def read(run: Run) -> Tone:
    """Return the tables of tone of ``run``, or what makes them.

    Raises:
        PostmillError: A table, a manifest or the description of an encoder is damaged.
    """
    word = quote(run.folder.resolve().name)
    anew = f"postmill insights {word} && postmill report {word}"
    shards = tuple(posts.done_shards(run, plan.counts(run).shards))
    encoders = [encoder for encoder in encoders_of(run) if indicators_of(encoder)]
    if not encoders:
        command = f"postmill encode {word} {columns.USUAL_ENCODERS} && {anew}"
        return Tone(None, "No encoder of tone has read these posts yet.", command)
    done = [encoder for encoder in encoders if not columns.missing(run, encoder, shards)]
    if not done:
        why = "No encoder of tone has read all posts yet."
        return Tone(None, why, f"postmill encode {word} {_asked(encoders)} && {anew}")
    manifest = manifests.done(run.insights, tables.UNIT, run.fingerprint)
    if manifest is None:
        return Tone(None, "Tone has been told of every post, and not been put together yet.", anew)
    folders = {custody.embeddings_input(encoder.folder) for encoder in done}
    whole = custody.shards_of(manifest.info, plan.counts(run).shards) == shards and folders <= manifest.inputs.keys()
    insights = tables.read(run) if whole else None
    if insights is None:
        return Tone(None, "The tables of tone were made from other posts or embeddings than are here now.", anew)
    return Tone(insights)


def inputs(run: Run) -> dict[str, str]:
    """Return what is stated of the tables by what shows them; nothing where there are none to show.

    Raises:
        PostmillError: As of :func:`read`.
    """
    manifest = None if read(run).insights is None else manifests.read(run.insights, tables.UNIT)
    return {} if manifest is None else {custody.INSIGHTS: manifests.contents_hash(manifest)}


def _asked(encoders: list[Encoder]) -> str:
    sets = {encoder.models for encoder in encoders} & {"light", "paper"}
    names = " ".join(f"--encoder {encoder.encoder}" for encoder in encoders)
    return f"{names} --models {sets.pop()}" if len(sets) == 1 else names
