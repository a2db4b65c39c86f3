"""What stands in the files that are made from post shards: of an encoder, of a model, of tone, and of the report.

Each check takes the name and the manifest of a unit whose files have the hashes that the manifest states.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from postmill.shards.formats import embeddings, faults, models, posts
from postmill.shards.formats.counts import EmbeddingCounts, InsightsCounts, ModelCounts, encoder_of, settings_of
from postmill.shards.formats.embeddings import EmbeddingShard
from postmill.shards.formats.encoders import ENCODER_FILE, Encoder, read_encoder
from postmill.shards.formats.units import number_of
from postmill.shards.indicators import tables
from postmill.shards.run import parquet, sealed
from postmill.shards.run.cards import DATA_CARD_FILE, DATA_CARD_UNIT
from postmill.shards.run.folder import Run
from postmill.shards.run.manifests import Manifest
from postmill.shards.state.crosscheck import Difference, unstated

# The units of the report's folder and their files: the page, the table of all models, the page of two runs, the card of
# the data.
REPORTS = {
    "index": ("index.html",),
    "results": ("results.md", "metrics.json"),
    "compare": ("compare.html",),
    DATA_CARD_UNIT: (DATA_CARD_FILE,),
}
_MODEL_FILES = (models.WEIGHTS_FILE, models.METRICS_FILE, models.PREDICTIONS_FILE, models.CARD_FILE)


def embedding_shard(run: Run, folder: Path, name: str, manifest: Manifest) -> Iterator[Difference]:
    """Yield how an embedding shard is not its encoder's, or not row for row that of the post shard."""
    encoder = read_encoder(folder)
    if encoder_of(manifest) != encoder.fingerprint:
        yield folder / f"{name}.json", f"was made by another encoder than {ENCODER_FILE} describes"
        return
    shard, counts = number_of(name), EmbeddingCounts.of(manifest)
    per_image = encoder.preprocessing.get("per_image") is True
    files = [f"{name}.parquet", *([f"{name}.npy"] if encoder.dimensions else [])]
    pictures = [f"images/{shard:06d}{suffix}" for suffix in (".npy", ".parquet")] if per_image else []
    found = [faults.shard_file(shard)] if counts.reasons else []
    lacking = list(unstated(folder, name, manifest, [*files, *pictures, *found]))
    yield from lacking
    if lacking:
        return
    rows = embeddings.read(run, encoder, shard)
    keys = posts.read_records(run, shard, ["key"])["key"].combine_chunks()
    if not rows.keys.equals(keys):
        yield folder / f"{name}.parquet", "its keys are not, row for row, those of the post shard"
        return
    present = int(rows.present.sum())
    if (counts.posts, counts.present) != (len(keys), present):
        yield folder / f"{name}.parquet", f"{len(keys)} rows, {present} of them present: the manifest says otherwise"
    if pc.is_null(rows.reasons).to_pylist() != rows.present.tolist():
        yield folder / f"{name}.parquet", "some rows are neither present nor have a reason, or both"
    if counts.reasons:
        yield from _faults(folder / found[0], rows, counts.reasons)
    if per_image:
        yield from _pictures(run, encoder, folder, shard, counts)
    if rows.vectors is None:
        return
    if rows.vectors.shape != (len(keys), encoder.dimensions) or rows.vectors.dtype != np.dtype(encoder.dtype):
        yield folder / f"{name}.npy", f"has shape {rows.vectors.shape} of {rows.vectors.dtype}"
    elif rows.vectors[~rows.present].any():
        yield folder / f"{name}.npy", "a row that is not present is not zero"
    elif not np.isfinite(rows.vectors).all():
        yield folder / f"{name}.npy", "a number in it is not finite"


def _faults(path: Path, rows: EmbeddingShard, stated: Mapping[str, int]) -> Iterator[Difference]:
    """Yield how the faults of an embedding shard are not as many as the manifest and the rows of the posts say."""
    table = parquet.read(path)
    if not table.schema.equals(faults.SCHEMA):
        yield path, "its columns are not those of this version"
        return
    if dict(faults.count_reasons(table["reason"])) != dict(stated):
        yield path, f"{len(table)} faults, the manifest says {dict(stated)}"
    if "images_left_out" in rows.scalars.column_names:
        left_out = pc.sum(rows.scalars["images_left_out"]).as_py()
        if left_out != len(table):
            yield path, f"{len(table)} faults, where the posts' rows have {left_out} pictures that were left out"


def _pictures(run: Run, encoder: Encoder, folder: Path, shard: int, counts: EmbeddingCounts) -> Iterator[Difference]:
    """Yield how the rows of single pictures are not, one for one, those of the pictures in the post shard."""
    path = folder / "images" / f"{shard:06d}.parquet"
    table = parquet.read(path)
    vectors = np.load(path.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
    records = posts.read_records(run, shard, ["key", "images"])
    there = zip(records["key"].to_pylist(), records["images"].to_pylist(), strict=True)
    expected = [(key, row, n) for row, (key, images) in enumerate(there) for n in range(len(images))]
    if list(zip(*(table[column].to_pylist() for column in ("key", "row", "image")), strict=True)) != expected:
        yield path, "its rows are not, one for one, the pictures of the post shard"
        return
    if counts.images != len(expected):
        yield path, f"{len(expected)} rows, the manifest says {counts.images}"
    present = table["present"].to_numpy().astype(bool)
    if pc.is_null(table["reason"]).to_pylist() != present.tolist():
        yield path, "some rows are neither present nor have a reason, or both"
    if vectors.shape != (len(expected), encoder.dimensions) or vectors.dtype != np.dtype(encoder.dtype):
        yield path.with_suffix(".npy"), f"has shape {vectors.shape} of {vectors.dtype}"
    elif not np.isfinite(vectors).all() or vectors[~present].any():
        yield path.with_suffix(".npy"), "a number in it is not finite, or of a picture that is not present"


def model(folder: Path, name: str, manifest: Manifest) -> Iterator[Difference]:
    """Yield how the files of a model do not fit its manifest; its folder may hold other units while it is trained."""
    if name != models.MANIFEST:
        yield from unstated(folder, name, manifest, [f"{name}.safetensors"])
        return
    lacking = list(unstated(folder, name, manifest, _MODEL_FILES))
    yield from lacking
    if lacking:
        return
    path = folder / models.PREDICTIONS_FILE
    with parquet.open_file(path) as file:
        rows = file.metadata.num_rows
    counts = ModelCounts.of(manifest)
    if rows != counts.predictions:
        yield path, f"{rows} rows, the manifest says {counts.predictions}"
    metrics = json.loads((folder / models.METRICS_FILE).read_bytes())
    if not settings_of(manifest) == metrics["settings_fingerprint"] == sealed.canonical_hash(metrics["settings"]):
        yield folder / models.METRICS_FILE, "its settings are not those of the manifest"


def insights(run: Run, name: str, manifest: Manifest) -> Iterator[Difference]:
    """Yield how the tables of tone are not those that the manifest speaks of."""
    files = [*(f"{table}.parquet" for table in tables.ROWS), tables.STATEMENT_FILE]
    lacking = list(unstated(run.insights, name, manifest, files))
    yield from lacking
    found = None if lacking else tables.read(run)
    if found is None:
        return
    counts = InsightsCounts.of(manifest)
    claims = sum(row.claimed for row in found.effects)
    if counts.indicators != len(found.indicators):
        path = run.insights / "indicators.parquet"
        yield path, f"{len(found.indicators)} rows, the manifest says {counts.indicators}"
    if counts.claims != claims:
        yield run.insights / "effects.parquet", f"{claims} claims, the manifest says {counts.claims}"


def report(run: Run, name: str, manifest: Manifest) -> Iterator[Difference]:
    """Yield which files of the report its manifest does not state."""
    yield from unstated(run.report, name, manifest, REPORTS[name])
