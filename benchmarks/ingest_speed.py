"""How fast the windows of a picture archive become post shards, against what else one could use on the same files.

    python benchmarks/ingest_speed.py DIR                    # 300,000 posts; DIR on a disk with 70 GB free
    python benchmarks/ingest_speed.py DIR --posts 20000 --memory /dev/shm

Both archives are written by Info-ZIP as split zips, once with stored and once with deflated pictures.
All commands read the same files from the page cache, in turn, and the best of the repeats counts. All have one core,
processes and threads together, but for postmill with two workers. Compared are

- `cp` of the parts,
- reading, BLAKE3 and writing of the parts, a MiB at a time: what no program that hashes can be faster than,
- `cat PARTS | bsdtar -cf - @- >FILE`: conversion alone,
- `7z x` of the joined zip: conversion alone, into files,
- zipfile and webdataset.TarWriter over the joined zips, row after row of the mapping: what one would write,
- `postmill ingest --stage windows`, which reads the same pictures, and also joins, checks every CRC-32, hashes and
  parses the metadata,
- `postmill plan` and all stages of `postmill ingest`: what zipfile and TarWriter are like.

bsdtar and 7z do nothing about metadata, whose parsing has lines of its own. Three datasets of each method:

- `carousels`: ten pictures a post that lie together, as in an archive sorted by account, and the smallest metadata that
  makes a post. This is what a picture costs, and like set against like.
- `least`: the dataset's mix, 94 % of posts with one picture, in random order, with the smallest metadata.
- `full`: the same with metadata of the true size.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.ingest_data import full_info, least_info, make
from postmill.ingest.source.post_fields import complete_record, parse_info
from postmill.shards.formats.posts import record_json, records_table

CLI = [sys.executable, "-m", "postmill.cli"]
SHARD = "64"  # MB: small enough that two workers have many windows each, as of a whole archive

_JOIN_AND_WRITE = """
import ast, os, sys, zipfile
import webdataset
root, target = sys.argv[1:]
metadata, images = zipfile.ZipFile(f"{root}/info.zip"), zipfile.ZipFile(f"{root}/image.zip")
with open(f"{root}/JSON-Image_files_mapping.txt") as mapping, webdataset.TarWriter(f"{target}/all.tar") as tar:
    next(mapping)
    for line in mapping:
        account, info, listed = line.rstrip("\\n").split("\\t")
        sample = {"__key__": info.removesuffix(".info"), "json": metadata.read(f"info/{account}-{info}")}
        for number, name in enumerate(ast.literal_eval(listed)):
            sample[f"{number}.jpg"] = images.read(f"image/{account}-{name}")
        tar.write(sample)
"""

_READ_HASH_WRITE = """
import blake3, sys
digest, block = blake3.blake3(), memoryview(bytearray(1 << 20))
with open(sys.argv[1], "wb", buffering=0) as target:
    for part in sys.argv[2:]:
        with open(part, "rb", buffering=0) as source:
            while count := source.readinto(block):
                digest.update(block[:count])
                target.write(block[:count])
"""

# In a process of its own, which is small: a child's peak begins with what its parent had in memory.
_MEASURE = """
import os, subprocess, sys, time
cores, *command = sys.argv[1:]
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-int(cores):])
started = time.perf_counter()
process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print([time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024])
code = os.waitstatus_to_exitcode(status)
sys.exit(128 - code if code < 0 else code)
"""


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    seconds: float
    processor: float
    peak: int


def main() -> None:
    """Make the datasets where they are not there, run everything, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--posts", type=int, default=300_000)
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"), help="a folder in memory, for outputs")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="what the title of a table must contain")
    options = parser.parse_args()
    work: Path = options.folder
    parsing(options.repeats)
    for method in ("stored", "deflated"):
        for kind in ("carousels", "least", "full"):
            data = work / f"{method}-{kind}"
            for folder in (options.memory, work):
                title = f"{method}, {kind}, {folder}"
                if options.only not in title:
                    continue
                if not (data / "image.zip").exists():
                    make(data, options.posts, method, kind)
                compare(data, folder / "postmill-speed", title, options.repeats)


def parsing(repeats: int) -> None:
    """Print how fast the bytes of ``.info`` files become records, records and their JSON, and rows of a table."""
    for make_info in (full_info, least_info):
        rng = random.Random(0)
        infos = [make_info(rng, 10**18 + i) for i in range(4000)]
        records = [_record(info) for info in infos]
        steps: dict[str, Callable[[], object]] = {
            "to record": lambda: deque(map(_record, infos), 0),  # noqa: B023
            "to record and its JSON": lambda: deque((record_json(_record(info)) for info in infos), 0),  # noqa: B023
            "from record to a row of the table": lambda: records_table(records),  # noqa: B023
        }
        print(f".info of {sum(map(len, infos)) / len(infos) / 1e3:.1f} kB, posts/s on one core", end="")
        for label, step in steps.items():
            print(f"; {label}: {len(infos) / min(_timed(step) for _ in range(repeats)):,.0f}", end="")
        print()


def _record(info: bytes) -> dict[str, object]:
    return complete_record(parse_info(info)[0], "key", "post", "account", None, ["1.jpg"], [])


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(data: Path, target: Path, title: str, repeats: int) -> None:
    """Run every command in turn, ``repeats`` times, and print the best of each with its ratio to bsdtar's."""
    parts = sorted(map(str, (data / "Post_images").iterdir()))
    size = sum(Path(part).stat().st_size for part in parts)
    run = target / "run"
    plan = [*CLI, "plan", str(data), str(run), "--shard-size", SHARD]
    ingest = [*CLI, "ingest", str(run), "--workers"]
    both = 'count=$1; shift; "${@:1:$count}" && shift $count && "$@"'
    commands = {
        "cp": ["cp", *parts, str(target)],
        "read, BLAKE3, write": [sys.executable, "-c", _READ_HASH_WRITE, str(target / "all"), *parts],
        "bsdtar": [
            "bash",
            "-c",
            'out=$1; shift; cat "$@" | bsdtar -cf - @- >"$out"',
            "-",
            str(target / "all.tar"),
            *parts,
        ],
        "7z x": ["7z", "x", "-y", "-bd", f"-o{target}", str(data / "image.zip")],
        "zipfile + TarWriter": [sys.executable, "-c", _JOIN_AND_WRITE, str(data), str(target)],
        "postmill's windows, 1 worker": [*ingest, "1", "--stage", "windows"],
        "postmill's windows, 2 workers": [*ingest, "2", "--stage", "windows"],
        "postmill plan and ingest, 1 worker": ["bash", "-c", both, "-", str(len(plan)), *plan, *ingest, "1"],
        "postmill plan and ingest, 2 workers": ["bash", "-c", both, "-", str(len(plan)), *plan, *ingest, "2"],
    }
    best: dict[str, Cost] = {}
    entries = 0
    for _ in range(repeats):
        for name, command in commands.items():
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            if "windows" in name:
                measured(plan)
                measured([*ingest, "2", "--stage", "metadata"])
                counts = orjson.loads((run / "plan/plan.json").read_bytes())["counts"]
                entries = counts["images_entries"]
            cost = measured(command, 2 if "2 workers" in name else 1)
            if name not in best or cost.seconds < best[name].seconds:
                best[name] = cost
    shutil.rmtree(target)
    print(f"\n{title}: {entries:,} pictures, {size / 1e6:,.0f} MB")
    print("| command | s | processor s | pictures/s | MB/s | peak MB |", end="")
    print(" bsdtar's processor s / its | zipfile's s / its |")
    print("|---|---|---|---|---|---|---|---|")
    for name, cost in best.items():
        print(
            f"| {name} | {cost.seconds:.2f} | {cost.processor:.2f} | {entries / cost.seconds:,.0f} "
            f"| {size / cost.seconds / 1e6:,.0f} | {cost.peak / 1e6:,.0f} "
            f"| {best['bsdtar'].processor / cost.processor:.2f} "
            f"| {best['zipfile + TarWriter'].seconds / cost.seconds:.2f} |"
        )


def measured(command: list[str], cores: int = 2) -> Cost:
    """Run ``command`` quietly on ``cores``; processor time is of all its processes, peak memory of the largest."""
    with tempfile.TemporaryFile() as errors:
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, f"{cores}", *command], stdout=subprocess.PIPE, stderr=errors
        )
        if done.returncode:
            errors.seek(0)
            sys.exit(f"{command[:6]} ended with {done.returncode}: {errors.read().decode()[-500:]}")
    return Cost(*orjson.loads(done.stdout))


if __name__ == "__main__":
    main()
