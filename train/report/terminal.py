"""The results on a terminal of 80 columns: the headline, its metric on every split, then the others on the first."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from rich.markup import escape
from rich.table import Table

from postmill.shards.run.folder import Run
from postmill.train.evaluation import caveats as evaluation
from postmill.train.evaluation import metrics, results
from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.probes.first_posts import BASELINE
from postmill.train.evaluation.results import Estimate, ResultRow
from postmill.train.options import RecipeName, Split, splits_of

_NAME_WIDTH = 14
_GAP = (0, 1, 0, 0)  # between the columns of four splits: with it they fit into 80


def results_tables(run: Run) -> Iterator[Table]:
    """Yield the tables of the run's models; none where no model has been judged.

    Raises:
        PostmillError: A model's ``metrics.json`` cannot be read.
    """
    for definition, models in results.by_target(results.read_results(run)).items():
        order = splits_of(RecipeName.PAPER if all(result.of_study for result in models) else RecipeName.POSTMILL)
        rows = {split: of_split for split in order if (of_split := results.rows_of(models, split))}
        yield from target_tables(rows, definition.formula, invented=run.invented)


def caveats(run: Run) -> list[str]:
    """Return what is to be borne in mind of the tables, a sentence or two each.

    Raises:
        PostmillError: A model's ``metrics.json`` cannot be read.
    """
    return [caveat.text for caveat in evaluation.of_models(run, results.read_results(run))]


def target_tables(
    by_split: Mapping[Split, list[ResultRow]], formula: str, *, invented: bool = False
) -> Iterator[Table]:
    """Yield the tables of the models of one target, named by its formula; the first says if the data are invented."""
    split = next(iter(by_split))
    yield _headline(split, by_split[split], f"{formula} (invented data)" if invented else formula)
    yield _splits(by_split)
    yield _others(split, by_split[split])


def _headline(split: str, rows: list[ResultRow], formula: str) -> Table:
    tested = "accounts not trained on" if split == Split.INFLUENCER else f"the {split} split"
    title = f"{metrics.METRICS[HEADLINE].short} of {formula} on {tested}, 95 % over accounts"
    caption = f"as a first post nothing is known of an account's past: compare with {BASELINE}"
    table = Table("model", "their past known", "as a first post", title=title, title_justify="left", caption=caption)
    for row in rows:
        table.add_row(_name(row), _estimate(row[HEADLINE]), _estimate(row.as_first_posts(HEADLINE)))
    return table


def _splits(by_split: Mapping[Split, list[ResultRow]]) -> Table:
    title = f"{metrics.METRICS[HEADLINE].short} on held-out posts by split, 95 % over accounts"
    columns = (split.replace("-", "-\n") for split in by_split)
    notes = sorted({row[HEADLINE].note for rows in by_split.values() for row in rows if row[HEADLINE].note})
    caption = f"no interval and no claim: {'; '.join(notes)}" if notes else None
    table = Table("model", *columns, title=title, title_justify="left", caption=caption, pad_edge=False, padding=_GAP)
    estimates = {(_name(row), split): row[HEADLINE] for split, rows in by_split.items() for row in rows}
    for model in dict.fromkeys(model for model, _ in estimates):
        cells = (estimates.get((model, split)) for split in by_split)
        table.add_row(model, *("" if cell is None else _estimate(cell, "\n") for cell in cells))
    return table


def _others(split: str, rows: list[ResultRow]) -> Table:
    shown = [metric for metric in metrics.tabulated() if metric.name != HEADLINE]
    columns = (metric.short + ("" if metric.lower_is_better else ", 95 %") for metric in shown)
    table = Table("model", *columns, title=f"{split} split", title_justify="left")
    for row in rows:
        cells = [(row[metric.name], metric.lower_is_better) for metric in shown]
        table.add_row(_name(row), *(_value(cell) if error else _estimate(cell) for cell, error in cells))
    return table


def _name(row: ResultRow) -> str:
    """Return a model's name, on several lines where one would be cut short beside so many columns."""
    name, *said = row.label.split(" (", 1)
    lines = [*textwrap.wrap(name, _NAME_WIDTH, break_long_words=False), *(f"({text}" for text in said)]
    return escape("\n".join(lines))


def _value(cell: Estimate) -> str:
    return "-" if cell.value is None else f"{cell.value:z.3f}"


def _estimate(cell: Estimate, between: str = "  ") -> str:
    interval = "" if cell.interval is None else f"{between}{cell.interval.low:z.2f} to {cell.interval.high:z.2f}"
    return _value(cell) + interval + ("" if cell.shuffled is None else f"\nshuffled {cell.shuffled:z.3f}")
