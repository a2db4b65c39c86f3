"""A process for each GPU: post shards are dealt to them, and what they tell is told as if one process did the work.

Each is started anew, sees its own GPU alone, and tells of itself by lines of JSON on a pipe: its passes and how far it
is, notes, and at the end what it did or what was wrong. Its standard input holds what it is asked for, and ends when
this process does, by which it ends too. What it is asked for is in :mod:`.child`, which does it.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from postmill.encode.gpu import visible
from postmill.encode.options import EncoderName
from postmill.shards.runtime import children
from postmill.shards.runtime.cores import cores
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import EXIT_INTERRUPTED, EXIT_USAGE, Interrupted, PostmillError, UsageError
from postmill.shards.runtime.interrupt import held
from postmill.shards.runtime.pace import Contents
from postmill.shards.runtime.progress import Progress

_CHILD = "postmill.encode.child"
_THREADS = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")
_CARRIES_ON = "what was finished is kept: the same command carries on"


@dataclass
class _Pass:
    """What one process tells of a pass over its shards."""

    total: int = 0
    held: int = 0
    done: int = 0
    done_held: int = 0


@dataclass
class _Child:
    """A process, and what it has told.

    Attributes:
        card: The name of its GPU.
        process: It.
        reports: The pipe it writes to.
        passes: By label; of those that have begun to write shards.
        label: The pass in hand, '' before the first.
        labels: All passes, in order; empty before it has said so.
        result: What it did, by the folder of each encoder in the order asked for; None before its end.
    """

    card: str
    process: subprocess.Popen[bytes]
    reports: int
    passes: dict[str, _Pass] = field(default_factory=dict)
    label: str = ""
    labels: Sequence[str] = ()
    result: Mapping[str, int] | None = None
    unread: bytes = b""

    def past(self, label: str) -> bool:
        """Say whether it is done with a pass."""
        return self.result is not None or (
            self.label != label and self.label != "" and self.labels.index(self.label) > self.labels.index(label)
        )


def cards_for(device: Device, encoders: Sequence[str], shards: Sequence[int]) -> Sequence[str]:
    """Return the GPUs that are to have a process each; nothing where this process does the work by itself.

    Args:
        device: What the user asked for.
        encoders: Names of the encoders.
        shards: The post shards: no more processes than these are of use.
    """
    if device == Device.CPU or set(encoders) <= {EncoderName.METADATA}:
        return ()
    cards = visible.own()
    used = cards.names[: len(shards)]
    return used if len(used) > 1 or cards.narrowed else ()


def encode_on(
    cards: Sequence[str], request: Mapping[str, Any], shards: Sequence[int], workers: int | None, progress: Progress
) -> Mapping[str, int]:
    """Have post shards encoded by a process for each of ``cards``.

    Args:
        cards: Their names for ``CUDA_VISIBLE_DEVICES``.
        request: What :func:`.child.serve` reads, but for the shards and the threads.
        shards: Numbers of finished post shards, at least as many as cards.
        workers: Threads of all processes together; None: as many as this one has cores.
        progress: Told what the processes tell, together.

    Returns:
        How many shards were encoded, by the folder of each encoder, in the order in which they were asked for.

    Raises:
        PostmillError: A process failed or was killed; the others have put away what they had in hand.
        Interrupted: A signal came, here or to one of them.
    """
    progress.note(f"encode: {len(cards)} GPUs ({', '.join(cards)}), a process for each")
    threads = max(1, (workers or cores()) // len(cards))
    started: list[_Child] = []
    complete = False
    try:
        for number, card in enumerate(cards):
            asked = {**request, "shards": list(shards[number :: len(cards)]), "workers": threads}
            with held():
                started.append(_start(card, asked, threads))
        _follow(started, progress)
        complete = True
    finally:
        with held():
            for child in started:
                if not complete:  # its input stays open until it has cleaned up, for the end of that ends it at once
                    child.process.terminate()
            for child in started:
                child.process.wait()
                assert child.process.stdin is not None
                child.process.stdin.close()
                os.close(child.reports)
    done: Counter[str] = Counter()
    for child in started:
        done.update(child.result)
    return {folder: done[folder] for folder in started[0].result or ()}


def _start(card: str, request: Mapping[str, Any], threads: int) -> _Child:
    """Start the process of one GPU.

    Raises:
        PostmillError: The system has no memory or no process left for it.
    """
    take, reports = os.pipe()
    # Its share of the cores, for what starts a thread a core by itself.
    environment = {visible.VARIABLE: card, **dict.fromkeys(_THREADS, str(threads))}
    try:
        process = children.start(_CHILD, str(reports), [reports], stdin=subprocess.PIPE, env=environment)
    except OSError as error:
        os.close(take)
        raise PostmillError(
            f"the process of a GPU cannot be started: {error.strerror}",
            place=f"GPU {card}",
            hint=f"free some memory; {_CARRIES_ON}",
        ) from error
    finally:
        os.close(reports)
    child = _Child(card, process, take)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:  # it has ended, which its other pipe tells
        pass
    return child


def _follow(started: Sequence[_Child], progress: Progress) -> None:
    """Tell what the processes tell, pass by pass, until all have ended."""
    said: set[str] = set()
    with _told(started, said, progress) as more:
        with progress.track(f"encode: loading on {len(started)} GPUs", None):
            while not all(child.labels or child.result is not None for child in started):
                more()
        labels = started[0].labels
        with progress.steps(labels) as begin:
            for label in labels:
                begin(label)
                _follow_pass(started, label, progress, more)
        while any(child.result is None for child in started):
            more()


def _follow_pass(started: Sequence[_Child], label: str, progress: Progress, more: Callable[[], None]) -> None:
    """Tell of one pass: what it is to do is known when all have begun it, or have nothing to do in it."""
    with progress.track(f"{label}: loading on {len(started)} GPUs", None):
        while not all(label in child.passes or child.past(label) for child in started):
            more()
    passes = [child.passes[label] for child in started if label in child.passes]
    contents = Contents(sum(each.held for each in passes), "posts")
    total, done, done_held = sum(each.total for each in passes), 0, 0
    with progress.track(label, total, "shards", 0, contents) if total else nullcontext() as advance:
        while True:
            now, now_held = sum(each.done for each in passes), sum(each.done_held for each in passes)
            if advance is not None and now > done:
                advance(now - done, now_held - done_held)
                done, done_held = now, now_held
            if all(child.past(label) for child in started):
                return
            more()


@contextmanager
def _told(started: Sequence[_Child], said: set[str], progress: Progress) -> Iterator[Callable[[], None]]:
    """Provide a function that waits until some processes have told more, and takes it in."""
    with selectors.DefaultSelector() as selector:
        for child in started:
            selector.register(child.reports, selectors.EVENT_READ, child)

        def more() -> None:
            for key, _ in selector.select():
                child = key.data
                data = os.read(child.reports, 1 << 16)
                lines = (child.unread + data).split(b"\n")
                child.unread = lines.pop()
                for line in lines:
                    _take(child, json.loads(line), said, progress)
                if not data:
                    selector.unregister(child.reports)
                    if child.result is None:
                        raise _ended(child)

        yield more


def _take(child: _Child, told: Mapping[str, Any], said: set[str], progress: Progress) -> None:
    """Take in one line.

    Raises:
        PostmillError: It says what was wrong.
    """
    match told["what"]:
        case "steps":
            child.labels = told["labels"]
        case "step":
            child.label = told["label"]
        case "pass":
            child.passes[told["label"]] = _Pass(told["total"], told["held"])
        case "done":
            each = child.passes[told["label"]]
            each.done, each.done_held = each.done + told["n"], each.done_held + told["held"]
        case "note":
            if told["message"] not in said:  # all say which model stands in for another: once is enough
                said.add(told["message"])
                progress.note(told["message"])
        case "result":
            child.result = told["done"]
        case "memory":
            raise MemoryError
        case "error":
            kind = UsageError if told["code"] == EXIT_USAGE else PostmillError
            raise kind(told["cause"], place=told["place"], hint=told["hint"])


def _ended(child: _Child) -> PostmillError | Interrupted:
    """Return what is said of a process that has ended without a word."""
    code = child.process.wait()
    if code in (EXIT_INTERRUPTED, -signal.SIGTERM):
        return Interrupted(f"stopped by a signal to the process of GPU {child.card}")
    killed = f"its process was killed by signal {-code}, most likely for want of memory"
    cause = killed if code < 0 else f"its process ended with exit code {code}"
    return PostmillError(cause, place=f"GPU {child.card}", hint=_CARRIES_ON)
