"""A process for each GPU: the same bytes as of one, progress in one place, one message where one fails.

There is no GPU here: the names of the cards are none's, so that in the processes, which are real, torch finds none and
computes on the CPU.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from postmill.encode import spread
from postmill.encode.gpu import visible
from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.run import temporary
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import EXIT_INTERRUPTED, Interrupted, PostmillError, UsageError
from postmill.shards.runtime.pace import Contents
from postmill.shards.runtime.progress import Advance, Silent
from tests.encode.gpu import dying

ROOT = Path(__file__).parents[3]
NONE = ("none-a", "none-b")  # which CUDA has not, so that it shows no GPU at all
ENCODERS = ["sentiment", "image", "metadata"]
COMMAND = f"""
import sys
from pathlib import Path
from postmill.encode.gpu import visible
from postmill.encode.stage import encode_run
from postmill.shards.run.folder import open_run
from postmill.shards.runtime.interrupt import interruptible
visible.visible = lambda environment: {NONE!r}
try:
    with interruptible():
        encode_run(open_run(Path(sys.argv[1])), encoders=["image"], models="light")
except BaseException as error:
    sys.exit(getattr(error, "exit_code", 1))
"""


class Told(Silent):
    """Progress that keeps what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.bars: list[tuple[str, int | None, int]] = []
        self.advanced: dict[str, list[tuple[int, int]]] = {}
        self.began: list[str] = []

    @contextmanager
    def track(
        self, label: str, total: int | None, unit: str = "", before: int = 0, contents: Contents | None = None
    ) -> Iterator[Advance]:
        if unit:
            self.bars.append((label, total, 0 if contents is None else contents.count))
        yield lambda n, held=0: self.advanced.setdefault(label, []).append((n, held))

    def note(self, message: str) -> None:
        self.notes.append(message)

    @contextmanager
    def steps(self, names: Any, alike: bool = True) -> Iterator[Callable[[str], None]]:
        yield self.began.append


@pytest.fixture
def run(make_run: Callable[..., Run], make_record: Callable[..., Any], make_jpeg: Callable[..., bytes]) -> Run:
    """Five shards of four posts."""

    def post(n: int) -> tuple[Any, list[bytes]]:
        return make_record(f"k{n}", caption=f"caption {n} " * (n % 3 + 1)), [make_jpeg(n)]

    return make_run([[post(n) for n in range(first, first + 4)] for first in range(0, 20, 4)])


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visible, "visible", lambda environment: NONE)


def contents(run: Run) -> dict[str, str]:
    files = [path for path in sorted(run.embeddings.rglob("*")) if path.is_file()]
    return {str(path.relative_to(run.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def children() -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended meanwhile
            continue
        if int(parent) == os.getpid() and state != "Z":
            found.append(int(path.parent.name))
    return found


@pytest.mark.usefixtures("two_cards")
def test_two_processes_write_what_one_does_and_are_told_as_one(run: Run) -> None:
    told = Told()
    both = encode_run(run, encoders=ENCODERS, models="light", workers=2, progress=told)
    of_two = contents(run)
    for path in sorted(run.embeddings.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    alone = encode_run(run, encoders=ENCODERS, models="light", device="cpu", workers=2)
    assert contents(run) == of_two
    assert both == alone
    assert told.began == [f"encode {name}" for name in ENCODERS]
    assert told.bars == [(f"encode {name}", 5, 20) for name in ENCODERS]
    for name in ENCODERS:
        advanced = told.advanced[f"encode {name}"]
        assert (sum(n for n, _ in advanced), sum(held for _, held in advanced)) == (5, 20)
    assert told.notes[0] == "encode: 2 GPUs (none-a, none-b), a process for each"
    assert told.notes.count("image: EfficientNet-Lite0 stands in for openai/clip-vit-base-patch32") == 1
    assert "device: the CPU, 1 threads; CUDA was not found" in told.notes  # two of cores for two processes


@pytest.mark.usefixtures("two_cards")
def test_shards_are_dealt_evenly_and_what_is_done_is_not_done_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[int]]] = []
    start = spread._start

    def watched(card: str, request: Any, threads: int) -> Any:
        asked.append((card, request["shards"]))
        return start(card, request, threads)

    monkeypatch.setattr(spread, "_start", watched)
    first = encode_run(run, encoders=["sentiment"], models="light").encoders
    assert asked == [("none-a", [0, 2, 4]), ("none-b", [1, 3])]
    before = contents(run)
    (run.embeddings / "sentiment.vaderSentiment" / "posts-000003.json").unlink()
    told = Told()
    again = encode_run(run, encoders=["sentiment"], models="light", progress=told).encoders
    assert [(s.done, s.skipped, s.posts) for s in (*first, *again)] == [(5, 0, 20), (1, 4, 20)]
    assert told.bars == [("encode sentiment", 1, 4)]
    assert contents(run) == before


@pytest.mark.usefixtures("two_cards")
@pytest.mark.parametrize("options", [{"device": "cpu"}, {"encoders": ["metadata"]}])
def test_what_needs_no_gpu_starts_no_process(run: Run, monkeypatch: pytest.MonkeyPatch, options: Any) -> None:
    monkeypatch.setattr(spread, "_start", None)
    assert encode_run(run, **{"encoders": ["text"], "models": "light", **options}).encoders[0].done == 5


@pytest.mark.usefixtures("two_cards")
def test_one_shard_starts_no_second_process(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "_start", None)
    for number in range(1, 5):
        (run.posts / f"posts-00000{number}.json").unlink()
    summary = encode_run(run, encoders=["text"], models="light")
    assert (summary.encoders[0].done, summary.waiting) == (1, 4)


@pytest.mark.usefixtures("two_cards")
def test_a_failure_is_one_message_and_the_others_end(run: Run) -> None:
    tar = run.posts / "posts-000003.tar"
    intact = tar.read_bytes()
    tar.write_bytes(intact[:2048] + bytes(len(intact) - 2048))
    with pytest.raises(PostmillError, match="its bytes are not those that the manifest states") as caught:
        encode_run(run, encoders=["image"], models="light")
    assert caught.value.place is not None and "posts-000003" in caught.value.place and caught.value.hint
    assert children() == []
    assert not list(run.embeddings.rglob(f"{temporary.TEMPORARY}*"))
    tar.write_bytes(intact)
    assert encode_run(run, encoders=["image"], models="light", device="cpu").encoders[0].posts == 20


@pytest.mark.usefixtures("two_cards")
def test_a_mistake_of_who_typed_is_one_here_too(run: Run) -> None:
    with pytest.raises(UsageError, match="there is no CUDA device"):
        encode_run(run, encoders=["text"], models="light", device="cuda")
    assert children() == []


@pytest.mark.usefixtures("two_cards")
def test_a_process_that_is_killed_is_told_of_and_the_same_call_carries_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "_CHILD", dying.__name__)
    before = set(children())
    with pytest.raises(PostmillError, match="its process was killed by signal 9") as caught:
        encode_run(run, encoders=["image"], models="light")
    assert caught.value.place == "GPU none-b" and "the same command carries on" in str(caught.value.hint)
    assert set(children()) <= before
    (encoder,) = encoders_of(run)
    done = [embeddings.is_done(run, encoder, shard) for shard in range(5)]
    assert done[1] and not any(done[2:])  # the other has not gone on
    (again,) = encode_run(run, encoders=["image"], models="light", device="cpu").encoders
    assert (again.done, again.skipped, again.posts) == (done.count(False), done.count(True), 20)
    assert not list(run.embeddings.rglob(f"{temporary.TEMPORARY}*"))


@pytest.mark.usefixtures("two_cards")
def test_a_process_that_is_told_to_stop_stops_all(run: Run) -> None:
    before = set(children())

    def stop() -> None:
        while len(born := set(children()) - before) < 2:
            time.sleep(0.01)
        os.kill(max(born), signal.SIGTERM)

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(Interrupted, match="stopped by a signal to the process of GPU none-b"):
        encode_run(run, encoders=["image"], models="light")
    stopper.join()
    assert set(children()) <= before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_command_ends_all_of_it(run: Run, number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", COMMAND, str(run.folder)], cwd=ROOT)
    folder = run.embeddings / "image.EfficientNet-Lite0"
    while process.poll() is None and not list(folder.glob("posts-*.json")):
        time.sleep(0.01)
    mine = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(number)
    assert process.wait() in (EXIT_INTERRUPTED, 0)  # it may just have been ready
    assert not [pid for pid in mine if Path(f"/proc/{pid}").exists()]
    assert not list(run.embeddings.rglob(f"{temporary.TEMPORARY}*"))


def test_a_process_ends_with_the_one_that_started_it() -> None:
    program = "import time; from postmill.encode import child; child._encode = lambda *_: time.sleep(10**6); "
    process = subprocess.Popen([sys.executable, "-c", f"{program}child.serve('1')"], cwd=ROOT, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"{}\n")
    process.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    process.stdin.close()
    assert process.wait(60) == EXIT_INTERRUPTED


def test_a_signal_of_the_terminal_is_for_the_parent_to_answer() -> None:
    program = "import time; from postmill.encode import child; "
    program += "child._encode = lambda r, told: (told.note('here'), time.sleep(10**6)); child.serve('1')"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"{}\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline()) == {"what": "note", "message": "here"}
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.terminate()
    assert process.wait(60) == EXIT_INTERRUPTED


def test_a_fault_of_the_program_and_want_of_memory_are_told_apart(capfd: pytest.CaptureFixture[str]) -> None:
    asked: dict[str, Any] = {"shards": [], "encoders": [], "run": str(ROOT)}  # which is no run
    with pytest.raises(UsageError, match="no run"):
        spread.encode_on(NONE, asked, [1, 2], 1, Silent())
    with pytest.raises(PostmillError, match="ended with exit code 1"):
        spread.encode_on(NONE, {}, [1, 2], 1, Silent())
    assert "KeyError" in capfd.readouterr().err
    with pytest.raises(MemoryError):
        spread._take(spread._Child("0", None, 0), {"what": "memory"}, set(), Silent())  # type: ignore[arg-type]
