"""Which process made something, on which machine, and whether it still lives: told without any lock."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_NAME_LETTERS = 24  # of a machine's name
_STARTED = 19  # field 22 of proc(5), counted from the state, which follows the name in parentheses
_UNKNOWN_START = 0


class Process(NamedTuple):
    """A process: where it runs (:func:`machine`), its number there, and its start in the kernel's ticks, 0: unknown."""

    machine: str
    pid: int
    start: int

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, a process of this machine, so that :attr:`lives` can be told."""
        return self.machine == machine()

    @property
    def lives(self) -> bool:
        """Whether it runs, asked on its machine; a number that was given to a later process is told by the start."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # another user's
            pass
        state, start = _state(self.pid)
        return state not in ("Z", "X") and (self.start == start or _UNKNOWN_START in (self.start, start))


@lru_cache
def machine() -> str:
    """Return a name for where process numbers mean the same: the host's, safe in a file's name, and a hash.

    The hash is of the host's whole name, its start, and the container: machines may have the same name, and a container
    has numbers of its own. It has no hyphen.
    """
    facts = [platform.node()]
    try:
        facts.append((_PROC / "sys/kernel/random/boot_id").read_text())
        facts.append(str((_PROC / "self/ns/pid").readlink()))
    except OSError:  # a kernel that has no such file: the name alone must do
        pass
    name = re.sub(r"[^A-Za-z0-9_.]", "_", facts[0])[:_NAME_LETTERS]
    return f"{name or 'host'}.{hashlib.sha256('/'.join(facts).encode()).hexdigest()[:8]}"


def this_process() -> Process:
    """Return the process that asks."""
    return Process(machine(), os.getpid(), _state(os.getpid())[1])


def _state(pid: int) -> tuple[str, int]:
    """Return the state of a process, a letter, and its start; '' and 0 where they cannot be told."""
    try:
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b") ")[2].split()
        return fields[0].decode(), int(fields[_STARTED])
    except (OSError, IndexError, ValueError):
        return "", _UNKNOWN_START
