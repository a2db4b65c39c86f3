"""Files behind addresses: how long one is, a range of it, all of it front to back, and what is said where that fails.

A server that refuses for the moment, a connection that breaks, a body that is cut short and silence are waited for
(:mod:`.patience`), wherever in a file they come. That a file is not there is believed only of a server that says so.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from io import UnsupportedOperation
from threading import Event
from types import TracebackType
from typing import Self

from postmill.ingest.remote import http, stores
from postmill.ingest.remote.answers import WORTH_WAITING, Answer, Meaning, answer, request_errors
from postmill.ingest.remote.patience import Patience
from postmill.shards.runtime.errors import PostmillError

_AT_ONCE = 8 << 20  # bytes of a range of a text file
_AGAIN = "check the network and run the same command again: it carries on"


class RequestError(PostmillError, OSError):
    """What lies behind an address cannot be had."""

    def __init__(self, cause: str, *, place: str, hint: str | None = None, errno: int | None = None) -> None:
        super().__init__(cause, place=place, hint=hint)
        self.errno = errno


class Forbidden(RequestError):
    """Whoever asks must say who they are, or may not read it. Object stores say so of what is not there, too."""


class SizeUnknown(RequestError):
    """The file is there, and the server does not say how large it is."""


def size(url: str) -> int | None:
    """Return how many bytes the file at ``url`` has; None if there is no such file.

    Raises:
        Forbidden: It may not be read.
        SizeUnknown: The server does not say.
        UsageError: A package is missing that the protocol takes, or nobody knows the protocol.
        RequestError: It cannot be asked for.
    """
    patience = Patience(url)
    while True:
        try:
            stated = http.size(url) if stores.is_http(url) else stores.size(url)
        except PostmillError:
            raise
        except request_errors() as error:
            said = answer(error)
            if said.meaning is Meaning.ABSENT:
                return None
            if said.meaning not in WORTH_WAITING or not patience.wait(said):
                raise _error(url, said, "cannot be reached") from error
        else:
            if stated is None:
                raise SizeUnknown(
                    "the server does not say how large the file is", place=url, hint="download the files first"
                )
            return stated


def listed(url: str) -> list[tuple[str, int | None]]:
    """Return the addresses of what lies in the folder at ``url``, with the bytes of each where that is said.

    Raises:
        UsageError: A package is missing that the protocol takes, or nobody knows the protocol.
        RequestError: It cannot be listed, as most folders of HTTP servers cannot.
    """
    try:
        return stores.names(url)
    except PostmillError:
        raise
    except request_errors() as error:
        raise _error(url, answer(error), "cannot be listed") from error


def read_into(
    url: str,
    position: int,
    into: memoryview,
    arrived: Callable[[int], None] | None = None,
    stop: Event | None = None,
    size: int | None = None,
) -> int:
    """Fill ``into`` from byte ``position`` of a file; return how many bytes came, fewer only where the file ends.

    Args:
        url: The file.
        position: In bytes.
        into: Where to; what has come stays there whatever happens then.
        arrived: Told of bytes as they come, in another thread.
        stop: Set when they are wanted no more.
        size: Of the file, in bytes, if that is known: another one is an error where the answer says it, as HTTP does.

    Raises:
        Forbidden, UsageError, RequestError: As :func:`size`; or the file is another one than it was.
        Stopped: ``stop`` was set.
    """
    done = 0
    patience = Patience(url, stop)

    def count(more: int) -> None:
        nonlocal done
        done += more
        if arrived is not None:
            arrived(more)

    while done < len(into):
        before = done
        try:
            if stores.is_http(url):
                http.read(url, position + done, into[done:], count, size, stop)
            else:
                content = stores.read(url, position + done, len(into) - done, stop)
                if len(content) > len(into) - done:
                    raise RequestError(
                        f"{len(into) - done} bytes were asked for and {len(content)} came",
                        place=url,
                        hint="the server does not serve ranges: download the files first",
                    )
                into[done : done + len(content)] = content
                count(len(content))
            if done == before:
                return done
            patience.progressed()
        except PostmillError:
            raise
        except http.Changed as error:
            hint = "the file changed or was cut short; fetch it again"
            raise RequestError(f"{error}; it had {size:,} when it was found", place=url, hint=hint) from error
        except request_errors() as error:
            said = answer(error)
            if done > before:
                patience.progressed()
            if said.meaning not in WORTH_WAITING or not patience.wait(said):
                raise _error(url, said, f"cannot be fetched from byte {position + done}") from error
    return done


def open_stream(url: str) -> RemoteFile:
    """Open a file to read it front to back; closed by its ``with``."""
    return RemoteFile(url)


class RemoteFile:
    """A file behind an address, read front to back in one request as long as that holds; then from where it broke."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._position = 0
        self._total: int | None = None
        self._stream: http.Stream | None = None
        self._kept = b""  # of the beginning, which may be looked at first
        self._put_back = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def seek(self, position: int) -> int:
        """Go back to the beginning, after the first look at the file.

        Raises:
            UnsupportedOperation: Elsewhere, or when more has been read.
        """
        if position or self._position > len(self._kept):
            raise UnsupportedOperation("a file behind an address is read front to back")
        self._put_back = self._kept
        return 0

    def read(self, size: int = -1) -> bytes:
        """Return the next ``size`` bytes, fewer only at the end.

        Raises:
            Forbidden, UsageError, RequestError: As :func:`size`; or the file became another one meanwhile.
        """
        pieces = []
        while size and (piece := self._put_back[: size if size > 0 else None] or self._next(size)):
            pieces.append(piece)
            self._put_back = self._put_back[len(piece) :]
            size -= len(piece) if size > 0 else 0
        return b"".join(pieces)

    def _next(self, size: int) -> bytes:
        patience = Patience(self._url)
        while True:
            try:
                piece = self._from_server(_AT_ONCE if size < 0 else min(size, _AT_ONCE))
            except PostmillError:
                raise
            except request_errors() as error:
                self._close()
                said = answer(error)
                if said.meaning not in WORTH_WAITING or not patience.wait(said):
                    raise _error(self._url, said, f"cannot be read at byte {self._position}") from error
            else:
                if not self._position:
                    self._kept = piece
                self._position += len(piece)
                return piece

    def _from_server(self, most: int) -> bytes:
        if not stores.is_http(self._url):
            if self._total is None:
                self._total = size(self._url)
                if self._total is None:
                    raise FileNotFoundError(errno.ENOENT, "there is no such file")
            content = memoryview(bytearray(min(most, self._total - self._position)))
            return bytes(content[: read_into(self._url, self._position, content)])
        if self._stream is None:
            self._stream = http.Stream(self._url, self._position)
            if self._total is not None and self._stream.total not in (None, self._total):
                raise RequestError("became another file while it was read", place=self._url, hint=_AGAIN)
            self._total = self._stream.total
        return self._stream.read(most)

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _error(url: str, said: Answer, what: str) -> RequestError:
    """Return what a user is told of a request that is not made again."""
    if said.meaning is Meaning.DENIED:
        return Forbidden(f"may not be read: {said.words}", place=url, hint=stores.who(url), errno=errno.EACCES)
    if said.meaning is Meaning.ABSENT:
        return RequestError("there is no such file", place=url, hint="check the address", errno=errno.ENOENT)
    if said.meaning is Meaning.HOPELESS:
        hint = "check the address; or download the files first"
        return RequestError(f"{what}: {said.words}", place=url, hint=hint)
    asked = f", and asks to come again in {said.retry_after:,.0f} s" if said.retry_after else ""
    return RequestError(f"{what}: {said.words}{asked}", place=url, hint=_AGAIN)
