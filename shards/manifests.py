"""The manifest of a unit of work: which files it has, their lengths and BLAKE3, and how to tell that they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3

from shards import sealed

SCHEMA_VERSION = 2
_BLOCK = 1 << 20


@dataclass(frozen=True)
class FileState:
    """What a manifest says of one file: its length in bytes and its BLAKE3 in hexadecimal."""

    bytes: int
    blake3: str


@dataclass(frozen=True)
class Manifest:
    """The small JSON that says a unit is done."""

    unit: str
    run: str
    files: Mapping[str, FileState]
    counts: Mapping[str, int]
    info: Mapping[str, Any]


def to_json(manifest: Manifest) -> dict[str, Any]:
    """Return the JSON form of ``manifest``, without its seal."""
    files = {name: {"bytes": state.bytes, "blake3": state.blake3} for name, state in manifest.files.items()}
    return {
        "schema": SCHEMA_VERSION,
        "unit": manifest.unit,
        "run": manifest.run,
        "files": files,
        "counts": dict(manifest.counts),
        "info": dict(manifest.info),
    }


def read(folder: Path, name: str) -> Manifest | None:
    """Return the manifest of unit ``name``, or None where there is none that is whole and has our schema."""
    try:
        value = sealed.unseal((folder / f"{name}.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    try:
        if value["schema"] != SCHEMA_VERSION:
            return None
        files = {name: FileState(int(f["bytes"]), str(f["blake3"])) for name, f in value["files"].items()}
        return Manifest(value["unit"], value["run"], files, value["counts"], value["info"])
    except (KeyError, TypeError, AttributeError):
        return None


def done(folder: Path, name: str, run: str) -> Manifest | None:
    """Return the manifest of unit ``name`` if it is this run's and every file has the size it states, else None."""
    manifest = read(folder, name)
    if manifest is None or manifest.run != run:
        return None
    for file, state in manifest.files.items():
        try:
            if (folder / file).stat().st_size != state.bytes:
                return None
        except FileNotFoundError:
            return None
    return manifest


def differences(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Yield one sentence for each file of ``manifest`` that is missing or whose length or BLAKE3 differs."""
    for name, state in manifest.files.items():
        what = difference(folder / name, state)
        if what:
            yield f"{folder / name}: {what}"


def difference(path: Path, state: FileState, advance: Callable[[int], None] = lambda _: None) -> str:
    """Say how the file ``path`` differs from what its manifest states; empty if it does not.

    Args:
        path: The file.
        state: What the manifest states.
        advance: Told of the bytes read.
    """
    try:
        size = path.stat().st_size
        if size != state.bytes:
            return f"{size} bytes, the manifest says {state.bytes}"
        digest = blake3()
        with path.open("rb", buffering=0) as file:
            block = bytearray(_BLOCK)
            while length := file.readinto(block):
                digest.update(memoryview(block)[:length])
                advance(length)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if digest.hexdigest() == state.blake3 else "BLAKE3 differs from the manifest's"
