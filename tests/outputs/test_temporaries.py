"""Whose temporary it is: its name says so, and nobody deletes another's, with locks or without."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from postmill.shards.run import publish, temporary
from postmill.shards.run.temporary import HashingFile
from postmill.shards.runtime import locks
from postmill.shards.runtime.processes import Process, this_process
from tests.machine.needs import needs

DAY_S = 24 * 3600
DEAD = 2**22 + 1  # above the largest number that Linux gives to a process
ERRNOS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)


@pytest.fixture(autouse=True)
def as_if_nothing_was_said() -> None:
    locks._note.cache_clear()


def refuse(code: int) -> Callable[..., None]:
    def flock(fd: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    return flock


def grant(fd: int, operation: int) -> None:
    """Grant every lock, as to a process of another node."""


@pytest.fixture(params=["working", *ERRNOS, "missing", "of one node"])
def lock_functions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    """What `flock` does: as here, refuse with an errno, not be there, or be granted to everybody."""
    if isinstance(request.param, int):
        monkeypatch.setattr(fcntl, "flock", refuse(request.param))
    elif request.param == "missing":
        monkeypatch.delattr(fcntl, "flock")
    elif request.param == "of one node":
        monkeypatch.setattr(fcntl, "flock", grant)
    return request.param


def left(folder: Path, writer: Process, age_s: float = 0.0, of: str = "posts-000001.tar") -> Path:
    """A temporary that ``writer`` has left, untouched for ``age_s`` seconds."""
    path = folder / f".tmp-{of}-{writer.machine}-{writer.pid}-{writer.start}-0123abcd"
    path.write_bytes(b"half")
    then = time.time() - age_s
    os.utime(path, (then, then))
    return path


def elsewhere(pid: int = 1) -> Process:
    return Process("other_node.0123abcd", pid, 77)


def dead() -> Process:
    return this_process()._replace(pid=DEAD)


def recycled() -> Process:
    """A process of this machine whose number has gone to a later one: this one."""
    return this_process()._replace(start=this_process().start + 1)


@pytest.mark.usefixtures("lock_functions")
@pytest.mark.parametrize("writer", [dead, recycled])
def test_what_a_dead_process_of_this_machine_left_is_removed(tmp_path: Path, writer: Callable[[], Process]) -> None:
    left(tmp_path, writer())
    assert temporary.sweep(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("lock_functions")
def test_what_a_living_process_writes_stays_however_old_it_is(tmp_path: Path) -> None:
    path = left(tmp_path, this_process(), age_s=9 * DAY_S)
    assert temporary.sweep(tmp_path) == 0
    assert path.exists()


@pytest.mark.usefixtures("lock_functions")
@pytest.mark.parametrize(("age_s", "removed"), [(0, 0), (DAY_S - 60, 0), (DAY_S + 60, 1)])
def test_what_lies_there_of_another_machine_is_removed_after_a_day(tmp_path: Path, age_s: int, removed: int) -> None:
    left(tmp_path, elsewhere(), age_s)
    assert temporary.sweep(tmp_path) == removed


def test_what_another_machine_has_locked_stays(tmp_path: Path) -> None:
    path = left(tmp_path, elsewhere(), 2 * DAY_S)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert temporary.sweep(tmp_path) == 0
    assert temporary.sweep(tmp_path) == 1


@pytest.mark.usefixtures("lock_functions")
def test_a_folder_of_another_machine_is_as_old_as_what_was_last_written_in_it(tmp_path: Path) -> None:
    folder = tmp_path / ".tmp-scratch-other_node.0123abcd-7-7-abcd_123"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "data").touch()
    os.utime(folder, (0, 0))
    os.utime(folder / "below", (0, 0))
    assert temporary.sweep(tmp_path) == 0
    os.utime(folder / "below" / "data", (0, 0))
    assert temporary.sweep(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [".tmp-notes", ".tmp-posts-000001.tar-01234567", ".tmp-a-b.c-0-1-0123abcd"])
def test_what_only_looks_like_a_temporary_is_let_be(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    os.utime(tmp_path / name, (0, 0))
    assert temporary.sweep(tmp_path) == 0


def test_a_link_with_the_name_of_a_temporary_is_not_followed(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis").touch()
    (tmp_path / f".tmp-x-{dead().machine}-{DEAD}-1-0123abcd").symlink_to(mine)
    temporary.sweep(tmp_path)
    assert [path.name for path in mine.iterdir()] == ["thesis"]


@pytest.mark.usefixtures("lock_functions")
def test_temporaries_of_folders_right_below_are_swept_unless_the_folder_is_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "faults").mkdir()
    left(tmp_path / "faults", dead())
    assert temporary.sweep(tmp_path, below=False) == 0
    assert temporary.sweep(tmp_path) == 1


@pytest.mark.usefixtures("lock_functions")
def test_a_unit_is_published_and_leaves_nothing(tmp_path: Path) -> None:
    with publish.unit(tmp_path, "unit", "f" * 64) as unit:
        unit.file("a.bin").write(b"hello")
        with temporary.scratch(tmp_path) as scratch:
            assert temporary.sweep(tmp_path) == 0
            assert scratch.is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "unit.json"]


@pytest.mark.usefixtures("lock_functions")
def test_what_is_in_hand_is_told_by_the_process_or_by_a_recent_touch(tmp_path: Path) -> None:
    assert temporary.is_in_hand(left(tmp_path, this_process(), DAY_S))
    assert not temporary.is_in_hand(left(tmp_path, dead()))
    assert temporary.is_in_hand(left(tmp_path, elsewhere()))
    assert not temporary.is_in_hand(left(tmp_path, elsewhere(), 3600))


def test_the_name_says_what_it_will_be_and_who_writes_it(tmp_path: Path) -> None:
    for name in ("posts-000001.tar", "a-b-1-2-0123abcd", "x" * 250, "é" * 120 + ".csv"):
        file = HashingFile(tmp_path / name)
        assert len(os.fsencode(file.temporary.name)) < 255
        of = temporary.written_name(file.temporary.name)
        assert of is not None and os.fsencode(name).startswith(os.fsencode(of))
        assert temporary._writer(file.temporary) == this_process()
        file.discard()


@pytest.mark.parametrize("code", ERRNOS)
def test_that_there_are_no_locks_is_said_once_with_the_file_systems_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse(code))
    caplog.set_level("INFO")
    for number in range(3):
        publish.put_bytes(tmp_path / str(number), b"x")
    mount = next(str(place) for place in (tmp_path, *tmp_path.parents) if place.is_mount())
    (said,) = caplog.messages
    assert f"the file system at {mount} has no locks ({os.strerror(code)})" in said


def test_another_error_of_a_lock_is_no_want_of_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        HashingFile(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF])
def test_a_folder_that_cannot_be_flushed_is_borne(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    flush = os.fsync

    def fsync(fd: int) -> None:
        if Path(f"/proc/self/fd/{fd}").is_dir():
            raise OSError(code, os.strerror(code))
        flush(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    publish.put_bytes(tmp_path / "a", b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


SHIM = """
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/file.h>
/* Refuses with the errno NO_LOCKS, or grants everything where that is 0. */
int flock(int fd, int operation) {
    const char *code = getenv("NO_LOCKS");
    errno = code ? atoi(code) : ENOSYS;
    return errno ? -1 : 0;
}
"""


@needs("cc")
@pytest.mark.parametrize("code", [*ERRNOS, 0])
def test_a_system_call_that_refuses_locks_or_grants_all_is_borne(tmp_path: Path, code: int) -> None:
    (tmp_path / "shim.c").write_text(SHIM)
    library = tmp_path / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "shim.c"], check=True)
    folder = tmp_path / "folder"
    folder.mkdir()
    living = left(folder, elsewhere())
    left(folder, dead())
    program = (
        "import logging, sys; from pathlib import Path; from postmill.shards.run import publish, temporary\n"
        "logging.basicConfig(level=logging.INFO)\n"
        "folder = Path(sys.argv[1])\n"
        "print(temporary.sweep(folder))\n"
        "with publish.unit(folder, 'unit', 'f' * 64) as unit: unit.file('a.bin').write(b'x')"
    )
    environment = {**os.environ, "LD_PRELOAD": str(library), "NO_LOCKS": str(code)}
    words = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert done.stderr.count("has no locks") == (code != 0)
    assert sorted(path.name for path in folder.iterdir()) == [living.name, "a.bin", "unit.json"]
