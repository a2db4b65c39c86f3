"""What a request that failed means, whichever library failed it."""

from __future__ import annotations

import errno
import socket
import ssl
from datetime import UTC, datetime

import pytest

from postmill.ingest.remote.answers import Meaning, Refused, Unusable, answer, retry_after


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def botocore(status: int, code: str = "") -> Exception:
    error = type("ClientError", (Exception,), {})("An error occurred")
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": {"retry-after": "7"} if status == 503 else {}}
    error.response = {"ResponseMetadata": metadata, "Error": {"Code": code}}
    return error


def of_library(name: str, *bases: type[Exception], **attributes: object) -> Exception:
    error = type(name, bases or (Exception,), {})("said by a library")
    for key, value in attributes.items():
        setattr(error, key, value)
    return error


STATUSES = {
    404: Meaning.ABSENT,
    410: Meaning.ABSENT,
    401: Meaning.DENIED,
    403: Meaning.DENIED,
    407: Meaning.DENIED,
    408: Meaning.BUSY,
    425: Meaning.BUSY,
    429: Meaning.BUSY,
    500: Meaning.BUSY,
    503: Meaning.BUSY,
    524: Meaning.BUSY,
    400: Meaning.HOPELESS,
    416: Meaning.HOPELESS,
}
EXCEPTIONS = [
    (FileNotFoundError(errno.ENOENT, "no"), Meaning.ABSENT),
    (caused(FileNotFoundError("x"), ConnectionRefusedError("refused")), Meaning.UNREACHABLE),
    (caused(FileNotFoundError("x"), Refused(503, {})), Meaning.BUSY),
    (caused(PermissionError("x"), botocore(403)), Meaning.DENIED),
    (caused(FileNotFoundError("x"), botocore(404)), Meaning.ABSENT),
    (caused(OSError("x"), botocore(503, "SlowDown")), Meaning.BUSY),
    (botocore(400, "ExpiredToken"), Meaning.DENIED),
    (PermissionError("x"), Meaning.DENIED),
    (ConnectionResetError("reset"), Meaning.BROKEN),
    (TimeoutError(), Meaning.BROKEN),
    (TimeoutError(), Meaning.BROKEN),
    (EOFError(), Meaning.BROKEN),
    (OSError("Socket is closed"), Meaning.BROKEN),
    (OSError(errno.EHOSTUNREACH, "no route"), Meaning.UNREACHABLE),
    (socket.gaierror(-2, "Name or service not known"), Meaning.UNREACHABLE),
    (ssl.SSLCertVerificationError("self-signed"), Meaning.HOPELESS),
    (Unusable("no ranges"), Meaning.HOPELESS),
    (RuntimeError("Loop is not running"), Meaning.HOPELESS),
    (ValueError("invalid"), Meaning.HOPELESS),
    (of_library("ClientPayloadError", type("ClientError", (Exception,), {})), Meaning.BROKEN),
    (of_library("NoCredentialsError"), Meaning.DENIED),
    (of_library("AuthenticationException", type("SSHException", (Exception,), {})), Meaning.DENIED),
    (of_library("SSHException"), Meaning.BROKEN),
    (type("SSHException", (Exception,), {})("No authentication methods available"), Meaning.DENIED),
    (of_library("EndpointConnectionError"), Meaning.UNREACHABLE),
    (of_library("HttpError", code="429"), Meaning.BUSY),
    (of_library("HfHubHTTPError", response=of_library("R", status_code=401, headers={})), Meaning.DENIED),
]


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_decides(status: int) -> None:
    said = answer(Refused(status, {}))
    assert (said.meaning, said.words.split()[-1 if status == 524 else 0]) == (STATUSES[status], str(status))


@pytest.mark.parametrize(("error", "meaning"), EXCEPTIONS, ids=lambda value: type(value).__name__)
def test_an_exception_decides_where_there_is_no_status(error: Exception, meaning: Meaning) -> None:
    said = answer(error)
    assert said.meaning is meaning and said.words and "\n" not in said.words


def test_a_quota_that_says_when_it_ends_is_no_denial() -> None:
    said = answer(Refused(403, {"Retry-After": "5"}))
    assert (said.meaning, said.retry_after) == (Meaning.BUSY, 5.0)
    assert answer(botocore(503)).retry_after == 7.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 3 ", 3.0),
        ("Sun, 29 Nov 2026 12:00:30 GMT", 30.0),
        ("Sunday, 29-Nov-26 12:01:00 GMT", 60.0),
        ("Sun, 29 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_how_long_a_server_asks_to_wait(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, datetime(2026, 11, 29, 12, 0, tzinfo=UTC)) == seconds
