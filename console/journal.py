"""The log of a call on this machine: ``RUN/logs/local/2026-11-30T09-15-02-train-12345.log``, the last fifty of them.

Tasks of a job have their scheduler's. What is said before there is a run is kept until there is one, and dropped where
none comes to be. A disk that is full or only read never stops the work: it is said once, and no log is left.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from postmill.shards.run import regular
from postmill.shards.run.regular import RUN_FILE
from postmill.shards.runtime.addresses import redacted
from postmill.shards.runtime.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, Interrupted, PostmillError
from postmill.shards.runtime.printable import printable
from postmill.shards.runtime.progress import log

FOLDER = "local"
KEPT = 50
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-[a-z-]+-\d+\.log", re.ASCII)


class Journal(logging.Handler):
    """Lines of a log, written to a file of the run as soon as there is one.

    Args:
        run: The run folder.
        command: The command's name.
    """

    def __init__(self, run: Path, command: str) -> None:
        super().__init__(logging.INFO)
        self._run = run
        self._name = f"{time.strftime('%Y-%m-%dT%H-%M-%S')}-{command}-{os.getpid()}.log"
        self._waiting = b""
        self._fd: int | None = None
        self._over = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self.write(record.getMessage())

    def write(self, text: str) -> None:
        """Write lines, each with the time, without what controls a terminal and what is secret in an address."""
        now = time.strftime("%H:%M:%S")
        lines = [f"{now} {printable(redacted(line))}\n" for line in text.splitlines()]
        self._waiting += "".join(lines).encode("utf-8", "backslashreplace")
        if self._over or (self._fd is None and not (self._run / RUN_FILE).is_file()):
            return
        try:
            if self._fd is None:
                self._fd = self._open()
            data, self._waiting = self._waiting, b""
            os.write(self._fd, data)
        except (OSError, PostmillError) as error:
            self._over = True
            why = error.strerror if isinstance(error, OSError) else error.cause
            log.info("%s cannot be written (%s): this call leaves no log there", self._run / "logs" / FOLDER, why)

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        super().close()

    def _open(self) -> int:
        """Make the file, and remove the oldest of those that are too many."""
        folder = self._run / "logs" / FOLDER
        for each in (folder.parent, folder):
            each.mkdir(exist_ok=True)
            if not regular.is_folder(each):  # a link, to anywhere
                raise PostmillError("is no folder of the run", place=each)
        fd = os.open(folder / self._name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        logs = sorted(path for path in regular.listed(folder) if _NAME.fullmatch(path.name))
        for path in logs[:-KEPT]:
            with suppress(OSError):
                path.unlink()
        return fd


@contextmanager
def kept(run: Path | None, command: str, *loggers: logging.Logger) -> Iterator[Journal | None]:
    """Keep what ``loggers`` are told during the block in a log of ``run``, from the command line to the exit code.

    Args:
        run: The run folder, which need not be there yet; None for no log.
        command: The command's name.
        loggers: Which logs.
    """
    if run is None:
        yield None
        return
    journal = Journal(run, command)
    journal.write(shlex.join(["postmill", *sys.argv[1:]]))
    journal.write(f"postmill {version('postmill')}, process {os.getpid()}, {time.strftime('%Y-%m-%d %H:%M:%S %z')}")
    for logger in loggers:
        logger.addHandler(journal)
    code = EXIT_DONE
    try:
        yield journal
    except (PostmillError, Interrupted) as error:
        code = error.exit_code
        journal.write(f"error: {error.place}: {error.cause}" if error.place else f"error: {error.cause}")
        journal.write(f"  next:  {error.hint}" if error.hint else "")
        raise
    except BaseException as error:
        code = getattr(error, "exit_code", EXIT_FAILED)
        if not hasattr(error, "exit_code"):
            journal.write("".join(traceback.format_exception(error)))
        raise
    finally:
        for logger in loggers:
            logger.removeHandler(journal)
        journal.write(f"ends with exit code {code}")
        journal.close()


def end_at_once(journal: Journal | None) -> None:
    """Write the end of a call that a second Ctrl-C ends; takes no lock."""
    if journal is not None:
        journal.write(f"ended at once by a second Ctrl-C, with exit code {EXIT_INTERRUPTED}")
