"""The model card beside each model: what it is, what it was shown, what it reached, and what it is not for.

The headings are those of Mitchell et al., *Model Cards for Model Reporting* (2019), as far as they apply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from shards.run import Run
from train import metrics
from train.describe_models import WHAT

_HEADINGS = {"mse": "MSE", "mae": "MAE", "r2": "R²", "spearman": "Spearman", metrics.WITHIN: "Spearman within account"}


def card(run: Run, name: str, held: Mapping[str, Any]) -> str:
    """Return the card of the model ``name`` with the metrics ``held`` as Markdown."""
    return "\n".join(_lines(run, name, held)) + "\n"


def _lines(run: Run, name: str, held: Mapping[str, Any]) -> Iterator[str]:
    settings, counts = held["settings"], held["counts"]
    yield f"# Model card: {name}\n"
    yield f"Predicts the engagement of a post from {WHAT.get(settings['model'], settings['model'])}.\n"
    if held["leak"]:
        yield f"**This model {held['leak']}.**\n"
    yield "## Details\n"
    yield f"- Made by postmill {version('postmill')}; recipe `{settings['recipe']}`, features `{settings['features']}`."
    yield f"- Run `{run.fingerprint}`."
    yield f"- Settings `{held['settings_fingerprint']}`, in full in `metrics.json`."
    yield (
        "- `model.safetensors` holds the weights of every split and seed, named `split/seed/...`; `postmill predict`"
        f" scores new posts with the mean of the seeds of the split `{held['headline']}`, or of the first there is."
    )
    yield "\n## Target\n"
    yield (
        f"log(1 + likes + {settings['comment_weight']:g} x comments), natural logarithm. Posts with hidden likes have"
        " none and were left out."
    )
    yield "\n## Training data\n"
    yield (
        f"{counts['with_target']:,} of {counts['posts']:,} public posts of {counts['accounts']:,} influencer accounts;"
        f" {counts['near_duplicate_groups']:,} groups of near-duplicates, never divided between training and test."
    )
    for reason, number in counts["left_out"].items():
        yield f"- left out, {reason.replace('_', ' ')}: {number:,}"
    yield "\n## What it is shown\n"
    if not settings["encoders"]:
        yield "Nothing of a post."
    for modality, encoder in settings["encoders"].items():
        origin = encoder["model"] or "numbers of the records"
        stand_in = f", standing in for {encoder['stand_in_for']}" if encoder["stand_in_for"] else ""
        known = "" if encoder["available_before_publication"] else "NOT "
        yield f"- {modality}: {origin}{stand_in}; {known}known before publication"
    yield "\n## What it reached\n"
    yield "On test posts, in log space, with 95 % intervals from a bootstrap over accounts.\n"
    yield "| split | test posts | accounts | " + " | ".join(_HEADINGS.values()) + " |"
    yield "|---" * (3 + len(_HEADINGS)) + "|"
    for split, found in held["splits"].items():
        cells = [interval(found, key) for key in _HEADINGS]
        count = found["counts"]
        yield f"| {split} | {count['test_posts']:,} | {count['test_accounts']:,} | " + " | ".join(cells) + " |"
    for split, found in held["splits"].items():
        coverage = found["calibration"]["coverage"]
        if coverage:
            yield (
                f"\nIts intervals should hold {coverage['wanted']:.0%} of posts; in the split {split} they hold"
                f" {coverage['found']:.1%}."
            )
    yield "\n## Use\n"
    yield (
        "For research on what goes with engagement, in aggregate. Not for judging, ranking or rewarding a person; not"
        " for other platforms, other times or accounts that are no influencers. What it finds is association: it does"
        " not say what a change of caption or picture would do. Engagement is not well-being."
    )


def interval(found: Mapping[str, Any], name: str) -> str:
    """Return a metric of a split with its interval, as ``0.51 [0.42, 0.58]``; a dash where it is undefined."""
    value, bounds = found["pooled"].get(name), found["interval"].get(name)
    if value is None:
        return "-"
    return f"{value:.3f}" + (f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else "")
