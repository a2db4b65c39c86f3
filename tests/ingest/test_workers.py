"""Work in other processes: errors come home as they are, and nobody waits for ever."""

from __future__ import annotations

import copy
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from ingest.space import AddressSpace, PartError, lay_out
from ingest.workers import perform
from shards.errors import PostmillError, UsageError


def read(path: str) -> None:
    AddressSpace(lay_out([(path, 10)])).read(0, 10)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_error_of_a_part_comes_home_whole(tmp_path: Path, workers: int) -> None:
    (tmp_path / "a.z01").write_bytes(b"short")
    work = [partial(read, str(tmp_path / "a.z01"))] * 2
    with pytest.raises(PartError, match="ends at byte 5") as caught:
        list(perform(work, workers))
    assert caught.value.place == str(tmp_path / "a.z01") and caught.value.hint is not None


@pytest.mark.parametrize("kind", [PostmillError, UsageError])
def test_errors_survive_being_sent(kind: type[PostmillError]) -> None:
    error = copy.copy(kind("cause", place="place", hint="hint"))  # as pickle does it
    assert type(error) is kind
    assert (error.cause, error.place, error.hint, str(error)) == ("cause", "place", "hint", "place: cause")


def test_a_worker_that_was_killed_is_told_of() -> None:
    with pytest.raises(PostmillError, match="worker process was killed") as caught:
        list(perform([die, die, die], 3))
    assert caught.value.hint is not None and "fewer workers" in caught.value.hint
