"""Embedding shards: what one encoder made of one post shard, row for row.

``embeddings/<folder>/encoder.json`` pins the encoder; ``posts-000000.npy`` holds the vectors, ``.parquet`` the keys,
the presence of each row and the scalars, ``.json`` the manifest. Row n of each is row n of the post shard. Where all
pictures are kept, ``.images.npy`` and ``.images.parquet`` have a row for each of them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shards import manifests, parquet, publish, sealed
from shards.errors import PostmillError, UsageError
from shards.posts import shard_name
from shards.publish import Unit
from shards.run import Run
from shards.sealed import canonical_hash

ENCODER_FILE = "encoder.json"
_IMAGES = ".images"  # in the names of the files that hold a row for each picture


@dataclass(frozen=True)
class Encoder:
    """What is pinned of an encoder; two that differ in any field never share a folder.

    Attributes:
        encoder: ``text``, ``text-with-comments``, ``sentiment``, ``image``, ``metadata``, or a plug-in's name.
        models: The set it came from: ``light`` or ``paper``; ``override`` where the user named another model, ``every``
            where it is the same in every set.
        model: Name of the model as people know it.
        revision: Revision or package version of the weights.
        weights_sha256: SHA-256 of the weight file; empty where there are no weights.
        precision: Number format of the computation, such as ``float32``.
        dimensions: Length of a vector; 0 where the encoder has scalars alone.
        dtype: Number format of the stored vectors.
        scalars: Names of the scalar columns in the Parquet file.
        features: Name of each vector component where it has one (metadata), else empty.
        available_before_publication: False where the inputs exist only after publication (comments).
        stand_in_for: The paper's model that this one stands in for; empty where it is the paper's own.
        preprocessing: Every setting that changes the numbers.
    """

    encoder: str
    models: str
    model: str
    revision: str
    weights_sha256: str
    precision: str
    dimensions: int
    dtype: str
    scalars: tuple[str, ...]
    features: tuple[str, ...]
    available_before_publication: bool
    stand_in_for: str
    preprocessing: Mapping[str, Any]

    @property
    def folder(self) -> str:
        """Name of its folder: the encoder and the model, such as ``text.all-MiniLM-L6-v2``."""
        model = re.sub(r"[^A-Za-z0-9_-]+", "-", self.model.rsplit("/", 1)[-1]).strip("-")
        return f"{self.encoder}.{model}" if model else self.encoder

    @property
    def encoder_column(self) -> str:
        """The folder's name as a column of a table: ``text_all_MiniLM_L6_v2``."""
        return re.sub(r"[^A-Za-z0-9]+", "_", self.folder)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) over all fields."""
        return canonical_hash(_to_json(self))


@dataclass(frozen=True)
class EmbeddingShard:
    """One encoder's rows for one post shard of N posts.

    Attributes:
        keys: N keys, in the order of the post shard.
        present: Boolean, shape (N,). False where the input was absent or unreadable: the row's numbers are then zero.
        reasons: N strings, null where present: why the row is absent.
        vectors: Shape (N, dimensions), memory-mapped; None where the encoder has scalars alone.
        scalars: Table of N rows with the encoder's scalar columns.
    """

    keys: pa.Array
    present: npt.NDArray[np.bool_]
    reasons: pa.Array
    vectors: npt.NDArray[Any] | None
    scalars: pa.Table


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


def pin(run: Run, encoder: Encoder) -> Path:
    """Write ``encoder.json`` in a new folder, or compare with the one that is there; return the folder.

    Raises:
        UsageError: The folder holds what another revision, precision or preprocessing made.
    """
    folder = run.embeddings / encoder.folder
    path = folder / ENCODER_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        publish.put_sealed(path, _to_json(encoder))
    held = read_encoder(folder)
    for field in dataclasses.fields(Encoder):
        old, new = getattr(held, field.name), getattr(encoder, field.name)
        if old != new:
            raise UsageError(
                f"holds embeddings made with another {field.name}: {old!r}, and now it is {new!r}",
                place=folder,
                hint="use the same model and settings as before, or move the folder away: "
                f"mv {quote(str(folder))} {quote(f'{folder}.old')}",
            )
    return folder


def read_encoder(folder: Path) -> Encoder:
    """Read ``encoder.json`` in ``folder``.

    Raises:
        PostmillError: It is missing or damaged.
    """
    path = folder / ENCODER_FILE
    try:
        value = sealed.unseal(path.read_bytes())
        value["scalars"], value["features"] = tuple(value["scalars"]), tuple(value["features"])
        return Encoder(**value)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PostmillError(
            f"cannot be read as an encoder's description ({error})",
            place=path,
            hint="delete the file and encode again with the same models: it is written anew",
        ) from error


def encoders(run: Run) -> list[Encoder]:
    """Return the encoders whose folders the run has, sorted by folder name."""
    return [read_encoder(path.parent) for path in sorted(run.embeddings.glob(f"*/{ENCODER_FILE}"))]


def is_done(run: Run, encoder: Encoder, shard: int) -> bool:
    """Say whether ``encoder``'s embedding shard for post shard ``shard`` is complete and its own."""
    manifest = manifests.done(run.embeddings / encoder.folder, shard_name(shard), run.fingerprint)
    return manifest is not None and manifest.info.get("encoder") == encoder.fingerprint


def write(
    run: Run,
    encoder: Encoder,
    shard: int,
    keys: Sequence[str],
    reasons: Sequence[str | None],
    vectors: npt.NDArray[Any] | None,
    scalars: Mapping[str, Sequence[Any] | npt.NDArray[Any] | pa.Array],
    pictures: PictureRows | None = None,
) -> None:
    """Publish the embedding shard of ``encoder`` for post shard ``shard``.

    Args:
        run: The run.
        encoder: The encoder, pinned before with :func:`pin`.
        shard: Number of the post shard.
        keys: N keys, in the order of the post shard.
        reasons: N times None where the row is present, else why it is absent.
        vectors: Shape (N, ``encoder.dimensions``); stored as ``encoder.dtype``. None where there are none.
        scalars: N values for each of ``encoder.scalars``; None where a value is absent. Where all of a shard's may be,
            give a pyarrow array: it alone knows its type, and every shard's column must have the same.
        pictures: The rows of the single pictures, where they are kept.

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
        if encoder.dimensions:
            if vectors is None or vectors.shape != (rows, encoder.dimensions):
                raise ValueError(f"{encoder.folder}: vectors must have shape ({rows}, {encoder.dimensions})")
            _put_vectors(unit, f"{name}.npy", encoder, vectors, present)
        unit.table(f"{name}.parquet", pa.table(columns))
        if pictures is not None:
            _put_pictures(unit, f"{name}{_IMAGES}", encoder, columns["key"], pictures)
        unit.counts.update(posts=rows, present=int(present.sum()), absent=int(rows - present.sum()))
        unit.info["encoder"] = encoder.fingerprint


def read(run: Run, encoder: Encoder, shard: int) -> EmbeddingShard:
    """Open the embedding shard of ``encoder`` for post shard ``shard``; vectors stay on disk until used.

    Raises:
        PostmillError: It is not done, or damaged.
    """
    folder, name = run.embeddings / encoder.folder, shard_name(shard)
    if not is_done(run, encoder, shard):
        raise PostmillError(
            f"embedding shard {name} is not done", place=folder, hint=f"make it: postmill encode {run.word}"
        )
    try:
        table = parquet.read(folder / f"{name}.parquet")
        vectors = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) if encoder.dimensions else None
    except (pa.ArrowException, OSError, EOFError, ValueError, SyntaxError, TokenError) as error:
        raise PostmillError(
            f"embedding shard {name} cannot be read ({error})",
            place=folder,
            hint=f"find what is damaged with postmill verify {run.word}; delete the file and encode again",
        ) from error
    return EmbeddingShard(
        keys=table["key"].combine_chunks(),
        present=table["present"].to_numpy(),
        reasons=table["reason"].combine_chunks(),
        vectors=vectors,
        scalars=table.select(encoder.scalars),
    )


def read_pictures(run: Run, encoder: Encoder, shard: int) -> PictureRows:
    """Open the rows of the single pictures of post shard ``shard``; vectors stay on disk until used.

    Raises:
        PostmillError: The shard is not done, or damaged, or was encoded without ``--per-image``.
    """
    folder, name = run.embeddings / encoder.folder, f"{shard_name(shard)}{_IMAGES}"
    if not is_done(run, encoder, shard) or not (folder / f"{name}.npy").is_file():
        raise PostmillError(
            f"{name}.npy is not there",
            place=folder,
            hint=f"make it in a new folder of the encoder: postmill encode {run.word} --per-image",
        )
    table = parquet.read(folder / f"{name}.parquet")
    return PictureRows(
        rows=table["row"].to_numpy(),
        images=table["image"].to_numpy(),
        reasons=table["reason"].to_pylist(),
        vectors=np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False),
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
    unit.counts["images"] = len(present)


def _to_json(encoder: Encoder) -> dict[str, Any]:
    value = dataclasses.asdict(encoder)
    return {**value, "scalars": list(encoder.scalars), "features": list(encoder.features)}
