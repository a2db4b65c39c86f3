"""A hundred shards in one call: memory stays flat, and a kill loses the shard in hand alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.formats.units import shard_name
from postmill.shards.run import publish, temporary
from postmill.shards.run.folder import Run
from postmill.shards.runtime.pace import Contents
from postmill.shards.runtime.progress import Advance, Silent

ROOT = Path(__file__).parents[2]
ENCODE = """
import sys
from pathlib import Path
from postmill.encode.stage import encode_run
from postmill.shards.run.folder import open_run
encode_run(open_run(Path(sys.argv[1])), encoders=["image"], models="light", device="cpu")
"""


class Watched(Silent):
    """Progress that notes the memory, in bytes, of this process and those that prepare pictures, at each shard."""

    def __init__(self) -> None:
        self.resident: list[int] = []

    @contextmanager
    def track(
        self, label: str, total: int | None, unit: str = "", before: int = 0, contents: Contents | None = None
    ) -> Iterator[Advance]:
        def advance(n: int, held: int = 0) -> None:
            mine = Path("/proc/self/task").glob("*/children")
            started = [pid for children in mine for pid in children.read_text().split()]
            forked = [pid for one in started for pid in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
            pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in ("self", *started, *forked)]
            self.resident.append(sum(pages) * os.sysconf("SC_PAGE_SIZE"))

        yield advance


@pytest.fixture
def run(make_run: Callable[..., Run], make_record: Callable[..., Any], make_jpeg: Callable[..., bytes]) -> Run:
    """A hundred shards of two posts, each with 2 MB of text that no other has."""

    def post(n: int) -> tuple[Any, list[bytes]]:
        return make_record(f"k{n}", caption=f"{n} bread ", comments=f"{n} " * 300_000), [make_jpeg(n)] * 2

    return make_run([[post(n), post(n + 1)] for n in range(0, 200, 2)])


@pytest.mark.parametrize("encoder", ["text", "image"])
def test_memory_is_flat(run: Run, encoder: str) -> None:
    watched = Watched()
    (summary,) = encode_run(run, encoders=[encoder], models="light", device="cpu", workers=2, progress=watched).encoders
    assert summary.done == len(watched.resident) == 100
    # The least of each stretch: a batch read ahead, 38 MB, may be in hand or not, but for the last shards. Within the
    # first hundred the allocator takes a step of as much (and in 400 none after that); 2 MB of each of 40 are twice it.
    assert min(watched.resident[60:90]) - min(watched.resident[20:50]) < 44 << 20


def test_a_kill_loses_the_shard_in_hand_alone(run: Run) -> None:
    publish.put_bytes(run.folder / "started", b"")
    process = subprocess.Popen([sys.executable, "-c", ENCODE, str(run.folder)], cwd=ROOT)
    folder = run.embeddings / "image.EfficientNet-Lite0"
    while process.poll() is None and not (folder / f"{shard_name(5)}.json").is_file():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (encoder,) = encoders_of(run)
    done = [embeddings.is_done(run, encoder, shard) for shard in range(100)]
    last = done.index(False)
    assert last > 5 and not any(done[last:])  # no gap: what was read ahead is of shards that were not begun
    names = {
        path.name.removeprefix(temporary.TEMPORARY).partition(".")[0] for path in folder.glob(f"{temporary.TEMPORARY}*")
    }
    assert names <= {shard_name(last)}
    (summary,) = encode_run(run, encoders=["image"], models="light", device="cpu").encoders
    assert (summary.skipped, summary.done) == (last, 100 - last)
    assert not list(folder.glob(f"{temporary.TEMPORARY}*"))
