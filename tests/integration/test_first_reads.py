"""What people type first at a finished run, in pandas, DuckDB, datasets, NumPy, webdataset: right, or a clear error."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset as wds
from datasets import load_dataset

from postmill.encode.options import EncoderName, ModelSet
from postmill.encode.stage import encode_run
from postmill.ingest.pack.stages import ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.sample.write import write_sample
from postmill.ingest.source.layout import discover
from postmill.shards.formats import plan, posts
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Options
from postmill.shards.runtime.devices import Device


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("reads")
    write_sample(folder / "data", posts=60, influencers=6, seed=4)
    made, _ = make_plan(discover(str(folder / "data")), folder / "run", Options(shard_bytes=400 << 10))
    list(ingest(made))
    encoders = (EncoderName.SENTIMENT, EncoderName.IMAGE, EncoderName.METADATA)
    encode_run(made, encoders=encoders, models=ModelSet.LIGHT, device=Device.CPU, per_image=True)
    shards = plan.counts(made).shards
    assert any(counts.faults for shard in range(shards) if (counts := posts.counts(made, shard)) is not None)
    return made


@pytest.fixture(scope="module")
def keys(run: Run) -> list[str]:
    shards = range(plan.counts(run).shards)
    return [key for shard in shards for key in posts.read_records(run, shard, ["key"])["key"].to_pylist()]


def sorted_glob(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))


def test_pandas_of_the_folder_names_the_file_that_is_no_table(run: Run) -> None:
    with pytest.raises(pa.ArrowInvalid, match=r"posts/[a-z0-9-]+\.(json|idx|tar)"):
        pd.read_parquet(run.posts)


def test_pandas_of_the_glob(run: Run, keys: list[str]) -> None:
    table = pd.concat([pd.read_parquet(path) for path in sorted_glob(run.posts, "posts-*.parquet")])
    assert table["key"].tolist() == keys and list(table.columns) == list(posts.SCHEMA.names)


def test_pandas_of_everything_named_parquet_in_the_folder(run: Run, keys: list[str]) -> None:
    assert pd.concat(map(pd.read_parquet, sorted_glob(run.posts, "*.parquet")))["key"].tolist() == keys


def test_duckdb_of_the_glob(run: Run, keys: list[str]) -> None:
    rows = duckdb.sql(f"select key, likes from '{run.posts}/posts-*.parquet' order by filename, file_row_number")
    assert [key for key, _ in rows.fetchall()] == keys
    ((likes,),) = duckdb.sql(f"select avg(likes) from '{run.posts}/*.parquet'").fetchall()
    assert likes > 0


def test_datasets_of_the_glob(run: Run, keys: list[str], tmp_path: Path) -> None:
    files = f"{run.posts}/posts-*.parquet"
    table = load_dataset("parquet", data_files=files, cache_dir=str(tmp_path), split="train")
    assert table["key"][:] == keys


def test_arrow_of_the_glob(run: Run, keys: list[str]) -> None:
    tables = [pq.read_table(path) for path in sorted_glob(run.posts, "posts-*.parquet")]
    assert pa.concat_tables(tables)["key"].to_pylist() == keys


@pytest.mark.parametrize("pattern", ["*.npy", "posts-*.npy"])
@pytest.mark.parametrize("encoder", ["image.*", "metadata"])
def test_numpy_of_the_glob_has_one_row_a_post(run: Run, keys: list[str], encoder: str, pattern: str) -> None:
    paths = sorted_glob(run.embeddings, f"{encoder}/{pattern}")
    vectors = np.concatenate([np.load(path) for path in paths])
    tables = [pd.read_parquet(path) for path in sorted_glob(run.embeddings, f"{encoder}/posts-*.parquet")]
    rows = pd.concat(tables)
    assert len(vectors) == len(keys) and rows["key"].tolist() == keys
    assert (np.abs(vectors).sum(axis=1) > 0).tolist() == rows["present"].tolist()


def test_duckdb_joins_records_and_scores(run: Run, keys: list[str]) -> None:
    joined = duckdb.sql(
        f"select count(*) from '{run.posts}/posts-*.parquet' p join '{run.embeddings}/sentiment.*/posts-*.parquet' s "
        "using (key)"
    )
    assert joined.fetchall() == [(len(keys),)]


def test_single_pictures_have_a_folder_of_their_own(run: Run) -> None:
    images = pd.concat(map(pd.read_parquet, sorted_glob(run.embeddings, "image.*/images/*.parquet")))
    vectors = np.concatenate([np.load(path) for path in sorted_glob(run.embeddings, "image.*/images/*.npy")])
    records = pd.concat(map(pd.read_parquet, sorted_glob(run.posts, "posts-*.parquet")))
    assert len(images) == len(vectors) == records["images"].map(len).sum()


def test_webdataset_of_the_tars(run: Run, keys: list[str]) -> None:
    paths = [str(path) for path in sorted_glob(run.posts, "posts-*.tar")]
    samples = list(wds.WebDataset(paths, shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == keys
    assert all(json.loads(sample["json"])["key"] == sample["__key__"] for sample in samples)
