"""What a model depends on, as JSON: when any of it changes, the model is trained again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shards import manifests, posts
from shards.run import Run
from shards.sealed import canonical_hash
from train.dataset import Dataset
from train.features import RECORDS, Modality


def inputs(run: Run, data: Dataset, modalities: Mapping[str, Modality], pictures: Modality | None) -> dict[str, Any]:
    """Return what the posts and the embeddings are: models, fingerprints, and hashes of their contents.

    ``pictures`` are those by which near-duplicates were found, None where names and captions alone told.
    """
    return {
        "encoders": {name: _encoder(run, data, modality) for name, modality in modalities.items()},
        "near_duplicates": None if pictures is None else _encoder(run, data, pictures),
        "posts": _contents(run.posts, data.shards, ".parquet"),
    }


def _encoder(run: Run, data: Dataset, modality: Modality) -> dict[str, Any]:
    encoder = modality.encoder
    return {
        "encoder": encoder.encoder,
        "models": encoder.models,
        "model": encoder.model,
        "revision": encoder.revision,
        "folder": encoder.folder,
        "stand_in_for": encoder.stand_in_for,
        "available_before_publication": modality.before_publication,
        "fingerprint": encoder.fingerprint,
        # What was computed from the records depends on nothing but them, and their hash stands beside this.
        "contents": ""
        if encoder.models == RECORDS
        else _contents(run.embeddings / encoder.folder, data.shards, ".parquet", ".npy"),
    }


def _contents(folder: Path, shards: Sequence[int], *suffixes: str) -> str:
    """Return a hash over the contents of the units of ``shards``, as their manifests state them."""
    hashes = []
    for name in map(posts.shard_name, shards):
        manifest = manifests.read(folder, name)
        files = {} if manifest is None else manifest.files
        hashes.append([files[name + suffix].blake3 for suffix in suffixes if name + suffix in files])
    return canonical_hash(hashes)
