"""The one place that puts files into a run folder: whole or not at all, and the manifest last.

A *unit* is a piece of work: some files and the manifest ``NAME.json`` that says they are complete. Files are
written under a temporary name in their own folder (:mod:`shards.temporary`), flushed to disk, renamed, and only then is
the manifest written the same way. An exception discards everything, and a kill leaves temporaries at most.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from shards import interrupt, manifests, parquet, sealed
from shards.errors import PostmillError
from shards.manifests import Manifest
from shards.temporary import HashingFile


@dataclass
class Unit:
    """Work in hand: open files, and what the manifest will say besides.

    ``published`` is True after the block if something new was put into the folder, False if the same was there.
    """

    folder: Path
    name: str
    run: str
    counts: dict[str, int] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    files: list[HashingFile] = field(default_factory=list)
    published: bool = False

    def file(self, name: str) -> HashingFile:
        """Open the file that will be published as ``folder/name``."""
        with interrupt.held():
            opened = HashingFile(self.folder / name)
            self.files.append(opened)
        return opened

    def table(self, name: str, table: pa.Table, row_group_size: int | None = None) -> None:
        """Write ``table`` as the Parquet file ``folder/name``."""
        parquet.write(self.file(name), table, row_group_size)


@contextmanager
def unit(folder: Path, name: str, run: str) -> Iterator[Unit]:
    """Publish the unit ``name`` in ``folder``, created where absent, when the block ends without an exception.

    Args:
        folder: Where the files and ``name.json`` go.
        name: Name of the unit, without suffix.
        run: Fingerprint of the run (:attr:`shards.run.Run.fingerprint`).

    Raises:
        PostmillError: The disk is full or the folder cannot be written; nothing is published.
        Interrupted: A signal came before; nothing is published.
    """
    interrupt.check()
    work = Unit(folder, name, run)
    try:
        with writing(folder / name):
            folder.mkdir(parents=True, exist_ok=True)
            yield work
            states = {file.path.name: file.finish() for file in work.files}
            manifest = Manifest(name, run, states, work.counts, work.info)
            if (
                manifests.done(folder, name, run) != manifest
            ):  # else another worker, or an earlier call, was first with the same
                for file in work.files:
                    file.temporary.replace(file.path)
                _sync_folder(folder)
                put_sealed(folder / f"{name}.json", manifests.to_json(manifest))
                work.published = True
    finally:
        for file in work.files:
            file.discard()


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn an OSError of the block, which writes ``place``, into what a user can mend.

    Raises:
        PostmillError: The disk is full, or ``place`` cannot be written.
    """
    try:
        yield
    except PostmillError:  # some are an OSError too: of a part that cannot be read, say
        raise
    except OSError as error:
        raise PostmillError(
            f"cannot write: {error.strerror or error}",
            place=error.filename or place,
            hint="free some space or mend the permissions, then run the same command again: it carries on",
        ) from error


def put_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, atomically and durably, in a folder that is made where absent.

    Raises:
        PostmillError: The disk is full, or ``path`` cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = HashingFile(path)
        try:
            file.write(content)
            file.finish()
            file.temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            file.discard()


def put_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Write ``value`` to ``path`` as JSON that carries its own SHA-256 (:mod:`shards.sealed`)."""
    put_bytes(path, sealed.json_bytes(sealed.seal(value)))


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
