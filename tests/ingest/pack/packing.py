"""What the tests of stages share: a run from a dataset to its post shards, what came out, and how to spoil an entry."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from postmill.ingest.pack.stages import ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.source.layout import discover
from postmill.shards.formats import faults, plan
from postmill.shards.formats.units import shard_name
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Options
from postmill.shards.state import verify

Dataset = Callable[..., Path]
Info = Callable[..., bytes]


def run_all(root: Path, folder: Path, **options: Any) -> Run:
    run, _ = make_plan(discover(str(root)), folder, Options(**options))
    list(ingest(run))
    assert [wrong for wrong in verify.check_counts(run) if not wrong.unfinished] == []
    assert list(verify.verify_files(run)) == []
    return run


def members(run: Run) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    for shard in plan.shards(run):
        with tarfile.open(run.posts / f"{shard_name(shard.shard)}.tar") as tar:
            for member in tar:
                assert member.name not in contents
                contents[member.name] = tar.extractfile(member).read()  # type: ignore[union-attr]
    return contents


def fault_rows(run: Run) -> list[tuple[str, bool, str | None]]:
    rows = [row for _, table in faults.tables(run, len(plan.shards(run))) for row in table.to_pylist()]
    return sorted((row["reason"], row["post_lost"], row["post_id"] or row["entry"]) for row in rows)


def spoil(archive: Path, entry: str, offset: int = 5) -> None:
    """Flip a byte in the data of `entry`."""
    content = bytearray(archive.read_bytes())
    start = content.index(entry.encode()) + len(entry) + 28 + offset  # zip's local extra field has 28 bytes
    content[start] ^= 0xFF
    archive.write_bytes(content)
