"""Predicted against true: the study's figure 1, and the same of every model on every split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from postmill.shards.run.folder import Run
from postmill.train.evaluation import results
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.results import ModelResult
from postmill.train.options import Split
from postmill.train.report import study
from postmill.train.report.figures import density, drawing
from postmill.train.report.figures.density import MIN_POSTS, Density
from postmill.train.report.figures.figure import Figure, Question
from postmill.train.report.figures.said import SPLITS, borne_in_mind, captioned, in_words

if TYPE_CHECKING:
    from postmill.train.report.figures.charts.hexagons import Panel

MOST_PANELS = 6
"""Of a figure in a paper: the highest rungs of the ladder."""

_OUTSIDE = "Predictions that lie outside the axes are counted at the edge that they lie beyond."
_BEYOND = 1.0
"""How far the axes follow the predictions of the study's models outside what is true, in its range."""

_Drawn = tuple[ModelResult, Split, Predicted]


def figures(run: Run, models: Sequence[ModelResult]) -> Iterator[Figure]:
    """Yield the study's figure 1, where its models are, and predicted against true of the others that are shown posts.

    Raises:
        PostmillError: A table of predictions cannot be read.
    """
    own = [result for result in models if result.of_study]
    if own:
        yield from _figure(run, own, (Split.RANDOM, *(split for split in Split if split != Split.RANDOM)))
    others = [result for result in models if result.encoders and not result.of_study]
    if others:
        yield from _figure(run, others, tuple(Split))


def _figure(run: Run, models: Sequence[ModelResult], order: Sequence[Split]) -> Iterator[Figure]:
    parts = [
        (result, split, results.predictions(run, result, split))
        for split in order
        for result in models
        if split in result.splits
    ]
    parts = [drawn for drawn in parts if len(drawn[2].true)]
    if not parts:
        return
    of_study = models[0].of_study
    first = parts[0][1]
    true, predicted = (np.concatenate([getattr(of, name) for *_, of in parts]) for name in ("true", "predicted"))
    axes = density.frame(true, predicted, _BEYOND if of_study else 0.0)
    widths = {
        split: density.width_of(axes, min(len(of.true) for _, at, of in parts if at == split))
        for split in {split for _, split, _ in parts}
    }
    found = [density.density(of.true, of.predicted, axes, widths[split]) for _, split, of in parts]
    formula = models[0].definition.formula
    # The forecasts of the highest rungs stand in a paper; on the page, the highest is the first that is shown.
    on_first = [(drawn, of) for drawn, of in zip(parts, found, strict=True) if drawn[1] == first]
    forecasts = [(drawn, of) for drawn, of in on_first if of_study or not drawn[0].leaks] or on_first
    panels = forecasts[-MOST_PANELS:]
    chart = paper = None
    if drawing.available():
        from postmill.train.report.figures.charts import hexagons

        made = [_panel(drawn, of) for drawn, of in zip(parts, found, strict=True)]
        shown_first = _panel(*(panels[0] if of_study else panels[-1]))
        chart = hexagons.on_a_page([shown_first, *(panel for panel in made if panel != shown_first)], axes, formula)
        paper = hexagons.in_a_paper([_panel(drawn, of) for drawn, of in panels], axes, formula)
    yield Figure(
        name="figure-1-predicted" if of_study else "predicted",
        number="Figure 1" if of_study else "",
        question=Question.QUALITY,
        title="Predicted against true, by the study's models" if of_study else "Predicted against true",
        caption=captioned(
            study.FIGURE_NOTE if of_study else "",
            f"Predicted against true {formula} of the test posts, on one pair of axes, {SPLITS[first]}; in brackets the"
            " 95 % interval over accounts. The broken line is where both are equal. Hexagons are the darker the more"
            f" posts lie in them; those with fewer than {MIN_POSTS} are not drawn; each plot says how many posts that"
            " leaves out.",
            _OUTSIDE if any(of.below or of.above for of in found) else "",
            borne_in_mind(run, [drawn[0] for drawn, _ in panels]),
        ),
        label=captioned(
            f"Predicted against true {formula}, {SPLITS[first]}:",
            "; ".join(f"{drawn[0].name}, {len(drawn[2].true):,} posts, {_headline(drawn)}" for drawn, _ in panels)
            + ".",
        ),
        columns=("model", "split", "true (centre)", "predicted (centre)", "posts"),
        rows=[
            (result.name, split, hexagon.true, hexagon.predicted, hexagon.posts)
            for (result, split, _), of in zip(parts, found, strict=True)
            for hexagon in of.hexagons
        ],
        chart=chart,
        paper=paper,
    )


def _panel(drawn: _Drawn, of: Density) -> Panel:
    from postmill.train.report.figures.charts import hexagons

    result, split, part = drawn
    return hexagons.Panel(result.name, SPLITS[split], of, len(part.true), _headline(drawn))


def _headline(drawn: _Drawn) -> str:
    result, split, _ = drawn
    return f"R² {in_words(results.row(result.name, split, result.splits[split])[HEADLINE])}"
