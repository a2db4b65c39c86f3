"""The run folder: one dataset, one configuration, pinned by ``run.json``, which is published with the plan."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import Any

from postmill.shards.run import manifests, publish, regular, sealed
from postmill.shards.run.options import Level, Options
from postmill.shards.run.regular import RUN_FILE
from postmill.shards.run.sealed import canonical_hash
from postmill.shards.run.sources import Locations, Sources
from postmill.shards.runtime.errors import PostmillError, UsageError

_ARCHIVES = ("*.zip", "*/*.zip", "*.z01", "*/*.z01", "*.zip.001", "*/*.zip.001")  # which no run holds, but a dataset
_VERSION = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}((a|b|rc)[0-9]{1,6})?")


@dataclass(frozen=True)
class Run:
    """An open run folder.

    Attributes:
        folder: Where it lies.
        fingerprint: SHA-256 over what is pinned; every manifest of the run carries it.
        sources: What is pinned of each source.
        options: The pinned options.
        locations: Where the sources were last seen; not pinned, so a dataset may move.
        format_version: Of the run folder; an old one is only read.
    """

    folder: Path
    fingerprint: str
    sources: Sources
    options: Options
    locations: Locations
    format_version: int = manifests.SCHEMA_VERSION

    @property
    def word(self) -> str:
        """The folder as one word of a shell, and no option, for the commands in messages."""
        return quote(f"./{self.folder}" if str(self.folder).startswith("-") else str(self.folder))

    @property
    def invented(self) -> bool:
        """Whether its data were marked as invented when it was planned."""
        return self.sources.invented

    @property
    def plan(self) -> Path:
        """Folder of the plan's tables."""
        return self.folder / "plan"

    @property
    def spool(self) -> Path:
        """Folder of the spools."""
        return self.folder / "spool"

    @property
    def posts(self) -> Path:
        """Folder of the post shards."""
        return self.folder / "posts"

    @property
    def embeddings(self) -> Path:
        """Folder of the encoders' folders."""
        return self.folder / "embeddings"

    @property
    def models(self) -> Path:
        """Folder of the models' folders."""
        return self.folder / "models"

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.folder / "report"

    @property
    def insights(self) -> Path:
        """Folder of the tables of tone."""
        return self.folder / "insights"

    @property
    def secret(self) -> Path:
        """Folder of what is shared with nobody (:mod:`.secret`)."""
        return self.folder / "secret"

    @property
    def logs(self) -> Path:
        """Folder of the logs."""
        return self.folder / "logs"


def open_run(folder: Path, *, reading: bool = False) -> Run:
    """Open the run folder ``folder``.

    Args:
        folder: Where it lies.
        reading: Whether nothing will be made that belongs to the run, so that it may be of an older format.

    Raises:
        UsageError: There is no run here, or it was made in another version of the format.
        PostmillError: ``run.json`` is damaged or cannot be read.
    """
    path = folder / RUN_FILE
    try:
        content = regular.read(path)
        value = json.loads(content)
        made_in = value["schema"], value["version"]
    except (FileNotFoundError, NotADirectoryError):
        raise _no_run(folder) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from error
    _check_version(folder, *made_in, reading)
    try:
        value = sealed.unseal(content)
        format_version = value["schema"]
        sources = Sources.from_json(value["sources"], format_version)
        options = Options.from_json(value["options"])
        locations = Locations.from_json(value["locations"])
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    return Run(folder, fingerprint(value), sources, options, locations, format_version)


def archive_in(folder: Path) -> Path | None:
    """Return a part of a zip, below ``folder``, that tells a dataset from a run; None where there is none."""
    found = (path for pattern in _ARCHIVES for path in sorted(folder.glob(pattern)))
    return next((path.relative_to(folder) for path in found), None)


def fingerprint(stated: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hexadecimal) of the canonical JSON of what a run pins, as ``run.json`` states it.

    Where the sources lie is no part of it, nor, since format 3, the version of the program: a run outlives a release.
    Nor is how long a part is, which of an awaited one nobody knows yet, but where ``salvage`` went on without it.
    """
    if stated["schema"] == 2:
        return canonical_hash({name: field for name, field in stated.items() if name != "locations"})
    sources = dict(stated["sources"])
    if stated["options"]["level"] != Level.SALVAGE.value:
        for name in ("metadata", "images"):
            sources[name] = {**sources[name], "parts": [part for part, _ in sources[name]["parts"]]}
    kept = {name: field for name, field in stated.items() if name not in ("locations", "version")}
    return canonical_hash({**kept, "sources": sources})


def pinned_json(sources: Sources, options: Options) -> dict[str, Any]:
    """Return what a run is pinned to, as ``run.json`` states it."""
    return {"schema": manifests.SCHEMA_VERSION, "sources": sources.to_json(), "options": options.to_json()}


def new(folder: Path, sources: Sources, options: Options, locations: Locations) -> Run:
    """Return the run of ``sources`` and ``options``; nothing is written."""
    pinned = fingerprint(pinned_json(sources, options))
    return Run(folder, pinned, sources, options, locations, manifests.SCHEMA_VERSION)


def put(run: Run) -> None:
    """Write ``run.json``.

    Raises:
        PostmillError: The disk is full, or the folder cannot be written.
    """
    fields = {"version": version("postmill"), "locations": run.locations.to_json()}
    publish.put_sealed(run.folder / RUN_FILE, {**pinned_json(run.sources, run.options), **fields})


def _check_version(folder: Path, made_in: object, made_by: object, reading: bool) -> None:
    """Refuse a run of a format that is not known, or that is an old one and not only read."""
    known = type(made_in) is int and made_in in manifests.KNOWN_VERSIONS
    if made_in == manifests.SCHEMA_VERSION or (known and reading):
        return
    # It goes into a command, and run folders are handed on: nothing else than a version may.
    maker = made_by if isinstance(made_by, str) and _VERSION.fullmatch(made_by) else None
    by = "another version of postmill" if maker is None else f"postmill {maker}"
    in_format = f"format {made_in}" if type(made_in) is int else "a format that is none"
    again = "" if maker in (None, version("postmill")) else f"; to go on with it: pip install postmill=={maker}"
    look = f"it can be read: postmill status {quote(str(folder))}; " if known else ""
    raise UsageError(
        f"was made by {by} ({in_format}); this is {version('postmill')} (format {manifests.SCHEMA_VERSION})",
        place=folder / RUN_FILE,
        hint=f"{look}to work on the dataset, make a new run: postmill plan SOURCE NEW_RUN{again}",
    )


def _damaged(path: Path, error: Exception) -> PostmillError:
    what = "nested too deeply" if isinstance(error, RecursionError) else error
    remade = f"rm -f -- {quote(str(path))}; postmill plan SOURCE {quote(str(path.parent))}"
    return PostmillError(
        f"is damaged: {what}",
        place=path,
        hint=f"restore it from a copy, or have it written again from the sources: {remade}",
    )


def _no_run(folder: Path) -> UsageError:
    word = quote(str(folder))
    if (folder / "plan").is_dir():
        return UsageError(
            "has no run.json, but a plan",
            place=folder,
            hint=f"have it written again from the sources: postmill plan SOURCE {word}",
        )
    if folder.is_file():
        return UsageError("is a file, not a run folder", place=folder, hint=_meant(folder.parent, "name a run folder"))
    if not folder.exists():
        hint = _nearest(folder) or f"make a run there: postmill plan SOURCE {word}"
        return UsageError("does not exist", place=folder, hint=hint)
    held = archive_in(folder)
    if held is not None:
        return UsageError(
            f"is not a run folder but a dataset, or a part of one: it holds {held}",
            place=folder,
            hint=f"name its run, or make one: postmill plan {word} NEW_RUN",
        )
    hint = _meant(folder, f"make one: postmill plan SOURCE {word}")
    return UsageError("is not a run folder: it has no run.json", place=folder, hint=hint)


def _nearest(folder: Path) -> str:
    """Return the question whether the run folder beside ``folder`` with the nearest name is meant; empty for none."""
    if not folder.parent.is_dir():
        return ""
    runs = {path.parent.name: path.parent for path in folder.parent.glob(f"*/{RUN_FILE}")}
    near = difflib.get_close_matches(folder.name, runs, 1)
    return f"did you mean {runs[near[0]]}?" if near else ""


def _meant(folder: Path, otherwise: str) -> str:
    """Return the question whether the run that ``folder`` lies in, or the only one that it holds, is meant."""
    above = [path for path in (folder, *folder.parents, *folder.absolute().parents) if (path / RUN_FILE).is_file()]
    below = [path.parent for path in folder.glob(f"*/{RUN_FILE}")]
    if above or len(below) == 1:
        return f"did you mean {(above or below)[0]}?"
    return otherwise
