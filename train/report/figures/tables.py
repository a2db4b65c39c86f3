"""Numbers of figures and results as files: CSV, and a LaTeX table with booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from postmill.train.data.target import Definition
from postmill.train.evaluation import metrics, results
from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.probes.first_posts import BASELINE
from postmill.train.evaluation.results import Estimate, ModelResult
from postmill.train.evaluation.schema import Caveat
from postmill.train.options import Split
from postmill.train.report.figures.figure import Value
from postmill.train.report.figures.said import SPLITS, ends, rounded
from postmill.train.report.figures.spreadsheet import as_csv
from postmill.train.report.formatting import number, span

_LATEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\N{SUPERSCRIPT TWO}": "$^2$",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
}
_SPECIAL = re.compile("|".join(map(re.escape, _LATEX)))

_RESULTS = (
    *("target", "model", "sees comments", "split", "metric", "value", "95 % low", "95 % high", "no interval because"),
    *("shuffled", "as a first post", "first post 95 % low", "first post 95 % high", "test posts", "test accounts"),
)


def results_csv(models: Sequence[ModelResult]) -> bytes:
    """Return what all models reached, a row for each metric of a model on a split, with its interval, as CSV."""
    return as_csv(_RESULTS, list(_results(models))).encode()


def _results(models: Sequence[ModelResult]) -> Iterator[tuple[Value, ...]]:
    for definition, of_target in results.by_target(models).items():
        for split in Split:
            for row in results.rows_of(of_target, split):
                for metric in metrics.tabulated():
                    of, first = row[metric.name], row.as_first_posts(metric.name)
                    yield (
                        *(definition.formula, row.model, "yes" if row.leaks else "no", split, metric.heading),
                        *(rounded(of.value), *ends(of), of.note, rounded(of.shuffled)),
                        *(rounded(first.value), *ends(first), row.test_posts, row.test_accounts),
                    )


def latex(models: Sequence[ModelResult], said: Sequence[Caveat]) -> bytes:
    """Return a table of R² on every split for each target, with intervals and what is to be borne in mind, as LaTeX.

    Its preamble needs ``\\usepackage{booktabs}``.
    """
    lines = [r"% Needs \usepackage{booktabs}."]
    for definition, of_target in results.by_target(models).items():
        lines += _table(definition, of_target, said)
    return ("\n".join(lines) + "\n").encode()


def escaped(text: str) -> str:
    """Return a text so that LaTeX sets it as it is, on one line."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return _SPECIAL.sub(lambda found: _LATEX[found[0]], line)


def _table(definition: Definition, models: Sequence[ModelResult], said: Sequence[Caveat]) -> Iterator[str]:
    rows = {split: {row.model: row for row in results.rows_of(models, split)} for split in Split}
    shown = [split for split in Split if rows[split]]
    first = [split for split in shown if any(row.first_post for row in rows[split].values())][:1]
    headings = ["model", *(SPLITS[split] for split in shown), *(f"as a first post, {SPLITS[split]}" for split in first)]
    counts = "; ".join(f"{SPLITS[split]}: {_counts(rows[split])}" for split in shown)
    heading = metrics.METRICS[HEADLINE].heading
    yield r"\begin{table}"
    yield r"\centering\small"
    caption = escaped(
        f"{heading} of {definition.formula} on held-out posts, below each its 95 % interval over accounts."
    )
    yield rf"\caption{{{caption}}}"
    yield rf"\begin{{tabular}}{{l{'r' * (len(headings) - 1)}}}"
    yield r"\toprule"
    yield (
        " & ".join(
            rf"\parbox[b]{{7em}}{{\raggedleft {escaped(name)}}}" if n else name for n, name in enumerate(headings)
        )
        + r" \\"
    )
    yield r"\midrule"
    for result in models:
        of_model = {split: rows[split][result.name] for split in shown if result.name in rows[split]}
        if of_model:
            label = next(iter(of_model.values())).label
            cells = [_cell(of_model[split][HEADLINE]) if split in of_model else "" for split in shown]
            cells += [_cell(of_model[split].as_first_posts(HEADLINE)) if split in of_model else "" for split in first]
            yield " & ".join([escaped(label), *cells]) + r" \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\par\medskip"
    yield r"\begin{minipage}{\linewidth}\footnotesize"
    notes = [f"Test posts: {counts}.", *(caveat.text for caveat in said)]
    if first:
        notes.append(f"As a first post: nothing is known of the account's past; {BASELINE} is the baseline.")
    yield from map(escaped, notes)
    yield r"\end{minipage}"
    yield r"\end{table}"


def _counts(rows: Mapping[str, results.ResultRow]) -> str:
    row = next(iter(rows.values()))
    return f"{row.test_posts:,} of {row.test_accounts:,} accounts"


def _cell(of: Estimate) -> str:
    value = escaped(number(of.value))
    if of.interval is None:
        return value
    return rf"\shortstack[r]{{{value}\\{{\scriptsize {escaped(span(of.interval))}}}}}"
