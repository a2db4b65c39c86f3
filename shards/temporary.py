"""Temporaries: files and folders under a name of their own, locked for as long as their writer lives.

A kill leaves temporaries behind, which :func:`sweep` tells from those of living writers by the lock.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blake3 import blake3

from shards import interrupt
from shards.manifests import FileState

TEMPORARY = ".tmp-"
_LOCK = "lock"  # in a temporary folder; locks on folders themselves are not seen by other nodes


class HashingFile:
    """A temporary file, open for appending, that knows the BLAKE3 of what was written to it.

    It holds an exclusive lock for as long as its writer lives, which is how :func:`sweep` knows a leftover.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with interrupt.held():
            self.temporary, self._fd = _create_locked(path)
            # A signal can come between any two steps of a clean-up; this removes what it left out.
            weakref.finalize(self, _remove, self.temporary)
        self._digest = blake3()
        self._written = 0
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append ``data``; return its length in bytes."""
        view = memoryview(data).cast("B")
        self._digest.update(view)
        at = 0
        while at < len(view):
            at += os.write(self._fd, view[at:])
        self._written += len(view)
        return len(view)

    def tell(self) -> int:
        """Return the number of bytes written so far."""
        return self._written

    def flush(self) -> None:
        """Do nothing: writes are not buffered here."""

    def finish(self) -> FileState:
        """Flush to disk, release, and return the length and hash."""
        os.fsync(self._fd)
        self.close()
        return FileState(self._written, self._digest.hexdigest())

    def close(self) -> None:
        """Release the file; what is under the temporary name stays."""
        if not self.closed:
            fd, self._fd, self.closed = self._fd, -1, True  # who writes later must not hit another file
            os.close(fd)

    def discard(self) -> None:
        """Release the file and remove what is under the temporary name, if anything is."""
        with interrupt.held():
            self.close()
            _remove(self.temporary)

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


def sweep(folder: Path) -> int:
    """Remove the temporaries in ``folder`` that no living writer holds; return how many there were."""
    removed = 0
    for path in folder.glob(f"{TEMPORARY}*"):
        try:
            # For writing: on NFS nothing else can be locked exclusively.
            fd = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT) if path.is_dir() else os.open(path, os.O_RDWR)
        except (FileNotFoundError, PermissionError):  # gone; another user's
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed += 1
        except BlockingIOError:
            pass  # its writer lives
        finally:
            os.close(fd)
    return removed


def _create_locked(path: Path) -> tuple[Path, int]:
    """Create and lock a temporary beside ``path``; try again if a sweep removed it before it was locked."""
    while True:
        temporary = path.with_name(f"{TEMPORARY}{path.name}-{secrets.token_hex(4)}")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            if os.fstat(fd).st_ino == temporary.stat().st_ino:
                return temporary, fd
        except FileNotFoundError:
            pass
        os.close(fd)


def _create_locked_folder(folder: Path) -> tuple[tempfile.TemporaryDirectory[str], int]:
    """Create and lock a temporary folder, as :func:`_create_locked` does a file."""
    while True:
        made = tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=folder, ignore_cleanup_errors=True)
        try:
            fd = os.open(Path(made.name) / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            made.cleanup()
            continue
        fcntl.flock(fd, fcntl.LOCK_EX)
        if Path(made.name).is_dir():
            return made, fd
        os.close(fd)
        made.cleanup()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
