"""Cards: Markdown that begins with front matter, as people and the Hugging Face hub read it, and where the data's lies.

Front matter is YAML between two lines of ``---``. Names out of a run stand in it, so every text is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from postmill.shards.run import checked, manifests
from postmill.shards.run.folder import Run

DATA_CARD_UNIT, DATA_CARD_FILE = "data-card", "data-card.md"
"""The unit and the file in the report's folder that say what the data of a run are."""

Value: TypeAlias = "str | int | float | Sequence[Value] | Mapping[str, Value]"

_FENCE = "---\n"
_STEP = "  "
_MARKUP = re.compile(r"[\\`*\[\]<>|#!&]")


def front_matter(fields: Mapping[str, Value]) -> str:
    """Return ``fields`` as YAML between lines of ``---``; those that are empty are left out.

    Args:
        fields: By the hub's names, in the order in which they stand: plain words, which are no data.
    """
    return f"{_FENCE}{''.join(_lines(fields, ''))}{_FENCE}"


def with_fields(card: str, fields: Mapping[str, Value]) -> str:
    """Return a card of :func:`front_matter` with more fields at the end of what it begins with."""
    begins, fence, rest = card.removeprefix(_FENCE).partition(f"\n{_FENCE}")
    if not card.startswith(_FENCE) or not fence:
        raise ValueError("a card without front matter")
    return f"{_FENCE}{begins}\n{''.join(_lines(fields, ''))}{_FENCE}{rest}"


def quoted(text: str) -> str:
    r"""Return ``text`` in double quotes, as YAML 1.1 and 1.2 read it.

    JSON would not do: of what is beyond U+FFFF it makes two halves, which YAML does not join. What is no character,
    half of such a pair, becomes U+FFFD.
    """
    return f'"{"".join(map(_escaped, text))}"'


def plain(text: str) -> str:
    """Return ``text`` out of a run as words of a paragraph: in one line, and none of it is markup."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def read_data_card(run: Run) -> str | None:
    """Return the card of the run's data, None where ``postmill report`` has not written one.

    Raises:
        PostmillError: It is not what its manifest states, or cannot be read.
    """
    manifest = manifests.done(run.report, DATA_CARD_UNIT, run.fingerprint)
    if manifest is None or DATA_CARD_FILE not in manifest.files:
        return None
    command = f"postmill report {run.word}"
    return checked.read(run.report / DATA_CARD_FILE, manifest.files[DATA_CARD_FILE], command).decode()


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    code = ord(letter)
    if 0xD800 <= code < 0xE000:
        return "\N{REPLACEMENT CHARACTER}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _lines(fields: Mapping[str, Value], indent: str) -> Iterator[str]:
    for name, value in fields.items():
        yield from _field(f"{indent}{name}:", value, indent)


def _field(begins: str, value: Value, indent: str) -> Iterator[str]:
    if isinstance(value, str):
        if value:
            yield f"{begins} {quoted(value)}\n"
    elif isinstance(value, int | float):
        yield f"{begins} {value!r}\n"
    elif isinstance(value, Mapping):
        if value:
            yield f"{begins}\n"
            yield from _lines(value, indent + _STEP)
    elif value:
        yield f"{begins}\n"
        for item in value:
            yield from _item(item, indent)


def _item(value: Value, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        lines = list(_lines(value, indent + _STEP))
        yield from (
            f"{indent}- {line.removeprefix(indent + _STEP)}" if n == 0 else line for n, line in enumerate(lines)
        )
    else:
        yield from _field(f"{indent}-", value, indent)
