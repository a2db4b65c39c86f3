"""Locks on files (``flock``), on file systems that have them and on those that do not.

Lustre mounted without ``flock``, an NFS server without its lock daemon, and many FUSE file systems refuse them; others
grant them to every node. So nothing relies on a lock being refused to a second holder: locks tell more than could be
told without, and where there are none that is said once and the work goes on.
"""

from __future__ import annotations

import errno
import os
from functools import lru_cache
from pathlib import Path

from postmill.shards.runtime.progress import log

_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL})


def hold(fd: int, path: Path, shared: bool = False) -> None:
    """Lock the open file ``fd`` until it is closed, waiting for those that hold it; where there are no locks, say so.

    Args:
        fd: For an exclusive lock it must be open for writing, which NFS demands.
        path: Its name, for what is said.
        shared: Whether others may hold it at the same time.
    """
    try:
        _flock(fd, shared, wait=True)
    except OSError as error:
        _say(path, error)


def is_held(fd: int, path: Path, shared: bool = False) -> bool | None:
    """Say whether somebody holds the open file ``fd``; None where there are no locks. If nobody does, it is held now.

    Args:
        fd: As for :func:`hold`.
        path: Its name, for what is said.
        shared: Ask for a shared lock only, which needs no file open for writing: told is who holds an exclusive one.
    """
    try:
        _flock(fd, shared, wait=False)
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        _say(path, error)
        return None


def check(path: Path) -> None:
    """Say so if there are no locks where the file ``path`` lies; nothing if it cannot be opened."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return
    try:
        is_held(fd, path, shared=True)
    finally:
        os.close(fd)


def _flock(fd: int, shared: bool, wait: bool) -> None:
    try:
        from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
    except ImportError as error:  # a Python that was built without
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from error
    flock(fd, (LOCK_SH if shared else LOCK_EX) | (0 if wait else LOCK_NB))


def _say(path: Path, error: OSError) -> None:
    """Say once for each file system that it has no locks.

    Raises:
        OSError: ``error``, if it is of another kind.
    """
    if error.errno not in _NO_LOCKS:
        raise error
    place = path.absolute()
    while not place.is_mount() and place != place.parent:
        place = place.parent
    _note(str(place), error.strerror or str(error))


@lru_cache(maxsize=64)
def _note(mount: str, why: str) -> None:
    log.info(
        "the file system at %s has no locks (%s): the work goes on without them; what a killed command of another "
        "machine left there is removed a day later",
        mount,
        why,
    )
