"""Pictures prepared by processes beside this one, or by its threads where a model's preparation is a mere function.

Decoding and resizing hold the interpreter's lock for a quarter of their time: threads of one process cannot do more
than three or four times what one of them does, whatever the cores. Pictures go to the processes as they lie in the tar,
by a socket each; pixels come back in memory that both see, which has no name anywhere and goes with the last of them.
"""

from __future__ import annotations

import functools
import json
import math
import mmap
import os
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL.Image import Image

from postmill.encode.absence import Absence
from postmill.encode.preparation import preparer
from postmill.encode.preparation.picture import decode
from postmill.encode.preparation.pixels import Preparation, to_json
from postmill.encode.preparation.preparer import Reasons
from postmill.shards.runtime import children
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Progress

_END_S = 10.0  # in which a process ends to which nobody speaks any more
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Memory of a usual picture is kept for the next one: to get it from the kernel anew takes a tenth of the time.
    "MALLOC_MMAP_THRESHOLD_": str(8 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}

Prepare = Callable[[Sequence[bytes], Sequence[int]], tuple[Reasons, Mapping[int, npt.NDArray[Any]]]]
"""Takes files of pictures, and the numbers of the preparations that are wanted; returns why each picture is left out,
and by preparation the pixels of those that are not, in their order. Safe to call from several threads."""


class _Preparer(NamedTuple):
    connection: socket.socket
    answers: BufferedReader
    arrays: Sequence[npt.NDArray[np.uint8]]


@contextmanager
def preparing(
    workers: int, capacity: int, ways: Mapping[int, Callable[[Image], npt.NDArray[Any]]], progress: Progress
) -> Iterator[Prepare]:
    """Provide a function that prepares pictures.

    Args:
        workers: How many processes, or threads that call the function at once.
        capacity: The most pictures of a call.
        ways: The preparations by number.
        progress: Told where one of them is a mere function, which threads must do.

    Raises:
        PostmillError: The processes cannot be started; of the function, one of them was killed.
    """
    known = {number: way for number, way in ways.items() if isinstance(way, Preparation)}
    if len(known) < len(ways):
        progress.note(
            "pictures are decoded by threads of one process, which is slower: an encoder prepares them by a function "
            "of its own, which other processes do not know"
        )
        yield functools.partial(_prepare_here, ways)
        return
    numbers = {number: place for place, number in enumerate(known)}
    with _started(workers, capacity, list(known.values())) as free:
        yield functools.partial(_prepare, free, numbers)


def _prepare_here(
    ways: Mapping[int, Callable[[Image], npt.NDArray[Any]]], contents: Sequence[bytes], wanted: Sequence[int]
) -> tuple[Reasons, Mapping[int, npt.NDArray[Any]]]:
    made: dict[int, list[npt.NDArray[Any]]] = {number: [] for number in wanted}

    def keep(image: Image) -> None:
        for number, arrays in made.items():
            arrays.append(ways[number](image))

    reasons = decode(contents, keep)
    return reasons, {number: np.stack(arrays) for number, arrays in made.items() if arrays}


def _prepare(
    free: SimpleQueue[_Preparer], numbers: Mapping[int, int], contents: Sequence[bytes], wanted: Sequence[int]
) -> tuple[Reasons, Mapping[int, npt.NDArray[Any]]]:
    one = free.get()
    try:
        order = {"sizes": list(map(len, contents)), "preparations": [numbers[number] for number in wanted]}
        with suppress(OSError):  # it has ended, which the lack of an answer tells
            preparer.send(one.connection, order, contents)
        try:
            answer = preparer.receive(one.answers)
        except OSError:
            answer = None
        if answer is None:
            raise PostmillError(
                "a process that decodes pictures was killed, most likely for want of memory",
                hint="run the same command again: it goes on where it was; if it ends like this again, give it more "
                "memory, or fewer cores: there is a process for each",
            )
        if "error" in answer:
            raise PostmillError(answer["error"][0], place=answer["error"][1], hint=answer["error"][2])
        if "out_of_memory" in answer:
            raise MemoryError
        reasons = [None if reason is None else Absence(reason) for reason in answer["reasons"]]
        count = reasons.count(None)
        made = {number: one.arrays[numbers[number]][:count].copy() for number in wanted} if count else {}
        return reasons, made
    finally:
        free.put(one)  # one that has ended too: whoever takes it next is told so, and waits for nobody


@contextmanager
def _started(workers: int, capacity: int, preparations: Sequence[Preparation]) -> Iterator[SimpleQueue[_Preparer]]:
    room = capacity * sum(math.prod(preparation.shape) for preparation in preparations)
    free: SimpleQueue[_Preparer] = SimpleQueue()
    with ExitStack() as stack:
        try:
            ends = []
            for _ in range(workers):
                ours, theirs = socket.socketpair()
                stack.enter_context(ours)
                stack.enter_context(theirs)
                memory = stack.enter_context(_memory(room))
                arrays = preparer.regions(mmap.mmap(memory, room), capacity, preparations)
                free.put(_Preparer(ours, stack.enter_context(ours.makefile("rb")), arrays))
                ends.append((theirs, memory))
            fds = [[end.fileno() for end, _ in ends], [memory for _, memory in ends]]
            told = {"sockets": fds[0], "memories": fds[1], "capacity": capacity}
            word = json.dumps({**told, "preparations": list(map(to_json, preparations))})
            process = children.start(preparer.__name__, word, [*fds[0], *fds[1]], env=_ENVIRONMENT)
        except OSError as error:
            raise PostmillError(
                f"the processes that decode pictures cannot be started: {error.strerror or error}",
                hint="free memory, processes or open files (ulimit -u, ulimit -n), then run the same command again",
            ) from error
        for end, _ in ends:
            end.close()
        try:
            yield free
        finally:
            stack.close()
            _wait(process)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _memory(size: int) -> Iterator[int]:
    """Provide the file descriptor of memory that a child can share, and that neither a name nor /dev/shm is needed for.

    Raises:
        OSError: There is not enough.
    """
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("postmill pixels")
        os.ftruncate(fd, size)
    else:  # a system that has none, as macOS: a file that has no name any more
        with tempfile.TemporaryFile() as file:
            file.write(bytes(size))  # all of it now: of a full disk a signal would tell later
            file.flush()
            fd = os.dup(file.fileno())
    try:
        yield fd
    finally:
        os.close(fd)
