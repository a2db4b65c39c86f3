"""Commands at a terminal of their own: what they show, and what a press of Ctrl-C does."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

PATIENCE_S = 60.0
CTRL_C = b"\x03"
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class AtTerminal:
    """A command whose standard streams are a terminal of its own.

    Args:
        words: The command.
        columns: Width of the terminal.
    """

    def __init__(self, words: Sequence[object], columns: int = 80) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        environment.pop("COLUMNS", None)
        self.process = subprocess.Popen(
            [str(word) for word in words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C is a signal to it
        )
        os.close(slave)
        self._shown = b""

    @property
    def text(self) -> str:
        """All that was written so far, without what controls the terminal."""
        return _CONTROLS.sub("", self._shown.decode("utf-8", "replace"))

    @property
    def raw(self) -> bytes:
        """All that was written so far."""
        return self._shown

    def until(self, words: str, times: int = 1) -> None:
        """Wait until ``words`` were written, so many times."""
        end = time.monotonic() + PATIENCE_S
        while self.text.count(words) < times:
            assert time.monotonic() < end and self._read(), f"no {words!r} in: {self.text}"

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._master, key)

    def end(self) -> int:
        """Wait for the end, and return the exit code."""
        while self._read():
            pass
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            os.close(self._master)

    def _read(self) -> bool:
        """Read what there is; False when the terminal was closed."""
        ready, _, _ = select.select([self._master], [], [], PATIENCE_S)
        assert ready, f"nothing more came: {self.text}"
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # Linux's way to say that nobody has it open any more
            return False
        self._shown += data
        return bool(data)


def program(folder: Path, text: str) -> list[str]:
    """Return the command that runs postmill after ``text`` has changed something in it."""
    path = folder / "program.py"
    ending = "from postmill.cli import app\nfrom postmill.console.errors import run_app\nrun_app(app)\n"
    path.write_text(f"from postmill.console.system import prepare\nprepare()\n{text}\n{ending}")
    return [sys.executable, str(path)]
