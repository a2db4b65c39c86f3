"""The stores that fsspec knows, by the protocol of an address: S3, Google, Azure, SSH, the Hugging Face hub, ...

The packages that a protocol takes are extras of this one; who asks is told which is missing.
"""

from __future__ import annotations

import asyncio
import errno
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, cast

from postmill.ingest.remote.answers import request_errors
from postmill.ingest.remote.patience import Stopped
from postmill.shards.runtime.errors import PostmillError, UsageError

TIMEOUT_S = 300.0  # of one request: not every client has a limit of its own
_LOOK_S = 0.2  # how often a request looks whether it is still wanted
_SSH_LIMITS = {"timeout": 60, "banner_timeout": 60, "auth_timeout": 60}  # seconds
_EXTRAS = {
    **dict.fromkeys(("http", "https"), "http"),
    **dict.fromkeys(("s3", "s3a"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gs"),
    **dict.fromkeys(("abfs", "abfss", "adl", "az", "wasb", "wasbs"), "azure"),
    **dict.fromkeys(("sftp", "ssh"), "sftp"),
    "hf": "hub",
}
_WHO = {
    "http": "say who you are, in ~/.netrc or by --header-file FILE, or give the address with a signature that is valid",
    "s3": "say who you are: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; a bucket that is open to all:"
    " FSSPEC_S3_ANON=true",
    "gs": "say who you are: gcloud auth application-default login; a bucket that is open to all: FSSPEC_GS_TOKEN=anon",
    "azure": "say who you are: AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
    "sftp": "say who you are: a key in ~/.ssh or with ssh-agent, for USER in sftp://USER@HOST/",
    "hub": "say who you are: hf auth login, or HF_TOKEN",
}

_connected: dict[str, Any] = {}  # file systems by protocol and host, with what an address says of the user

Result = TypeVar("Result")


def is_http(url: str) -> bool:
    """Tell whether ``url`` is of an HTTP server."""
    return _protocol(url) in ("http", "https")


def who(url: str) -> str:
    """Return how a reader of ``url`` says who he is."""
    return _WHO.get(_EXTRAS.get(_protocol(url), ""), "say there who you are")


def file_system(protocol: str, **options: Any) -> Any:
    """Return fsspec's file system of ``protocol``.

    Raises:
        UsageError: A package is missing that it takes, or nobody knows it.
    """
    import fsspec  # where an address needs it: loading it takes a tenth of what a command takes to start

    _find(protocol)
    return fsspec.filesystem(protocol, **options)


def loop(protocol: str) -> asyncio.AbstractEventLoop:
    """Return the loop in which fsspec makes the requests of ``protocol``.

    Raises:
        UsageError: As :func:`file_system`.
    """
    from fsspec.asyn import get_loop

    _find(protocol)
    return cast(asyncio.AbstractEventLoop, get_loop())


def at_once(url: str, most: int) -> int:
    """Return how many ranges of ``url`` may be asked for at once: one where the client does one thing after another."""
    return most if is_http(url) or _find(_protocol(url)).async_impl else 1


def size(url: str) -> int | None:
    """Return how many bytes the file at ``url`` has; None if the store does not say.

    Raises:
        UsageError: A package is missing that the protocol needs, or nobody knows the protocol.
        OSError and others: As :mod:`.answers` tells them apart.
    """
    stated = _within(partial(_info, url))["size"]
    return None if stated is None else int(stated)


def names(url: str) -> list[tuple[str, int | None]]:
    """Return the addresses of what lies in the folder at ``url``, with the bytes of each where the store says.

    Raises:
        UsageError, OSError and others: As :func:`size`.
    """
    return _within(partial(_names, url))


def read(url: str, position: int, length: int, stop: threading.Event | None = None) -> bytes:
    """Return the ``length`` bytes from ``position`` on, or fewer.

    Raises:
        Stopped: ``stop`` was set.
        UsageError, OSError and others: As :func:`size`.
    """
    return _within(partial(_range, url, position, length), stop)


def _info(url: str) -> Mapping[str, Any]:
    with _opened(url) as (system, path):
        system.invalidate_cache()  # of listings: a part may have come
        info = cast(Mapping[str, Any], system.info(path))
        if info.get("type") == "directory":
            raise FileNotFoundError(errno.ENOENT, "is a folder")
        return info


def _names(url: str) -> list[tuple[str, int | None]]:
    with _opened(url) as (system, path):
        system.invalidate_cache()
        entries = cast(list[Mapping[str, Any]], system.ls(path, detail=True))
        protocol = f"{url.partition('://')[0]}://"
        listed = ((str(entry["name"]), entry.get("size")) for entry in entries)
        return [
            (name if "://" in name else protocol + name.lstrip("/"), None if size is None else int(size))
            for name, size in listed
        ]


def _range(url: str, position: int, length: int) -> bytes:
    with _opened(url) as (system, path):
        return cast(bytes, system.cat_file(path, start=position, end=position + length))


@contextmanager
def _opened(url: str) -> Iterator[tuple[Any, str]]:
    """Provide the file system behind ``url``, and the path in it.

    One connection is used for all requests to a host: fsspec keeps one for each thread. What failed is connected anew.
    """
    import fsspec

    _find(_protocol(url))
    host = "/".join(url.split("/", 3)[:3])
    if host in _connected:
        system = _connected[host]
        path = system._strip_protocol(url)
    else:
        limits = _SSH_LIMITS if _EXTRAS.get(_protocol(url)) == "sftp" else {}
        system, path = fsspec.core.url_to_fs(url, skip_instance_cache=True, **limits)
        if limits:
            system.ftp.get_channel().settimeout(limits["timeout"])
        _connected[host] = system
    try:
        yield system, path
    except FileNotFoundError:
        raise
    except request_errors():
        _connected.pop(host, None)
        raise


def _find(protocol: str) -> Any:
    import fsspec

    try:
        return fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        hint = f"pip install 'postmill[{extra}]'" if extra else f"{error}; or download the files first"
        raise UsageError(f"{protocol}:// takes a package that is not installed", hint=hint) from error
    except ValueError as error:
        raise UsageError(f"{protocol}:// is no protocol that is known", hint="download the files first") from error


def _protocol(url: str) -> str:
    return url.partition("://")[0].lower()


def _within(call: Callable[[], Result], stop: threading.Event | None = None) -> Result:
    """Do ``call`` in a thread of its own, which is left behind where it takes too long: not every client has a limit.

    Raises:
        TimeoutError: It took too long.
    """
    future: Future[Result] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except PostmillError as error:
            future.set_exception(error)
        except request_errors() as error:
            future.set_exception(error)
        finally:
            if not future.done():  # a mistake of ours, whose traceback this thread prints
                future.set_exception(RuntimeError("a request ended by a mistake"))

    threading.Thread(target=work, daemon=True).start()
    until = time.monotonic() + TIMEOUT_S
    while not wait([future], _LOOK_S).done:
        if stop is not None and stop.is_set():
            raise Stopped
        if time.monotonic() > until:
            _connected.clear()
            raise TimeoutError
    return future.result()
