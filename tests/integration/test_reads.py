"""What the kernel saw of plan and ingest: every source byte read once, front to back, and nothing set aside in vain."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from postmill.ingest.zipformat.stretches import GAP
from postmill.shards.formats import plan
from postmill.shards.formats.places import offset_of, part_of
from postmill.shards.formats.plan import IMAGES, METADATA
from postmill.shards.run import folder as runs
from tests.datasets import info, write_dataset
from tests.machine.needs import needs

COMMAND = [sys.executable, "-m", "postmill.cli"]
READS = "openat,close,dup,dup2,dup3,fcntl,read,readv,pread64,preadv,preadv2,lseek,mmap,sendfile,splice,copy_file_range"
# A call in strace's words; one that another thread interrupts is put together again from its two halves.
CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)")
HALF = re.compile(r"^(?P<pid>\d+) +(?P<begin>.*) <unfinished \.\.\.>$")
REST = re.compile(r"^(?P<pid>\d+) +<\.\.\. \w+ resumed>(?P<end>.*)$")
FILE = re.compile(r"^\d+<(?P<path>[^>]*)>")
ONCE = (1 << 20) + 200_000  # the end of an archive, which tells it from others, and the heads and ends of its parts

pytestmark = needs("strace")


@dataclass(frozen=True)
class Read:
    """One call that read ``length`` bytes of ``path`` at ``offset``, by process or thread ``pid``."""

    pid: int
    path: Path
    offset: int
    length: int


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some hundred posts, a tenth of them carousels, of 65 MB of pictures stored on parts of 8 MB."""
    noise = random.Random(11)
    root = tmp_path_factory.mktemp("reads") / "data"
    infos, pictures, rows = {}, {}, []
    for n in range(1300):
        images = [f"{n}_{i}.jpg" for i in range(noise.randint(2, 4) if n % 10 == 0 else 1)]
        rows.append(("ann", str(n), images))
        comments = [{"node": {"text": noise.randbytes(9).hex()}} for _ in range(40)]
        infos[f"ann-{n}.info"] = info(str(n), edge_media_to_parent_comment={"count": 40, "edges": comments})
        pictures.update({f"ann-{image}": noise.randbytes(noise.randrange(30_000, 60_000)) for image in images})
    scattered = [dict(noise.sample(list(files.items()), len(files))) for files in (infos, pictures)]
    write_dataset(root, *scattered, rows, options=["-s", "8m"], metadata_options=["-s", "128k"])
    return root


def trace(log: Path, *arguments: str) -> list[Read]:
    """Run a command of postmill under strace; return its reads of files, in order."""
    command = ["strace", "-f", "-y", "-qq", "-s", "0", "-e", f"trace={READS}", "-o", str(log), *COMMAND, *arguments]
    subprocess.run(command, check=True, capture_output=True)
    return list(reads(log))


def reads(log: Path) -> Iterator[Read]:
    """Parse what strace wrote. A call on a descriptor whose position is kept is an error here: nothing may use one."""
    begun: dict[str, str] = {}
    positions: dict[tuple[str, str], int] = defaultdict(int)
    for line in log.read_text(errors="replace").splitlines():
        if half := HALF.match(line):
            begun[half["pid"]] = f"{half['pid']} {half['begin']}"
            continue
        if (rest := REST.match(line)) and rest["pid"] in begun:
            line = begun.pop(rest["pid"]) + rest["end"]
        call = CALL.match(line)
        if call is None or int(call["result"]) < 0:
            continue
        result, arguments = int(call["result"]), call["arguments"]
        file = FILE.match(arguments)
        if file is None:
            continue
        path, key = Path(file["path"]), (call["pid"], arguments.split(">")[0])
        if call["name"] in ("pread64", "preadv", "preadv2"):
            offset = int(arguments.split(", ")[-1 if call["name"] != "preadv2" else -2])
            yield Read(int(call["pid"]), path, offset, result)
        elif call["name"] == "lseek":
            positions[key] = result
        elif call["name"] in ("read", "readv"):
            yield Read(int(call["pid"]), path, positions[key], result)
            positions[key] += result
        elif call["name"] == "close":
            positions.pop(key, None)
        elif call["name"] in ("sendfile", "splice", "copy_file_range"):
            raise AssertionError(f"bytes that this test does not count: {line}")


def of_archive(calls: list[Read], source: Path) -> list[Read]:
    folders = {source / "Post_images", source / "Post_metadata"}
    return [read for read in calls if read.path.parent in folders]


@pytest.fixture(scope="module")
def traced(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Read]]]:
    """A run, and the reads of its plan and of each stage of its ingest."""
    folder = tmp_path_factory.mktemp("traced")
    run = folder / "run"
    calls = {"plan": trace(folder / "plan.log", "plan", str(source), str(run), "--shard-size", "4")}
    for stage in ("metadata", "windows", "spanning"):
        calls[stage] = trace(folder / f"{stage}.log", "ingest", str(run), "--stage", stage)
    return run, calls


def test_every_source_byte_is_read_once(source: Path, traced: tuple[Path, dict[str, list[Read]]]) -> None:
    _, calls = traced
    for folder, stage in (("Post_metadata", "metadata"), ("Post_images", "windows")):
        size = sum(part.stat().st_size for part in (source / folder).iterdir())
        read = sum(r.length for name in ("plan", stage) for r in calls[name] if r.path.parent == source / folder)
        assert size * 0.99 < read < size + ONCE
        if size > 50 * ONCE:
            assert read <= 1.02 * size
    assert not of_archive(calls["spanning"], source)


def test_windows_are_read_front_to_back(source: Path, traced: tuple[Path, dict[str, list[Read]]]) -> None:
    run, calls = traced
    opened = runs.open_run(run)
    for archive, folder, stage in ((METADATA, "Post_metadata", "metadata"), (IMAGES, "Post_images", "windows")):
        starts, start = {}, 0
        pinned = opened.sources.metadata if archive == METADATA else opened.sources.images
        for name, size in pinned.parts:
            starts[source / folder / name], start = start, start + size
        windows = plan.windows(opened, archive)
        assert len(windows) > 3
        passed = [(starts[r.path] + r.offset, r.length) for r in calls[stage] if r.path in starts]
        begins = list(starts.values())
        for window in windows:
            start, end = (begins[part_of(place)] + offset_of(place) for place in (window.start, window.end))
            inside = [(offset, n) for offset, n in passed if start <= offset < end and n > 1000]
            assert sum(length for _, length in inside) >= end - start - 2000
            reached = start
            for offset, length in inside:
                assert offset >= reached - (1 << 20), f"{reached - offset} bytes back in window {window.window}"
                reached = max(reached, offset + length)


def test_the_spool_holds_the_metadata_and_the_pictures_of_spanning_posts_alone(
    traced: tuple[Path, dict[str, list[Read]]],
) -> None:
    run, _ = traced
    opened = runs.open_run(run)
    entries = pq.read_table(opened.plan / "entries.parquet").to_pylist()
    spanning = {shard.shard for shard in plan.shards(opened) if shard.kind == "spanning"}
    aside = [row for row in entries if row["archive"] == METADATA or row["shard"] in spanning]
    spools = list(opened.spool.glob("*.spool"))
    framing = 28 * len(aside) + len(spools) * (8 + 24) + 24 * len(spools) * len(plan.shards(opened))
    data = sum(row["compressed_size"] for row in aside)
    assert any(row["archive"] == IMAGES for row in aside)
    assert data < sum(spool.stat().st_size for spool in spools) <= data + framing


def test_spools_are_read_once_a_piece_at_a_time(traced: tuple[Path, dict[str, list[Read]]]) -> None:
    run, calls = traced
    spools = sum(spool.stat().st_size for spool in (run / "spool").glob("*.spool"))
    shards = len(plan.shards(runs.open_run(run)))
    index = shards * sum(1 for _ in (run / "spool").glob("*.spool")) * (24 + 24 * shards)
    read = sum(r.length for name in ("windows", "spanning") for r in calls[name] if r.path.suffix == ".spool")
    assert spools * 0.9 <= read <= spools + index


def test_of_a_sample_no_more_is_read_than_its_posts_and_short_gaps(source: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trace(tmp_path / "plan.log", "plan", str(source), str(run), "--sample", "20")
    calls = trace(tmp_path / "ingest.log", "ingest", str(run))
    entries = sorted(
        {(row["archive"], row["window"], row["offset"], row["end"]) for row in read_entries(run)},
    )
    for archive, folder in ((METADATA, "Post_metadata"), (IMAGES, "Post_images")):
        wanted = gaps = reached = 0
        for _, _, offset, end in (entry for entry in entries if entry[0] == archive):
            gaps += offset - reached if 0 < offset - reached <= GAP else 0
            wanted, reached = wanted + end - offset, end
        read = sum(r.length for r in calls if r.path.parent == source / folder)
        size = sum(part.stat().st_size for part in (source / folder).iterdir())
        assert wanted <= read <= wanted + gaps
        assert archive == METADATA or read < size / 20


def read_entries(run: Path) -> list[dict[str, int]]:
    columns = ["archive", "window", "offset", "end"]
    return list(pq.read_table(run / "plan" / "entries.parquet", columns=columns).to_pylist())
