"""What is exported is read, indexed and searched by the tools it is meant for."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from postmill.encode.options import EncoderName, ModelSet
from postmill.encode.stage import encode_run
from postmill.ingest.pack.stages import ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.sample.write import write_sample
from postmill.ingest.source.layout import discover
from postmill.shards.formats import embeddings, plan, posts
from postmill.shards.formats.choices import Layout
from postmill.shards.formats.encoders import Encoder, encoders_of
from postmill.shards.formats.export import export
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Options
from postmill.shards.run.sources import INVENTED_MARK
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError, UsageError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("export")
    write_sample(folder / "data", posts=60, influencers=6, seed=4)
    made, _ = make_plan(discover(str(folder / "data")), folder / "run", Options(shard_bytes=400 << 10))
    list(ingest(made))
    encoders = (EncoderName.TEXT, EncoderName.SENTIMENT, EncoderName.IMAGE, EncoderName.METADATA)
    encode_run(made, encoders=encoders, models=ModelSet.LIGHT, device=Device.CPU, per_image=True)
    return made


def encoder(run: Run, name: str) -> Encoder:
    return next(known for known in encoders_of(run) if known.encoder == name)


def everything(run: Run, name: str) -> tuple[list[str], list[bool], np.ndarray[Any, Any]]:
    shards = [embeddings.read(run, encoder(run, name), number) for number in range(plan.counts(run).shards)]
    keys = [key for shard in shards for key in shard.keys.to_pylist()]
    present = [bool(value) for shard in shards for value in shard.present]
    return keys, present, np.concatenate([np.asarray(shard.vectors) for shard in shards])


def test_clip_retrieval_is_read_by_embedding_reader_indexed_by_faiss_and_searched(run: Run, tmp_path: Path) -> None:
    import faiss
    from embedding_reader import EmbeddingReader

    done = export(run, Layout.CLIP_RETRIEVAL, tmp_path / "index")
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == [
        INVENTED_MARK,
        "img_emb",
        "metadata",
        "text_emb",
    ]
    keys, with_image, images = everything(run, "image")
    _, with_text, texts = everything(run, "text")
    kept = [n for n, both in enumerate(zip(with_image, with_text, strict=True)) if all(both)]
    assert 0 < len(kept) < len(keys) and (done.posts, done.left_out) == (len(kept), len(keys) - len(kept))
    for name, expected in (("img_emb", images), ("text_emb", texts)):
        reader = EmbeddingReader(
            embeddings_folder=str(tmp_path / "index" / name),
            metadata_folder=str(tmp_path / "index" / "metadata"),
            meta_columns=["key", "caption", "image_path"],
            file_format="parquet_npy",
        )
        assert (reader.count, reader.dimension) == (len(kept), expected.shape[1])
        batches = list(reader(batch_size=7))
        vectors = np.concatenate([batch for batch, _ in batches])
        names = [key for _, meta in batches for key in meta["key"].tolist()]
        assert names == [keys[n] for n in kept]
        np.testing.assert_array_equal(vectors, expected[kept])
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors.astype(np.float32))
        scores, nearest = index.search(vectors[:5].astype(np.float32), 3)
        assert np.abs(scores[:, 0] - 1).max() < 1e-2
        for n in range(5):  # itself, or a post with the very same vector
            np.testing.assert_array_equal(vectors[nearest[n, 0]], vectors[n])
    path = batches[0][1]["image_path"].iloc[0]
    assert path == f"posts-000000.tar/{keys[kept[0]]}.0.jpg"


def test_hugging_face_datasets_reads_the_export(run: Run, tmp_path: Path) -> None:
    import datasets

    export(run, Layout.HUGGING_FACE, tmp_path / "hf")
    read = datasets.load_dataset(str(tmp_path / "hf"), split="train", cache_dir=str(tmp_path / "cache"))
    keys, present, images = everything(run, "image")
    assert read["key"][:] == keys
    column = read.with_format("numpy")["image_EfficientNet_Lite0"]
    for n in (present.index(True), len(keys) - 1):
        np.testing.assert_array_equal(np.asarray(column[n]), images[n].astype(np.float32))
    assert set(read["sentiment_vaderSentiment_caption_label"]) >= {"POSITIVE", "NEGATIVE"}
    _, with_text, _ = everything(run, "text")
    absent = with_text.index(False)
    assert read[absent]["text_all_MiniLM_L6_v2"] is None
    assert read[absent]["text_all_MiniLM_L6_v2_reason"] == "no_caption"


def test_hugging_face_datasets_and_webdataset_read_the_tars(run: Run, tmp_path: Path) -> None:
    import datasets
    import webdataset

    tars = [str(path) for path in sorted(run.posts.glob("*.tar"))]
    keys, _, _ = everything(run, "image")
    # Its reader infers the fields from five posts, which must then be alike: carousels are not. So they are told.
    features = datasets.Features(
        {
            "__key__": datasets.Value("string"),
            "json": dict(datasets.Features.from_arrow_schema(posts.SCHEMA)),
            "0.jpg": datasets.Image(),
            "1.jpg": datasets.Image(),
        }
    )
    streamed = datasets.load_dataset(
        "webdataset", data_files={"train": tars[:1]}, split="train", features=features, streaming=True
    )
    records = posts.read_records(run, 0).to_pylist()
    rows = list(streamed)
    assert [row["__key__"] for row in rows] == [record["key"] for record in records] == keys[: len(records)]
    assert [row["json"]["caption"] for row in rows] == [record["caption"] for record in records]
    assert [row["1.jpg"] is not None for row in rows] == [len(record["images"]) > 1 for record in records]
    assert all(row["0.jpg"].size[0] > 0 for row in rows if row["json"]["images"])
    names = [sample["__key__"] for sample in webdataset.WebDataset(tars, shardshuffle=False)]
    assert names == keys


def test_csv_holds_every_post_and_scalar(run: Run, tmp_path: Path) -> None:
    done = export(run, Layout.CSV, tmp_path / "csv")
    with (tmp_path / "csv" / "posts.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    keys, _, _ = everything(run, "image")
    assert [row["key"] for row in rows] == keys and done.posts == len(keys)
    tables = [posts.read_records(run, shard) for shard in range(plan.counts(run).shards)]
    records = [record for table in tables for record in table.to_pylist()]
    assert [row["caption"] for row in rows] == [record["caption"] or "" for record in records]
    assert [json.loads(row["hashtags"]) for row in rows] == [record["hashtags"] for record in records]
    assert {row["sentiment_vaderSentiment_caption_label"] for row in rows} >= {"POSITIVE", "NEGATIVE"}


def test_embeddings_are_plain_numpy_and_duckdb(run: Run) -> None:
    """What the documents promise of the run folder itself, with nothing of postmill."""
    folder = run.embeddings / "text.all-MiniLM-L6-v2"
    vectors = np.load(folder / "posts-000000.npy", mmap_mode="r")
    rows = duckdb.sql(f"select key, present from '{folder}/posts-000000.parquet'").fetchall()
    assert len(rows) == len(vectors) and not vectors[[not present for _, present in rows]].any()
    ((joined,),) = duckdb.sql(
        f"select count(*) from '{run.posts}/posts-*[0-9].parquet' p "
        f"join '{run.embeddings}/sentiment.vaderSentiment/posts-*.parquet' s using (key) where s.present"
    ).fetchall()
    assert joined > 0
    images = run.embeddings / "image.EfficientNet-Lite0"
    ((pictures,),) = duckdb.sql(f"select count(*) from '{images}/images/000000.parquet'").fetchall()
    assert pictures == len(np.load(images / "images" / "000000.npy"))


def test_what_cannot_be_exported_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(UsageError, match="not empty"):
        export(run, Layout.CSV, tmp_path / "full")
    command = [sys.executable, "-m", "postmill.cli", "export", run.folder, tmp_path / "new", "--to", "parquet"]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2 and "'parquet' is none of csv, clip-retrieval, hf" in refused.stderr, refused
    with pytest.raises(UsageError, match="'audio' is none of the folders below embeddings"):
        export(run, Layout.HUGGING_FACE, tmp_path / "new", ["audio"])
    manifest = run.embeddings / "metadata" / "posts-000000.json"
    content = manifest.read_bytes()
    manifest.unlink()
    try:
        with pytest.raises(PostmillError, match="not done"):
            export(run, Layout.HUGGING_FACE, tmp_path / "new")
    finally:
        manifest.write_bytes(content)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]  # nothing is left of it


KILLED = """
import sys, time; from contextlib import contextmanager; from pathlib import Path
from postmill.shards.formats.choices import Layout; from postmill.shards.formats.export import export
from postmill.shards.run.folder import open_run
class Slow:
    @contextmanager
    def track(self, *arguments, **options):
        def advance(n):
            print("written", flush=True); time.sleep(60)
        yield advance
export(open_run(Path(sys.argv[1])), Layout(sys.argv[2]), Path(sys.argv[3]), progress=Slow())
"""


@pytest.mark.parametrize("layout", Layout)
def test_what_a_killed_export_left_the_next_one_removes(run: Run, tmp_path: Path, layout: Layout) -> None:
    command = [sys.executable, "-c", KILLED, run.folder, layout, tmp_path / "out"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"written\n"
        child.kill()
    assert [path.name.startswith(".tmp-") for path in tmp_path.iterdir()] == [True]
    export(run, layout, tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
