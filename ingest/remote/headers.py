"""Headers of HTTP that a user gives in a file: for servers that want a token, which stands on no command line.

The file is read by each process that needs it, and what is in it goes to the servers of the addresses that were given,
not to where these redirect, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from shlex import quote

from postmill.shards.runtime.errors import UsageError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS = frozenset({"accept-encoding", "connection", "content-length", "host", "range", "transfer-encoding"})
_OPTION = "--header-file"
_in_force: dict[str, str] = {}


def use(path: Path | None) -> None:
    """Let every request of this process from now on have the headers of the file ``path``; None for none.

    Raises:
        UsageError: It cannot be read, others than its owner may read it, or a line is no header.
    """
    read = {} if path is None else _read(path)
    _in_force.clear()
    _in_force.update(read)


def in_force() -> Mapping[str, str]:
    """Return the headers that requests have beside those of HTTP itself."""
    return _in_force


def _read(path: Path) -> dict[str, str]:
    try:
        open_to_others = path.stat().st_mode & 0o077
        text = path.read_bytes().decode("latin-1")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", place=f"{_OPTION} {path}") from error
    if open_to_others:
        raise UsageError(
            "others than you may read it, and it holds what gives the right to read",
            place=f"{_OPTION} {path}",
            hint=f"chmod 600 {quote(str(path))}",
        )
    headers: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise UsageError(
                f"line {number} is no header", place=f"{_OPTION} {path}", hint="a line each, such as Authorization: ..."
            )
        if name.lower() in _OURS:
            raise UsageError(f"{name} is not to be set", place=f"{_OPTION} {path}", hint=f"remove line {number}")
        headers[name] = value.strip()
    return headers
