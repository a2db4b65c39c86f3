"""What is said of the study's recipe follows its intervals and counts its steps; its figure stands under its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from postmill.shards.run.folder import Run
from postmill.train.evaluation import results
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.results import Estimate, ModelResult, read_results
from postmill.train.models import recipes, registry
from postmill.train.options import RecipeName, TargetName
from postmill.train.report import describe, findings, study
from postmill.train.report import page as pages
from postmill.train.report.figures.figure import Question
from postmill.train.report.section import Section
from postmill.train.stage import train_run
from tests.train.evaluation.stated import HEADLINE, METRICS, SETTINGS

MakeRun = Callable[..., Run]
ESTIMATES = {"r2": Estimate(0.5)}
ABOVE, ACROSS, BELOW = Interval(0.02, 0.2), Interval(-0.02, 0.2), Interval(-0.2, -0.02)
WORSE, BETTER = "are worse than the mean of the test posts", "are better than the mean of the test posts"


def result(
    model: str, random: Interval | None, influencer: Interval | None, posts: int = 123, leak: str | None = "comments"
) -> ModelResult:
    settings = replace(SETTINGS, model=model, recipe="paper", features="paper", method={})
    splits = {
        split: replace(HEADLINE, pooled={"r2": -0.25}, interval={"r2": interval}, shuffled=None)
        for split, interval in (("random", random), ("influencer", influencer))
    }
    counts = replace(METRICS.counts, with_target=posts)
    return ModelResult(f"paper-{model}", replace(METRICS, settings=settings, splits=splits, counts=counts, leak=leak))


def trained(random: Interval | None, influencer: Interval | None) -> list[ModelResult]:
    return [result(name, random, influencer) for name in ("text-mlp", "image-mlp")]


@pytest.mark.parametrize(("posts", "steps"), [(123, 6), (80, 3), (81, 6), (1_854, 72), (10_000_000, 375_000)])
def test_steps_are_counted(posts: int, steps: int) -> None:
    assert study.steps(posts) == steps == recipes.paper().steps(-(-4 * posts // 5))
    (finding,) = study.findings([result("text-mlp", ABOVE, ABOVE, posts=posts)])
    assert "At the study's size, 123 posts, its recipe takes 6 gradient steps" in finding.text
    assert f"on these {posts:,} posts it takes {steps:,}." in finding.text


@pytest.mark.parametrize(
    ("random", "influencer", "strength", "said", "denied"),
    [
        (BELOW, BELOW, "claim", WORSE, "better"),
        (ABOVE, ABOVE, "claim", BETTER, "worse"),
        (ABOVE, BELOW, "claim", f"{BETTER}; on accounts that were not trained on", "cannot"),
        (ACROSS, ACROSS, "weak", "cannot both be told from the mean", "are worse"),
        (ABOVE, ACROSS, "weak", BETTER, "are worse"),
        (None, None, "weak", "No interval: too few. These numbers describe these posts alone.", "the mean"),
        (BELOW, None, "weak", "No interval: too few.", "the mean"),
    ],
)
def test_the_sentence_follows_the_intervals(
    random: Interval | None, influencer: Interval | None, strength: str, said: str, denied: str
) -> None:
    (finding,) = study.findings(trained(random, influencer))
    assert finding.strength == strength and said in finding.text and denied not in finding.text
    if None in (random, influencer):
        assert "R² on its own random split is −0.25 (paper-text-mlp) and −0.25 (paper-image-mlp)" in finding.text  # noqa: RUF001
    else:
        assert "on its own random split, paper-text-mlp (R² −0.25) and paper-image-mlp (R² −0.25)" in finding.text  # noqa: RUF001


def test_models_that_disagree_are_not_spoken_for_together() -> None:
    (finding,) = study.findings([result("text-mlp", ABOVE, ABOVE), result("image-mlp", BELOW, BELOW)])
    assert finding.strength == "weak" and "better" not in finding.text and "worse" not in finding.text


def test_the_fusion_that_the_study_only_announced_is_told_apart() -> None:
    models = [*trained(BELOW, BELOW), result("fusion", ABOVE, ACROSS), result("fusion-standardised", ABOVE, ABOVE)]
    raw, standardised = study.findings(models)
    assert f"{WORSE}, and paper-fusion (R² −0.25) is better than the mean" in raw.text  # noqa: RUF001
    assert raw.strength == "claim"  # of the two that were trained
    assert "paper-fusion (R² −0.25) cannot be told from the mean" in raw.text  # noqa: RUF001
    assert standardised.text.startswith("With the target in standard deviations, on its own random split")
    assert "gradient steps" in raw.text and "gradient steps" not in standardised.text


def test_who_reads_comments_is_said() -> None:
    models = [result("text-mlp", ABOVE, ABOVE), result("image-mlp", ABOVE, ABOVE, leak=None)]
    (finding,) = study.findings(models)
    assert finding.text.endswith(" paper-text-mlp read comments, so theirs is no forecast.")
    (finding,) = study.findings([replace(model, metrics=replace(model.metrics, leak=None)) for model in models])
    assert "no forecast" not in finding.text


def test_other_models_are_passed_over_and_do_not_become_the_headline() -> None:
    assert list(study.findings([ModelResult("fusion", METRICS)])) == []


def test_a_run_of_the_study_alone_shows_its_figure_first_and_claims_no_forecast(planted_run: MakeRun) -> None:
    run = planted_run(posts=120, accounts=30, text=0.5, no_image=0.1)
    train_run(run, recipe="paper", seeds=2)
    models = read_results(run)
    quality, certainty = sections(run)
    figures = [of.figure for of in quality.figures if of.figure.number]
    assert [(of.number, of.title) for of in figures] == [("Figure 1", "Predicted against true, by the study's models")]
    chosen = json.dumps(figures[0].chart)
    assert all(f'"{model.name}"' in chosen for model in models)  # also those whose predictions lie outside the axes
    assert quality.answer.text.startswith("At the study's size") and len(quality.findings) == 1
    assert study.MISSING_PICTURES in certainty.notes[0].paragraphs
    assert {model.model for model in models} == set(registry.names(RecipeName.PAPER))
    train_run(run, names=["mean", "history"], seeds=2)
    quality, _ = sections(run)
    names = [of.figure.name for of in quality.figures]
    assert {"predicted", "figure-1-predicted"} < set(names)
    assert "support no claim" in quality.answer.text or "history" in quality.answer.text
    assert sum("gradient steps" in finding.text for finding in quality.findings) == 1


def sections(run: Run) -> tuple[Section, Section]:
    """What the page says of how good models are, and of how sure that is."""
    made = pages.page(run, describe.summarise(run), read_results(run)).sections
    by_question = {section.question: section for section in made}
    return by_question[Question.QUALITY], by_question[Question.CERTAINTY]


def test_models_that_all_read_comments_are_not_called_none() -> None:
    leak = ModelResult("leak", replace(METRICS, settings=replace(SETTINGS, model="leak"), leak="comments"))
    row = results.row("leak", "influencer", HEADLINE, "leak")
    said = [finding.text for finding in findings.findings([row], None, [leak])]
    assert "Every model of this run reads comments, so nothing here says what can be forecast." in said
    assert not any("No model has been trained" in text for text in said)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (TargetName.LIKES_AND_COMMENTS, "are part of what is predicted"),
        (TargetName.LIKES, "grow with what is predicted"),
        (TargetName.COMMENTS, "are themselves what is predicted"),
        (TargetName.RATE, "are part of what is predicted"),
    ],
)
def test_what_comments_are_to_the_target_is_said(target: TargetName, said: str) -> None:
    settings = replace(SETTINGS, model="leak", target=target)
    leak = ModelResult("leak", replace(METRICS, settings=settings, leak="comments"))
    row = replace(results.row("leak", "influencer", HEADLINE, "leak"), estimates=ESTIMATES)
    (finding,) = [f for f in findings.findings([row], None, [leak]) if "reads the comments" in f.text]
    assert said in finding.text
