"""Where a trained model lies: ``models/<name>/`` with weights, metrics, predictions and the manifest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from shards import publish
from shards.publish import Manifest, Unit
from shards.run import Run

MANIFEST = "manifest"
WEIGHTS_FILE = "model.safetensors"
METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.parquet"

PREDICTIONS = pa.schema(
    [
        ("split", pa.string()),  # random, influencer
        ("seed", pa.int32()),
        ("key", pa.string()),  # of a post of this split's and seed's test part
        ("account", pa.string()),  # keyed hash of the account, the same within a run
        ("true", pa.float64()),  # log1p(likes + w * comments)
        ("predicted", pa.float64()),
    ]
)


def folder(run: Run, name: str) -> Path:
    """Return the folder of model ``name``."""
    return run.models / name


@contextmanager
def publishing(run: Run, name: str) -> Iterator[Unit]:
    """Publish the files of model ``name`` when the block ends without an exception."""
    if folder(run, name).is_dir():
        publish.sweep(folder(run, name))
    with publish.unit(folder(run, name), MANIFEST, run.fingerprint) as unit:
        yield unit


def done(run: Run, name: str, settings: str) -> Manifest | None:
    """Return the manifest of model ``name`` if it is complete and was trained with ``settings`` (a fingerprint)."""
    manifest = publish.done(folder(run, name), MANIFEST, run.fingerprint)
    return manifest if manifest is not None and manifest.info.get("settings") == settings else None
