"""The model card beside each model: what it is, what it was shown, what it reached, and what it is not for.

The headings are those of Mitchell et al., *Model Cards for Model Reporting* (2019), as far as they apply. It begins
with front matter by which the Hugging Face hub finds and tells models, without a licence: that of a model of these
posts is for who may have them to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version

from postmill.shards.run import cards
from postmill.shards.run.cards import Value
from postmill.shards.run.folder import Run
from postmill.train.evaluation import metrics, results
from postmill.train.evaluation.probes.first_posts import BASELINE
from postmill.train.evaluation.results import Estimate
from postmill.train.evaluation.schema import DataCounts, EncoderUse, ModelMetrics
from postmill.train.evaluation.schema_splits import SplitResult
from postmill.train.models import registry
from postmill.train.options import Split, scoring_split

EXPLANATION = (
    "On test posts of all seeds together, in log space; in brackets 95 % intervals, from a jackknife over accounts."
    " After a slash stands what is left of the order within accounts when all of a post but its account's history is"
    " that of another post of the account."
)
"""What is said above a table of :func:`estimate`."""

_APART = (Split.INFLUENCER, Split.TIME_INFLUENCER)  # whose test accounts are not trained on
_ON_THE_HUB = {metrics.R2: "r_squared", metrics.SPEARMAN: "spearmanr"}
_TASK = "tabular-regression"
_LANGUAGE = re.compile("[a-z]{2,3}")  # as the hub wants it; other slices are no languages


def card(run: Run, name: str, model: ModelMetrics) -> str:
    """Return the card of the model ``name`` as Markdown, with front matter."""
    return cards.front_matter(_front(run, name, model)) + "\n" + "\n".join(_lines(run, name, model)) + "\n"


def _front(run: Run, name: str, model: ModelMetrics) -> dict[str, Value]:
    headline = model.splits.get(Split.INFLUENCER)
    told = () if headline is None else (headline.slices or {}).get("language", ())
    reached = [] if model.leak is not None else list(_reached(run, name, model))
    return {
        "library_name": "postmill",
        "pipeline_tag": _TASK,
        "tags": ["postmill", "engagement", "social-media", *(["invented-data"] if run.invented else [])],
        "language": sorted(of.name for of in told if of.accounts is not None and _LANGUAGE.fullmatch(of.name)),
        "metrics": list(_ON_THE_HUB.values()),
        "model-index": [{"name": name, "results": reached}] if reached else [],
    }


def _reached(run: Run, name: str, model: ModelMetrics) -> Iterator[Value]:
    """Yield what the hub shows of the model: of accounts that it was not trained on, and nothing without an interval.

    A random split flatters, and what has seen comments forecasts nothing: of these nothing is told there.
    """
    for split in _APART:
        if split not in model.splits:
            continue
        row = results.row(name, split, model.splits[split])
        shown: list[Value] = [
            {
                "type": hub,
                "name": f"{metrics.METRICS[metric].short} on accounts not trained on{known}, 95 % interval"
                f" {of.interval.low:z.3f} to {of.interval.high:z.3f}",
                "value": round(of.value, 4),
            }
            for metric, hub in _ON_THE_HUB.items()
            for of, known in ((row[metric], ""), (row.as_first_posts(metric), ", as a first post"))
            if of.value is not None and of.interval is not None
        ]
        if shown:
            invented = "invented " if run.invented else ""
            yield {
                "task": {"type": _TASK, "name": f"{model.settings.definition.unit} of a post"},
                "dataset": {
                    "type": "posts",
                    "name": f"{row.test_posts:,} {invented}posts of {row.test_accounts:,} accounts not trained on",
                    "split": str(split),
                },
                "metrics": shown,
            }


def _lines(run: Run, name: str, model: ModelMetrics) -> Iterator[str]:
    settings = model.settings
    yield f"# Model card: {name}\n"
    yield f"Predicts {settings.definition.unit} of a post from {registry.words(settings.model, settings.recipe)}.\n"
    if model.caveats:
        yield "## To be borne in mind\n"
        yield from (f"- {caveat.text}" for caveat in model.caveats)
        yield ""
    yield "## Details\n"
    yield f"- Made by postmill {version('postmill')}; recipe `{settings.recipe}`, features `{settings.features}`."
    yield f"- Run `{run.fingerprint}`."
    yield f"- Settings `{model.settings_fingerprint}`, in full in `metrics.json`."
    yield (
        f"- `model.safetensors` holds the weights of every seed of the split `{scoring_split(model.splits)}`, named"
        " `split/seed/...`; `postmill predict` scores new posts with their mean."
    )
    yield "\n## Target\n"
    scale = ", learnt as it is and not in standard deviations" if settings.method.get("raw") else ""
    yield f"{settings.definition.formula}, natural logarithm{scale}. Posts without one were left out."
    yield "\n## Training data\n"
    yield from _data(model.counts)
    yield "\n## What it is shown\n"
    if not settings.encoders:
        yield "Nothing of a post."
    for modality, encoder in settings.encoders.items():
        yield f"- {modality}: {_encoder(encoder)}"
    yield "\n## What it reached\n"
    yield f"{EXPLANATION}\n"
    yield from _table(name, model)
    yield from _first_posts(name, model)
    for split, result in model.splits.items():
        yield from missing_intervals(split, result.notes)
    for split, result in model.splits.items():
        yield from _coverage(split, result)
    yield "\n## Use\n"
    yield (
        "For research on what goes with engagement, in aggregate. Not for judging, ranking or rewarding a person; not"
        " for other platforms, other times or accounts that are no influencers. What it finds is association: it does"
        " not say what a change of caption or picture would do. Engagement is not well-being."
    )


def _data(counts: DataCounts) -> Iterator[str]:
    yield (
        f"{counts.with_target:,} of {counts.posts:,} public posts of {counts.accounts:,} influencer accounts;"
        f" {counts.near_duplicate_groups:,} groups of posts that are nearly the same, as far as they are found, on one"
        " side of every split."
    )
    if counts.cross_account_groups:
        yield (
            f"\nGroups with posts of several accounts: {counts.cross_account_groups:,}. The splits by account do not"
            " train on what repeats a post that they test."
        )
    for reason, number in counts.left_out.items():
        yield f"- left out, {reason.replace('_', ' ')}: {number:,}"


def _encoder(encoder: EncoderUse) -> str:
    origin = cards.plain(encoder.model) or "numbers of the records"
    stand_in = f", standing in for {cards.plain(encoder.stand_in_for)}" if encoder.stand_in_for else ""
    return f"{origin}{stand_in}; {'' if encoder.before_publication else 'NOT '}known before publication"


def _table(name: str, model: ModelMetrics) -> Iterator[str]:
    shown = metrics.tabulated()
    yield "| split | test posts | accounts | " + " | ".join(metric.heading for metric in shown) + " |"
    yield "|---" * (3 + len(shown)) + "|"
    for split, result in model.splits.items():
        row = results.row(name, split, result)
        cells = [f"{row.test_posts:,}", f"{row.test_accounts:,}", *(estimate(row[metric.name]) for metric in shown)]
        yield f"| {split} | " + " | ".join(cells) + " |"


def _first_posts(name: str, model: ModelMetrics) -> Iterator[str]:
    """Yield what the model reaches when nothing is known of the past of the accounts."""
    shown = metrics.tabulated()
    rows = [results.row(name, split, result) for split, result in model.splits.items() if result.first_post is not None]
    if rows:
        yield (
            "\nThe same posts, each as if it were its account's first, with nothing known of its past;"
            f" `{BASELINE}` is the baseline. Where accounts are not trained on, this is a new account:\n"
        )
        yield "| split | " + " | ".join(metric.heading for metric in shown) + " |"
        yield "|---" * (1 + len(shown)) + "|"
        for row in rows:
            cells = (estimate(row.as_first_posts(metric.name)) for metric in shown)
            yield f"| {row.split}, as first posts | " + " | ".join(cells) + " |"


def _coverage(split: str, result: SplitResult) -> Iterator[str]:
    coverage = result.calibration.coverage
    if coverage is None:
        return
    yield (
        f"\nIts intervals should hold {coverage.nominal:.0%} of posts; in the split {split} they hold"
        f" {coverage.share:.1%}."
    )
    first = None if result.first_post is None else result.first_post.coverage
    if first is not None:
        yield f"\n- As first posts: {first.share:.1%} of the same posts, in the intervals that they are given then."
    for division, kinds in (result.coverage or {}).items():
        told = [
            f"{kind.name}: {kind.share:.1%}"
            + (f" [{kind.interval.low:z.3f}, {kind.interval.high:z.3f}]" if kind.interval else "")
            + f" of {kind.posts:,} posts of {kind.accounts:,} accounts"
            for kind in kinds
            if kind.share is not None
        ]
        if told:
            yield f"- By {division.replace('_', ' ')}: " + "; ".join(told) + "."


def missing_intervals(split: str, notes: Mapping[str, str]) -> Iterator[str]:
    """Yield the reasons, if there are any, why metrics of a split have no interval, as paragraphs."""
    for reason in dict.fromkeys(notes.values()):
        named = ", ".join(metrics.METRICS[name].short for name, why in notes.items() if why == reason)
        yield f"\nNo interval in the split {split} for {named}: {reason}."


def estimate(of: Estimate) -> str:
    """Return a metric with its interval, as ``0.51 [0.42, 0.58]``; a dash where it is undefined."""
    if of.value is None:
        return "-"
    interval = f" [{of.interval.low:z.3f}, {of.interval.high:z.3f}]" if of.interval else ""
    return f"{of.value:z.3f}{interval}" + ("" if of.shuffled is None else f" / {of.shuffled:z.3f}")
