"""How other tools lay out posts and embeddings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv as pa_csv

from postmill.shards.formats.encoders import Encoder
from postmill.shards.formats.units import shard_name
from postmill.shards.run import cards, parquet
from postmill.shards.run.cards import Value
from postmill.shards.run.temporary import HashingFile

# clip-retrieval's own names: https://github.com/rom1504/clip-retrieval (clip inference)
CLIP_FOLDERS: Mapping[str, str] = {"image": "img_emb", "text": "text_emb"}
CONFIGS: Mapping[str, Value] = {
    "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}]
}
"""What tells ``datasets`` where the files lie."""

CARD_FILE = "README.md"
_COLUMNS = """
## Columns

Written by `postmill export --to hf`. Beside those of the records there are, of each encoder, its vectors and scalars:

| columns | model |
|---|---|
"""


@dataclass(frozen=True)
class ExportedShard:
    """The posts of one shard that are exported: N records, and for each encoder N vectors and N rows of scalars."""

    shard: int
    records: pa.Table
    vectors: Sequence[npt.NDArray[Any] | None]
    scalars: Sequence[pa.Table]


def csv(folder: Path, encoders: Sequence[Encoder], exported: Iterator[ExportedShard], shards: int) -> None:
    """Write ``posts.csv``: a row a post, the record, its lists as JSON, and every encoder's scalars but lists."""
    file = HashingFile(folder / "posts.csv")
    try:
        writer: pa_csv.CSVWriter | None = None
        for posts_of_shard in exported:
            table = _flat(_joined(posts_of_shard, encoders, lists=False))
            writer = writer or pa_csv.CSVWriter(pa.PythonFile(file, mode="w"), table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()
    finally:
        _settle(file)


def clip_retrieval(folder: Path, encoders: Sequence[Encoder], exported: Iterator[ExportedShard], shards: int) -> None:
    """Write ``img_emb/img_emb_0000.npy``, ``text_emb/…`` and ``metadata/metadata_0000.parquet``, row for row.

    A file for each post shard; float16 as stored. ``image_path`` is the first picture's place: ``TAR/MEMBER``.
    """
    width = max(4, len(str(shards)))
    for name in ("metadata", *(CLIP_FOLDERS[encoder.encoder] for encoder in encoders)):
        (folder / name).mkdir()
    for posts_of_shard in exported:
        number = f"{posts_of_shard.shard:0{width}d}"
        if not posts_of_shard.records.num_rows:
            continue  # readers refuse an empty file
        for encoder, vectors in zip(encoders, posts_of_shard.vectors, strict=True):
            assert vectors is not None, "image and text have vectors"
            name = CLIP_FOLDERS[encoder.encoder]
            file = HashingFile(folder / name / f"{name}_{number}.npy")
            try:
                np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(vectors))
                file.write(np.ascontiguousarray(vectors).reshape(-1).view(np.uint8).data)
            finally:
                _settle(file)
        tar = f"{shard_name(posts_of_shard.shard)}.tar"
        paths = [f"{tar}/{key}.0.jpg" for key in posts_of_shard.records["key"].to_pylist()]
        table = posts_of_shard.records.append_column("image_path", pa.array(paths, pa.string()))
        _put_table(folder / "metadata" / f"metadata_{number}.parquet", table)


def hugging_face(folder: Path, encoders: Sequence[Encoder], exported: Iterator[ExportedShard], shards: int) -> None:
    """Write ``data/train-00000-of-00012.parquet``, which ``datasets.load_dataset(FOLDER)`` reads.

    The record, every encoder's scalars, and its vectors as lists of float32; null where absent.
    """
    (folder / "data").mkdir()
    for posts_of_shard in exported:
        table = _joined(posts_of_shard, encoders)
        for encoder, vectors, scalars in zip(encoders, posts_of_shard.vectors, posts_of_shard.scalars, strict=True):
            if vectors is not None:
                table = table.append_column(encoder.encoder_column, _lists(vectors, scalars["present"]))
        _put_table(folder / "data" / f"train-{posts_of_shard.shard:05d}-of-{shards:05d}.parquet", table)


def hugging_face_card(card: str, encoders: Sequence[Encoder]) -> bytes:
    """Return the ``README.md`` of such a folder: ``card``, where the files lie, and of which encoder columns are."""
    rows = [f"| `{of.encoder_column}` | {cards.plain(f'{of.model} {of.revision}') or 'none'} |\n" for of in encoders]
    return (cards.with_fields(card, CONFIGS) + _COLUMNS + "".join(rows)).encode()


def _joined(posts_of_shard: ExportedShard, encoders: Sequence[Encoder], lists: bool = True) -> pa.Table:
    table = posts_of_shard.records.replace_schema_metadata()
    for encoder, scalars in zip(encoders, posts_of_shard.scalars, strict=True):
        for field in scalars.schema:
            if lists or not pa.types.is_list(field.type):
                table = table.append_column(f"{encoder.encoder_column}_{field.name}", scalars[field.name])
    return table


def _flat(table: pa.Table) -> pa.Table:
    """Return ``table`` with lists as JSON: a CSV has none."""
    for column, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [json.dumps(value, ensure_ascii=False) for value in table[field.name].to_pylist()]
            table = table.set_column(column, field.name, pa.array(texts, pa.string()))
    return table


def _lists(vectors: npt.NDArray[Any], present: pa.ChunkedArray) -> pa.Array:
    absent = pa.array(~present.to_numpy(zero_copy_only=False))
    flat = pa.array(vectors.astype(np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1], mask=absent)


def _put_table(path: Path, table: pa.Table) -> None:
    file = HashingFile(path)
    try:
        parquet.write(file, table)
    finally:
        _settle(file)


def _settle(file: HashingFile) -> None:
    """Give the file its name; after a failure too: the folder in which it lies is then removed."""
    file.finish()
    file.temporary.replace(file.path)
