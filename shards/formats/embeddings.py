"""Embedding shards: what one encoder made of one post shard, row for row.

Beside the encoder's description (:mod:`.formats.encoders`), ``posts-000000.npy`` holds the vectors, ``.parquet`` the
keys, the presence of each row and the scalars, ``.json`` the manifest. Row n of each is row n of the post shard. Where
all pictures are kept, ``images/000000.npy`` and ``images/000000.parquet`` have a row for each of them, and where some
could not be used, ``faults/000000.parquet`` has (:mod:`.formats.faults`): in folders of their own, so that no glob of
the posts' rows takes them for some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from postmill.shards.formats import counts, posts
from postmill.shards.formats.counts import EmbeddingCounts
from postmill.shards.formats.encoders import Encoder, encode_command, options
from postmill.shards.formats.units import shard_name
from postmill.shards.run import checked, manifests, parquet, publish
from postmill.shards.run.folder import Run
from postmill.shards.run.manifests import Manifest
from postmill.shards.run.publish import Unit
from postmill.shards.runtime.errors import PostmillError

POSTS = "posts"  # among the inputs: the post shard


@dataclass(frozen=True)
class EmbeddingShard:
    """One encoder's rows for one post shard of N posts.

    Attributes:
        keys: N keys, in the order of the post shard.
        present: Boolean, shape (N,). False where the input was absent or unreadable: the row's numbers are then zero.
        reasons: N strings, null where present: why the row is absent.
        vectors: Shape (N, dimensions), memory-mapped; None where the encoder has scalars alone.
        scalars: Table of N rows with the encoder's scalar columns.
        hashes: The BLAKE3 of its table and of its vectors, where it has some: of the very bytes.
    """

    keys: pa.Array
    present: npt.NDArray[np.bool_]
    reasons: pa.Array
    vectors: npt.NDArray[Any] | None
    scalars: pa.Table
    hashes: tuple[str, ...]


@dataclass(frozen=True)
class PictureRows:
    """One encoder's rows for the M pictures of a post shard, where it keeps them all (``--per-image``).

    Attributes:
        rows: Shape (M,), int32, ascending: the row of the picture's post.
        images: Shape (M,), int32: n of ``KEY.n.jpg``.
        reasons: M strings, None where the picture was encoded: why it was left out.
        vectors: Shape (M, dimensions), of length 1; zero where it was left out.
    """

    rows: npt.NDArray[np.int32]
    images: npt.NDArray[np.int32]
    reasons: Sequence[str | None]
    vectors: npt.NDArray[Any]


def is_done(run: Run, encoder: Encoder, shard: int) -> bool:
    """Say whether ``encoder``'s embedding shard for post shard ``shard`` is complete and its own."""
    return done(run, encoder, shard) is not None


def done(run: Run, encoder: Encoder, shard: int) -> Manifest | None:
    """Return the manifest of ``encoder``'s embedding shard for post shard ``shard`` if that is done.

    One that was made from what the post shard held before, and not from what it holds now, is not.
    """
    name = shard_name(shard)
    manifest = manifests.done(run.embeddings / encoder.folder, name, run.fingerprint)
    if manifest is None or counts.encoder_of(manifest) != encoder.fingerprint:
        return None
    source = manifests.done(run.posts, name, run.fingerprint) if POSTS in manifest.inputs else None  # not in format 2
    if source is not None and manifest.inputs[POSTS] != manifests.contents_hash(source):
        return None
    return manifest


def write(
    run: Run,
    encoder: Encoder,
    shard: int,
    keys: Sequence[str],
    reasons: Sequence[str | None],
    vectors: npt.NDArray[Any] | None,
    scalars: Mapping[str, Sequence[Any] | npt.NDArray[Any] | pa.Array],
    pictures: PictureRows | None = None,
    faults: pa.Table | None = None,
    named: Sequence[str] = (),
) -> None:
    """Publish the embedding shard of ``encoder`` for post shard ``shard``.

    Args:
        run: The run.
        encoder: The encoder, pinned before with :func:`.pin_encoder`.
        shard: Number of the post shard.
        keys: N keys, in the order of the post shard.
        reasons: N times None where the row is present, else why it is absent.
        vectors: Shape (N, ``encoder.dimensions``); stored as ``encoder.dtype``. None where there are none.
        scalars: N values for each of ``encoder.scalars``; None where a value is absent. Where all of a shard's may be,
            give a pyarrow array: it alone knows its type, and every shard's column must have the same.
        pictures: The rows of the single pictures, where they are kept.
        faults: What could not be used of the post shard, a table of :data:`.formats.faults.SCHEMA`, where there is any.
        named: The option by which the user named the model.

    Raises:
        ValueError: The shapes do not fit the encoder, or a present row holds a number that is not finite.
    """
    rows = len(keys)
    if len(reasons) != rows or tuple(scalars) != encoder.scalars or any(len(v) != rows for v in scalars.values()):
        raise ValueError(f"{encoder.folder}: {rows} keys need as many reasons and {encoder.scalars} of that length")
    present = np.array([reason is None for reason in reasons], dtype=bool)
    columns: dict[str, Any] = {
        "key": pa.array(keys, pa.string()),
        "present": pa.array(present),
        "reason": pa.array(reasons, pa.string()),
    }
    for name, values in scalars.items():
        columns[name] = values if isinstance(values, pa.Array) else pa.array(values)
    name = shard_name(shard)
    with publish.unit(run.embeddings / encoder.folder, name, run.fingerprint) as unit:
        unit.inputs[POSTS] = manifests.contents_hash(posts.manifest(run, shard))
        if encoder.dimensions:
            if vectors is None or vectors.shape != (rows, encoder.dimensions):
                raise ValueError(f"{encoder.folder}: vectors must have shape ({rows}, {encoder.dimensions})")
            _put_vectors(unit, f"{name}.npy", encoder, vectors, present)
        unit.table(f"{name}.parquet", pa.table(columns))
        if pictures is not None:
            _put_pictures(unit, f"images/{shard:06d}", encoder, columns["key"], pictures)
        images = None if pictures is None else len(pictures.rows)
        if faults is not None:
            unit.table(f"faults/{shard:06d}.parquet", faults)
        found = None if faults is None else dict(Counter(faults["reason"].to_pylist()))
        EmbeddingCounts(rows, int(present.sum()), int(rows - present.sum()), images, found).put(unit)
        counts.put_encoder(unit, encoder.fingerprint)
        counts.put_options(unit, options(encoder, named))


def read(run: Run, encoder: Encoder, shard: int) -> EmbeddingShard:
    """Open the embedding shard of ``encoder`` for post shard ``shard``; vectors stay on disk until used.

    Raises:
        PostmillError: It is not done, or damaged.
    """
    folder, name = run.embeddings / encoder.folder, shard_name(shard)
    manifest, command = done(run, encoder, shard), encode_command(run, encoder)
    if manifest is None:
        raise PostmillError(f"embedding shard {name} is not done", place=folder, hint=f"make it: {command}")
    vectors = None
    files = (f"{name}.parquet", f"{name}.npy")[: 2 if encoder.dimensions else 1]
    try:
        table = parquet.read_checked(folder / files[0], manifest.files[files[0]], command)
        if encoder.dimensions:
            checked.check(folder / files[1], manifest.files[files[1]], command)
            vectors = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    except (pa.ArrowException, OSError, EOFError, ValueError, KeyError, SyntaxError, TokenError) as error:
        what = f"its files are no embedding shard ({error})"
        raise checked.damaged(folder / f"{name}.json", what, command) from error
    return EmbeddingShard(
        keys=table["key"].combine_chunks(),
        present=table["present"].to_numpy(),
        reasons=table["reason"].combine_chunks(),
        vectors=vectors,
        scalars=table.select(encoder.scalars),
        hashes=tuple(manifest.files[file].blake3 for file in files),
    )


def _put_vectors(
    unit: Unit, name: str, encoder: Encoder, vectors: npt.NDArray[Any], present: npt.NDArray[np.bool_]
) -> None:
    stored = np.ascontiguousarray(vectors, dtype=encoder.dtype)
    if not np.isfinite(stored[present]).all():
        raise ValueError(f"{encoder.folder}: {name} has a vector that is not finite in {encoder.dtype}")
    stored[~present] = 0
    file = unit.file(name)
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(stored))
    file.write(stored.reshape(-1).view(np.uint8).data)


def _put_pictures(unit: Unit, name: str, encoder: Encoder, keys: pa.Array, pictures: PictureRows) -> None:
    present = np.array([reason is None for reason in pictures.reasons], dtype=bool)
    _put_vectors(unit, f"{name}.npy", encoder, pictures.vectors, present)
    columns = {
        "key": keys.take(pa.array(pictures.rows)),
        "row": pa.array(pictures.rows, pa.int32()),
        "image": pa.array(pictures.images, pa.int32()),
        "present": pa.array(present),
        "reason": pa.array(pictures.reasons, pa.string()),
    }
    unit.table(f"{name}.parquet", pa.table(columns))
