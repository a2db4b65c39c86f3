"""A sentence of the report, and how far it goes."""

from __future__ import annotations

from dataclasses import dataclass

NONE, WEAK, CLAIM = "none", "weak", "claim"


@dataclass(frozen=True)
class Finding:
    """One sentence of the report.

    Attributes:
        strength: ``claim`` where an interval supports it, ``weak`` where it describes these posts alone, ``none``
            where it says that nothing can be said.
        text: The sentence, plain text.
    """

    strength: str
    text: str
