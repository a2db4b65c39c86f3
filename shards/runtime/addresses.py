"""Addresses without what is secret or fleeting in them: what is stored and what is shown of them, made in one place.

A signature, a token or a password gives the right to read; it does not say what is read, and changes while that stays.
So it is no part of a name, stands in no file of a run, and is printed nowhere.
"""

from __future__ import annotations

import re

_SCHEME = r"[a-zA-Z][a-zA-Z0-9+.-]+"
_ADDRESS = re.compile(rf"({_SCHEME})://")
_IN_TEXT = re.compile(rf"{_SCHEME}://\S+")
_CLOSING = re.compile(r"['\")\]}>,;:]*$")  # what text puts behind an address that it names
_USER = re.compile(r"[^/?#]*@")
# A password may hold what should have been escaped in it; a colon before a port is another thing.
_PASSWORD = re.compile(r"[^/?#@:]*:(?!\d*[/?#])[^@]*@")
_QUERY = re.compile(r"[?#]")
# In these `?` and `#` are letters of a name, and what stands before an `@` may be the name of a container.
_NAMES_OF_OBJECTS = frozenset(
    ["s3", "s3a", "gs", "gcs", "oss", "abfs", "abfss", "az", "adl", "wasb", "wasbs", "memory", "file", "local"]
)


def is_url(path: object) -> bool:
    """Tell whether ``path`` is an address, which goes through fsspec, rather than a path of the local file system."""
    return isinstance(path, str) and _ADDRESS.match(path) is not None


def plain(path: str) -> str:
    """Return a path or an address without user, password, query and fragment: what may be stored, and tells it again.

    Local paths stay as they are.
    """
    address, _ = split(path)
    return address


def split(path: str) -> tuple[str, str]:
    """Return :func:`plain` of a path or an address, and its query and fragment with their sign, empty for none."""
    match = _ADDRESS.match(path)
    if match is None:
        return path, ""
    scheme, rest = match[1].lower(), path[match.end() :]
    objects = scheme in _NAMES_OF_OBJECTS
    user = _PASSWORD.match(rest) or (None if objects else _USER.match(rest))
    rest = rest[user.end() :] if user else rest
    end = _QUERY.search(rest)
    rest, query = (rest, "") if objects or end is None else (rest[: end.start()], rest[end.start() :])
    return f"{match[0]}{rest}", query


def redacted(text: str) -> str:
    """Return ``text``, a message or an address, with :func:`plain` addresses in it.

    Whatever follows an address up to the next blank is taken for part of it: rather too much is left out.
    """
    return _IN_TEXT.sub(_redacted, text)


def _redacted(match: re.Match[str]) -> str:
    closing = _CLOSING.search(match[0])
    end = len(match[0]) if closing is None else closing.start()
    return plain(match[0][:end]) + match[0][end:]
