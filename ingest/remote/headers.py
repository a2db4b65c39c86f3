"""Headers of HTTP that a user gives in a file: for servers that want a token, which stands on no command line.

The file is read by each process that needs it, and what is in it goes to the servers of the addresses that were given,
not to where these redirect, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from postmill.shards.runtime.errors import UsageError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS = frozenset({"accept-encoding", "connection", "content-length", "host", "range", "transfer-encoding"})
_OPTION = "--header-file"


@dataclass
class _Chosen:
    """What the requests of this process have: headers, the file that they are from, and whether it was typed."""

    file: Path | None = None
    typed: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


_chosen = _Chosen()  # of the process, as the environment is: what reads an archive knows nothing of who asks


def use(path: Path | None, *, typed: bool = True) -> None:
    """Let every request of this process from now on have the headers of the file ``path``; None for none.

    What was typed for this command goes before what a run remembers, which is not ``typed``.

    Raises:
        UsageError: It cannot be read, others than its owner may read it, or a line is no header.
    """
    if _chosen.typed and not typed:
        return
    _chosen.headers, _chosen.file, _chosen.typed = {}, None, False
    if path is not None:
        _chosen.headers, _chosen.file, _chosen.typed = _read(path), path, typed


def in_force() -> Mapping[str, str]:
    """Return the headers that requests have beside those of HTTP itself."""
    return _chosen.headers


def file() -> Path | None:
    """Return the file that they are from."""
    return _chosen.file


def _read(path: Path) -> dict[str, str]:
    try:
        open_to_others = path.stat().st_mode & 0o077
        text = path.read_bytes().decode("latin-1")
    except OSError as error:
        hint = f"give {_OPTION} and where it lies now"
        raise UsageError(f"cannot be read: {error.strerror}", place=f"{_OPTION} {path}", hint=hint) from error
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
