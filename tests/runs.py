"""Run folders without a dataset: what is pinned and what manifests state, where a test does not care what it is.

And the secret of a run, where bytes of two runs are compared.
"""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from postmill.shards.formats.counts import PlanCounts, ShardCounts
from postmill.shards.run import folder as runs
from postmill.shards.run import secret
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Options
from postmill.shards.run.sources import Locations, PinnedArchive, PinnedText, Sources

SOURCES = Sources(
    metadata=PinnedArchive((("info.zip", 4),), "00"),
    images=PinnedArchive((("a.z01", 10), ("a.zip", 5)), "01"),
    mapping=PinnedText(7, "02"),
    influencers=PinnedText(8, "03"),
)
LOCATIONS = Locations("/data/info.zip", "/data/a.zip", "/data/mapping.txt", "/data/influencers.txt")


def new_run(folder: Path, options: Options | None = None, *, invented: bool = False) -> Run:
    """Pin a run of no dataset in particular."""
    run = runs.new(folder, replace(SOURCES, invented=invented), options or Options(), LOCATIONS)
    runs.put(run)
    return run


def plant_secret(folder: Path, key: bytes = bytes(range(secret.BYTES))) -> Path:
    """Put a secret into the run folder, made where absent: what runs name alike they must have the same secret for."""
    path = folder / "secret" / secret.FILE
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, key)
    os.close(fd)
    return path


def plan_counts(**counts: Any) -> PlanCounts:
    """Counts of a plan, 0 where not given."""
    return PlanCounts(**{**{field.name: 0 for field in fields(PlanCounts)}, "reasons": {}, **counts})


def shard_counts(posts: int, **counts: Any) -> ShardCounts:
    """Counts of a post shard, 0 where not given."""
    return ShardCounts(**{**dict(posts=posts, images=0, faults=0, lost=0, reasons={}), **counts})
