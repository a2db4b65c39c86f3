"""The run folder: one dataset, one configuration, pinned by ``run.json`` at the first command."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import Any

from shards import manifests, publish, sealed, temporary
from shards.errors import PostmillError, UsageError
from shards.sealed import canonical_hash

RUN_FILE = "run.json"


@dataclass(frozen=True)
class Run:
    """An open run folder.

    Attributes:
        folder: Where it lies.
        fingerprint: SHA-256 over what is pinned; every manifest of the run carries it.
        sources: Each source's pinned fingerprint (parts with sizes, hashes), by name.
        options: The pinned options.
        locations: Where the sources were last seen; not pinned, so a dataset may move.
    """

    folder: Path
    fingerprint: str
    sources: Mapping[str, Any]
    options: Mapping[str, Any]
    locations: Mapping[str, Any]

    @property
    def word(self) -> str:
        """The folder as one word of a shell, for the commands in messages."""
        return quote(str(self.folder))

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
    def logs(self) -> Path:
        """Folder of the logs."""
        return self.folder / "logs"


def fingerprint(sources: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hexadecimal) of the canonical JSON of what a run pins."""
    return canonical_hash(_pinned(sources, options))


def create_or_check(
    folder: Path, sources: Mapping[str, Any], options: Mapping[str, Any], locations: Mapping[str, Any]
) -> Run:
    """Pin ``run.json`` in a new folder, or compare with what an earlier command pinned.

    Raises:
        UsageError: ``folder`` belongs to another dataset or configuration (the differing field is named), or
            holds something that is not a run.
    """
    path = folder / RUN_FILE
    if not path.exists():
        if folder.exists() and not folder.is_dir():
            raise UsageError("is a file, not a run folder", place=folder, hint="name a new folder for the run")
        strangers = folder.is_dir() and any(not p.name.startswith(temporary.TEMPORARY) for p in folder.iterdir())
        if not path.exists():  # else another command pinned it meanwhile
            if strangers:
                raise UsageError(
                    "is neither empty nor a run folder", place=folder, hint="name a new or an empty folder for the run"
                )
            publish.put_sealed(path, {**_pinned(sources, options), "locations": dict(locations)})
    temporary.sweep(folder)
    run = open_run(folder)
    wanted = _pinned(sources, options)
    held = _pinned(run.sources, run.options)
    for field, old, new in _mismatches(held, wanted):
        raise UsageError(
            f"this run was pinned with another {field}: {_short(old)}, and now it is {_short(new)}",
            place=path,
            hint="use the same sources and options as before, or start afresh in a new run folder: "
            "postmill run SOURCE NEW_RUN",
        )
    if dict(run.locations) != dict(locations):  # the same dataset in another place
        publish.put_sealed(path, {**wanted, "locations": dict(locations)})
        run = open_run(folder)
    return run


def open_run(folder: Path) -> Run:
    """Open the run folder ``folder``.

    Raises:
        UsageError: There is no run here, or it was made by another version of the format.
        PostmillError: ``run.json`` is damaged.
    """
    path = folder / RUN_FILE
    again = (
        "restore it from a copy, or take that of a new run folder with the same sources and options: "
        f"postmill plan SOURCE NEW, then cp NEW/{RUN_FILE} {quote(str(path))}"
    )
    try:
        content = path.read_bytes()
        value = json.loads(content)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            "is not a run folder: it has no run.json",
            place=folder,
            hint=f"make one: postmill plan SOURCE {quote(str(folder))}",
        ) from None
    except ValueError as error:
        raise PostmillError(f"cannot be read as JSON ({error})", place=path, hint=again) from error
    try:
        schema, made_by = value["schema"], value["version"]
        run = Run(folder, "", value["sources"], value["options"], value["locations"])
    except (KeyError, TypeError) as error:
        raise PostmillError(f"lacks {error}", place=path, hint=again) from error
    if (schema, made_by) != (manifests.SCHEMA_VERSION, version("postmill")):
        raise UsageError(
            f"was made by postmill {made_by} (format {schema}); this is {version('postmill')}"
            f" (format {manifests.SCHEMA_VERSION})",
            place=path,
            hint=f"pip install postmill=={made_by} to go on with it, or start a new run folder",
        )
    try:
        sealed.unseal(content)
    except ValueError as error:
        raise PostmillError(f"is damaged: {error}", place=path, hint=again) from error
    return Run(folder, fingerprint(run.sources, run.options), run.sources, run.options, run.locations)


def _pinned(sources: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "schema": manifests.SCHEMA_VERSION,
        "version": version("postmill"),
        "sources": dict(sources),
        "options": dict(options),
    }


def _mismatches(old: Any, new: Any, field: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the dotted name and both values of each leaf in which two JSON values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _mismatches(old.get(key), new.get(key), f"{field}.{key}" if field else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for at, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _mismatches(a, b, f"{field}[{at}]")
    elif old != new:
        yield field, old, new


def _short(value: Any) -> str:
    text = f"{len(value)} of them" if isinstance(value, list | dict) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
