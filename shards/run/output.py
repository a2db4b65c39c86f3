"""What goes to a place of the user's own, outside any run: a file or a folder, there whole or not at all.

What is written lies under a temporary name beside it (:mod:`.temporary`), is flushed to disk and then renamed. What a
killed command left there, the next one removes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from postmill.shards.run import publish, temporary
from postmill.shards.run.temporary import HashingFile
from postmill.shards.runtime.errors import UsageError


def check_file(path: Path, suffixes: Sequence[str], option: str) -> None:
    """See, before the work, that a file can be written at ``path``.

    Args:
        path: The file; one that is there will be replaced.
        suffixes: Those that say how it is written.
        option: Which named it.

    Raises:
        UsageError: It has another suffix, is a folder, or its own folder is not there or cannot be written.
    """
    if path.suffix.lower() not in suffixes:
        raise UsageError(
            f"{path} does not end in {' or '.join(suffixes)}, which says how it is written",
            place=option,
            hint=f"such as {option} {quote(str(path.with_suffix(suffixes[0])))}",
        )
    folder = path.resolve().parent
    if not folder.is_dir():
        cause = "is a file, not a folder" if folder.exists() else "is a folder that does not exist"
        raise UsageError(f"{folder} {cause}", place=option, hint=f"make it: mkdir -p {quote(str(folder))}")
    if path.is_dir():
        raise UsageError(f"{path} is a folder", place=option, hint="name a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{folder} cannot be written by you", place=option, hint="name a file in another folder")


@contextmanager
def file(path: Path) -> Iterator[HashingFile]:
    """Give the block a file that becomes ``path``, in place of one that is there, when it ends without an exception.

    Raises:
        PostmillError: The disk is full or the folder cannot be written; what was there is there still.
    """
    target = path.resolve()  # where a link leads, which stays
    temporary.sweep(target.parent, below=False)
    with publish.writing(path):
        written = HashingFile(target)
        try:
            yield written
            written.finish()
            if target.exists():  # with the permissions that its owner gave it
                written.temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            written.temporary.replace(target)
            publish.sync_folder(target.parent)
        finally:
            written.discard()


def check_folder(path: Path) -> None:
    """See, before the work, that ``path`` can become a folder that is written whole: it is new, or empty.

    Raises:
        UsageError: It holds something, or cannot be replaced by another folder.
    """
    target = path.resolve()
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError("is a file, not a folder", place=path, hint="name a new or an empty folder")
    temporary.sweep(target, below=False)
    if any(target.iterdir()):
        raise UsageError("exists and is not empty", place=path, hint="name a new or an empty folder")
    if target.is_mount() or target == Path.cwd():  # it would be there under its name no more, or cannot be moved
        what = "a mounted disk" if target.is_mount() else "the folder you are in"
        raise UsageError(
            f"is {what}, which a folder written whole cannot replace",
            place=path,
            hint=f"name a new folder in it, such as {quote(str(path / 'new'))}",
        )


@contextmanager
def folder(path: Path) -> Iterator[Path]:
    """Give the block an empty folder that becomes ``path`` when it ends without an exception.

    Raises:
        UsageError: As of :func:`check_folder`.
        PostmillError: The disk is full or the folder cannot be written; nothing is left.
    """
    check_folder(path)
    target = path.resolve()
    if target.parent.is_dir():
        temporary.sweep(target.parent, below=False)
    with publish.writing(path), temporary.scratch(target.parent) as scratch:
        written = scratch / "whole"
        written.mkdir()
        yield written
        _sync_all(written)
        written.rename(target)
        publish.sync_folder(target.parent)


def _sync_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir():
            publish.sync_folder(path)
            continue
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    publish.sync_folder(folder)
