"""What is to be borne in mind of a run's numbers: made here once, and said wherever these numbers stand.

The page, ``results.md``, ``report/metrics.json``, the model cards, the tables of the terminal and the files of
``postmill predict`` say them in the same words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from enum import StrEnum

import pyarrow as pa

from postmill.shards.run.folder import Run
from postmill.train.evaluation import intervals, metrics
from postmill.train.evaluation.probes.first_posts import BASELINE
from postmill.train.evaluation.results import ModelResult
from postmill.train.evaluation.schema import Caveat, ModelMetrics
from postmill.train.options import ModalityName, Split

METADATA = b"caveats"
"""The key in the schema of a Parquet file under which its caveats stand, as a JSON list of their texts."""

_APART = (Split.INFLUENCER, Split.TIME_INFLUENCER)  # whose test accounts are not trained on


class Kind(StrEnum):
    """The kinds of caveats, in the order in which they are said."""

    INVENTED = "invented data"
    COMMENTS = "sees comments"
    NO_CLAIM = "no claim"
    STAND_IN = "stand-in encoder"
    IN_SAMPLE = "in-sample"
    PAST_KNOWN = "past known"


def of_models(run: Run, models: Sequence[ModelResult]) -> tuple[Caveat, ...]:
    """Return what is to be borne in mind of what ``models`` of ``run`` reached; of none, of the data alone."""
    return (
        *([Caveat(Kind.INVENTED, invented("The data are"))] if run.invented else []),
        *_comments(models),
        *_no_claim(models),
        *_stand_ins(models),
        *_past_known(models),
    )


def of_model(run: Run, name: str, model: ModelMetrics) -> tuple[Caveat, ...]:
    """Return those of one model alone, which is called ``name``."""
    return of_models(run, [ModelResult(name, model)])


def of_predictions(run: Run, result: ModelResult, other: Run, posts: int, own: int) -> tuple[Caveat, ...]:
    """Return what is to be borne in mind of what a model says of the posts of another run folder, or of its own.

    Args:
        run: The run the model was trained in.
        result: The model.
        other: The run of the posts.
        posts: How many posts are scored.
        own: How many of them are posts of ``run``.
    """
    found = [caveat for caveat in of_models(run, [result]) if caveat.kind != Kind.INVENTED]
    if run.invented or other.invented:
        whose = "The data are" if other.invented else f"The data that {result.name} was trained on are"
        found.append(Caveat(Kind.INVENTED, invented(whose)))
    if own:
        text = (
            f"In-sample: {own:,} of {posts:,} posts are of the run that {result.name} was trained in. With five seeds,"
            " four of the five models whose mean it is learnt from each of them, so they are predicted better than"
            " others would be: what it reaches on others stands in results.md."
        )
        found.append(Caveat(Kind.IN_SAMPLE, text))
    return tuple(sorted(found, key=lambda caveat: list(Kind).index(Kind(caveat.kind))))


def schema_metadata(caveats: Sequence[Caveat]) -> dict[bytes, bytes]:
    """Return the metadata that a Parquet file has in its schema."""
    return {METADATA: json.dumps([caveat.text for caveat in caveats], ensure_ascii=False).encode()}


def stated(table: pa.Table) -> list[str]:
    """Return the texts that the schema of a table holds under :data:`METADATA`; none where it holds none."""
    texts: list[str] = json.loads((table.schema.metadata or {}).get(METADATA, b"[]"))
    return texts


def kinds(caveats: Sequence[Caveat]) -> str:
    """Return the kinds of caveats, each once, as the column ``caveats`` of predictions has them."""
    return "; ".join(dict.fromkeys(caveat.kind for caveat in caveats))


def invented(whose: str) -> str:
    """Return what is said of numbers of invented data."""
    return f"{whose} invented: no number here says anything about real posts or accounts."


def _comments(models: Sequence[ModelResult]) -> Iterator[Caveat]:
    for result in models:
        if result.metrics.leak is not None:
            yield Caveat(Kind.COMMENTS, f"{result.name} {result.metrics.leak}.")


def _no_claim(models: Sequence[ModelResult]) -> Iterator[Caveat]:
    refused: dict[str, list[str]] = {}
    for split in Split:
        notes = {result.splits[split].notes.get(metrics.HEADLINE, "") for result in models if split in result.splits}
        for note in sorted(notes - {"", intervals.UNDEFINED}):
            refused.setdefault(note, []).append(split)
    for note, splits in refused.items():
        yield Caveat(Kind.NO_CLAIM, f"No claim is made of the split {_listed(splits)}: {note}.")


def _stand_ins(models: Sequence[ModelResult]) -> Iterator[Caveat]:
    texts = {
        f"Stand-in: {modality} was encoded by {encoder.model} in place of {encoder.stand_in_for}."
        for result in models
        for modality, encoder in result.encoders.items()
        if encoder.stand_in_for
    }
    for text in sorted(texts):
        yield Caveat(Kind.STAND_IN, text)


def _past_known(models: Sequence[ModelResult]) -> Iterator[Caveat]:
    names = [
        result.name
        for result in models
        if ModalityName.HISTORY in result.encoders and any(split in result.splits for split in _APART)
    ]
    if names:
        yield Caveat(
            Kind.PAST_KNOWN,
            f"Past known: on accounts not trained on, the accounts' own earlier posts are known to {_listed(names)}."
            " For the first post of a new account, of whose past nothing is known, the number as a first post counts,"
            f" and {BASELINE} is its baseline.",
        )


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
