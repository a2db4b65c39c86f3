"""The one place that puts files into a run folder: whole or not at all, and the manifest last.

A *unit* is a piece of work: some files and the manifest ``NAME.json`` that says they are complete. Files are
written under a temporary name in their own folder (:mod:`.temporary`), flushed to disk, renamed, and only then is
the manifest written the same way. An exception discards everything, and a kill leaves temporaries at most.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from postmill.shards.run import manifests, parquet, sealed
from postmill.shards.run.manifests import Manifest
from postmill.shards.run.temporary import SCRATCH, TEMPORARY, HashingFile, written_name
from postmill.shards.runtime import interrupt
from postmill.shards.runtime.errors import PostmillError

# What file systems say that do not flush folders, such as FUSE and SMB; what they hold is as safe as they make it.
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EBADF})
# What file systems say that have no hard links, such as FAT and many a FUSE, or do not let some users make them.
_NO_LINKS = frozenset({errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK})
# What helps where the system does not let a file be written.
_MEND = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, for your quota is used up",
    errno.EFBIG: "have larger files allowed (ulimit -f)",
    errno.EACCES: "have it made writable for you, or name a place that is",
    errno.EPERM: "have it made writable for you, or name a place that is",
    errno.EROFS: "name a place that can be written, or have the disk mounted so",
    errno.EIO: "check the disk",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENAMETOOLONG: "name a shorter path",
}


@dataclass
class Unit:
    """Work in hand: open files, and what the manifest will say besides.

    ``published`` is True after the block if something new was put into the folder, False if the same was there.
    """

    folder: Path
    name: str
    run: str
    compared: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    files: dict[str, HashingFile] = field(default_factory=dict)
    published: bool = False

    def file(self, name: str, in_places: bool = False) -> HashingFile:
        """Open the file that will be published as ``folder/name``.

        Args:
            name: A plain name, or one in a folder right below, as ``faults/000001.parquet``.
            in_places: Whether it will be read in places (:class:`.checked.CheckedFile`).
        """
        path = self.folder / name
        with interrupt.held():
            if path.parent != self.folder:
                path.parent.mkdir(exist_ok=True)
            opened = HashingFile(path, in_places, held=self.compared)
            self.files[name] = opened
        return opened

    def table(self, name: str, table: pa.Table, row_group_size: int | None = None) -> None:
        """Write ``table`` as the Parquet file ``folder/name``."""
        parquet.write(self.file(name), table, row_group_size)


@contextmanager
def unit(folder: Path, name: str, run: str, *, compared: bool = False) -> Iterator[Unit]:
    """Publish the unit ``name`` in ``folder``, created where absent, when the block ends without an exception.

    Args:
        folder: Where the files and ``name.json`` go.
        name: Name of the unit, without suffix.
        run: Fingerprint of the run (:attr:`.folder.Run.fingerprint`).
        compared: Whether a unit that is there already is read, and not taken at its manifest's word: of small files.

    Raises:
        PostmillError: The disk is full or the folder cannot be written; nothing is published.
        Interrupted: A signal came before; nothing is published.
    """
    interrupt.check()
    work = Unit(folder, name, run, compared)
    try:
        with writing(folder / name):
            if not compared:
                folder.mkdir(parents=True, exist_ok=True)
            yield work
            states = {file_name: file.finish() for file_name, file in work.files.items()}
            manifest = Manifest(name, run, states, work.counts, work.info, work.inputs)
            there = manifests.done(folder, name, run) == manifest  # another worker, or an earlier call, was first
            if not there or (compared and any(manifests.differences(folder, manifest))):
                for file in work.files.values():
                    folder.mkdir(parents=True, exist_ok=True)
                    file.put_down()
                _replace(folder, name, work.files)
                put_sealed(folder / f"{name}.json", manifests.to_json(manifest))
                work.published = True
    finally:
        for file in work.files.values():
            file.discard()


def _replace(folder: Path, name: str, files: Mapping[str, HashingFile]) -> None:
    """Give ``files`` their names; the manifest of those before goes first, and what it names beside these goes too."""
    before = manifests.read(folder, name)
    (folder / f"{name}.json").unlink(missing_ok=True)
    for file in files.values():
        file.temporary.replace(file.path)
    for stale in () if before is None else before.files.keys() - files.keys():
        (folder / stale).unlink(missing_ok=True)
    for parent in {file.path.parent for file in files.values()} | {folder}:
        sync_folder(parent)


def put_folder(made: Path, target: Path) -> bool:
    """Give the finished folder ``made`` the name ``target``, atomically and durably; False if something is there.

    Raises:
        PostmillError: ``target`` cannot be written.
    """
    with writing(target):
        try:
            made.rename(target)  # onto an empty folder it goes too
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
        sync_folder(target.parent)
        return True


def put_unit(made: Path, target: Path, name: str) -> None:
    """Move the finished unit ``name`` from the folder ``made`` into ``target``, over what is there, its manifest last.

    Raises:
        PostmillError: ``target`` cannot be written.
    """
    manifest = f"{name}.json"
    before = manifests.read(target, name)
    with writing(target):
        # What the new one has not goes first: without a manifest nobody would know that it is stale.
        for stale in () if before is None else before.files.keys() - {path.name for path in made.iterdir()}:
            remove(target / stale)
        remove(target / manifest)
        for path in sorted(made.iterdir()):
            if path.name != manifest:
                path.replace(target / path.name)
        sync_folder(target)
        (made / manifest).replace(target / manifest)
        sync_folder(target)


def drop(folder: Path, manifest: Manifest, name: str) -> None:
    """Let go of the file ``name`` of a unit, whose ``manifest`` then says so and keeps its length and its hash.

    Killed in between, it leaves a file that the manifest calls dropped: dropping it again removes it.

    Raises:
        PostmillError: ``folder`` cannot be written.
    """
    state = manifest.files[name]
    if not state.dropped:
        files = {**manifest.files, name: replace(state, dropped=True)}
        put_sealed(folder / f"{manifest.unit}.json", manifests.to_json(replace(manifest, files=files)))
    if (folder / name).exists():
        remove(folder / name)


def remove(path: Path) -> None:
    """Remove the file ``path``, if it is there, durably.

    Raises:
        PostmillError: Its folder cannot be written.
    """
    with writing(path):
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


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
            f"cannot write: {os.strerror(error.errno) if error.errno else error}",  # libraries add words of their own
            place=_to_be(Path(error.filename), place) if isinstance(error.filename, str) else place,
            hint=f"{_MEND.get(error.errno or 0, 'mend that')}, then run the same command again: it carries on",
        ) from error


def _to_be(path: Path, place: Path) -> Path:
    """Return ``path`` under the name that it was to have, where it is a temporary; of what lies in one, ``place``."""
    if any(above.name.startswith(TEMPORARY) for above in path.parents):
        return place
    name = written_name(path.name)
    return path if name is None else place if name == SCRATCH else path.with_name(name)


def put_bytes(path: Path, content: bytes, *, private: bool = False, first: bool = False) -> None:
    """Write ``content`` to ``path``, atomically and durably, in a folder that is made where absent.

    With ``private`` nobody but the user may read it. With ``first`` what is there by then stays, so that of several who
    write at once one decides for all; where a file system has no hard links, the last does.

    Raises:
        PostmillError: The disk is full, or ``path`` cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = HashingFile(path)
        try:
            if private:
                file.temporary.chmod(0o600)
            file.write(content)
            file.finish()
            if not (first and _linked(file.temporary, path)):
                file.temporary.replace(path)
            sync_folder(path.parent)
        finally:
            file.discard()


def _linked(temporary: Path, path: Path) -> bool:
    """Give a finished file the name ``path`` unless it is taken; False where the file system has no hard links.

    Raises:
        OSError: ``path`` cannot be written.
    """
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return True
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return False
    return True


def put_sealed(path: Path, value: Mapping[str, Any], *, first: bool = False) -> None:
    """Write ``value`` to ``path`` as JSON that carries its own SHA-256 (:mod:`.sealed`), as :func:`put_bytes` does."""
    put_bytes(path, sealed.json_bytes(sealed.seal(value)), first=first)


def sync_folder(folder: Path) -> None:
    """Flush the names in ``folder`` to disk, where its file system can be asked to."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(fd)
