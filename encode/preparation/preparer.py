"""What a process does that prepares pictures: it decodes and resizes what comes by a socket, into shared memory.

Spoken is JSON, after its length in four bytes. An order names how many bytes each picture has and which preparations
are wanted, and the bytes of the pictures follow; the answer says of each picture why it is left out, and the pixels of
the others lie one after the other where the memory of their preparation begins.
"""

from __future__ import annotations

import itertools
import json
import mmap
import os
import signal
import socket
import struct
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from io import BufferedReader
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL.Image import Image

from postmill.encode.absence import Absence
from postmill.encode.preparation.picture import decode
from postmill.encode.preparation.pixels import Preparation, from_json
from postmill.shards.runtime import children
from postmill.shards.runtime.errors import PostmillError

Reasons = Sequence[Absence | None]
"""Of pictures: why each is left out, None where it is not."""

_LENGTH = struct.Struct("!I")


def send(connection: socket.socket, message: Mapping[str, Any], content: Sequence[bytes] = ()) -> None:
    """Send a message, and bytes after it.

    Raises:
        OSError: Nobody is there any more.
    """
    head = json.dumps(message).encode()
    connection.sendall(b"".join((_LENGTH.pack(len(head)), head, *content)))


def receive(stream: BufferedReader) -> dict[str, Any] | None:
    """Return the next message; None where the other side has ended."""
    length = stream.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    head = stream.read(_LENGTH.unpack(length)[0])
    try:
        message: dict[str, Any] = json.loads(head)
    except ValueError:  # cut short by its end
        return None
    return message


def regions(memory: mmap.mmap, capacity: int, preparations: Sequence[Preparation]) -> list[npt.NDArray[np.uint8]]:
    """Return the shared memory as an array for each preparation, shape (``capacity``, *its own shape)."""
    arrays, start = [], 0
    for preparation in preparations:
        array = np.frombuffer(memory, np.uint8, capacity * int(np.prod(preparation.shape)), start)
        arrays.append(array.reshape(capacity, *preparation.shape))
        start += array.size
    return arrays


def serve(word: str) -> None:
    """Prepare pictures in as many processes as there are sockets, until their other ends are closed.

    They are forked from this one when it has imported all that they need: once, however many they are.

    Args:
        word: JSON: the file descriptors ``sockets`` and ``memories``, one each for a process, the ``capacity`` of a
            memory in pictures, and the ``preparations``.
    """
    children.ignore(signal.SIGTERM)  # they end when nobody speaks to them any more
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # they do not say of which picture
    told = json.loads(word)
    preparations = [from_json(value) for value in told["preparations"]]
    for preparation in preparations:
        preparation.load()
    pairs: list[tuple[int, int]] = list(zip(told["sockets"], told["memories"], strict=True))
    for mine in pairs:
        if os.fork() == 0:
            _close(pair for pair in pairs if pair != mine)  # else the end of one would not be seen by the others
            _work(*mine, told["capacity"], preparations)
            return
    _close(pairs)
    for _ in pairs:
        os.wait()


def _close(pairs: Iterable[tuple[int, int]]) -> None:
    for pair in pairs:
        for fd in pair:
            os.close(fd)


def _work(fd: int, memory_fd: int, capacity: int, preparations: Sequence[Preparation]) -> None:
    arrays = regions(mmap.mmap(memory_fd, 0), capacity, preparations)
    with socket.socket(fileno=fd) as connection, connection.makefile("rb") as orders:
        while (order := receive(orders)) is not None:
            contents = [orders.read(size) for size in order["sizes"]]
            try:
                wanted = [(preparations[n], arrays[n]) for n in order["preparations"]]
                answer: dict[str, Any] = {"reasons": _prepared(contents, wanted)}
            except PostmillError as error:
                answer = {"error": [error.cause, error.place, error.hint]}
            except MemoryError:
                answer = {"out_of_memory": True}
            with suppress(OSError):  # which the end of the orders tells too
                send(connection, answer)


def _prepared(contents: Sequence[bytes], wanted: Sequence[tuple[Preparation, npt.NDArray[np.uint8]]]) -> Reasons:
    """Decode pictures, and write what each preparation makes of them into its array, one after the other."""
    places = itertools.count()

    def keep(image: Image) -> None:
        place = next(places)
        for preparation, array in wanted:
            array[place] = preparation(image)

    return decode(contents, keep)
