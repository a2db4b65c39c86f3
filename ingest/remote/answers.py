"""What a request that failed means, whichever library failed it: absent, denied, to be asked again, or hopeless.

Clients of HTTP, S3, Google, Azure and SSH each have exceptions of their own, and some wrap those of another as a file
that is not there. Statuses decide where there is one, wherever in the chain of causes it stands (RFC 9110, section 15;
RFC 6585, section 4), then what the exceptions are. No library is loaded for it: one that was not used has not failed.
"""

from __future__ import annotations

import errno
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import Any


class Meaning(Enum):
    """What to do about a request that failed."""

    ABSENT = auto()  # there is no such file
    DENIED = auto()  # whoever asks must say who they are
    BUSY = auto()  # the server asks to come again
    BROKEN = auto()  # the connection broke, or nothing came in time
    UNREACHABLE = auto()  # there was no connection
    HOPELESS = auto()  # asking again gives the same answer


WORTH_WAITING = frozenset({Meaning.BUSY, Meaning.BROKEN, Meaning.UNREACHABLE})


@dataclass(frozen=True)
class Answer:
    """What a request that failed means, in words too; ``retry_after`` is what the server asks to wait, in seconds."""

    meaning: Meaning
    words: str
    retry_after: float | None = None


class Refused(Exception):
    """An answer of an HTTP server that is not the file: its status, and its headers."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(_status_words(status))
        self.status = status
        self.headers = headers


class Unusable(Exception):
    """An answer that cannot be used, and would be the same again."""


_BASES = {  # of the errors of each library; those that are an OSError are known as that
    "aiohttp": ("ClientError",),
    "azure.core.exceptions": ("AzureError",),
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "gcsfs.retry": ("HttpError", "ChecksumError"),
    "google.auth.exceptions": ("GoogleAuthError",),
    "httpx": ("HTTPError",),
    "httpx2": ("HTTPError",),
    "paramiko": ("SSHException",),
}
_AGAIN = frozenset({408, 425, 429})  # beside every 5xx
_DENIED = frozenset({401, 402, 403, 407, 451})
# Of S3, some of which come with status 400.
_DENIED_CODES = frozenset(
    {
        *("AccessDenied", "AllAccessDisabled", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken"),
        *("RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired"),
    }
)
_DENIED_ERRORS = frozenset(
    {
        *("AuthenticationException", "ClientAuthenticationError", "CredentialRetrievalError"),
        *("DefaultCredentialsError", "NoAuthTokenError", "NoCredentialsError", "PartialCredentialsError"),
        *("PasswordRequiredException", "ProfileNotFound", "RefreshError", "SSOTokenLoadError"),
        *("TokenRetrievalError", "UnauthorizedSSOTokenError"),
    }
)
_HOPELESS_ERRORS = frozenset(
    {
        *("BadHostKeyException", "ClientConnectorCertificateError", "InvalidURL", "NoRegionError"),
        *("NonHttpUrlClientError", "ParamValidationError", "TooManyRedirects", "UnknownEndpointError"),
    }
)
_UNREACHABLE_ERRORS = frozenset(
    {
        *("ClientConnectorDNSError", "ClientConnectorError", "ConnectTimeoutError"),
        *("EndpointConnectionError", "NoValidConnectionsError"),
    }
)
_BROKEN_ERRORS = frozenset(
    {
        *("ChecksumError", "ClientError", "ConnectionClosedError", "HTTPClientError", "HTTPError"),
        *("HttpError", "IncompleteReadError", "ReadTimeoutError", "ResponseStreamingError", "SSHException"),
        *("ServiceRequestError", "ServiceResponseError", "TransportError"),
    }
)
_NO_TLS = frozenset({"HTTP_REQUEST", "UNKNOWN_PROTOCOL", "UNSUPPORTED_PROTOCOL", "WRONG_VERSION_NUMBER"})  # of OpenSSL
_UNREACHABLE_NUMBERS = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})
_HOPELESS_OS_ERRORS = (IsADirectoryError, NotADirectoryError, FileExistsError)
_CUT_SHORT = frozenset({"ClientPayloadError", "IncompleteReadError", "ResponseStreamingError"})
_LONGEST = 200  # characters of what a library says


def request_errors() -> tuple[type[Exception], ...]:
    """Return what a request may fail with, of the libraries that are loaded by now."""
    named = (getattr(sys.modules.get(module), name, None) for module, names in _BASES.items() for name in names)
    others = tuple(error for error in named if isinstance(error, type))
    return (Refused, Unusable, OSError, EOFError, RuntimeError, ValueError, *others)


def answer(error: BaseException) -> Answer:
    """Return what ``error`` means; it is one of :func:`request_errors`."""
    chain = list(_chain(error))
    for each in chain:
        status = _status(each)
        if status is not None:
            return _of_status(status, each, error)
    meanings = [(meaning, each) for each in chain if (meaning := _of_exception(each)) is not None]
    for meaning, each in meanings:
        # A dead network is also reported as a file that is not there.
        if meaning is not Meaning.ABSENT:
            return Answer(meaning, _words(each))
    return Answer(meanings[0][0] if meanings else Meaning.HOPELESS, _words(error))


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds that a header ``Retry-After`` asks to wait: a number, or a date (RFC 9110, section 10.2.3)."""
    if value is None:
        return None
    try:
        return max(float(value), 0.0) if value.strip().isdecimal() else _until(value, now or datetime.now(UTC))
    except (ValueError, TypeError, OverflowError):
        return None


def _until(date: str, now: datetime) -> float:
    when = parsedate_to_datetime(date)
    return max((when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds(), 0.0)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _response(error: BaseException) -> Any:
    return getattr(error, "response", None)


def _status(error: BaseException) -> int | None:
    """Return the HTTP status that an exception carries, as its library has it."""
    response = _response(error)
    names = ("status", "status_code", *(("code",) if type(error).__name__.lower() == "httperror" else ()))
    values: list[object] = [getattr(error, name, None) for name in names]
    if isinstance(response, Mapping):
        values.append(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
    elif response is not None:
        values += [getattr(response, name, None) for name in ("status_code", "status")]
    for value in values:
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if isinstance(value, int) and 300 <= value < 600:
            return int(value)
    return None


def _of_status(status: int, error: BaseException, whole: BaseException) -> Answer:
    response = _response(error)
    headers: Any = getattr(error, "headers", None)
    code = ""
    if isinstance(response, Mapping):
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders")
        code = str(response.get("Error", {}).get("Code", ""))
    elif headers is None:
        headers = getattr(response, "headers", None)
    fields = {str(name).lower(): str(value) for name, value in dict(headers or {}).items()}
    wait = retry_after(fields.get("retry-after"))
    words = _status_words(status) + (f" ({code})" if code and not code.isdecimal() else "")
    if code in _DENIED_CODES:
        return Answer(Meaning.DENIED, words)
    if status in (404, 410):
        return Answer(Meaning.ABSENT, words)
    if status in _AGAIN or status >= 500 or (status in _DENIED and wait is not None):  # a quota is at times a 403
        return Answer(Meaning.BUSY, words, wait)
    return Answer(Meaning.DENIED if status in _DENIED else Meaning.HOPELESS, words)


def _of_exception(error: BaseException) -> Meaning | None:
    """Return what an exception without a status means; None if nothing is known of it."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, Unusable | ssl.SSLCertVerificationError) or names & _HOPELESS_ERRORS:
        return Meaning.HOPELESS
    if _speaks_no_tls(error):
        return Meaning.HOPELESS
    said_of_keys = "SSHException" in names and "authentication" in str(error).lower()
    if names & _DENIED_ERRORS or isinstance(error, PermissionError) or said_of_keys:
        return Meaning.DENIED
    if isinstance(error, FileNotFoundError):
        return Meaning.ABSENT
    if isinstance(error, socket.gaierror):
        return Meaning.UNREACHABLE
    if isinstance(error, TimeoutError | EOFError):
        return Meaning.BROKEN
    if names & _UNREACHABLE_ERRORS or isinstance(error, ConnectionRefusedError):
        return Meaning.UNREACHABLE
    if isinstance(error, _HOPELESS_OS_ERRORS):
        return Meaning.HOPELESS
    if isinstance(error, OSError):
        return Meaning.UNREACHABLE if error.errno in _UNREACHABLE_NUMBERS else Meaning.BROKEN
    if isinstance(error, RuntimeError | ValueError):
        return Meaning.HOPELESS
    return Meaning.BROKEN if names & _BROKEN_ERRORS else None


def _speaks_no_tls(error: BaseException) -> bool:
    inner = getattr(error, "os_error", error)  # as aiohttp keeps what it wraps
    return isinstance(inner, ssl.SSLError) and getattr(inner, "reason", None) in _NO_TLS


def _status_words(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"status {status}"


def _words(error: BaseException) -> str:
    """Return what an exception says, in one line."""
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    if _speaks_no_tls(error):
        return "what is there does not speak TLS as it is known here; perhaps it is http:// and not https://"
    if type(error).__name__ in _CUT_SHORT:
        return "the answer was cut short"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = " ".join(said.split())
    if line.startswith("Connect call failed"):  # asyncio's, with the address as Python writes it
        return "the connection was refused, so nothing answers there"
    return line[:_LONGEST] if line else type(error).__name__
