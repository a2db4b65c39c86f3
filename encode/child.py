"""What the process of one GPU does: it encodes the post shards that :mod:`.spread` deals to it, and tells of it."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from postmill.shards.runtime import children
from postmill.shards.runtime.course import Begin
from postmill.shards.runtime.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, Interrupted, PostmillError
from postmill.shards.runtime.interrupt import interruptible
from postmill.shards.runtime.pace import Contents
from postmill.shards.runtime.progress import Advance, log


class Reports:
    """Progress as lines of JSON.

    Args:
        to: Where they are written.
    """

    def __init__(self, to: BinaryIO) -> None:
        self._to = to
        self._lock = threading.Lock()

    def tell(self, what: str, **fields: Any) -> None:
        """Write one line."""
        with self._lock:
            self._to.write(json.dumps({"what": what, **fields}).encode() + b"\n")
            self._to.flush()

    @contextmanager
    def track(
        self, label: str, total: int | None, unit: str = "", before: int = 0, contents: Contents | None = None
    ) -> Iterator[Advance]:
        """Tell of what is counted; that a model is loaded is told by whoever waits for it."""
        if not unit:
            yield lambda n, held=0: None
            return
        self.tell("pass", label=label, total=total, held=0 if contents is None else contents.count)
        yield lambda n, held=0: self.tell("done", label=label, n=n, held=held)

    def note(self, message: str) -> None:
        """Tell it."""
        self.tell("note", message=message)

    @contextmanager
    def steps(self, names: Sequence[str], alike: bool = True) -> Iterator[Begin]:
        """Tell which passes there are, and each as it begins."""
        self.tell("steps", labels=list(names))
        yield lambda name: self.tell("step", label=name)


class _Log(logging.Handler):
    """The log of this process, told as notes."""

    def __init__(self, reports: Reports) -> None:
        super().__init__(logging.INFO)
        self._reports = reports

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one line."""
        self._reports.note(record.getMessage())


def serve(reports: str) -> None:
    """Do what standard input asks for, one object of JSON on a line, and end the process.

    Args:
        reports: The file descriptor that progress is told to, and at last ``result`` or ``error``.
    """
    # As it was born: only its parent decides when it ends.
    signal.pthread_sigmask(signal.SIG_BLOCK, children.FROM_TERMINALS)
    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with os.fdopen(int(reports), "wb") as to:
        told = Reports(to)
        log.setLevel(logging.INFO)
        log.addHandler(_Log(told))
        code = _carry_out(request, told)
    sys.exit(code)


def _end_with_parent() -> None:
    """End the process when its input ends: it does not outlive its parent."""
    while os.read(sys.stdin.fileno(), 1 << 16):  # not through Python's buffer, whose lock its end would wait for
        pass
    os._exit(EXIT_INTERRUPTED)  # no clean-up: temporaries of a process that is gone are swept by the next start


def _carry_out(request: dict[str, Any], told: Reports) -> int:
    """Encode, tell how it ended, and return the exit code; a signal ends the process after the clean-up."""
    try:
        with interruptible():
            told.tell("result", done=_encode(request, told))
    except MemoryError:
        told.tell("memory")
        return EXIT_FAILED
    except PostmillError as error:
        told.tell("error", cause=error.cause, place=error.place, hint=error.hint, code=error.exit_code)
        return error.exit_code
    except Interrupted:
        pass
    else:
        return EXIT_DONE
    os._exit(EXIT_INTERRUPTED)


def _encode(request: dict[str, Any], told: Reports) -> dict[str, int]:
    from postmill.encode.stage import encoding
    from postmill.shards.run.folder import open_run

    run, shards = open_run(Path(request.pop("run"))), request.pop("shards")
    encode = encoding(run, **request, progress=told)
    return {summary.encoder.folder: summary.done for summary in encode(shards)}
