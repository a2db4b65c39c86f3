"""A whole run with every kind of file, and ways to spoil one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postmill.encode.stage import encode_run
from postmill.ingest.pack.stages import ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.source.layout import discover
from postmill.shards.run import folder as runs
from postmill.shards.run import secret
from postmill.shards.run.options import Options
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.state.verify import Discrepancy, verify
from postmill.train.report.page import write_report
from postmill.train.stage import train_run


def everything(source: Path, folder: Path) -> None:
    """Do the whole job, with two encoders (vectors, scalars alone) and one model."""
    run, _ = make_plan(discover(str(source)), folder, Options(shard_bytes=1 << 20))
    for _ in ingest(run):
        pass
    encode_run(run, encoders=["metadata", "sentiment"], models="light", device="cpu")
    train_run(run, names=["followers"])
    write_report(run)


def discrepancies(folder: Path) -> list[Discrepancy]:
    return list(verify(runs.open_run(folder)))


def named(folder: Path) -> set[Path]:
    """The files that verify names, or that opening the run refuses."""
    try:
        return {discrepancy.path for discrepancy in discrepancies(folder)}
    except PostmillError as error:
        return {Path(str(error.place))}


def files(folder: Path) -> list[Path]:
    """The files that a manifest states, and the manifests; no log."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != secret.FILE)
    return [path for path in paths if "logs" not in path.relative_to(folder).parts]


def digests(folder: Path) -> dict[Path, str]:
    return {path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest() for path in files(folder)}


def one_of_each_kind(folder: Path) -> list[Path]:
    """One file of each kind: the last of each folder with its suffix, and for spools with its prefix."""
    kinds = {}
    for path in files(folder):
        prefix = path.name.partition("-")[0] if path.parent.name in ("posts", "spool") else path.parent
        single = path.name if path.parent.name in ("plan", "followers", "report", "run") else ""
        kinds[prefix, single, path.name.partition(".")[2]] = path
    return list(kinds.values())


def replace(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)


@contextmanager
def spoilt(path: Path, content: bytes | None) -> Iterator[None]:
    """Give `path` other content for the block, or none."""
    held = path.read_bytes() if path.exists() else None
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    yield
    path.unlink(missing_ok=True)
    if held is not None:
        path.write_bytes(held)
