"""Standard output and standard error that neither a character nor a full disk can end a command by surprise."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import BinaryIO, TextIO

from postmill.shards.runtime.errors import PostmillError


class _Output(io.FileIO):
    """Standard output: what cannot be written ends the command in words."""

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # any buffer
        """Write ``data``; return how many bytes were.

        Raises:
            PostmillError: They cannot be.
            BrokenPipeError: Whoever read has enough.
        """
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _unwritable(error.strerror or str(error)) from error


class _Messages(io.FileIO):
    """Standard error: what cannot be written there is dropped, for there is no place left to say so."""

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # any buffer
        """Write ``data``, or do not; return its length."""
        try:
            return super().write(data)
        except OSError:
            return len(data)


def prepare() -> None:
    """Put streams in the place of Python's own that replace characters which the terminal's encoding lacks."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # else it is closed
        sys.stdout = _stream(sys.stdout, _Output, "replace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = _stream(sys.stderr, _Messages, "backslashreplace")


def flush() -> None:
    """Write out what standard output holds.

    Raises:
        PostmillError: It cannot be written.
        BrokenPipeError: Whoever read has enough.
    """
    if sys.stdout is not None:
        sys.stdout.flush()


def finish() -> None:
    """Write out what standard output holds, or drop it, so that the end of the process does not try it again."""
    try:
        flush()
    except (PostmillError, BrokenPipeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def emit(data: bytes) -> None:
    """Write ``data`` to standard output as it is: the same in every locale.

    Raises:
        PostmillError: It cannot be written.
        BrokenPipeError: Whoever read has enough.
    """
    binary().write(data)


def binary() -> BinaryIO:
    """Return standard output for bytes.

    Raises:
        PostmillError: It is closed, or what was printed before cannot be written.
    """
    if sys.stdout is None:
        raise _unwritable("it is closed")
    sys.stdout.flush()  # what was printed before comes before
    return sys.stdout.buffer


def _unwritable(why: str) -> PostmillError:
    """Return what is said where standard output cannot be written."""
    return PostmillError(
        f"cannot be written: {why}",
        place="standard output",
        hint="free some space, or send it to another place, then run the same command again",
    )


def _stream(stream: io.TextIOWrapper, kind: Callable[[int, str], io.FileIO], errors: str) -> TextIO:
    """Return ``stream`` with another bottom."""
    stream.flush()
    buffer = io.BufferedWriter(kind(os.dup(stream.fileno()), "wb"))
    return io.TextIOWrapper(buffer, stream.encoding, errors, newline="\n", line_buffering=stream.line_buffering)
