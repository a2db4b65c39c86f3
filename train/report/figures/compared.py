"""What two runs reached, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.results import ResultRow
from postmill.train.report.figures import drawing
from postmill.train.report.figures.figure import Figure, Question
from postmill.train.report.figures.said import INTERVALS, captioned, ends, rounded


def figures(names: tuple[str, str], pairs: Sequence[tuple[ResultRow, ResultRow]], caveats: str) -> Iterator[Figure]:
    """Yield the headline metric of the models of both runs, on accounts not trained on; nothing where none is in both.

    Args:
        names: Of the runs.
        pairs: The rows of a model in each.
        caveats: What is to be borne in mind of them.
    """
    if not pairs:
        return
    both = [(name, row) for pair in pairs for name, row in zip(names, pair, strict=True)]
    chart = None
    if drawing.available():
        from postmill.train.report.figures.charts import forest

        marks = [
            forest.Mark(row.label, name, row[HEADLINE], told={"test posts": f"{row.test_posts:,}"})
            for name, row in both
        ]
        axis = forest.Axis("R² (1: perfect, 0: the mean)", {"R² 0: the mean of the test posts": 0.0})
        chart = forest.forest(marks, axis)
    yield Figure(
        name="compared",
        question=Question.QUALITY,
        title="R² on accounts that were not trained on",
        caption=captioned(
            f"Each model of {names[0]} and of {names[1]}, with the earlier posts of the account known to the models"
            " that are shown them.",
            INTERVALS if any(row[HEADLINE].interval is not None for _, row in both) else "",
            caveats,
        ),
        label=f"R² of {len(pairs):,} models of two runs on accounts that were not trained on.",
        columns=("model", "run", "R²", "95 % low", "95 % high", "test posts", "test accounts"),
        rows=[
            (row.label, name, rounded(row[HEADLINE].value), *ends(row[HEADLINE]), row.test_posts, row.test_accounts)
            for name, row in both
        ],
        chart=chart,
        wide=True,
    )
