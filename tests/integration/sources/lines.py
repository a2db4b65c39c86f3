"""A line to a server that breaks off, again and again: every connection after so many bytes, or after so long."""

from __future__ import annotations

import select
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
    """Carry one connection, in one thread: a socket that another one reads is not closed before that has something."""
    with suppress(OSError), client, socket.create_connection(server) as far:
        sent, began = 0, time.monotonic()
        while True:
            readable, _, _ = select.select([client, far], [], [])
            if client in readable:
                asked = client.recv(_PIECE)
                if not asked:
                    return
                far.sendall(asked)
            if far not in readable:
                continue
            piece = far.recv(_PIECE)
            if not piece:
                return
            client.sendall(piece[: line.most - sent])
            sent += len(piece)
            if line.rate:
                time.sleep(max(0.0, began + sent / line.rate - time.monotonic()))
            if sent >= line.most or time.monotonic() - began > line.lasts:
                with line.lock:
                    line.broken += 1
                if line.resets:  # closing then throws away what is under way
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
