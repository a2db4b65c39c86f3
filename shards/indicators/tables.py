"""The tables of ``RUN/insights``: tone and what goes with it, of groups of accounts, never of one.

Each is a list of one kind of row. A row of a group that may not be shown is not there; that there are such, one row
says that has no group and no number. An empty ``note`` is a number without anything to be said of it.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa

from postmill.shards.formats import custody, plan
from postmill.shards.run import checked, manifests, parquet
from postmill.shards.run.folder import Run
from postmill.shards.run.publish import Unit

UNIT = custody.INSIGHTS
STATEMENT_FILE = "README.md"
ALL = "all"
"""The division of all posts together, and its one group."""

MOST_ROWS = 100_000
"""Of a table that is read: those that are written have thousands at most."""

Row = TypeVar("Row")


@dataclass(frozen=True)
class IndicatorRow:
    """What was measured.

    Attributes:
        name: Encoder and column, such as ``emotion.lexica/joy``.
        encoder: The encoder's folder.
        column: Its column.
        label: As people read it.
        side: ``content`` or ``response``.
        kind: ``probability`` or ``score``.
        low, high: The ends of its scale.
        threshold: From where on a probability counts; None of a score.
        pleasantness: Whether it goes from unpleasant to pleasant.
        stand_in_for: The model that the encoder stands in for; empty for none.
        posts: Posts of the run.
        texts: Those of them that have what the encoder reads.
        judged: Those of these that it gives a number.
    """

    name: str
    encoder: str
    column: str
    label: str
    side: str
    kind: str
    low: float
    high: float
    threshold: float | None
    pleasantness: bool
    stand_in_for: str
    posts: int
    texts: int
    judged: int


@dataclass(frozen=True)
class ToneRow:
    """The tone of a group of posts.

    Attributes:
        indicator: Which.
        division: ``all``, ``month``, ``category``, ``followers`` or ``language``.
        group: Which part of it; empty for those that are not shown.
        posts: Posts that were judged; of those not shown, all of them.
        accounts: Their accounts; None of those not shown.
        value: Of a score its mean, of a probability the share of posts at or above the threshold.
        low, high: Its 95 % interval over accounts.
        note: Why there is no number, or no interval.
    """

    indicator: str
    division: str
    group: str
    posts: int
    accounts: int | None
    value: float | None
    low: float | None
    high: float | None
    note: str


@dataclass(frozen=True)
class EffectRow:
    """What goes with an indicator within accounts.

    Attributes:
        outcome: ``engagement``, or ``comment tone``.
        indicator: Which.
        posts, accounts: How many it rests on; 0 where they are too few to be told of.
        slope: By how much the outcome is higher, per standard deviation of the indicator within accounts; of engagement
            in natural logarithms, of the comments' tone in its own standard deviations within accounts.
        low, high: Its 95 % interval over accounts.
        p: How often a slope as far from 0 would be met if the truth were 0, two-sided.
        p_adjusted: The same where any of the outcome's slopes may be met (Holm, 1979).
        placebo_p: The share of placebos, indicators dealt anew within accounts, with a slope as far from 0.
        claimed: Whether it is claimed that the slope is not 0.
        note: Why there is no number or no interval.
    """

    outcome: str
    indicator: str
    posts: int
    accounts: int
    slope: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    placebo_p: float | None
    claimed: bool
    note: str


@dataclass(frozen=True)
class ShiftRow:
    """The difference of two groups in tone, over words of one language.

    Attributes:
        shift: Its number.
        indicator: Whose words.
        division: What the groups divide.
        low_group, high_group: The groups, the first of which has the lower tone.
        language: Of the words.
        difference: Mean tone of the words of the second less that of the first.
        low, high: Its 95 % interval over accounts.
        without_strongest: The difference without the three words that bring most of it; None where no three are shown.
        note: What is to be said of it.
    """

    shift: int
    indicator: str
    division: str
    low_group: str
    high_group: str
    language: str
    difference: float
    low: float | None
    high: float | None
    without_strongest: float | None
    note: str


@dataclass(frozen=True)
class WordRow:
    """What a word brings to a difference (Dodds et al., 2011).

    Attributes:
        shift: Number of the difference.
        word: The word, of a published list.
        tone: Its own, on the indicator's scale.
        contribution: Its part of the difference; all words together bring all of it.
        low_share, high_share: Its share of the words of the two groups.
    """

    shift: int
    word: str
    tone: float
    contribution: float
    low_share: float
    high_share: float


@dataclass(frozen=True)
class HashtagRow:
    """A hashtag in the earlier and the later half of the posts.

    Attributes:
        hashtag: Without ``#``.
        early_share, late_share: Of the posts that have it.
        change: The difference.
        low, high: Its 95 % interval over accounts.
        early_posts, late_posts: How many posts have it.
    """

    hashtag: str
    early_share: float
    late_share: float
    change: float
    low: float | None
    high: float | None
    early_posts: int
    late_posts: int


@dataclass(frozen=True)
class Insights:
    """All tables.

    Attributes:
        indicators, tone, effects, shifts, words, hashtags: Their rows, in order.
    """

    indicators: tuple[IndicatorRow, ...] = ()
    tone: tuple[ToneRow, ...] = ()
    effects: tuple[EffectRow, ...] = ()
    shifts: tuple[ShiftRow, ...] = ()
    words: tuple[WordRow, ...] = ()
    hashtags: tuple[HashtagRow, ...] = ()


ROWS: Mapping[str, type[Any]] = {
    "indicators": IndicatorRow,
    "tone": ToneRow,
    "effects": EffectRow,
    "shifts": ShiftRow,
    "words": WordRow,
    "hashtags": HashtagRow,
}
"""The tables by name, which is that of the file too."""

_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def schema(row: type[Any]) -> pa.Schema:
    """Return the columns of the table of rows of one kind; those that may be None may be null."""
    fields = []
    for name, hint in typing.get_type_hints(row).items():
        optional = isinstance(hint, types.UnionType)
        kind = next(of for of in typing.get_args(hint) if of is not types.NoneType) if optional else hint
        fields.append(pa.field(name, _TYPES[kind], nullable=optional))
    return pa.schema(fields)


def table(row: type[Any], rows: Sequence[Any]) -> pa.Table:
    """Return the table of ``rows``."""
    return pa.Table.from_pylist([dataclasses.asdict(each) for each in rows], schema(row))


def put(unit: Unit, insights: Insights, metadata: Mapping[bytes, bytes]) -> None:
    """Write all tables into ``unit``, each with ``metadata`` in its schema."""
    for name, row in ROWS.items():
        unit.table(f"{name}.parquet", table(row, getattr(insights, name)).replace_schema_metadata(metadata))


def read(run: Run, *, stale: bool = False) -> Insights | None:
    """Return what ``RUN/insights`` holds; None where it is not done.

    Args:
        run: The run.
        stale: Whether it may be made from what is not there any more; if not, it is not done either.

    Raises:
        PostmillError: A table is damaged, or has other columns.
    """
    manifest = manifests.done(run.insights, UNIT, run.fingerprint)
    if manifest is None:
        return None
    shards = custody.shards_of(manifest.info, plan.counts(run).shards)
    if not stale and (shards is None or dict(custody.now(run, manifest.inputs, shards)) != manifest.inputs):
        return None
    return Insights(**{name: _rows(run, manifest, name, row) for name, row in ROWS.items()})


def _rows(run: Run, manifest: manifests.Manifest, name: str, row: type[Row]) -> tuple[Row, ...]:
    path, command = run.insights / f"{name}.parquet", f"postmill insights {run.word}"
    state = manifest.files.get(path.name)
    if state is None:
        raise checked.damaged(path, "its manifest does not know it", command)
    try:
        found = parquet.read_checked(path, state, command)
        if not found.schema.remove_metadata().equals(schema(row)) or found.num_rows > MOST_ROWS:
            raise ValueError("other columns, or more rows, than it can have")
        return tuple(row(**each) for each in found.to_pylist())
    except (pa.ArrowException, ValueError) as error:
        raise checked.damaged(path, f"is no table of {name} ({error})", command) from error
