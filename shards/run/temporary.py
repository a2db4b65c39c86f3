"""Temporaries: files and folders under a name of their own, which says who writes them.

A kill leaves temporaries behind. :func:`sweep` tells them from those of living writers: on this machine by the process,
which the name states; of those of other machines it takes only what nobody has touched for a day. Writers hold a lock
too, and what is locked stays, but no lock is relied upon: a file system may have none, or grant one to every node.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blake3 import blake3

from postmill.shards.run.checked import BlockHashes
from postmill.shards.run.manifests import FileState
from postmill.shards.runtime import interrupt, locks
from postmill.shards.runtime.processes import Process, this_process

TEMPORARY = ".tmp-"
SCRATCH = "scratch"  # what a temporary folder says it will be
_NAME = re.compile(
    r"\.tmp-(?P<of>.+)-(?P<machine>[\w.]+)-(?P<pid>[1-9]\d{0,9})-(?P<start>\d{1,20})-[a-z0-9_]{8}", re.ASCII | re.DOTALL
)
_NAME_BYTES = 120  # of the name that the file will have, in the temporary's, which may have 255
_LOCK = "lock"  # in a temporary folder; locks on folders themselves are not seen by other nodes
_OLD_S = 24 * 3600  # since anybody touched a temporary of another machine; no clocks differ by so much
_RECENT_S = 10 * 60  # likewise, within which it is taken to be written still


class HashingFile:
    """A temporary file, open for appending, that knows the BLAKE3 of what was written to it.

    It holds an exclusive lock for as long as its writer lives, where there are locks.

    Args:
        path: The name that it will have.
        in_places: Whether it will be read in places, and needs a hash of each block.
        held: Whether it is in memory until :meth:`put_down`: a small one that need not be written if it is there.
    """

    def __init__(self, path: Path, in_places: bool = False, *, held: bool = False) -> None:
        self.path = path
        self._held = bytearray() if held else None
        if held:
            self.temporary, self._fd = new_path(path), -1
        else:
            self._create()
        self._digest = blake3()
        self._blocks = BlockHashes() if in_places else None
        self._written = 0
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append ``data``; return its length in bytes."""
        view = memoryview(data).cast("B")
        self._digest.update(view)
        if self._blocks is not None:
            self._blocks.update(view)
        if self._held is None:
            self._append(view)
        else:
            self._held += view
        self._written += len(view)
        return len(view)

    def put_down(self) -> None:
        """Write what is held in memory, if it is, under the temporary name, and flush it to disk."""
        if self._held is not None:
            content, self._held = self._held, None
            self._create()
            self.closed = False
            self._append(memoryview(content))
            os.fsync(self._fd)
            self.close()

    def tell(self) -> int:
        """Return the number of bytes written so far."""
        return self._written

    def flush(self) -> None:
        """Do nothing: writes are not buffered here."""

    def finish(self) -> FileState:
        """Flush to disk, release, and return the length and hash."""
        if self._held is None:
            os.fsync(self._fd)
        self.close()
        blocks = () if self._blocks is None else self._blocks.finish()
        return FileState(self._written, self._digest.hexdigest(), blocks)

    def close(self) -> None:
        """Release the file; what is under the temporary name stays."""
        if not self.closed:
            fd, self._fd, self.closed = self._fd, -1, True  # who writes later must not hit another file
            if fd >= 0:
                os.close(fd)

    def discard(self) -> None:
        """Release the file and remove what is under the temporary name, if anything is."""
        with interrupt.held():
            self.close()
            if self._held is None:
                _remove(self.temporary)

    def _create(self) -> None:
        with interrupt.held():
            self.temporary, self._fd = _create_locked(self.path)
            # A signal can come between any two steps of a clean-up; this removes what it left out.
            weakref.finalize(self, _remove, self.temporary)

    def _append(self, view: memoryview) -> None:
        written = 0
        while written < len(view):
            written += os.write(self._fd, view[written:])

    def readable(self) -> bool:
        """Return False: this file is written only."""
        return False

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return False: hashing goes front to back."""
        return False


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Give the block a temporary folder inside ``folder``, which is made where absent.

    It is locked like a temporary file, and removed at the end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with interrupt.held():
        made, fd = _create_locked_folder(folder)
    try:
        yield Path(made.name)
    finally:
        with interrupt.held():
            made.cleanup()
            os.close(fd)


def new_path(path: Path) -> Path:
    """Return a name that is still free, of a temporary that will become ``path``: beside it, and saying who writes."""
    return path.with_name(f"{_prefix(path.name)}{secrets.token_hex(4)}")


def written_name(name: str) -> str | None:
    """Return the name that the temporary ``name`` is to have, or its beginning; None for what only looks like one."""
    match = _NAME.fullmatch(name)
    return None if match is None else match["of"]


def is_in_hand(path: Path) -> bool:
    """Say whether somebody writes the temporary ``path``.

    On this machine its process tells. Of other machines' it is what somebody holds, or has touched within ten minutes,
    for where locks are of one node alone, or are none, that is all there is to see.
    """
    writer = _writer(path)
    if writer is None:
        return False
    if writer.is_here:
        return writer.lives
    try:
        return _is_held(path, shared=True) is True or _untouched(path) < _RECENT_S
    except OSError:  # gone meanwhile, or another user's
        return False


def sweep(folder: Path, below: bool = True) -> int:
    """Remove the temporaries in ``folder`` that no living writer has; return how many there were.

    What cannot be removed, as another user's or on a read-only file system, is let be: it does no harm there.

    Args:
        folder: The folder.
        below: Also those in the folders right below it.
    """
    removed = 0
    for path in [*folder.glob(f"{TEMPORARY}*"), *(folder.glob(f"*/{TEMPORARY}*") if below else ())]:
        try:
            if _is_leftover(path):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
                removed += 1
        except OSError:
            continue
    return removed


def _is_leftover(path: Path) -> bool:
    """Say whether the temporary ``path`` has no writer any more.

    Raises:
        OSError: It is gone, or cannot be looked at.
    """
    writer = _writer(path)
    if writer is None or (writer.lives if writer.is_here else _untouched(path) < _OLD_S):
        return False
    return _is_held(path) is not True


def _prefix(name: str) -> str:
    of = os.fsdecode(os.fsencode(name)[:_NAME_BYTES])
    writer = this_process()
    return f"{TEMPORARY}{of}-{writer.machine}-{writer.pid}-{writer.start}-"


def _writer(path: Path) -> Process | None:
    """Return who writes, or wrote, the temporary ``path``; None for what only looks like one, which is let be."""
    match = _NAME.fullmatch(path.name)
    return None if match is None else Process(match["machine"], int(match["pid"]), int(match["start"]))


def _untouched(path: Path) -> float:
    """Return for how many seconds nobody has written to a temporary, or to anything in it.

    Raises:
        OSError: It is gone, or cannot be looked at.
    """
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return time.time() - max(file.lstat().st_mtime for file in files)


def _is_held(path: Path, shared: bool = False) -> bool | None:
    """Say whether somebody has locked a temporary; None where there are no locks.

    Raises:
        OSError: It is gone, cannot be opened, or is neither file nor folder.
    """
    locked = path / _LOCK if stat.S_ISDIR(path.lstat().st_mode) else path
    try:
        fd = os.open(locked, (os.O_RDONLY if shared else os.O_RDWR) | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False  # a folder whose writer was killed before the lock was there
    try:
        return locks.is_held(fd, path, shared)
    finally:
        os.close(fd)


def _create_locked(path: Path) -> tuple[Path, int]:
    """Create and lock a temporary beside ``path``."""
    temporary = new_path(path)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        locks.hold(fd, temporary)
    except BaseException:
        os.close(fd)
        _remove(temporary)
        raise
    return temporary, fd


def _create_locked_folder(folder: Path) -> tuple[tempfile.TemporaryDirectory[str], int]:
    """Create and lock a temporary folder."""
    made = tempfile.TemporaryDirectory(prefix=_prefix(SCRATCH), dir=folder, ignore_cleanup_errors=True)
    try:
        fd = os.open(Path(made.name) / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            locks.hold(fd, Path(made.name))
        except BaseException:
            os.close(fd)
            raise
    except BaseException:
        made.cleanup()
        raise
    return made, fd


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
