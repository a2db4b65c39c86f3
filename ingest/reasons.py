"""The exception that one entry cannot be taken; it leaves all others alone."""

from __future__ import annotations

from shards.reasons import MEANING, Reason

__all__ = ["MEANING", "EntryFault", "Reason"]


class EntryFault(Exception):
    """One entry cannot be taken.

    Args:
        reason: Which of the closed list.
        detail: Both sides of a contradiction, numbers, offsets: what a reader needs to see it.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
