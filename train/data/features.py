"""What models are shown of posts: the modalities of a run, opened from its embedding shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from postmill.shards.formats import embeddings, posts
from postmill.shards.formats.encoders import SETS, Encoder, away, encode_command, encoders_of, models_option
from postmill.shards.formats.units import shard_name
from postmill.shards.run.checked import anew
from postmill.shards.run.folder import Run
from postmill.shards.run.sealed import canonical_hash
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.shards.runtime.progress import Progress
from postmill.train.data import leaks, sentiment
from postmill.train.data.modality import Block, Modality
from postmill.train.options import FeatureSet, ModalityName

TEXT_WITH_COMMENTS = "text-with-comments"
"""The encoder that the modality text comes from in the paper's set of features."""

ENCODED = (ModalityName.TEXT, ModalityName.IMAGE, ModalityName.SENTIMENT, ModalityName.METADATA)
"""The modalities that come from embedding shards."""


def as_studied(run: Run, models: str | None, progress: Progress) -> tuple[FeatureSet, str | None]:
    """Return the features and the set of encoders of the study: with comments and its own, where ``run`` has them.

    Args:
        run: The run.
        models: The set that was asked for; None for the study's where the run has others too.
        progress: Told where it has no comments.
    """
    sets: dict[str, set[str]] = {}
    for encoder in encoders_of(run):
        sets.setdefault(encoder.encoder, set()).add(encoder.models)
    if models is None and any(of_encoder > {"paper"} for of_encoder in sets.values()):
        models = "paper"
    if TEXT_WITH_COMMENTS in sets:
        return FeatureSet.PAPER, models
    progress.note("the run has no text-with-comments embeddings: the paper's recipe is trained on captions alone")
    return FeatureSet.DEFAULT, models


def open_modalities(
    run: Run,
    shards: Sequence[int],
    names: Sequence[str],
    feature_set: str,
    models: str | None,
    records: Sequence[str] | None = None,
) -> dict[str, Modality]:
    """Open the modalities ``names`` for all posts of ``shards``, in that order.

    Args:
        run: The run.
        shards: Numbers of finished post shards.
        names: Some of :data:`ENCODED`.
        feature_set: ``default`` leaves out what exists only after publication; ``paper`` takes the text with the
            comments merged in, and the sentiment of the comments.
        models: ``light`` or ``paper``, where the run has embeddings of both.
        records: The BLAKE3 of the records of each shard that was read before; None where none was.

    Raises:
        UsageError: An encoder's embeddings are missing or ambiguous, or a feature may not be used.
        PostmillError: An embedding shard is missing, damaged, or does not fit its post shard.
    """
    expected: Sequence[str | None] = [None] * len(shards) if records is None else records
    of_shards = dict(zip(shards, expected, strict=True))
    return {
        name: _open(run, of_shards, name, encoder, with_comments=feature_set == FeatureSet.PAPER)
        for name, encoder in check_encoders(run, names, feature_set, models).items()
    }


def _choice(run: Run, fitting: Sequence[Encoder]) -> str:
    """Say how to choose among encoders that have the same name: by their set, or by keeping the others elsewhere."""
    sets = [encoder.models for encoder in fitting]
    by_set = [f"--models {name}" for name in SETS if sets.count(name) == 1]
    elsewhere = [
        f"to train on {chosen.model}, keep the rest elsewhere: "
        + " && ".join(away(run, run.embeddings / other.folder) for other in fitting if other is not chosen)
        for chosen in fitting
        if sets.count(chosen.models) > 1 or chosen.models not in SETS
    ]
    ways = ["say which to train on with " + " or ".join(by_set)] if by_set else []
    return "; or ".join([*ways, *elsewhere])


def missing_shard(run: Run, shards: Sequence[int], name: str, feature_set: str, models: str | None) -> str:
    """Say which embedding shard the modality ``name`` lacks, the first of ``shards``; empty where it lacks none.

    Raises:
        UsageError: The encoder's embeddings are missing or ambiguous, or a feature may not be used.
    """
    encoder = check_encoders(run, [name], feature_set, models)[name]
    lacking = next((shard for shard in shards if not embeddings.is_done(run, encoder, shard)), None)
    return "" if lacking is None else f"embedding shard {shard_name(lacking)} is not done"


def check_encoders(run: Run, names: Sequence[str], feature_set: str, models: str | None) -> dict[str, Encoder]:
    """Return the encoder of each of those of ``names`` that come from one; nothing but ``encoder.json`` is read.

    Raises:
        UsageError: An encoder's embeddings are missing or ambiguous, or a feature may not be used.
    """
    available = encoders_of(run)
    with_comments = feature_set == FeatureSet.PAPER
    encoders = {}
    for name in names:
        if name not in ENCODED:
            continue
        encoder_name = TEXT_WITH_COMMENTS if name == ModalityName.TEXT and with_comments else name
        encoders[name] = choose_encoder(run, available, encoder_name, models)
        if name != ModalityName.SENTIMENT:  # of whose columns only those of the caption are taken by default
            leaks.check_availability(encoders[name], after_publication_allowed=with_comments)
    return encoders


def choose_encoder(run: Run, available: Sequence[Encoder], name: str, models: str | None) -> Encoder:
    """Return the one encoder called ``name`` among ``available``.

    Raises:
        UsageError: There is none, or there are several and ``models`` does not tell them apart.
    """
    named = [encoder for encoder in available if encoder.encoder == name]
    fitting = [encoder for encoder in named if models in (None, encoder.models)]
    if not fitting:  # what is of no set is of every one: metadata, and an encoder whose model the user named
        fitting = [encoder for encoder in named if name == ModalityName.METADATA or encoder.models not in SETS]
    command = f"postmill encode {run.word} --encoder {name}"
    if not fitting:
        raise UsageError(
            f"has no embeddings of the encoder {name}" + (f" from the models {models}" if named else ""),
            place=run.embeddings,
            hint=f"make them: {command}{models_option(available, models)}",
        )
    if len(fitting) > 1:
        raise UsageError(
            f"has embeddings of the encoder {name} from several models: "
            + ", ".join(f"{encoder.model} ({encoder.models})" for encoder in fitting),
            place=run.embeddings,
            hint=_choice(run, fitting),
        )
    return fitting[0]


def _open(run: Run, shards: Mapping[int, str | None], name: str, encoder: Encoder, *, with_comments: bool) -> Modality:
    """Open one modality of ``shards``, each with the BLAKE3 of its records if that is known."""
    folder = run.embeddings / encoder.folder
    is_sentiment = name == ModalityName.SENTIMENT
    blocks, present, columns, hashes = [], [], encoder.features, []
    for shard, records in shards.items():
        embedded = embeddings.read(run, encoder, shard)
        hashes.append(embedded.hashes)
        if not embedded.keys.equals(posts.read_records(run, shard, ["key"], records)["key"].combine_chunks()):
            raise PostmillError(
                f"embedding shard {shard_name(shard)} is of other posts than the post shard",
                place=folder,
                hint=anew(folder / f"{shard_name(shard)}.json", encode_command(run, encoder)),
            )
        if is_sentiment:
            shown = sentiment.of_shard(embedded, encoder, with_comments=with_comments)
            columns = shown.columns
            blocks.append(Block(shown.values))
            present.append(embedded.present & shown.present)
        elif embedded.vectors is None:
            raise UsageError(
                f"the encoder {encoder.encoder} has no vectors to train on",
                place=folder,
                hint="name another encoder's modality",
            )
        else:
            blocks.append(Block.of_file(folder / f"{shard_name(shard)}.npy", embedded.vectors))
            present.append(embedded.present)
    starts = np.cumsum([0, *map(len, present)], dtype=np.int64)
    width = len(columns) if is_sentiment else encoder.dimensions
    before = not with_comments or (not is_sentiment and encoder.available_before_publication)
    everyone = np.concatenate(present)
    contents = canonical_hash(hashes)
    return Modality(name, encoder, columns, width, tuple(blocks), starts, everyone, before, contents)
