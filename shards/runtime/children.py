"""Child processes of Python that serve this one: started here, spoken to by pipes or sockets that they inherit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

FROM_TERMINALS = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
"""Signals that terminals, and some schedulers, send to all processes of a job; which ends is the parent's to say."""

_PROGRAM = """import importlib, sys
sys.path[:] = sys.argv[3:]
getattr(importlib.import_module(sys.argv[1]), "serve")(sys.argv[2])
"""


def start(
    module: str, word: str, fds: Sequence[int], *, stdin: int = subprocess.DEVNULL, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that calls ``serve(word)`` of a module of ours, and sees the packages that this one sees.

    It is born with :data:`FROM_TERMINALS` blocked: it is to call :func:`ignore` as soon as it can, and until then they
    must not end it.

    Args:
        module: Full name of the module.
        word: What it is told.
        fds: File descriptors that it inherits under the same numbers.
        stdin: What it has as standard input.
        env: Variables of its environment that differ from this one's.

    Raises:
        OSError: The system has no memory or no process left for it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FROM_TERMINALS)
    try:
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, module, word, *sys.path],
            stdin=stdin,
            pass_fds=fds,
            env={**os.environ, **(env or {})},
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore(*more: signal.Signals) -> None:
    """Have this process, a child, ignore :data:`FROM_TERMINALS` and ``more``."""
    for number in (*FROM_TERMINALS, *more):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FROM_TERMINALS)
