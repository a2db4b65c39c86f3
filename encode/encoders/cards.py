"""For which languages a model is, as its card says: the front matter of the ``README.md`` in its folder."""

from __future__ import annotations

import re
from pathlib import Path

from postmill.shards.runtime.errors import PostmillError

CARD = "README.md"
_MOST_CHARACTERS = 1 << 16
_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_LANGUAGE = re.compile(r"^language:[ \t]*(.*)\n?((?:[ \t]*-[ \t].*(?:\n|\Z))*)", re.MULTILINE)
_CODE = re.compile(r"([A-Za-z]{2,3})([-_][A-Za-z0-9]{2,8})*")
_ALIKE = {"fil": "tl", "cmn": "zh", "nb": "no", "eng": "en", "deu": "de", "fra": "fr", "spa": "es"}


def card_languages(folder: Path) -> frozenset[str] | None:
    """Return the ISO 639-1 codes of the languages that the card in ``folder`` names; None where it names none.

    None, too, where it names one that says nothing, such as ``multilingual``.

    Raises:
        PostmillError: The card cannot be read.
    """
    path = folder / CARD
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MOST_CHARACTERS)
    except (FileNotFoundError, IsADirectoryError):
        return None
    except OSError as error:
        raise PostmillError(
            f"cannot be read: {error.strerror}", place=path, hint="mend the permissions, or copy the model anew"
        ) from error
    front = _FRONT_MATTER.match(text)
    found = _LANGUAGE.search(front[1] + "\n") if front else None
    if found is None:
        return None
    listed = [line.strip()[1:] for line in found[2].splitlines()]
    words = [word.partition("#")[0].strip(" \t'\"[]") for word in (*found[1].split(","), *listed)]
    codes = {word for word in words if word}
    if not codes or not all(_CODE.fullmatch(code) for code in codes):
        return None
    return frozenset(_ALIKE.get(code, code) for code in (re.split("[-_]", word)[0].lower() for word in codes))
