"""A web server for tests: files in ranges, to those who may read them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

Allows = Callable[[str, str, str], int]
"""From the path, the query and the header Authorization of a request to the status that it gets; 200 for the file."""

Finds = Callable[[str, str], str]
"""From the path and the query of a request to the path of the file that it asks for."""

Sends = Callable[[str, bytes], bytes]
"""From the path of a request and the bytes of the file that it asks for to the bytes that go over the line."""


def anybody(path: str, query: str, authorization: str) -> int:
    """Allow everything."""
    return 200


def by_path(path: str, query: str) -> str:
    """Take the path for that of the file."""
    return path


def faithfully(path: str, content: bytes) -> bytes:
    """Send what the file holds."""
    return content


@dataclass(frozen=True)
class Request:
    """What was asked for: the method, the path, and the headers."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Trouble:
    """What happens instead of an answer, or to it.

    Attributes:
        status: That the request gets; 0 for the one that it deserves.
        headers: Beside those that it has.
        cut: After so many bytes of the body the connection is closed.
        silent: Nothing more is sent after the cut, and the connection stays open.
        trickling: After the cut a byte comes now and then.
        streamed: The whole file comes without its length, in chunks, whatever range was asked for.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    silent: bool = False
    trickling: bool = False
    streamed: bool = False


Happens = Callable[[Request], Trouble | None]


@contextmanager
def serving(
    folder: Path,
    allows: Allows = anybody,
    sends: Sends = faithfully,
    happens: Happens = lambda _: None,
    finds: Finds = by_path,
) -> Iterator[str]:
    """Serve `folder` during the block, which is given the address of it, as `127.0.0.1:8080`."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            asked = urlsplit(self.path)
            file = folder / finds(asked.path, asked.query).lstrip("/")
            trouble = happens(Request(self.command, asked.path, dict(self.headers))) or Trouble()
            status = trouble.status or allows(asked.path, asked.query, self.headers.get("Authorization", ""))
            if status == 200 and not file.is_file():
                status = 404
            content = file.read_bytes() if status == 200 else b"no"
            if trouble.streamed:
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                if body:
                    self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content))
                return
            span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            first, last = (int(span[1]), min(int(span[2]), len(content) - 1)) if span else (0, len(content) - 1)
            self.send_response(206 if span and status == 200 else status)
            self.send_header("Accept-Ranges", "bytes")
            for name, value in trouble.headers.items():
                self.send_header(name, value)
            if span and status == 200:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
                content = content[first : last + 1]
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                whole = sends(asked.path, content)
                self.wfile.write(whole[: trouble.cut])
                if trouble.trickling and trouble.cut is not None:
                    self.trickle(whole[trouble.cut :])
            if trouble.silent:
                over.wait()
            self.close_connection |= trouble.cut is not None

        def trickle(self, content: bytes) -> None:
            with suppress(OSError):  # whoever asked has had enough
                for at in range(len(content)):
                    self.wfile.write(content[at : at + 1])
                    if over.wait(0.02):
                        return

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
