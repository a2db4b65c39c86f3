"""A terminal of any width for a command of ours, and what stands on it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def on_terminal(*words: object, columns: int, **variables: str) -> tuple[int, str]:
    """Run a command on a terminal of so many columns; return its exit code, and what it printed without its colours."""
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm", "COLUMNS": str(columns), **variables}
    child, master = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        command = [sys.executable, "-m", "postmill.cli", *map(str, words)]
        os.execve(sys.executable, command, environment)
    pieces = []
    while True:
        try:
            piece = os.read(master, 1 << 16)
        except OSError:  # how Linux says that whoever wrote is gone
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(master)
    _, status = os.waitpid(child, 0)
    text = b"".join(pieces).decode().replace("\r\n", "\n")
    return os.waitstatus_to_exitcode(status), _ESCAPE.sub("", text)
