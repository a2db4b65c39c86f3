"""A web server for tests: files in ranges, to those who may read them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

Allows = Callable[[str, str, str], int]
"""From the path, the query and the header Authorization of a request to the status that it gets; 200 for the file."""

Sends = Callable[[str, bytes], bytes]
"""From the path of a request and the bytes of the file that it asks for to the bytes that go over the line."""


def anybody(path: str, query: str, authorization: str) -> int:
    """Allow everything."""
    return 200


def faithfully(path: str, content: bytes) -> bytes:
    """Send what the file holds."""
    return content


@contextmanager
def serving(folder: Path, allows: Allows = anybody, sends: Sends = faithfully) -> Iterator[str]:
    """Serve `folder` during the block, which is given the address of it, as `127.0.0.1:8080`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            asked = urlsplit(self.path)
            file = folder / asked.path.lstrip("/")
            status = allows(asked.path, asked.query, self.headers.get("Authorization", ""))
            if status == 200 and not file.is_file():
                status = 404
            content = file.read_bytes() if status == 200 else b"no"
            span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            first, last = (int(span[1]), min(int(span[2]), len(content) - 1)) if span else (0, len(content) - 1)
            self.send_response(206 if span and status == 200 else status)
            self.send_header("Accept-Ranges", "bytes")
            if span and status == 200:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
                content = content[first : last + 1]
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(sends(asked.path, content))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
