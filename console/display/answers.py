"""What commands answer to programs that ask with ``--json``: one object each, whose fields docs/output.md gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postmill.shards.formats.counts import PlanCounts
    from postmill.shards.formats.faults import FaultCount


@dataclass(frozen=True)
class Failed:
    """What ended a command that has no other answer.

    Attributes:
        cause: What is wrong.
        place: The file, entry, row or option it is about; None where there is none.
        hint: What to do next; None where nothing is to be said.
        exit_code: That of the process.
    """

    cause: str
    place: str | None
    hint: str | None
    exit_code: int


@dataclass(frozen=True)
class Failure:
    """Of any command that failed.

    Attributes:
        error: Why.
    """

    error: Failed


@dataclass(frozen=True)
class Planned:
    """Of `postmill plan`.

    Attributes:
        run: The run folder.
        invented: Whether the data are marked as invented.
        counts: What the plan holds.
        disk_bytes: What the run takes on disk when it is packed, without embeddings and models.
        lean_bytes: What it takes at a time with `postmill run --lean`.
    """

    run: str
    invented: bool
    counts: PlanCounts
    disk_bytes: int
    lean_bytes: int


@dataclass(frozen=True)
class Faults:
    """Of `postmill faults`.

    Attributes:
        run: The run folder.
        total: Faults of all reasons.
        faults: By reason, the most frequent first.
    """

    run: str
    total: int
    faults: tuple[FaultCount, ...]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a run, or not done yet.

    Attributes:
        place: The file, or the folder where it is about several.
        cause: What is wrong with it, or missing.
        mend: The command, or the words, that mend it; of what is not done yet, the command that does it.
    """

    place: str
    cause: str
    mend: str


@dataclass(frozen=True)
class Verified:
    """Of `postmill verify`.

    Attributes:
        run: The run folder.
        right: Whether nothing is wrong; else the exit code is 1.
        wrong: What is.
        undone: What is not done yet; with `--complete` it stands among what is wrong.
        against_plan: Whether rows were compared with the plan too; not those of a run of an older format.
    """

    run: str
    right: bool
    wrong: tuple[Finding, ...]
    undone: tuple[Finding, ...]
    against_plan: bool


@dataclass(frozen=True)
class Number:
    """A number with what it rests on.

    Attributes:
        value: The number; None where it is undefined.
        interval: 95 %, over accounts: two numbers; None where there is none.
        note: Why there is none; empty where there is one.
    """

    value: float | None
    interval: tuple[float, float] | None
    note: str


@dataclass(frozen=True)
class Reached:
    """What a model reached on a split, by one metric: a cell of `report/results.md`.

    Attributes:
        model: Name of the model's folder.
        target: The formula of what is predicted.
        split: On which split.
        metric: By which metric, as in `report/metrics.json`.
        known: The number, over the test posts of all seeds, with what the model is shown of the accounts' past.
        first_post: Likewise, of the same posts as if each were its account's first; None where that was not asked.
        shuffled: The number when the posts' content is shuffled; None where the metric is not judged by that.
        mean: Mean over the seeds; None where undefined.
        std: Standard deviation over the seeds; None where undefined.
        seeds: How many trainings it rests on.
        test_posts: How many posts.
        test_accounts: How many accounts.
        sees_comments: Whether the model was shown what exists only after publication, so that this is no forecast.
    """

    model: str
    target: str
    split: str
    metric: str
    known: Number
    first_post: Number | None
    shuffled: float | None
    mean: float | None
    std: float | None
    seeds: int
    test_posts: int
    test_accounts: int
    sees_comments: bool


@dataclass(frozen=True)
class Caution:
    """What is to be borne in mind of numbers.

    Attributes:
        kind: In a word or two.
        text: A sentence or two.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Trained:
    """Of `postmill train`.

    Attributes:
        run: The run folder.
        trained: Models trained now, by the names of their folders.
        kept: Models that were done before with the same settings.
        results: What all models of the run reached.
        caveats: What is to be borne in mind of the results.
    """

    run: str
    trained: tuple[str, ...]
    kept: tuple[str, ...]
    results: tuple[Reached, ...]
    caveats: tuple[Caution, ...]


@dataclass(frozen=True)
class Judged:
    """What an indicator of tone could judge.

    Attributes:
        name: Encoder and column, as in `insights/indicators.parquet`.
        label: As people read it.
        side: `content` or `response`.
        posts: Posts of the run.
        texts: Those that have what the encoder reads.
        judged: Those of these that it gives a number.
    """

    name: str
    label: str
    side: str
    posts: int
    texts: int
    judged: int


@dataclass(frozen=True)
class PutTogether:
    """Of `postmill insights`.

    Attributes:
        run: The run folder.
        folder: Where the tables lie.
        written: Whether they were written now; else they said so already.
        indicators: What was measured.
        shown: Numbers of groups that are told; none where all is of too few.
        not_shown: Places where a number would be of too few, or others could be told from it.
        effects: Effects within accounts that have a number.
        claims: How many of these are claimed.
        left_out: Encoders that have not done all posts, in words.
        caveats: What is to be borne in mind, in words.
    """

    run: str
    folder: str
    written: bool
    indicators: tuple[Judged, ...]
    shown: int
    not_shown: int
    effects: int
    claims: int
    left_out: tuple[str, ...]
    caveats: tuple[str, ...]


@dataclass(frozen=True)
class Reported:
    """Of `postmill report`.

    Attributes:
        run: The run folder.
        page: Where the page lies.
        written: Whether it was written now; else it said so already.
        results: What all models of the run reached.
        caveats: What is to be borne in mind of the results.
    """

    run: str
    page: str
    written: bool
    results: tuple[Reached, ...]
    caveats: tuple[Caution, ...]


@dataclass(frozen=True)
class Predicted:
    """Of `postmill predict --output FILE`.

    Attributes:
        run: The run folder of the model.
        model: Which model.
        output: The file that was written.
        posts: How many posts it scores.
        caveats: What is to be borne in mind of them, a text each.
    """

    run: str
    model: str
    output: str
    posts: int
    caveats: tuple[str, ...]


@dataclass(frozen=True)
class Exported:
    """Of `postmill export`.

    Attributes:
        run: The run folder.
        folder: The folder that was written.
        layout: Whose layout it has.
        posts: How many posts it holds.
        left_out: How many it does not, for a vector of theirs is absent.
        encoders: The folders below `embeddings` whose vectors it holds.
    """

    run: str
    folder: str
    layout: str
    posts: int
    left_out: int
    encoders: tuple[str, ...]
