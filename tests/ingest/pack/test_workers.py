"""Work in other processes: errors come home as they are, and nobody waits for ever."""

from __future__ import annotations

import copy
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from postmill.ingest.pack.workers import WorkItem, workforce
from postmill.ingest.zipformat.space import AddressSpace, PartError, lay_out
from postmill.shards.runtime.errors import Interrupted, PostmillError, UsageError


def perform(work: Sequence[WorkItem], workers: int) -> int:
    with workforce(workers) as performed:
        return len(list(performed(work)))


def read(path: str) -> None:
    AddressSpace(lay_out([(path, 10)])).read(0, 10)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_error_of_a_part_comes_home_whole(tmp_path: Path, workers: int) -> None:
    (tmp_path / "a.z01").write_bytes(b"short")
    work = [partial(read, str(tmp_path / "a.z01"))] * 2
    with pytest.raises(PartError, match="ends at byte 5") as caught:
        perform(work, workers)
    assert caught.value.place == str(tmp_path / "a.z01") and caught.value.hint is not None


@pytest.mark.parametrize("kind", [PostmillError, UsageError])
def test_errors_survive_being_sent(kind: type[PostmillError]) -> None:
    error = copy.copy(kind("cause", place="place", hint="hint"))  # as pickle does it
    assert type(error) is kind
    assert (error.cause, error.place, error.hint, str(error)) == ("cause", "place", "hint", "place: cause")


def test_a_worker_that_was_killed_is_told_of() -> None:
    with pytest.raises(PostmillError, match="worker process was killed") as caught:
        perform([die, die, die], 3)
    assert caught.value.hint is not None and "fewer workers" in caught.value.hint


def crash() -> None:
    raise ValueError("a fault of the program")


def test_a_fault_of_the_program_is_shown_where_it_happened(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PostmillError, match="ended with exit code 1"):
        perform([crash, crash], 2)
    assert "ValueError: a fault of the program" in capfd.readouterr().err


def note(folder: Path) -> None:
    (folder / str(os.getpid())).touch()


def children() -> int:
    folders = Path("/proc").glob("[0-9]*/stat")
    parents = [int(text.rpartition(")")[2].split()[1]) for folder in folders if (text := state_of(folder))]
    return parents.count(os.getpid())


def state_of(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        return ""


def test_no_more_workers_are_started_than_there_are_cores_or_pieces(tmp_path: Path) -> None:
    before, cores = children(), len(os.sched_getaffinity(0))
    with workforce(500) as performed:
        assert children() - before <= cores
        assert len(list(performed([partial(note, tmp_path)] * (cores + 1)))) == cores + 1
        assert children() - before == cores + 1


def test_the_workers_stay_for_all_that_is_to_be_done(tmp_path: Path) -> None:
    with workforce(2) as performed:
        for _ in range(3):
            assert len(list(performed([partial(note, tmp_path)] * 5))) == 5
    assert 1 <= len(list(tmp_path.iterdir())) <= 2


def test_the_workers_load_the_module_of_their_work_before_there_is_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chores.py").write_text(f"open({str(tmp_path / 'loaded')!r}, 'w').close()")
    monkeypatch.syspath_prepend(str(tmp_path))
    with workforce(2, preload="chores"):
        while not (tmp_path / "loaded").exists():
            time.sleep(0.01)
    assert "chores" not in sys.modules


def test_a_module_that_cannot_be_loaded_beforehand_is_no_fault_of_the_work(tmp_path: Path) -> None:
    with workforce(2, preload="no.such.module") as performed:
        assert len(list(performed([partial(note, tmp_path)] * 3))) == 3


def wait_for_ever(begun: Path) -> None:
    begun.touch()
    try:
        time.sleep(10**6)
    finally:
        time.sleep(0.5)
        begun.with_name("cleaned up").touch()


def fail_after(begun: Path) -> None:
    while not begun.exists():
        time.sleep(0.01)
    raise PostmillError("it failed")


def test_when_one_fails_the_others_drop_what_is_in_hand(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    with pytest.raises(PostmillError, match="it failed"):
        perform([partial(wait_for_ever, begun), partial(fail_after, begun)], 2)
    assert (tmp_path / "cleaned up").exists()


def test_a_worker_that_is_told_to_stop_stops_all() -> None:
    with pytest.raises(Interrupted):
        perform([partial(signal.raise_signal, signal.SIGTERM)] * 3, 2)


def test_no_memory_for_workers_is_an_error_and_ends(tmp_path: Path) -> None:
    """At each limit of address space something else fails: the fork, the loader, an import, a thread."""
    program = (
        "from postmill.ingest.pack.workers import workforce\n"
        "with workforce(2) as perform:\n    list(perform([print, print]))"
    )
    outcomes = set()
    for megabytes in range(20, 1500, 120):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            timeout=60,
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_AS, (megabytes << 20, megabytes << 20)),
        )
        outcomes.add(done.returncode == 0)
    assert outcomes == {True, False}
