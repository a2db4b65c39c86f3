"""How good the predictions are: a table for each split, what the models are, and what they were shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from postmill.train.data.target import Definition
from postmill.train.evaluation import metrics
from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.probes.first_posts import BASELINE
from postmill.train.evaluation.results import Estimate, ModelResult, ResultRow
from postmill.train.evaluation.schema import EncoderUse
from postmill.train.models import registry
from postmill.train.options import Split
from postmill.train.report.formatting import number, span
from postmill.train.report.html import Cell, Measured, Table, TableColumn, text_columns

_TIMES = (
    " The cut lies after four fifths of the posts in time; both splits by time test on the posts after it, so their"
    " rows can be compared post by post."
)


@dataclass(frozen=True)
class SplitWords:
    """What the page calls a split, and what it says of it."""

    title: str
    note: str


SPLIT_WORDS: Mapping[Split, SplitWords] = {
    Split.INFLUENCER: SplitWords(
        "Accounts not trained on, their past known",
        "The headline. Accounts are kept apart: a model has not been trained on the author, but history and what builds"
        " on it know the author's earlier posts. As a first post: the same test posts when nothing is known of that"
        f" past, as of a new account; there {BASELINE} is the baseline.",
    ),
    Split.RANDOM: SplitWords(
        "Random split: optimistic",
        "The paper's split. The author of almost every test post is in the training part too, so a model can recognise"
        " accounts and repeat what they usually get: it says nothing about accounts it has not met.",
    ),
    Split.TIME: SplitWords(
        "Later posts: all that was trained on was published before",
        "How a model does that was trained once and then used: the world and the accounts move on." + _TIMES,
    ),
    Split.TIME_INFLUENCER: SplitWords(
        "Later posts of accounts not trained on, their past known: the hardest",
        "Neither the account nor the time was trained on." + _TIMES,
    ),
}
_CONTROL = (
    "Within account: order among the posts of one account, to be compared with what is left of it when all of a post"
    " but its account's history is that of another post of the account (shuffled), not with 0."
)


def tables(rows: Sequence[ResultRow], models: Sequence[ModelResult]) -> Iterator[Table]:
    """Yield a table for each split on which models were judged, what each model is, and what they were shown."""
    for split, words in SPLIT_WORDS.items():
        shown = [row for row in rows if row.split == split]
        if shown:
            yield _of_split(split, words, shown)
    if models:
        yield _ladder(models)
        if shown_to := encoders(models):
            yield _shown(shown_to)


def left_out(models: Sequence[ModelResult]) -> list[str]:
    """Return which splits no model was judged on, and why."""
    sentences = []
    for split, words in SPLIT_WORDS.items():
        if models and not any(split in result.splits for result in models):
            reasons = {result.metrics.settings.splits_left_out.get(split, "not asked for") for result in models}
            sentences.append(f"{words.title}: not evaluated ({'; '.join(sorted(reasons))}).")
    return sentences


def _of_split(split: Split, words: SplitWords, rows: Sequence[ResultRow]) -> Table:
    missing = "; ".join(sorted({row[HEADLINE].note for row in rows if row[HEADLINE].note}))
    seeds = max(row.seeds for row in rows)
    over = f"{seeds} divisions" if seeds > 1 else "one division"
    tested = f"{rows[0].test_posts:,} test posts of {rows[0].test_accounts:,} accounts over {over}."
    caption = f"{words.note} {tested} {_CONTROL}" + (f" No interval: {missing}." if missing else "")
    return Table(
        f"split-{split}",
        words.title,
        caption,
        list(_columns()),
        [list(_cells(row)) for row in rows],
        folded=split is not Split.INFLUENCER,
    )


def _columns() -> Iterator[TableColumn]:
    yield TableColumn("Model", numeric=False)
    for metric in metrics.tabulated():
        yield TableColumn(metric.short, beside="" if metric.lower_is_better else "95 % interval")
    short = metrics.METRICS[HEADLINE].short
    yield TableColumn(f"{short} as a first post", beside="95 % interval")
    yield TableColumn(f"{short} by division", beside="± standard deviation")


def _cells(row: ResultRow) -> Iterator[Cell]:
    yield row.label
    for metric in metrics.tabulated():
        estimate = row[metric.name]
        if metric.lower_is_better:
            yield number(estimate.value, metric.digits)
        else:
            beside = [span(estimate.interval)] if estimate.interval is not None else []
            if metric.has_control and estimate.shuffled is not None:
                beside.append(f"shuffled {number(estimate.shuffled, metric.digits)}")
            yield Measured(number(estimate.value, metric.digits), ", ".join(beside))
    yield _measured(row.as_first_posts(HEADLINE))
    headline = row[HEADLINE]
    yield Measured(number(headline.mean), "" if headline.std is None else f"± {number(headline.std)}")


def _measured(estimate: Estimate) -> Measured:
    return Measured(number(estimate.value), "" if estimate.interval is None else span(estimate.interval))


def _ladder(models: Sequence[ModelResult]) -> Table:
    rungs: list[list[Cell]] = [
        [result.name, registry.words(result.model, result.recipe) + _suffix(result)] for result in models
    ]
    columns = text_columns("Model", "What it predicts from")
    return Table("models", "What each model is", "A model is worth its step above the one below.", columns, rungs)


def _shown(encoders: Sequence[tuple[str, EncoderUse]]) -> Table:
    columns = text_columns("Modality", "Encoder", "Which", "Known before publication")
    rows = [_encoder_row(modality, encoder) for modality, encoder in encoders]
    return Table("encoders", "What the models were shown", "Each modality, and what made it.", columns, rows)


def encoders(models: Sequence[ModelResult]) -> list[tuple[str, EncoderUse]]:
    """Return each modality with each encoder that models were shown."""
    distinct = {
        (modality, encoder.folder, not encoder.before_publication): encoder
        for result in models
        for modality, encoder in result.encoders.items()
    }
    return [(key[0], distinct[key]) for key in sorted(distinct)]


def formula(models: Sequence[ModelResult]) -> str:
    """Return the target, or the targets of models that were trained on several."""
    return " or ".join(dict.fromkeys(result.definition.formula for result in models)) or Definition().formula


def _encoder_row(modality: str, encoder: EncoderUse) -> list[Cell]:
    return [
        modality if encoder.encoder == modality else f"{modality} ({encoder.encoder})",
        encoder.model or "none: numbers of the record",
        _origin(encoder),
        "yes" if encoder.before_publication else "no: reads comments",
    ]


def _origin(encoder: EncoderUse) -> str:
    if not encoder.model:
        return "the project's own"
    return f"stands in for {encoder.stand_in_for}" if encoder.stand_in_for else "the paper's own"


def _suffix(result: ModelResult) -> str:
    comments = ", comments included" if result.leaks else ""
    if result.of_study:
        return f"{comments}, with the paper's settings (Adam 1e-4, batches of 64, 3 epochs)"
    return comments
