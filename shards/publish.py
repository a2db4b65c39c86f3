"""The one place that puts files into a run folder: whole or not at all, and the manifest last.

A *unit* is a piece of work: some files and the manifest ``NAME.json`` that says they are complete. Files are
written under a temporary name in their own folder, flushed to disk, renamed, and only then is the manifest
written the same way. An exception discards everything. A kill leaves at most temporaries, which
:func:`sweep` tells from those of living writers by their lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from shards import interrupt, parquet, sealed
from shards.errors import PostmillError

SCHEMA_VERSION = 1
TEMPORARY = ".tmp-"
_LOCK = "lock"  # in a temporary folder; locks on folders themselves are not seen by other nodes
_BLOCK = 1 << 20
_IOV_MAX = os.sysconf("SC_IOV_MAX")


@dataclass(frozen=True)
class FileState:
    """What a manifest says of one file: its length in bytes and its SHA-256 in hexadecimal."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The small JSON that says a unit is done."""

    unit: str
    run: str
    files: Mapping[str, FileState]
    counts: Mapping[str, int]
    info: Mapping[str, Any]


class HashingFile:
    """A temporary file, open for appending, that knows the SHA-256 of what was written to it.

    It holds an exclusive lock for as long as its writer lives, which is how :func:`sweep` knows a leftover.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with interrupt.held():
            self.temporary, self._fd = _create_locked(path)
            # A signal can come between any two steps of a clean-up; this removes what it left out.
            weakref.finalize(self, _remove, self.temporary)
        self._sha256 = hashlib.sha256()
        self._written = 0
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append ``data``; return its length in bytes."""
        view = memoryview(data).cast("B")
        self._sha256.update(view)
        at = 0
        while at < len(view):
            at += os.write(self._fd, view[at:])
        self._written += len(view)
        return len(view)

    def writev(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        """Append ``buffers`` in order, in as few system calls as the kernel allows."""
        update = self._sha256.update
        for buffer in buffers:
            update(buffer)
        for at in range(0, len(buffers), _IOV_MAX):
            chunk = buffers[at : at + _IOV_MAX]
            length = sum(map(len, chunk))
            done = os.writev(self._fd, chunk)
            self._written += length
            if done < length:  # a signal or a nearly full disk: write the rest piece by piece
                rest = memoryview(b"".join(chunk))[done:]
                while rest:
                    rest = rest[os.write(self._fd, rest) :]

    def tell(self) -> int:
        """Return the number of bytes written so far."""
        return self._written

    def flush(self) -> None:
        """Do nothing: writes are not buffered here."""

    def finish(self) -> FileState:
        """Flush to disk, release, and return the length and hash."""
        os.fsync(self._fd)
        self.close()
        return FileState(self._written, self._sha256.hexdigest())

    def close(self) -> None:
        """Release the file; what is under the temporary name stays."""
        if not self.closed:
            fd, self._fd, self.closed = self._fd, -1, True  # who writes later must not hit another file
            os.close(fd)

    def discard(self) -> None:
        """Release the file and remove what is under the temporary name, if anything is."""
        with interrupt.held():
            self.close()
            _remove(self.temporary)

    def readable(self) -> bool:
        """Return False: this file is written only."""
        return False

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return False: hashing goes front to back."""
        return False


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
            if done(folder, name, run) != manifest:  # else another worker, or an earlier call, was first with the same
                for file in work.files:
                    file.temporary.replace(file.path)
                _sync_folder(folder)
                put_sealed(folder / f"{name}.json", to_json(manifest))
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


def to_json(manifest: Manifest) -> dict[str, Any]:
    """Return the JSON form of ``manifest``, without its seal."""
    files = {name: {"bytes": state.bytes, "sha256": state.sha256} for name, state in manifest.files.items()}
    return {
        "schema": SCHEMA_VERSION,
        "unit": manifest.unit,
        "run": manifest.run,
        "files": files,
        "counts": dict(manifest.counts),
        "info": dict(manifest.info),
    }


def read_manifest(folder: Path, name: str) -> Manifest | None:
    """Return the manifest of unit ``name``, or None where there is none that is whole and has our schema."""
    try:
        value = sealed.unseal((folder / f"{name}.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    try:
        if value["schema"] != SCHEMA_VERSION:
            return None
        files = {name: FileState(int(f["bytes"]), str(f["sha256"])) for name, f in value["files"].items()}
        return Manifest(value["unit"], value["run"], files, value["counts"], value["info"])
    except (KeyError, TypeError, AttributeError):
        return None


def done(folder: Path, name: str, run: str) -> Manifest | None:
    """Return the manifest of unit ``name`` if it is this run's and every file has the size it states, else None."""
    manifest = read_manifest(folder, name)
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
    """Yield one sentence for each file of ``manifest`` that is missing or whose length or SHA-256 differs."""
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
        digest = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            block = bytearray(_BLOCK)
            while length := file.readinto(block):
                digest.update(memoryview(block)[:length])
                advance(length)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if digest.hexdigest() == state.sha256 else "SHA-256 differs from the manifest's"


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Give the block a temporary folder inside ``folder``, which is made where absent.

    It is locked like a temporary file, and removed at the end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with interrupt.held():
        made, fd = _create_locked_folder(folder)
    try:
        yield Path(made.name)
    finally:
        with interrupt.held():
            made.cleanup()
            os.close(fd)


def sweep(folder: Path) -> int:
    """Remove the temporaries in ``folder`` that no living writer holds; return how many there were."""
    removed = 0
    for path in folder.glob(f"{TEMPORARY}*"):
        try:
            # For writing: on NFS nothing else can be locked exclusively.
            fd = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT) if path.is_dir() else os.open(path, os.O_RDWR)
        except (FileNotFoundError, PermissionError):  # gone; another user's
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed += 1
        except BlockingIOError:
            pass  # its writer lives
        finally:
            os.close(fd)
    return removed


def _create_locked(path: Path) -> tuple[Path, int]:
    """Create and lock a temporary beside ``path``; try again if a sweep removed it before it was locked."""
    while True:
        temporary = path.with_name(f"{TEMPORARY}{path.name}-{secrets.token_hex(4)}")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            if os.fstat(fd).st_ino == temporary.stat().st_ino:
                return temporary, fd
        except FileNotFoundError:
            pass
        os.close(fd)


def _create_locked_folder(folder: Path) -> tuple[tempfile.TemporaryDirectory[str], int]:
    """Create and lock a temporary folder, as :func:`_create_locked` does a file."""
    while True:
        made = tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=folder, ignore_cleanup_errors=True)
        try:
            fd = os.open(Path(made.name) / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            made.cleanup()
            continue
        fcntl.flock(fd, fcntl.LOCK_EX)
        if Path(made.name).is_dir():
            return made, fd
        os.close(fd)
        made.cleanup()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
