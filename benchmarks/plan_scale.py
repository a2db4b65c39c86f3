"""Time and memory of `postmill plan` on 22 million entries, and of the mapping reader on files of any size.

    python benchmarks/plan_scale.py DIR             # writes 4 GB (229 GB apparent) to DIR once, then plans
    python benchmarks/plan_scale.py DIR --scale 0.1

The counts of the plan are compared with those that the writer of the dataset knows; any difference is an error. Parts
of the dataset are planned too: ten accounts, a sample of 10,000 posts, and a category with a third of the accounts. Of
these it is said how many bytes of the archives `postmill ingest` reads, by the stretches that its reader asks for.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pyarrow.parquet as pq
import zstandard

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import full_size  # noqa: E402
from postmill.ingest.pack.located import located  # noqa: E402
from postmill.ingest.source.mapping import read_mapping  # noqa: E402
from postmill.ingest.source.pinning import open_archive  # noqa: E402
from postmill.ingest.zipformat.stretches import Stretches  # noqa: E402
from postmill.shards.formats import plan as plans  # noqa: E402
from postmill.shards.formats.plan import ARCHIVES, IMAGES, METADATA  # noqa: E402
from postmill.shards.run import folder as runs  # noqa: E402


def main() -> None:
    """Write the dataset where it is not there, plan it, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--no-mapping", action="store_true", help="leave out the memory of the mapping reader")
    parser.add_argument("--only-parts", action="store_true", help="leave out the plan of everything")
    options = parser.parse_args()
    folder: Path = options.folder
    expected = dataset(folder / "data", folder / "expected.json", options.scale)
    if not options.only_parts:
        plan(folder, expected)
    accounts = (folder / "data" / "influencers.txt").read_text().splitlines()[2:]
    chosen = random.Random(0).sample(accounts, 10)
    (folder / "accounts.txt").write_text("".join(f"{row.partition(chr(9))[0]}\n" for row in chosen))
    for words in (["--accounts", str(folder / "accounts.txt")], ["--sample", "10000"], ["--category", "fashion"]):
        part(folder, words)
    if not options.no_mapping:
        mapping_memory(folder)


def dataset(data: Path, known: Path, scale: float) -> dict[str, int]:
    """Write the dataset unless it is there; return what a plan of it has to count."""
    if not known.exists():
        shutil.rmtree(data, ignore_errors=True)
        started = time.perf_counter()
        # In a process of its own: a child's peak memory is at least what its parent held when it was started.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
            counts = dataclasses.asdict(other.submit(full_size.write, data, scale).result())
        known.write_text(json.dumps(counts))
        print(f"written in {time.perf_counter() - started:.0f} s")
    parts = list(data.rglob("*.z*"))
    on_disk = sum(path.stat().st_blocks * 512 for path in data.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in parts)
    print(f"{len(parts)} parts of {size / 1e9:.1f} GB, {on_disk / 1e9:.1f} GB on disk")
    return dict(json.loads(known.read_text()))


def plan(folder: Path, expected: dict[str, int]) -> None:
    """Run the command, and print its time, memory, and the disk it used."""
    counts = planned(folder, [])
    reasons = pq.read_table(folder / "run/plan/faults.parquet", columns=["reason"])["reason"].value_counts().to_pylist()
    counts |= {row["values"]: row["counts"] for row in reasons}
    wrong = {name: (counts.get(name, 0), value) for name, value in expected.items() if counts.get(name, 0) != value}
    print(f"counts: {'all as written' if not wrong else f'WRONG (found, written): {wrong}'}")
    print({name: counts[name] for name in sorted(counts)})
    if wrong:
        sys.exit(1)


def planned(folder: Path, words: list[str]) -> dict[str, int]:
    """Plan into ``run`` with the options ``words``, print what that took, and return the counts of the plan."""
    shutil.rmtree(folder / "run", ignore_errors=True)
    command = [sys.executable, "-m", "postmill.cli", "plan", str(folder / "data"), str(folder / "run"), *words]
    seconds, peak, cpu = measured(command)
    took = f"{seconds:.1f} s, {cpu:.1f} s of processors, {peak / 1e9:.2f} GB resident at most"
    print(f"postmill plan {' '.join(words[:1])}: {took}")
    return dict(json.loads((folder / "run/plan/plan.json").read_text())["counts"])


def part(folder: Path, words: list[str]) -> None:
    """Plan a part of the dataset, and print how much of the archives is read for it."""
    counts = planned(folder, words)
    print({name: counts[name] for name in sorted(counts)})
    run = runs.open_run(folder / "run")
    for archive, pinned in ((METADATA, run.sources.metadata), (IMAGES, run.sources.images)):
        size = sum(length or 0 for _, length in pinned.parts)
        windows = plans.windows(run, archive)
        read = stretches = 0
        for window in windows:
            with open_archive(run, archive, window.first_part, window.last_part) as space:
                entries = located(space, plans.entries(run, archive, window.window))
                taken = Stretches(space, entries["offset"].to_numpy(), entries["end"].to_numpy())
            read, stretches = read + taken.size, stretches + taken.count
        print(
            f"  {ARCHIVES[archive]}: ingest reads {read:,} of {size:,} bytes ({100 * read / size:.3f} %), "
            f"{stretches:,} stretches in {len(windows):,} windows"
        )


def mapping_memory(folder: Path) -> None:
    """Print the peak memory of reading the mapping once and four times over, packed, and with CRLF."""
    plain = folder / "data" / "JSON-Image_files_mapping.txt"
    for name, times, suffix, crlf in (
        ("the mapping", 1, "", False),
        ("four times its rows", 4, "", False),
        ("gzip", 1, ".gz", False),
        ("Zstandard", 1, ".zst", False),
        ("CRLF", 1, "", True),
    ):
        path = folder / f"mapping.txt{suffix}"
        _copy(plain, path, times, crlf)
        seconds, peak, _ = measured([sys.executable, __file__, "--read-mapping", str(path)])
        print(f"{name}: {path.stat().st_size / 1e9:.2f} GB in {seconds:.1f} s, {peak / 1e6:.0f} MB resident at most")
        path.unlink()


def _copy(plain: Path, path: Path, times: int, crlf: bool) -> None:
    opened = {"": open, ".gz": gzip.open, ".zst": zstandard.open}[path.suffix if path.suffix != ".txt" else ""]
    with opened(path, "wb") as target:
        for time_ in range(times):
            with plain.open("rb") as source:
                if time_:
                    source.readline()
                while block := source.read(8 << 20):
                    target.write(block.replace(b"\n", b"\r\n") if crlf else block)


def measured(command: list[str]) -> tuple[float, int, float]:
    """Run ``command``; return its seconds, the peak resident memory of its largest process, and processor seconds."""
    started = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime


def rows(path: str) -> Iterator[tuple[int, int]]:
    """Yield the good and the bad rows of each block of a mapping file."""
    for batch, faults in read_mapping(path):
        yield batch.num_rows, len(faults)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read-mapping"]:
        good, bad = map(sum, zip(*rows(sys.argv[2]), strict=True))
        print(
            f"{good} rows, {bad} malformed, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB", end="; "
        )
    else:
        main()
