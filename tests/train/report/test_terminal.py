"""The results on a terminal: every model and split, within 80 columns, and nothing of a name is taken for markup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from itertools import groupby

from rich.console import Console

from postmill.shards.run.folder import Run
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.results import Estimate, ResultRow
from postmill.train.options import Split
from postmill.train.report import terminal
from postmill.train.report.terminal import results_tables

MakeRun = Callable[..., Run]
NAMES = ("mse", "mae", "r2", "spearman", "within_account")


def row(model: str, split: str, value: float | None, interval: Interval | None) -> ResultRow:
    first = {"r2": Estimate(0.0512, Interval(-0.2, 0.3))}
    return ResultRow(model, split, {name: Estimate(value, interval) for name in NAMES}, 1, 100, 20, first)


def printed(rows: list[ResultRow]) -> str:
    by_split = {Split(split): list(of) for split, of in groupby(rows, key=lambda row: row.split)}
    out = StringIO()
    for table in terminal.target_tables(by_split, "log(1 + likes)"):
        Console(file=out, width=80).print(table)
    return out.getvalue()


def test_each_split_has_a_column_and_the_first_its_other_metrics() -> None:
    rows = [
        row("fusion", "influencer", 0.51234, Interval(0.4, 0.6)),
        row("[red]mean[/red]", "influencer", None, None),
        replace(row("leak", "influencer", 0.9, None), leaks=True),
        row("fusion", "time-influencer", -0.25, None),
    ]
    text = printed(rows)
    headline, rest = text.split("R² on held-out posts by split")
    assert "R² of log(1 + likes) on accounts not trained on, 95 % over accounts" in " ".join(headline.split())
    assert "their past known" in headline
    assert "0.512  0.40 to 0.60" in headline and "0.051  -0.20 to 0.30" in headline and "sees comments" in headline
    r2, others = rest.split("influencer split")
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in r2.splitlines() if "│" in line]
    assert lines == [
        *(["fusion", "0.512", "-0.250"], ["", "0.40 to 0.60", ""]),
        *(["[red]mean[/red]", "-", ""], ["leak", "0.900", ""], ["(sees comments)", "", ""]),
    ]
    assert "95 % over" in r2 and "Spearman, 95 %" in others and "MAE" in others
    assert "0.512  0.40 to 0.60" in others and "[red]mean[/red]" in others and "-0.250" not in others
    assert max(map(len, text.splitlines())) <= 80


def test_a_long_name_is_never_cut_short() -> None:
    names = [f"paper-{of}-mlp{scale}" for of in ("text", "image") for scale in ("", "-standardised")]
    low = Interval(-60.16, -2.76)
    text = printed([row(name, split, -35.188, low) for split in Split for name in names])
    column = [line.split("│")[1].strip() for line in text.split("influencer split")[0].splitlines() if "│" in line]
    assert "…" not in text and "".join(column) == 2 * "".join(names)


def test_the_first_table_says_that_data_are_invented() -> None:
    by_split = {Split.INFLUENCER: [row("fusion", "influencer", 0.5, None)]}
    for invented in (False, True):
        first = next(terminal.target_tables(by_split, "log(1 + likes)", invented=invented))
        assert ("invented" in str(first.title)) == invented


def test_a_run_without_models_has_no_table(planted_run: MakeRun) -> None:
    assert list(results_tables(planted_run(posts=10, accounts=5))) == []


def test_nothing_is_less_than_nothing() -> None:
    text = printed([row("mean", "influencer", -0.0002, Interval(-0.004, 0.0001))])
    assert "-0.00" not in text and "0.000" in text and "0.00 to 0.00" in text
