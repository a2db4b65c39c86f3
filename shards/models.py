"""Where a trained model lies: ``models/<name>/`` with weights, metrics, predictions, card and the manifest.

While a model is trained, checkpoints of it lie there too: a unit ``checkpoint-<key>`` each, of one safetensors file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from shards import manifests, publish, temporary
from shards.manifests import Manifest
from shards.publish import Unit
from shards.run import Run

MANIFEST = "manifest"
WEIGHTS_FILE = "model.safetensors"
METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.parquet"
CARD_FILE = "card.md"
_CHECKPOINT = "checkpoint-"

PREDICTIONS = pa.schema(
    [
        ("split", pa.string()),  # random, influencer, time, time-influencer
        ("seed", pa.int32()),
        ("key", pa.string()),  # of a post of this split's and seed's test part
        ("account", pa.string()),  # keyed hash of the account, the same within a run
        ("true", pa.float64()),  # log1p(likes + w * comments)
        ("predicted", pa.float64()),
        ("low", pa.float64()),  # ends of the interval that should hold 90 % of posts; null where the model has none
        ("high", pa.float64()),
    ]
)


def folder(run: Run, name: str) -> Path:
    """Return the folder of model ``name``."""
    return run.models / name


@contextmanager
def publishing(run: Run, name: str) -> Iterator[Unit]:
    """Publish the files of model ``name`` when the block ends without an exception."""
    if folder(run, name).is_dir():
        temporary.sweep(folder(run, name))
    with publish.unit(folder(run, name), MANIFEST, run.fingerprint) as unit:
        yield unit


def done(run: Run, name: str, settings: str) -> Manifest | None:
    """Return the manifest of model ``name`` if it is complete and was trained with ``settings`` (a fingerprint)."""
    manifest = manifests.done(folder(run, name), MANIFEST, run.fingerprint)
    return manifest if manifest is not None and manifest.info.get("settings") == settings else None


def write_checkpoint(run: Run, name: str, key: str, settings: str, content: bytes) -> None:
    """Publish a checkpoint of model ``name``, trained with ``settings``, in place of the one that had this key."""
    unit_name = f"{_CHECKPOINT}{key}"
    with publish.unit(folder(run, name), unit_name, run.fingerprint) as unit:
        unit.file(f"{unit_name}.safetensors").write(content)
        unit.info["settings"] = settings


def checkpoint(run: Run, name: str, key: str, settings: str) -> Path | None:
    """Return the file of a checkpoint if it is whole, byte for byte, and was trained with ``settings``."""
    where, unit_name = folder(run, name), f"{_CHECKPOINT}{key}"
    manifest = manifests.done(where, unit_name, run.fingerprint)
    if manifest is None or manifest.info.get("settings") != settings or any(manifests.differences(where, manifest)):
        return None
    return where / f"{unit_name}.safetensors"


def drop_checkpoints(run: Run, name: str, prefix: str, keep: str | None = None) -> None:
    """Remove the checkpoints of model ``name`` whose keys begin with ``prefix``, but for the key ``keep``."""
    kept = {f"{_CHECKPOINT}{keep}.json", f"{_CHECKPOINT}{keep}.safetensors"} if keep is not None else set()
    found = [path for path in folder(run, name).glob(f"{_CHECKPOINT}*") if path.name.startswith(_CHECKPOINT + prefix)]
    for path in sorted(found):  # a manifest goes before its file
        if path.name not in kept:
            path.unlink(missing_ok=True)
