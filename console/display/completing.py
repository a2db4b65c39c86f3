"""What a shell is offered for a word that is half typed: names that lie in folders, found without loading anything."""

from __future__ import annotations

import os
from pathlib import Path

import typer

_RUN_FILE = "run.json"  # of shards.run.folder, which takes longer to load than a key press may
_MOST = 1000  # folders that are looked into


def runs(incomplete: str) -> list[str]:
    """Return the run folders whose path begins with ``incomplete``; where there is none, the shell offers files."""
    place, slash, begun = incomplete.rpartition(os.sep)
    above = Path(f"{place}{slash}" or ".").expanduser()
    found = [name for name in _folders(above) if name.startswith(begun) and (above / name / _RUN_FILE).is_file()]
    return [f"{place}{slash}{name}" for name in found]


def models(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the trained models of the run that was typed."""
    return _below(ctx, "models", incomplete)


def embeddings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the folders of embeddings of the run that was typed."""
    return _below(ctx, "embeddings", incomplete)


def _below(ctx: typer.Context, folder: str, incomplete: str) -> list[str]:
    typed = ctx.args[:1]  # what stands before the option: its run
    names = _folders(Path(typed[0]).expanduser() / folder) if typed else []
    return [name for name in names if name.startswith(incomplete)]


def _folders(place: Path) -> list[str]:
    """Return the names of the folders in ``place``; none of what cannot be read, for nobody asked for words now."""
    try:
        with os.scandir(place) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_MOST), strict=False) if entry.is_dir()]
    except OSError:
        return []
    return sorted(name for name in names if not name.startswith("."))
