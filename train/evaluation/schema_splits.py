"""What ``metrics.json`` states of a split: what a model reached there, seed by seed and over all of them.

Names on disk that differ stand as aliases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

from pydantic import Field, StrictInt, StrictStr

from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.serialise import FLATTENED, ROW, Number, gathered

Metrics: TypeAlias = Mapping[str, float | None]
"""Numbers by the names of :data:`.metrics.METRICS`; None where a metric is undefined."""


@dataclass(frozen=True)
class PooledCounts:
    """The test posts of all seeds of a split, and their accounts."""

    test_posts: int
    test_accounts: int


@dataclass(frozen=True)
class SeedCounts:
    """The parts of one seed: posts of each, posts of neither, and accounts of each."""

    train_posts: int
    test_posts: int
    neither: int
    train_accounts: int
    test_accounts: int


@dataclass(frozen=True)
class SeedRun:
    """One training: its parts, its metrics on its test part, and how it went, in words of each kind of model."""

    seed: int
    counts: SeedCounts
    metrics: Metrics
    training: Mapping[str, Any]


@dataclass(frozen=True)
class CalibrationBin:
    """A tenth of the test posts in order of their prediction: how many, and their mean prediction and target.

    It is a larger part where a tenth is too small to show, and there is none where all posts are.
    """

    posts: int
    predicted: float
    true: float


@dataclass(frozen=True)
class Coverage:
    """How many test posts lie in the interval of their own prediction.

    Attributes:
        nominal: The share that should.
        share: The share that does.
        interval: 95 % of the share, over accounts; None with too few of them.
        width: Mean width of the intervals of predictions, in log space.
    """

    nominal: Annotated[float, Field(alias="wanted")]
    share: Annotated[float, Field(alias="found")]
    interval: Interval | None
    width: float


@dataclass(frozen=True)
class CoverageRow:
    """The coverage of the test posts of one kind.

    Attributes:
        name: Of the kind, such as a number of earlier posts.
        posts: Test posts of it.
        accounts: Their accounts. None, as all below, for what is too small to show.
        share: Of the posts that lie in the interval of their own prediction.
        interval: 95 % of the share, over accounts; None with too few of them or of posts.
    """

    name: str
    posts: int
    accounts: int | None = None
    share: float | None = None
    interval: Interval | None = None


@dataclass(frozen=True)
class Contribution:
    """How far a part of what a model is shown moves its predictions away from their average.

    Attributes:
        name: The modality, or ``start``: the past that a rung above ``history`` starts from.
        posts: Test posts that were explained.
        mean: Of the distances, in units of the target.
        interval: 95 % of it, over accounts; None with too few of them or of posts.
    """

    name: str
    posts: int
    mean: float
    interval: Interval | None


@dataclass(frozen=True)
class FirstPost:
    """What a model reaches on all test posts as if each were its account's first, nothing of whose past is known.

    Attributes:
        pooled, interval, notes: As of :class:`SplitMetrics`.
        coverage: Of the intervals that are predicted then; None where the model gives none.
    """

    pooled: Metrics
    interval: Mapping[str, Interval | None]
    notes: Annotated[Mapping[str, str], Field(alias="interval_note")]
    coverage: Coverage | None


@dataclass(frozen=True)
class Calibration:
    """The straight line from predicted to true (1 and 0 are right), tenths of the posts, and coverage.

    Slope and intercept are None where all predictions are equal, coverage where the model gives no intervals.
    """

    slope: float | None
    intercept: float | None
    bins: tuple[CalibrationBin, ...]
    coverage: Coverage | None


@dataclass(frozen=True)
class SliceErrors:
    """The errors among the test posts of one slice.

    Attributes:
        name: Of the slice, such as a category.
        posts: Test posts in it.
        accounts: Their accounts. None, as all below, for what is too small to show.
        bias: Mean of predicted less true.
        metrics: Those with :attr:`.metrics.Metric.in_slices`.
    """

    __pydantic_config__ = ROW
    name: StrictStr
    posts: StrictInt
    accounts: StrictInt | None = None
    bias: Number | None = None
    metrics: Mapping[str, Number | None] = field(default_factory=dict)


@dataclass(frozen=True)
class MissingModality:
    """What is left of a model when a share of the test posts is shown without one modality."""

    __pydantic_config__ = ROW
    modality: StrictStr
    share: Annotated[Number, Field(alias="missing")]
    metrics: Mapping[str, Number | None] = field(default_factory=dict)


SliceRow: TypeAlias = Annotated[SliceErrors, gathered("name", "posts", "accounts", "bias"), FLATTENED]
MissingRow: TypeAlias = Annotated[MissingModality, gathered("modality", "missing"), FLATTENED]


@dataclass(frozen=True)
class SplitMetrics:
    """What a model reached on the test posts of all seeds of a split.

    Attributes:
        pooled: Metrics over all of them.
        interval: 95 %, over accounts, by metric; None where there is none.
        notes: Why a metric has no interval.
        shuffled: Metrics of what is predicted when the posts' content is shuffled (:mod:`.probes.control`); None where
            it was not.
        counts: How much they rest on.
        mean, std: Of each metric over seeds; None where one of them, or the only one, does not tell.
        first_post: The same posts, each as if it were its account's first; None where that was not asked.
    """

    pooled: Metrics
    interval: Mapping[str, Interval | None]
    notes: Annotated[Mapping[str, str], Field(alias="interval_note")]
    shuffled: Metrics | None
    counts: PooledCounts
    mean: Metrics
    std: Annotated[Metrics, Field(alias="spread")]
    first_post: FirstPost | None


@dataclass(frozen=True)
class SplitResult(SplitMetrics):
    """A split in full.

    Attributes:
        seeds: Each seed's own.
        calibration: How predictions lie to what came true.
        slices: In the headline split, errors by division (category, followers, language) and slice.
        missing: In the headline split, what is left without each modality, for models that are shown several.
        coverage: In the headline split, for models that give intervals, what share of the posts they hold, by number of
            earlier posts and by followers.
        contributions: In the headline split, for models whose parts add up, what moves their predictions.
    """

    seeds: tuple[SeedRun, ...]
    calibration: Calibration
    slices: Annotated[Mapping[str, tuple[SliceRow, ...]] | None, Field(alias="errors_by_kind")] = None
    missing: tuple[MissingRow, ...] | None = None
    coverage: Annotated[Mapping[str, tuple[CoverageRow, ...]] | None, Field(alias="coverage_by_kind")] = None
    contributions: tuple[Contribution, ...] | None = None
