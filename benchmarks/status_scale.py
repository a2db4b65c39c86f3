"""How long `postmill status` takes on a run of many post shards: `python benchmarks/status_scale.py [SHARDS] [FAULTY]`.

Writes a run folder with the real manifests' fields and empty data files, of which FAULTY shards have faults, with five
encoders done for half of the shards, a writer at work and 200 records of tasks, then times reading
it within a process and the whole command: medians of five.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from postmill.shards.formats import faults, plan
from postmill.shards.formats.encoders import Encoder, pin_encoder
from postmill.shards.formats.units import SPOOL_SUFFIX, image_spool, metadata_spool, shard_name
from postmill.shards.run import manifests, publish, sealed, temporary
from postmill.shards.run.folder import Run
from postmill.shards.run.manifests import FileState, Manifest
from postmill.shards.state import attempts, status
from postmill.shards.state.tasks import Task
from tests.runs import new_run, plan_counts

ENCODERS = ("text", "text-with-comments", "sentiment", "image", "metadata")
REPEATS = 5


def done(run: Run, folder: Path, name: str, names: Iterable[str], **info: object) -> None:
    """Put a unit with the empty files ``names`` into ``folder``, without the flushes of the real thing."""
    for each in names:
        (folder / each).touch()
    files = {each: FileState(0, "0" * 64) for each in names}
    counts = {"posts": 12000, "images": 13000, "faults": 3 if info.get("faults") else 0, "lost": 2}
    manifest = Manifest(name, run.fingerprint, files, counts, info, {"plan": "0" * 64, "spool": "0" * 64})
    (folder / f"{name}.json").write_bytes(sealed.json_bytes(manifests.to_json(manifest)))


def planned(run: Run, shards: int) -> None:
    """Write the plan: four in five shards are windows', the others spanning."""
    local = shards * 4 // 5
    window = dict(first_part=0, last_part=0, entries=12000, spools=True)
    windows = [dict(archive=plan.METADATA, window=n, start=n, end=n + 1, shard=None) | window for n in range(160)]
    windows += [dict(archive=plan.IMAGES, window=n, start=n, end=n + 1, shard=n) | window for n in range(local)]
    kinds = [("window", n) if n < local else ("spanning", None) for n in range(shards)]
    table = [
        dict(shard=n, kind=kind, window=made_by, posts=12000, images=13000, image_bytes=1 << 28, last_part=0)
        for n, (kind, made_by) in enumerate(kinds)
    ]
    with publish.unit(run.plan, plan.NAME, run.fingerprint) as unit:
        unit.table("windows.parquet", pa.Table.from_pylist(windows, schema=plan.WINDOWS))
        unit.table("shards.parquet", pa.Table.from_pylist(table, schema=plan.SHARDS))
        unit.table("faults.parquet", pa.table({"reason": pa.array(["no_image"] * 100_000, pa.string())}))
        plan_counts(shards=shards, lost=100_000, faults=100_000, reasons={"no_image": 100_000}).put(unit)


def make(folder: Path, shards: int, faulty: int) -> Run:
    """Write the run folder."""
    run = new_run(folder)
    planned(run, shards)
    for each in (run.spool, run.posts, run.posts / faults.FOLDER):
        each.mkdir()
    for n in range(160):
        done(run, run.spool, metadata_spool(n), [f"{metadata_spool(n)}{SPOOL_SUFFIX}"])
    for n in range(shards * 4 // 5):
        done(run, run.spool, image_spool(n), [f"{image_spool(n)}{SPOOL_SUFFIX}"])
    for n in range(shards):
        reasons = {"no_image": 2, "image_damaged": 1} if n < faulty else {}
        names = [f"{shard_name(n)}{suffix}" for suffix in (".tar", ".idx", ".parquet")]
        done(run, run.posts, shard_name(n), names + [faults.shard_file(n)] * bool(reasons), faults=reasons)
    for name in ENCODERS:
        encoder = Encoder(name, "light", "model", "1", "", "float32", 384, "float16", (), (), True, "", {})
        pinned = pin_encoder(run, encoder)
        for n in range(shards // 2):
            names = [f"{shard_name(n)}{suffix}" for suffix in (".npy", ".parquet")]
            done(run, pinned, shard_name(n), names, encoder=encoder.fingerprint)
    for n in range(200):
        with attempts.recorded(run, "windows", Task(n, 1000), {"host": "n", "job": f"1_{n}"}):
            pass
    return run


def timed(run: Run) -> Iterator[tuple[float, float]]:
    """Yield the seconds by the clock and of the processor of each of REPEATS calls within a process."""
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        status.read(run)
        yield time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Make the folder, time, print."""
    shards = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    faulty = int(sys.argv[2]) if len(sys.argv) > 2 else shards
    with tempfile.TemporaryDirectory() as parent:
        run = make(Path(parent) / "run", shards, faulty)
        writer = temporary.HashingFile(run.embeddings / "image.model" / f"{shard_name(shards - 1)}.npy")
        inside = list(timed(run))
        command = [sys.executable, "-m", "postmill.cli", "status", str(run.folder), "--json"]
        whole = []
        for _ in range(REPEATS):
            begun = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            whole.append(time.perf_counter() - begun)
        writer.close()
    table = Table("post shards", "with faults", "manifests", "read, s", "of which CPU, s", "command, s")
    manifests = 160 + shards * 4 // 5 + shards + len(ENCODERS) * (shards // 2)
    numbers = [f"{n:,}" for n in (shards, faulty, manifests)]
    table.add_row(*numbers, *(f"{statistics.median(each):.2f}" for each in (*zip(*inside, strict=True), whole)))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
