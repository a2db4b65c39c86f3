"""The manifest of a unit of work: which files it has, what they must hold, and what they were made from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from blake3 import blake3

from postmill.shards.run import regular, sealed
from postmill.shards.runtime.errors import PostmillError

SCHEMA_VERSION = 3
KNOWN_VERSIONS = frozenset({2, SCHEMA_VERSION})
"""The versions that can be read; only the last is written."""

BLOCK = 1 << 20
"""Bytes of a block of a file that is read in places, each of which has a hash of its own."""

DROPPABLE = ".tar"
"""How the name of a file ends that may be let go: of a post shard's pictures everything else can be made anew."""

# A plain name, of a file in the unit's folder or in a folder right below: never a path that leads elsewhere.
_NAME = re.compile(r"(?:[a-z]+/)?[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HASH = re.compile(r"[0-9a-f]{64}")
_BLOCK_HASH = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class FileState:
    """What a manifest says of one file.

    Attributes:
        bytes: Its length.
        blake3: Its BLAKE3 in hexadecimal.
        blocks: Of a file that is read in places: the first half of the BLAKE3 of each :data:`BLOCK` bytes, in order.
        dropped: Whether it was let go on purpose when all had been made of it: it takes no room, and is not missed.
    """

    bytes: int
    blake3: str
    blocks: tuple[str, ...] = ()
    dropped: bool = False


@dataclass(frozen=True)
class Manifest:
    """The small JSON that says a unit is done.

    Attributes:
        unit: Its name.
        run: Fingerprint of the run.
        files: What must stand in its folder, by plain name.
        counts: Whole numbers by name.
        info: What else identifies the work, by name.
        inputs: Hashes of what it was made from, by name (:func:`contents_hash`, or as the format has it).
    """

    unit: str
    run: str
    files: Mapping[str, FileState]
    counts: Mapping[str, int]
    info: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def kept(self) -> Mapping[str, FileState]:
        """The files that were not dropped."""
        return {name: state for name, state in self.files.items() if not state.dropped}


def to_json(manifest: Manifest) -> dict[str, Any]:
    """Return the JSON form of ``manifest``, without its seal."""
    return {
        "schema": SCHEMA_VERSION,
        "unit": manifest.unit,
        "run": manifest.run,
        "files": {name: _state_json(state) for name, state in manifest.files.items()},
        "counts": dict(manifest.counts),
        "info": dict(manifest.info),
        "inputs": dict(manifest.inputs),
    }


def contents_hash(manifest: Manifest) -> str:
    """Return the hash of what the unit's files hold: what a unit made from it states among its ``inputs``."""
    return sealed.canonical_hash({name: state.blake3 for name, state in manifest.files.items()})


def read(folder: Path, name: str) -> Manifest | None:
    """Return the manifest of unit ``name``, or None where there is none that is whole and of a version we know.

    Raises:
        PostmillError: There is one, and it cannot be read.
    """
    try:
        return from_json(sealed.unseal(regular.read(folder / f"{name}.json")))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def from_json(value: Mapping[str, Any]) -> Manifest:
    """Return the manifest that the JSON object ``value`` is, without its seal.

    Raises:
        ValueError: It is none of a version we know, or names a file that is not in its own folder.
    """
    try:
        if value["schema"] not in KNOWN_VERSIONS:
            raise ValueError(f"it is of format {value['schema']!r}")
        files = {_plain(name): _state(name, state) for name, state in value["files"].items()}
        unit, run, counts, info, inputs = (value.get(key) for key in ("unit", "run", "counts", "info", "inputs"))
        if not (isinstance(unit, str) and isinstance(run, str) and isinstance(info, dict)):
            raise ValueError("its unit, run or info is of another type")
        if not isinstance(counts, dict) or not all(type(count) is int for count in counts.values()):
            raise ValueError("its counts are not whole numbers")
        inputs = {} if inputs is None else inputs
        if not isinstance(inputs, dict) or not all(map(_HASH.fullmatch, inputs.values())):
            raise ValueError("its inputs are no hashes")
        for name in inputs:
            _plain(name)
        return Manifest(unit, run, files, counts, info, inputs)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it lacks or mistakes {error}") from error


def whole(folder: Path, name: str, run: str) -> Manifest | None:
    """Return the manifest of unit ``name`` for who uses it, None where it was not made, or by another run.

    Who makes units asks :func:`done`, and makes anew what is damaged. Who uses them must not take that for unfinished.

    Raises:
        PostmillError: The manifest is damaged, or a file that it names is missing or has another length.
    """
    path = folder / f"{name}.json"
    manifest = done(folder, name, run)
    if manifest is not None:
        return manifest
    try:
        manifest = from_json(sealed.unseal(regular.read(path)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    if manifest.run != run or manifest.unit != name:
        return None
    for file, state in manifest.kept.items():
        size = regular.size(folder / file)
        if size != state.bytes:
            what = "it is missing" if size is None else f"{size} bytes, the manifest says {state.bytes}"
            raise _damaged(folder / file, what)
    return done(folder, name, run)  # it was made meanwhile


def _damaged(path: Path, what: str) -> PostmillError:
    run = next((parent for parent in path.parents if (parent / "run.json").exists()), path.parent)
    hint = f"have it named with the command that makes it anew: postmill verify {quote(str(run))}"
    return PostmillError(f"is damaged: {what}", place=path, hint=hint)


def done(folder: Path, name: str, run: str) -> Manifest | None:
    """Return the manifest of unit ``name`` if it is this run's and every file has the size it states, else None.

    Raises:
        PostmillError: The manifest or a file is there, and cannot be looked at.
    """
    manifest = read(folder, name)
    if manifest is None or manifest.run != run or manifest.unit != name:
        return None
    for file, state in manifest.kept.items():
        if regular.size(folder / file) != state.bytes:
            return None
    return manifest


def differences(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Yield one sentence for each file of ``manifest`` that is missing or whose length or BLAKE3 differs."""
    for name, state in manifest.kept.items():
        what = difference(folder / name, state)
        if what:
            yield f"{folder / name}: {what}"


def difference(path: Path, state: FileState, advance: Callable[[int], None] = lambda _: None) -> str:
    """Say how the file ``path`` differs from what its manifest states; empty if it does not.

    Args:
        path: The file.
        state: What the manifest states.
        advance: Told of the bytes read.

    Raises:
        OSError: It is there, and cannot be read.
    """
    digest = blake3()
    try:
        with regular.opened(path) as file:
            size = regular.length(file)
            if size != state.bytes:
                return f"{size} bytes, the manifest says {state.bytes}"
            block = bytearray(BLOCK)
            while length := file.readinto(block):
                digest.update(memoryview(block)[:length])
                advance(length)
    except FileNotFoundError:
        return "missing"
    return "" if digest.hexdigest() == state.blake3 else "BLAKE3 differs from the manifest's"


def _state_json(state: FileState) -> dict[str, Any]:
    stated: dict[str, Any] = {"bytes": state.bytes, "blake3": state.blake3}
    if state.blocks:
        stated["blocks"] = list(state.blocks)
    if state.dropped:
        stated["dropped"] = True
    return stated


def _state(name: str, value: Mapping[str, Any]) -> FileState:
    blocks = tuple(value.get("blocks", ()))
    length, whole = value["bytes"], value["blake3"]
    if type(length) is not int or length < 0:
        raise ValueError("it states a length that is none")
    if not _HASH.fullmatch(whole) or not all(map(_BLOCK_HASH.fullmatch, blocks)):
        raise ValueError("it states a hash that is none")
    if blocks and len(blocks) != -(-length // BLOCK):
        raise ValueError("it states more or fewer blocks than its file has")
    dropped = value.get("dropped", False)
    if dropped is not False and (dropped is not True or not name.endswith(DROPPABLE)):
        raise ValueError(f"it says of {name} that it was dropped")
    return FileState(length, whole, blocks, dropped)


def _plain(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"it names a file {name!r}, which is not in its own folder")
    return name
