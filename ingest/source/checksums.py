"""Lists of checksums as those who hand out files write them, read into digests by file name.

Known are ``md5sum`` and its kin (``HEX  name``, also of ``rclone hashsum``), BSD and OpenSSL (``MD5 (name) = HEX``), a
name and ``md5:HEX`` in either order, tables with commas, tabs or semicolons, and the JSON of Zenodo, Dataverse, Drive
and ``rclone lsjson --hash``. Names are taken without their folders. What algorithm a digest is of, its length says.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postmill.ingest.source.textfile import blocks
from postmill.shards.runtime.errors import UsageError

ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
"""By the hexadecimal digits of their digests."""

_MOST_BYTES = 64 << 20  # of a list
_HEX = "(?P<hex>[0-9A-Fa-f]{128}|[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})"
_DIGEST = re.compile(rf"(?:(?:md5|sha-?(?:1|256|512)|sha2-(?:256|512))\s*[:=]\s*)?{_HEX}", re.IGNORECASE)
_BSD = re.compile(rf"\s*(?:MD5|SHA-?(?:1|256|512)|SHA2-(?:256|512)) ?\((?P<name>.+)\)\s*=\s*{_HEX}\s*", re.IGNORECASE)
_FIRST = re.compile(rf"\s*(?P<escaped>\\?){_DIGEST.pattern}\s+\*?(?P<name>\S.*)", re.IGNORECASE)
_LAST = re.compile(rf"\s*(?P<name>.*\S)\s+{_DIGEST.pattern}\s*", re.IGNORECASE)
_WORD = re.compile(r"md5|sha-?\d+|sha2-\d+|[\d.,:+TZ-]+|", re.IGNORECASE)  # a field of a table that is no name
_NAME_HEADINGS = ("key", "name", "filename", "file", "file_name", "path", "title")
_DIGEST_KEYS = ("md5", "sha", "checksum", "hash", "digest", "value")


@dataclass(frozen=True)
class Digest:
    """One checksum that a list states.

    Attributes:
        algorithm: One of :data:`ALGORITHMS`.
        value: Hexadecimal, in lower case.
        source: The list it stands in.
    """

    algorithm: str
    value: str
    source: str


def read_checksums(paths: Iterable[str]) -> dict[str, list[Digest]]:
    """Return what the lists ``paths``, local ones or addresses, state, by file name.

    Raises:
        UsageError: A list states no checksum of a kind that is known.
        PostmillError: A list cannot be read.
    """
    digests: dict[str, list[Digest]] = {}
    for path in paths:
        text = _text(path)
        pairs = list(_of_json(text) if text.lstrip().startswith(("{", "[")) else _of_lines(text))
        for name, value in pairs:
            digest = Digest(ALGORITHMS[len(value)], value.lower(), path)
            digests.setdefault(re.split(r"[\\/]", name.strip())[-1], []).append(digest)
        if not pairs:
            raise UsageError(
                "states no checksum that is known",
                place=path,
                hint="a line of it should be as md5sum or sha256sum write it: hexadecimal digits, two blanks, the name",
            )
    return digests


def _text(path: str) -> str:
    content = b""
    for block in blocks(path):
        content += block
        if len(content) > _MOST_BYTES:
            raise UsageError("is too long for a list of checksums", place=path, hint="check which file you meant")
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"  # PowerShell writes so
    return content.decode(encoding, "replace")


def _of_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and digest of each line that states both."""
    heading: int | None = None  # the field of a table that holds the name
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        delimiter = next((sign for sign in "\t,;" if sign in line), None)
        fields = [] if delimiter is None else [field.strip() for field in next(csv.reader([line], delimiter=delimiter))]
        digests = [match["hex"] for field in fields if (match := _DIGEST.fullmatch(field))]
        if fields and not digests:
            names = [index for index, field in enumerate(fields) if field.lower() in _NAME_HEADINGS]
            heading = names[0] if names else heading
        if digests:
            index = heading if heading is not None and heading < len(fields) else _name_field(fields)
            yield from ((fields[index], digest) for digest in digests if index is not None)
        elif match := _BSD.fullmatch(line):
            yield match["name"], match["hex"]
        elif match := _FIRST.fullmatch(line):
            name = match["name"].rstrip()
            yield name.replace("\\\\", "\\") if match["escaped"] else name, match["hex"]
        elif match := _LAST.fullmatch(line):
            yield match["name"], match["hex"]


def _name_field(fields: list[str]) -> int | None:
    return next(
        (i for i, field in enumerate(fields) if not _DIGEST.fullmatch(field) and not _WORD.fullmatch(field)), None
    )


def _of_json(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and digest of each object that has both, however deep; also of one JSON object a line."""
    try:
        values = [json.loads(text)]
    except (ValueError, RecursionError):
        values = []
        for line in text.splitlines():
            try:
                values.append(json.loads(line))
            except (ValueError, RecursionError):
                continue
    waiting: list[Any] = values
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            name = next(
                (value[key] for key in value if key.lower() in _NAME_HEADINGS and isinstance(value[key], str)), ""
            )
            if name:
                yield from ((name, digest) for digest in _stated(value))
            waiting.extend(value.values())


def _stated(value: Mapping[str, Any]) -> Iterator[str]:
    """Yield the digests of an object: its own, and those of an object in it that has no name of its own."""
    for key, field in value.items():
        named = any(word in key.lower() for word in _DIGEST_KEYS)
        if isinstance(field, str) and (match := _DIGEST.fullmatch(field)) and (named or ":" in field):
            yield match["hex"]
        elif isinstance(field, dict) and named:
            yield from _stated(field)
