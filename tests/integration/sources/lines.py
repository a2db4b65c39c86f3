"""A line to a server that breaks off, again and again: every connection after so many bytes, or after so long."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_PIECE = 16 << 10


@dataclass
class Line:
    """A line to the server at `address`: what breaks it, and how often it broke.

    Attributes:
        address: Of the near end.
        most: Bytes from the server after which a connection breaks.
        lasts: Seconds after which it does.
        rate: Bytes in a second at most, of each connection; 0 for as fast as it goes.
        resets: Whether the break is told as an error (RST), and not as an end (FIN).
        broken: Connections that broke.
    """

    address: str = ""
    most: int = 1 << 62
    lasts: float = 1e9
    rate: int = 0
    resets: bool = True
    broken: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def breaking(address: str, line: Line) -> Iterator[Line]:
    """Stand before the HTTP server at `address` during the block."""
    behind = urlsplit(address)
    assert behind.hostname is not None and behind.port is not None
    server = (behind.hostname, behind.port)
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):  # the listener is closed at the end
            while True:
                client, _ = listener.accept()
                threading.Thread(target=_carry, args=(client, server, line), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    line.address = f"http://127.0.0.1:{listener.getsockname()[1]}{behind.path}"
    try:
        yield line
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _carry(client: socket.socket, server: tuple[str, int], line: Line) -> None:
    with client, socket.create_connection(server) as far:
        threading.Thread(target=_pump, args=(client, far), daemon=True).start()
        sent, began = 0, time.monotonic()
        with suppress(OSError):  # the client had enough
            while piece := far.recv(_PIECE):
                client.sendall(piece[: line.most - sent])
                sent += len(piece)
                if line.rate:
                    time.sleep(max(0.0, began + sent / line.rate - time.monotonic()))
                if sent >= line.most or time.monotonic() - began > line.lasts:
                    with line.lock:
                        line.broken += 1
                    if line.resets:  # closing then throws away what is under way
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break


def _pump(near: socket.socket, far: socket.socket) -> None:
    with suppress(OSError):
        while piece := near.recv(_PIECE):
            far.sendall(piece)
    with suppress(OSError):
        far.shutdown(socket.SHUT_WR)
