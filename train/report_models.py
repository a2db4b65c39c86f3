"""The report's sections on the models, what they were shown, and how they were judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from train import page
from train.describe_models import WHAT
from train.page import Cell, Column
from train.results import ModelResult


def section(found: Sequence[ModelResult]) -> str:
    """Return what each model is, and which encoder each modality came from."""
    rungs: list[list[Cell]] = [
        [result.name, WHAT.get(result.model, result.model) + _suffix(result)] for result in found
    ]
    shown: list[list[Cell]] = [
        [
            modality if encoder["encoder"] == modality else f"{modality} ({encoder['encoder']})",
            encoder["model"] or "none: numbers of the record",
            _origin(encoder),
            "yes" if encoder["available_before_publication"] else "no: reads comments",
        ]
        for modality, encoder in encoders(found)
    ]
    headings = ("Modality", "Encoder", "Which", "Known before publication")
    return page.section(
        "models",
        "Models and features",
        page.table(
            "The ladder. A model is worth its step above the one below.",
            [Column("Model", False), Column("What it predicts from", False)],
            rungs,
        ),
        page.table("What the models were shown.", [Column(heading, False) for heading in headings], shown)
        if shown
        else "",
        page.paragraph(
            "Texts, number and sentiment of comments exist only after publication and are part of the target. They are"
            " left out of every model but those that are said here to use them."
        ),
        *(page.paragraph(f"{result.name} {result.metrics['leak']}.") for result in found if result.metrics["leak"]),
    )


def encoders(found: Sequence[ModelResult]) -> list[tuple[str, dict[str, Any]]]:
    """Return each modality with each encoder that models were shown, as metrics.json describes it."""
    seen = {
        (modality, encoder["folder"], not encoder["available_before_publication"]): encoder
        for result in found
        for modality, encoder in result.encoders.items()
    }
    return [(key[0], seen[key]) for key in sorted(seen)]


def _origin(encoder: Mapping[str, Any]) -> str:
    if not encoder["model"]:
        return "the project's own"
    return f"stands in for {encoder['stand_in_for']}" if encoder["stand_in_for"] else "the paper's own"


def method(found: Sequence[ModelResult]) -> str:
    """Return how the numbers came about, so that the page can be read without the code."""
    weights = sorted({float(result.metrics["settings"]["comment_weight"]) for result in found}) or [1.0]
    formula = " or ".join("log(1 + likes)" if w == 0 else f"log(1 + likes + {_times(w)}comments)" for w in weights)
    return page.section(
        "method",
        "How it was measured",
        page.listing(
            [
                f"Target: {formula}, natural logarithm. All errors are in this log space: an error of 0.7 is a factor"
                " of 2.",
                "Splits: accounts (in the random split, groups of near-duplicates of one account) are dealt into five"
                " folds by a keyed hash. Each seed tests on one fold and trains on the others; with five seeds, every"
                " post is tested once. The splits by time train before a cut in time and test after it.",
                "History: what the account's earlier posts reached, posts of the same second and later ones excluded."
                " In the split by accounts the account was not trained on, but its past is known, as it would be on the"
                " day.",
                "Near-duplicates: posts of one account that share a picture, all but share its embedding, or share a"
                " caption are on one side of every split.",
                "MSE, MAE and R² are over the test posts of all seeds together; R² compares with the mean of the test"
                " posts. Spearman is taken within each seed and averaged; within accounts, among each account's posts.",
                "Intervals: accounts are drawn with replacement 1,000 times (percentile bootstrap). They hold for other"
                " accounts of the same kind, not for other training posts or another time.",
                "Standardisation, early stopping and penalties use the training part alone, with whole accounts (or"
                " groups) held out for the choice.",
            ]
        ),
    )


def _times(weight: float) -> str:
    return "" if weight == 1 else f"{weight:g} \N{MULTIPLICATION SIGN} "


def _suffix(result: ModelResult) -> str:
    comments = ", comments included" if result.metrics["leak"] else ""
    if result.recipe == "paper":
        return f"{comments}, with the paper's settings (Adam 1e-4, batches of 64, 3 epochs)"
    return comments
