"""Files of HTTP servers: how long one is, a range of it, and all of it front to back.

Ranges are read into the memory that they are for, and what has come stays where a connection breaks. What comes
compressed, or is another range than was asked for, is refused: its bytes would be taken for others.

aiohttp makes the requests, in the thread that fsspec has for such things; a proxy of the environment and ``~/.netrc``
are minded. Redirects are followed here, so that headers that a user gave go to the server that they are for alone.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import wait
from contextlib import asynccontextmanager
from functools import partial
from threading import Event
from typing import Any, TypeVar
from urllib.request import getproxies, proxy_bypass

from postmill.ingest.remote import headers, stores
from postmill.ingest.remote.answers import Refused, Unusable, request_errors
from postmill.ingest.remote.patience import Stopped

CONNECT_S, READ_S = 30.0, 60.0  # how long a server may take to be connected to, and to send the next byte
_LEAST = 1 << 10  # bytes within READ_S: a server that sends fewer of a range has stopped but for a sign of life
_BUFFER = 1 << 20  # bytes that a connection may be ahead of who reads
_MOST_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LOOK_S = 0.2  # how often a request looks whether it is still wanted
_AS_IT_IS = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
_SPAN = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")  # RFC 9110, section 14.4

Result = TypeVar("Result")
Arrived = Callable[[int], None]  # told of bytes as they come


class Changed(Exception):
    """The file has another size, in bytes, than it had."""

    def __init__(self, size: int) -> None:
        super().__init__(f"has {size:,} bytes")


def size(url: str) -> int | None:
    """Return how many bytes the file at ``url`` has; None if the server does not say.

    Raises:
        Refused, OSError, ClientError: As :mod:`.answers` tells them apart.
    """
    return _run(partial(_size, url))


def read(
    url: str, position: int, into: memoryview, arrived: Arrived, size: int | None, stop: Event | None = None
) -> None:
    """Read from byte ``position`` on into memory; a server may send less than asked for.

    Raises:
        Changed: The file has not ``size`` bytes.
        Unusable: The server does not serve ranges, or sends something else.
        Stopped: ``stop`` was set.
        Refused, OSError, ClientError: As :mod:`.answers` tells them apart; ``arrived`` was told of what came before.
    """
    _run(partial(_read, url, position, into, arrived, size), stop)


class Stream:
    """One request for a file from byte ``position`` to its end, read as it comes."""

    def __init__(self, url: str, position: int) -> None:
        self._response, self.total = _run(partial(_begin, url, position))

    def read(self, most: int) -> bytes:
        """Return the next bytes, ``most`` of them unless the file ends."""
        return _run(partial(_next, self._response, most))

    def close(self) -> None:
        """Drop the connection."""
        stores.loop("http").call_soon_threadsafe(self._response.close)


def _file_system(environment: bool = True) -> Any:
    """Return the keeper of connections; ``environment`` is whether ``~/.netrc`` and proxies are minded by aiohttp."""
    options = {"trust_env": environment, "read_bufsize": _BUFFER, "auto_decompress": False}
    return stores.file_system("http", client_kwargs=options)


def _proxy(scheme: str, host: str) -> str | None:
    return None if proxy_bypass(host) else getproxies().get(scheme)


def _run(work: Callable[[], Coroutine[Any, Any, Result]], stop: Event | None = None) -> Result:
    """Do ``work`` in fsspec's thread; a signal, or ``stop``, ends it."""
    loop = stores.loop("http")
    future = asyncio.run_coroutine_threadsafe(work(), loop)
    try:
        while not wait([future], _LOOK_S).done:
            if stop is not None and stop.is_set():
                raise Stopped
        return future.result()
    finally:
        future.cancel()


@asynccontextmanager
async def _asked(url: str, **fields: str) -> AsyncIterator[Any]:
    """Ask for a file, and follow where it is sent; a status that is an error is raised."""
    response = await _sent(url, **fields)
    try:
        if response.status >= 300:
            raise Refused(response.status, response.headers)
        yield response
    finally:
        response.close() if not response.content.at_eof() else response.release()


async def _sent(url: str, **fields: str) -> Any:
    from aiohttp import ClientResponseError, ClientTimeout
    from yarl import URL

    limits = ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S)
    own = dict(headers.in_force())
    target = first = URL(url, encoded=_AS_IT_IS.fullmatch(url) is not None)
    for _ in range(_MOST_REDIRECTS):
        sent = {**own, **fields, "Accept-Encoding": "identity"}
        options: dict[str, Any] = {"headers": sent, "timeout": limits, "allow_redirects": False}
        named = any(name.lower() == "authorization" for name in own)
        if named:  # which aiohttp refuses to send beside what the address, or a .netrc, has
            target = target.with_user(None)
            options["proxy"] = _proxy(target.scheme, target.host or "")
        session = await _file_system(environment=not named).set_session()
        try:
            response = await session.get(target, **options)
        except ClientResponseError as error:  # which has status 400, as if the server had said so
            raise Unusable(f"the answer is no HTTP that can be read: {error.message}") from None
        if response.status not in _REDIRECTS or "Location" not in response.headers:
            return response
        response.release()
        to = response.headers["Location"]
        try:
            target = target.join(URL(to, encoded=_AS_IT_IS.fullmatch(to) is not None))
        except ValueError:
            raise Unusable("is redirected to what is no address") from None
        if target.scheme not in ("http", "https"):
            raise Unusable(f"is redirected to an address of {target.scheme}, which is not followed")
        if target.origin() != first.origin():
            own = {}
        elif target.user is None:
            target = target.with_user(first.user).with_password(first.password)
    raise Unusable(f"is redirected more than {_MOST_REDIRECTS} times")


async def _size(url: str) -> int | None:
    """Ask for the first byte: what is said to HEAD is another answer at times, or a refusal of HEAD alone."""
    try:
        async with _asked(url, Range="bytes=0-0") as response:
            span = _SPAN.fullmatch(response.headers.get("Content-Range", ""))
            if response.status == 206 and span is not None:
                return None if span[3] == "*" else int(span[3])
            return _length(response)
    except Refused as refusal:
        if refusal.status == 416:
            return 0
        raise


def _length(response: Any) -> int | None:
    """Return the length that a server states, if it is that of the file and not of what it compressed."""
    stated: str = response.headers.get("Content-Length", "")
    return int(stated) if stated.isdecimal() and not _compressed(response) else None


def _compressed(response: Any) -> bool:
    return response.headers.get("Content-Encoding", "identity") not in ("identity", "")


async def _read(url: str, position: int, into: memoryview, arrived: Arrived, size: int | None) -> None:
    last = position + len(into) - 1
    try:
        async with _asked(url, Range=f"bytes={position}-{last}") as response:
            _refuse_compressed(response)
            stated: str | None = response.headers.get("Content-Range")
            span = _SPAN.fullmatch(stated or "")
            if response.status != 206:
                if position or response.content_length != len(into):
                    raise Unusable("the server does not serve ranges")
            elif stated is None and response.content_length == len(into):
                pass  # a server, or what stands before it, that leaves the header out
            elif span is None or span[1] is None or int(span[1]) != position:
                raise Unusable(f"bytes {position}-{last} were asked for, and others came")
            elif size is not None and span[3] != "*" and int(span[3]) != size:
                raise Changed(int(span[3]))
            done = 0
            async for piece in _pieces(response):
                if len(piece) > len(into) - done:
                    raise Unusable(f"{len(into)} bytes were asked for, and more came")
                into[done : done + len(piece)] = piece
                done += len(piece)
                arrived(len(piece))
    except Refused as refusal:
        if refusal.status != 416:  # the file ends before that byte
            raise


async def _pieces(response: Any) -> AsyncIterator[bytes]:
    """Yield what comes as it comes.

    Raises:
        TimeoutError: Hardly anything comes.
    """
    came, since = 0, time.monotonic()
    async for piece in response.content.iter_any():
        yield piece
        came += len(piece)
        if time.monotonic() - since >= READ_S:
            if came < _LEAST:
                raise TimeoutError
            came, since = 0, time.monotonic()


async def _begin(url: str, position: int) -> tuple[Any, int | None]:
    """Return an answer whose body begins at byte ``position``, and the length of the whole file if it is known."""
    response = await _sent(url, **({"Range": f"bytes={position}-"} if position else {}))
    try:
        if response.status >= 300:
            raise Refused(response.status, response.headers)
        _refuse_compressed(response)
        span = _SPAN.fullmatch(response.headers.get("Content-Range", ""))
        if response.status == 206:
            if span is None or span[1] is None or int(span[1]) != position:
                raise Unusable(f"the file from byte {position} on was asked for, and something else came")
            return response, None if span[3] == "*" else int(span[3])
        while position:  # a server without ranges sends it all again
            piece = await response.content.read(min(position, _BUFFER))
            if not piece:
                raise Unusable("the file has become shorter while it was read")
            position -= len(piece)
        return response, _length(response)
    except BaseException:
        response.close()
        raise


async def _next(response: Any, most: int) -> bytes:
    pieces: list[bytes] = []
    try:
        while most and (piece := await response.content.read(most)):
            pieces.append(piece)
            most -= len(piece)
    except request_errors():
        if not pieces:  # what came before is not lost; it breaks again at the next call
            raise
    return b"".join(pieces)


def _refuse_compressed(response: Any) -> None:
    if _compressed(response):
        raise Unusable(f"the server compresses what it sends ({response.headers['Content-Encoding']})")
