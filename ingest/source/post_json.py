"""The JSON of an ``.info`` file, read strictly, or as near to it as damage leaves it; and in it one post."""

from __future__ import annotations

import json
import lzma
import re
from contextlib import suppress
from typing import Any

import orjson

from postmill.ingest.text.encoding import encoding_of
from postmill.shards.formats.tar import Buffer

# The escapes of JSON, of which a surrogate pair is two; `half` is one that lacks its other.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half>u[dD][89a-fA-F]..)|.)", re.DOTALL)
_WRAPPERS = ("data", "graphql", "shortcode_media", "xdt_shortcode_media", "node")
_MARKS = {"shortcode", "taken_at_timestamp", "edge_media_to_caption", "edge_media_preview_like", "display_url"}
_WITHIN = _MARKS.union(_WRAPPERS)
_XZ = b"\xfd7zXZ\0"
_XZ_MEMORY = 256 << 20  # bytes: the largest dictionary of the presets takes 65 MiB
_LARGE = 1 << 20  # bytes; smaller ones are little memory whatever is in them
_MAX_VALUES = 500_000  # that brackets and commas can hold; each may become 200 bytes of Python objects
_DIGITS = 19  # which 64 bits may not hold
_MAX_ESCAPES = 500_000  # in what is not JSON as it stands


class NotAPost(ValueError):
    """The bytes are no post; the message says why."""


def parse_post(data: bytes | bytearray | memoryview) -> dict[str, Any]:
    """Return the post that the bytes of an ``.info`` file hold, without the wrappers that collectors left around it.

    Raises:
        NotAPost: The file is empty, not JSON, or not a post.
    """
    return _unwrap(parse_json(data))


def parse_json(data: bytes | bytearray | memoryview) -> Any:
    """Return what the JSON ``data`` holds.

    Raises:
        NotAPost: It is empty, no JSON, or more values than any post has.
    """
    if len(data) > _LARGE:
        _check_values(data)
    return _parsed(data)


def plain_json(data: Buffer, most: int) -> Buffer:
    """Return ``data`` decompressed if it is compressed by xz, as collectors keep their JSON, else as it is.

    Raises:
        NotAPost: It is cut short or damaged, or becomes more than ``most`` bytes.
    """
    if bytes(data[: len(_XZ)]) != _XZ:
        return data
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)
    try:
        plain = decompressor.decompress(data, most + 1)
    except (lzma.LZMAError, MemoryError) as error:
        raise NotAPost(f"compressed by xz, and damaged: {error}") from error
    if len(plain) > most:
        raise NotAPost(f"compressed by xz, and more than {most:,} bytes")
    if not decompressor.eof:
        raise NotAPost("compressed by xz, and cut short")
    return plain


def _check_values(data: bytes | bytearray | memoryview) -> None:
    """Refuse a large file of so many values that they would be far more memory than its bytes.

    Brackets and commas within texts count too: no post of this size is real, and telling them apart costs a parser.
    """
    plain = bytes(data) if isinstance(data, memoryview) else data
    values = sum(map(plain.count, (b",", b"[", b"{")))
    if values > _MAX_VALUES:
        raise NotAPost(f"{len(data):,} bytes of up to {values:,} values, where a post has {_MAX_VALUES:,} at most")


def _parsed(data: bytes | bytearray | memoryview) -> Any:
    if not len(data):
        raise NotAPost("the file is empty")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        why = str(error)  # the error itself holds the text, and kept here, until the collector comes by
    mark, encoding = encoding_of(bytes(data[:4]))
    plain = bytes(data[len(mark) :])
    if encoding != "utf-8":
        plain = plain.decode(encoding, "replace").encode()
    plain = plain.rstrip(b"\0")  # with which some writers fill a file up
    if plain.count(b"\\") <= _MAX_ESCAPES:
        # The strict parser refuses half of a surrogate pair, which a caption cut in the middle of an emoji ends with,
        # and control characters in texts, and the numbers that Python writes as NaN and Infinity.
        plain = _ESCAPE.sub(_whole_escape, plain)
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(plain)
        with suppress(ValueError, RecursionError):
            return json.loads(plain.decode(), strict=False, parse_int=_whole_number, parse_constant=_no_number)
    raise NotAPost(f"not JSON: {why}")


def _whole_number(text: str) -> int | float:
    return int(text) if len(text) < _DIGITS else float(text)  # as the strict parser has them


def _no_number(_: str) -> None:
    return None


def _whole_escape(escape: re.Match[bytes]) -> bytes:
    return escape[0] if escape["half"] is None else rb"\ufffd"


def _unwrap(value: Any) -> dict[str, Any]:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    while (inner := _wrapped(value)) is not None:
        value = inner
    if not isinstance(value, dict):
        raise NotAPost(f"JSON, but {_type_name(value)} where a post should be")
    if _MARKS.isdisjoint(value):
        raise NotAPost("JSON, but none of the fields of a post is in it")
    return value


def _wrapped(value: Any) -> dict[str, Any] | None:
    """Return what is in a wrapper, None where ``value`` is none."""
    if isinstance(value, dict):
        for wrapper in _WRAPPERS:
            inner = value.get(wrapper)
            if isinstance(inner, dict) and not _WITHIN.isdisjoint(inner):
                return inner
    return None


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    return {list: "a list", str: "a string", bool: "true or false"}.get(type(value), "a number")
