"""Files of a run read and checked: no byte of them is used that is not the one that the manifest states.

A byte that rotted, was cut off or came from elsewhere ends in a message that names the file and what mends it.
"""

from __future__ import annotations

import io
import os
from functools import lru_cache
from pathlib import Path
from shlex import quote

from blake3 import blake3

from postmill.shards.run import manifests, regular
from postmill.shards.run.manifests import BLOCK, FileState
from postmill.shards.runtime.errors import PostmillError

_HALF = 16  # bytes of a block's hash


class BlockHashes:
    """The hashes of the blocks of a file that is written front to back."""

    def __init__(self) -> None:
        self._hashes: list[str] = []
        self._digest = blake3()
        self._room = BLOCK  # bytes that the block still lacks

    def update(self, view: memoryview) -> None:
        """Take the bytes that come next."""
        while len(view):
            piece = view[: self._room]
            self._digest.update(piece)
            self._room -= len(piece)
            view = view[len(piece) :]
            if not self._room:
                self._next()

    def finish(self) -> tuple[str, ...]:
        """Return the hash of each block; the last may be shorter."""
        if self._room < BLOCK:
            self._next()
        return tuple(self._hashes)

    def _next(self) -> None:
        self._hashes.append(self._digest.hexdigest(_HALF))
        self._digest, self._room = blake3(), BLOCK


class CheckedFile(io.RawIOBase):
    """A file that is read in places, each block of it checked when it is read.

    Args:
        path: The file.
        state: What its manifest states, with blocks.
        command: What makes the file anew, for the message.

    Raises:
        PostmillError: It is missing, cannot be read, or has another length.
    """

    def __init__(self, path: Path, state: FileState, command: str) -> None:
        super().__init__()
        self._path, self._state, self._command = path, state, command
        self._position = 0
        self._kept: tuple[int, bytes] = (-1, b"")  # the block read last, which the next read often begins in
        try:
            with regular.opened(path) as file:
                size, self._fd = regular.length(file), os.dup(file.fileno())
        except OSError as error:
            raise unusable(path, error, command) from error
        if size != state.bytes:
            self.close()
            raise damaged(path, f"{size} bytes, the manifest says {state.bytes}", command)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to ``offset``; return the new position."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._state.bytes}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """Fill ``buffer`` from the position on; return how many bytes there were.

        Raises:
            PostmillError: A block does not hold what the manifest states, or cannot be read.
        """
        view = memoryview(buffer).cast("B")
        wanted = max(0, min(len(view), self._state.bytes - self._position))
        filled = 0
        while filled < wanted:
            number, within = divmod(self._position, BLOCK)
            piece = self._block(number)[within : within + wanted - filled]
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._position += len(piece)
        return filled

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._fd)
        super().close()

    def _block(self, number: int) -> bytes:
        if self._kept[0] != number:
            try:
                content = os.pread(self._fd, BLOCK, number * BLOCK)
            except OSError as error:
                raise regular.unreadable(self._path, error) from error
            if blake3(content).hexdigest(_HALF) != self._state.blocks[number]:
                what = f"what begins at byte {number * BLOCK} is not what the manifest states"
                raise damaged(self._path, what, self._command)
            self._kept = number, content
        return self._kept[1]


class HashedStream(io.RawIOBase):
    """A stream that is read front to back and knows the length and BLAKE3 of what has been read.

    Args:
        stream: What is read; who gives it closes it.
    """

    def __init__(self, stream: io.RawIOBase) -> None:
        super().__init__()
        self._stream = stream
        self._digest = blake3()
        self._length = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """Fill ``buffer`` with what comes next; return how many bytes there were."""
        view = memoryview(buffer).cast("B")
        length = self._stream.readinto(view) or 0
        self._digest.update(view[:length])
        self._length += length
        return length

    def finish(self) -> tuple[int, str]:
        """Read what is left, and return the length in bytes and the BLAKE3 of all."""
        block = bytearray(BLOCK)
        while self.readinto(block):
            pass
        return self._length, self._digest.hexdigest()


def read(path: Path, state: FileState, command: str) -> bytes:
    """Return the bytes of ``path``, which are those that its manifest states.

    Args:
        path: The file.
        state: What the manifest states.
        command: What makes the file anew, for the message.

    Raises:
        PostmillError: It is missing, damaged, or cannot be read.
    """
    try:
        with regular.opened(path) as file:
            content = file.readall() or b""
    except OSError as error:
        raise unusable(path, error, command) from error
    if len(content) != state.bytes:
        raise damaged(path, f"{len(content)} bytes, the manifest says {state.bytes}", command)
    if blake3(content).hexdigest() != state.blake3:
        raise damaged(path, "BLAKE3 differs from the manifest's", command)
    return content


def check(path: Path, state: FileState, command: str) -> None:
    """See that ``path`` holds what its manifest states, once in the life of this process for each file.

    Raises:
        PostmillError: As of :func:`read`.
    """
    try:
        status = path.stat()
        what = _difference(path, state, (status.st_ino, status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise unusable(path, error, command) from error
    if what:
        raise damaged(path, what, command)


def damaged(path: Path, what: str, command: str) -> PostmillError:
    """Return what is said of a file that does not hold what its manifest states."""
    return PostmillError(f"is damaged: {what}", place=path, hint=anew(path, command))


def unusable(path: Path, error: OSError, command: str) -> PostmillError:
    """Return what is said of a file that is missing or cannot be read."""
    if isinstance(error, FileNotFoundError):
        return PostmillError("is missing", place=path, hint=anew(path, command))
    return regular.unreadable(path, error)


def anew(path: Path, command: str) -> str:
    """Return the commands that remove ``path`` and have it made anew by ``command``."""
    return f"rm -f -- {quote(str(path))}; {command}"


@lru_cache(maxsize=1 << 16)
def _difference(path: Path, state: FileState, _: tuple[int, int, int]) -> str:
    return manifests.difference(path, state)
