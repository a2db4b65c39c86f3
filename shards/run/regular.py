"""Files of a run, opened only if they are regular ones: a pipe would be waited for, a link may lead anywhere.

Folders likewise: one that may not be listed is an error, never an empty one.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from postmill.shards.runtime.errors import PostmillError

_LARGEST = 256 << 20  # bytes of a file that is read whole: JSON, of which no real one has a hundredth

RUN_FILE = "run.json"
"""In a run folder, and in no other."""


@contextmanager
def opened(path: Path, folder: int | None = None) -> Iterator[FileIO]:
    """Open the regular file ``path`` for reading, unbuffered.

    Args:
        path: The file.
        folder: Its folder, where that is open: a file is found by it sooner than by its whole path.

    Raises:
        PostmillError: What lies there is a folder, a link, a pipe or a device.
        FileNotFoundError: There is nothing.
        OSError: It cannot be opened.
    """
    try:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(path, flags) if folder is None else os.open(path.name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _not_regular(path) from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _not_regular(path)
    with FileIO(fd) as file:
        yield file


def length(file: FileIO) -> int:
    """Return the length of an open file in bytes."""
    return os.fstat(file.fileno()).st_size


def size(path: Path) -> int | None:
    """Return the length of the regular file ``path`` in bytes, None where there is nothing, or something else.

    Raises:
        PostmillError: It cannot be looked at: which is not to be taken for its absence.
    """
    try:
        state = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    return state.st_size if stat.S_ISREG(state.st_mode) else None


def read(path: Path) -> bytes:
    """Return the bytes of the regular file ``path``, a small one.

    Raises:
        FileNotFoundError, NotADirectoryError: There is nothing.
        ValueError: It is too large to be what is asked for.
        PostmillError: It is there, and cannot be read.
    """
    try:
        with opened(path) as file:
            if length(file) > _LARGEST:
                raise ValueError(f"it has {length(file):,} bytes")
            return file.readall() or b""
    except (PostmillError, FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise unreadable(path, error) from error


def listed(folder: Path) -> list[Path]:
    """Return what lies in ``folder``, by name; nothing where there is no such folder.

    Raises:
        PostmillError: It is there, and cannot be listed or is no folder: which is not to be taken for an empty one.
    """
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except NotADirectoryError as error:
        raise _not_regular(folder, "folder") from error
    except OSError as error:
        raise unreadable(folder, error) from error


def is_folder(path: Path) -> bool:
    """Say whether ``path`` is a folder itself, and no link to one.

    Raises:
        PostmillError: It cannot be looked at.
    """
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(path, error) from error


def folders(folder: Path, hidden: str) -> list[Path]:
    """Return the folders in ``folder``, by name, without those whose names begin with ``hidden``, and without files.

    Raises:
        PostmillError: It cannot be listed, or one of them is a link.
    """
    found = []
    for path in listed(folder):
        if path.name.startswith(hidden):
            continue
        if path.is_symlink():
            raise _not_regular(path, "folder")
        if is_folder(path):
            found.append(path)
    return found


def unreadable(path: Path, error: OSError) -> PostmillError:
    """Return what is said of a file that is there and cannot be read: never that it should be deleted."""
    return PostmillError(
        f"cannot be read: {error.strerror or error}",
        place=path,
        hint="check its permissions and the disk, then run the same command again",
    )


def _not_regular(path: Path, kind: str = "file") -> PostmillError:
    hint = "move it out of the run folder, then run the same command again"
    return PostmillError(f"is no regular {kind}", place=path, hint=hint)
