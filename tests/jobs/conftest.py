"""Run folders with a plan and nothing else, of which any piece can be marked as done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from postmill.shards.formats import plan
from postmill.shards.formats.encoders import Encoder, pin_encoder
from postmill.shards.formats.units import shard_name
from postmill.shards.run import publish
from postmill.shards.run.folder import Run
from tests.runs import new_run, plan_counts, shard_counts

METADATA = Encoder("metadata", "every", "", "1", "", "float32", 0, "float16", (), (), True, "", {})


@pytest.fixture
def planned(tmp_path: Path) -> Callable[..., Run]:
    """Write a run with a plan: metadata windows, picture windows with the shard that each makes, spanning shards."""

    def make(metadata: int, windows: Sequence[int | None], spanning: int, folder: str = "run") -> Run:
        run = new_run(tmp_path / folder)
        spooling = spanning > 0
        rows = [
            dict(archive=archive, window=n, start=n, end=n + 1, first_part=0, last_part=0, entries=1)
            | dict(shard=shard, spools=True if archive == plan.METADATA else spooling or shard is None)
            for archive, made in ((plan.METADATA, [None] * metadata), (plan.IMAGES, list(windows)))
            for n, shard in enumerate(made)
        ]
        local = [shard for shard in windows if shard is not None]
        shards = [
            dict(shard=n, posts=1, images=1, image_bytes=1, last_part=0)
            | (dict(kind="window", window=list(windows).index(n)) if n in local else dict(kind="spanning", window=None))
            for n in range(len(local) + spanning)
        ]
        with publish.unit(run.plan, plan.NAME, run.fingerprint) as unit:
            unit.table("windows.parquet", pa.Table.from_pylist(rows, schema=plan.WINDOWS))
            unit.table("shards.parquet", pa.Table.from_pylist(shards, schema=plan.SHARDS))
            unit.table("faults.parquet", pa.table({"reason": pa.array(["no_image"] * 2, pa.string())}))
            plan_counts(shards=len(shards), lost=2, faults=2, reasons={"no_image": 2}).put(unit)
        return run

    return make


def finish(run: Run, folder: Path, *names: str, **info: object) -> None:
    """Mark units as done."""
    for name in names:
        with publish.unit(folder, name, run.fingerprint) as unit:
            unit.file(f"{name}.data").write(b"12345")
            shard_counts(10, lost=1, faults=1, reasons={"no_image": 1}).put(unit)
            unit.info.update(info)


@pytest.fixture
def ingested() -> Callable[..., None]:
    """Mark everything that ingest makes as done, or only what is named."""

    def make(run: Run, *shards: int, spools: Sequence[str] = ()) -> None:
        finish(run, run.spool, *spools)
        finish(run, run.posts, *map(shard_name, shards))

    return make


@pytest.fixture
def encoded() -> Callable[..., None]:
    """Mark shards as done by the encoder `metadata`."""

    def make(run: Run, *shards: int) -> None:
        folder = pin_encoder(run, METADATA)
        finish(run, folder, *map(shard_name, shards), encoder=METADATA.fingerprint)

    return make
