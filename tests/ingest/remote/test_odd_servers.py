"""Servers that answer oddly, and what is no server of HTTP: the size all the same, or what is wrong, said at once."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from postmill.ingest.remote import files, http, patience
from postmill.ingest.remote.files import RequestError
from tests.web import Trouble, serving

CONTENT = os.urandom(300_000)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """No pause is made; how long they should have been."""
    taken: list[float] = []
    monkeypatch.setattr(patience, "_rest", lambda seconds, _: taken.append(seconds))
    patience._said.clear()
    yield taken


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.zip").write_bytes(CONTENT)
    return tmp_path


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Send `answer` to whatever is asked, and hang up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer_all() -> None:
        with suppress(OSError):  # the listener is closed at the end
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.recv(1 << 16)
                    connection.sendall(answer)

    threading.Thread(target=answer_all, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def moved(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


HOPELESS = {
    "another protocol": (b"SSH-2.0-OpenSSH_9.2p1\r\n", "no HTTP that can be read"),
    "a length that is none": (b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n", "no HTTP that can be read"),
    "a length below nothing": (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "no HTTP that can be read"),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "no HTTP that can be read",
    ),
    "a header without end": (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000, "no HTTP that can be read"),
    "moved to a file": (moved("file:///etc/passwd"), "redirected to an address of file"),
    "moved to FTP": (moved("ftp://host/a?sig=s3cr3t"), "redirected to an address of ftp"),
    "moved to nonsense": (moved("http://[bad/?sig=s3cr3t"), "redirected to what is no address"),
    "moved to itself": (moved(""), "redirected more than 10 times"),
    "moved nowhere": (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "302 Found"),
    "a status that nobody knows": (b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", "status 999"),
}


@pytest.mark.parametrize(("answer", "words"), HOPELESS.values(), ids=HOPELESS)
def test_what_will_not_get_better_is_said_at_once(answer: bytes, words: str, pauses: list[float]) -> None:
    with answering(answer) as host, pytest.raises(RequestError, match=words) as caught:
        files.size(f"http://{host}/a.zip")
    assert not pauses and caught.value.hint and "s3cr3t" not in str(caught.value)


def test_a_server_without_tls_is_told_from_a_line_that_breaks(pauses: list[float]) -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as host, pytest.raises(RequestError, match="http:// and not"):
        files.size(f"https://{host}/a.zip")
    assert not pauses


@pytest.mark.parametrize("when", ["315360000", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_who_asks_to_come_again_in_years_is_asked_again_in_minutes(when: str, pauses: list[float]) -> None:
    answer = f"HTTP/1.1 429 Busy\r\nRetry-After: {when}\r\nContent-Length: 0\r\n\r\n".encode()
    with answering(answer) as host, pytest.raises(RequestError, match=r"asks to come again in [0-9,]{9,} s"):
        files.size(f"http://{host}/a.zip")
    assert pauses and max(pauses) <= patience.LONGEST_ASKED_S + patience.LONGEST_PAUSE_S


@pytest.mark.parametrize("status", [200, 400, 403, 404, 405, 500, 503])
def test_what_a_server_says_to_head_is_of_no_account(folder: Path, status: int) -> None:
    without_head = lambda request: Trouble(status, cut=0) if request.method == "HEAD" else None  # noqa: E731
    with serving(folder, happens=without_head) as host:
        assert files.size(f"http://{host}/a.zip") == len(CONTENT)
        assert files.size(f"http://{host}/none.zip") is None


def test_a_server_that_sends_a_byte_now_and_then_is_asked_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "READ_S", 0.3)
    troubles = iter([Trouble(cut=100_000, trickling=True), Trouble(cut=0, trickling=True)])
    into = bytearray(len(CONTENT))
    with serving(folder, happens=lambda _: next(troubles, None)) as host:
        assert files.read_into(f"http://{host}/a.zip", 0, memoryview(into)) == len(CONTENT)
    assert bytes(into) == CONTENT and next(troubles, None) is None
