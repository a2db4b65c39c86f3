"""A folder of files, as unpacking an archive leaves it, read as if it were one: every file is an entry.

To the plan, its windows and the stages the folder is an archive of one part in which the files lie one behind the other
in the order of their paths, each behind the local header that a zip would have. No such archive is ever written; the
headers are made up when they are read. Nothing states a checksum of a file, so its length is all that is compared.
"""

from __future__ import annotations

import errno
import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import AnyStr, TypeGuard

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from postmill.ingest.source.confirm import RememberingSpace
from postmill.ingest.zipformat.directory import Directory
from postmill.ingest.zipformat.directory_records import SCHEMA
from postmill.ingest.zipformat.part_names import parse_name
from postmill.ingest.zipformat.signatures import LOCAL_HEADER, LOCAL_SIGNATURE
from postmill.ingest.zipformat.space import AddressSpace, Part, PartError
from postmill.shards.formats.places import offset_of
from postmill.shards.formats.reasons import Reason
from postmill.shards.formats.spool import PLAIN_FILE
from postmill.shards.run.sources import PinnedArchive, Place
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.errors import PostmillError

_BATCH = 1 << 16  # files
_MOST_NAME = 0xFFFF  # bytes
_PUT_BACK = "put it back as it was, or plan the folder as it is now in a new run folder"


@dataclass(frozen=True)
class FileTree:
    """The files below a folder, in the order of their paths.

    Attributes:
        folder: Which folder.
        names: Shape (files,). Their paths below it, bytes, with ``/`` between.
        sizes: Shape (files,). Their lengths, bytes.
        dangling: Paths below it of links that lead to no file.
    """

    folder: Path
    names: tuple[bytes, ...]
    sizes: npt.NDArray[np.int64]
    dangling: tuple[bytes, ...] = ()

    @property
    def directory(self) -> Directory:
        """What would be said of its directory, which lies behind the last file."""
        warnings = []
        if self.dangling:
            count, first = len(self.dangling), self.dangling[0].decode("utf-8", "backslashreplace")
            warnings.append(
                f"{count:,} links lead to no file and are left out, such as {first!r}: fetch what they stand for"
            )
        return Directory("single", self.bytes, self.bytes, len(self.names), False, 0, warnings)

    @property
    def bytes(self) -> int:
        """The length of the archive that it is read as."""
        return int(self._ends()[-1]) if self.names else 0

    def pinned(self) -> PinnedArchive:
        """Return what tells it from another folder: the paths and lengths of its files."""
        digest = hashlib.sha256()
        for name, size in zip(self.names, self.sizes.tolist(), strict=True):
            digest.update(b"%b\0%d\0" % (name, size))
        return PinnedArchive(((self.folder.name, self.bytes),), digest.hexdigest(), len(self.names))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield its files as records of a directory (:data:`.directory_records.SCHEMA`)."""
        ends = self._ends()
        for first in range(0, len(self.names), _BATCH):
            names, sizes = self.names[first : first + _BATCH], self.sizes[first : first + _BATCH]
            texts = [name.decode("utf-8", "replace") for name in names]
            right = [text.encode() == name for text, name in zip(texts, names, strict=True)]
            faults = pa.array([None if good else Reason.NAME_UNDECODABLE.value for good in right], pa.string())
            lengths = np.array([len(name) for name in names], np.uint16)
            offsets = ends[first : first + _BATCH] - sizes - lengths - LOCAL_HEADER.size
            none = np.zeros(len(names), np.uint16)
            columns = [
                pa.array(np.arange(first, first + len(names), dtype=np.uint64)),
                pa.array(texts, pa.string()),
                pa.array(names, pa.binary()),
                pa.array(offsets.astype(np.uint64)),
                pa.array(sizes.astype(np.uint64)),
                pa.array(sizes.astype(np.uint64)),
                pa.array(none.astype(np.uint32)),
                pa.array(none + np.uint16(PLAIN_FILE)),
                pa.array(none),
                pa.array(lengths),
                pa.array(none.astype(bool)),
                faults.cast(SCHEMA.field("fault").type),
                pa.array([None if good else "the name of the file is not UTF-8" for good in right], pa.string()),
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=SCHEMA)

    def _ends(self) -> npt.NDArray[np.int64]:
        lengths = np.array([len(name) for name in self.names], np.int64)
        return np.cumsum(self.sizes + lengths + LOCAL_HEADER.size)


class TreeSpace(RememberingSpace):
    """A folder that is planned: one part, of which nothing is read."""

    def __init__(self, tree: FileTree) -> None:
        super().__init__((Part(tree.folder.name, str(tree.folder), 0, tree.bytes),))
        self.tree = tree


class PlannedFiles(AddressSpace):
    """Planned files of a folder as the archive that the plan has of it; between them it is empty.

    Args:
        folder: Which folder.
        planned: Entries of one window (schema :data:`.plan.ENTRIES`), in order of place.

    Raises:
        PostmillError: The plan names what is not below the folder.
    """

    def __init__(self, folder: Path, planned: pa.Table) -> None:
        offsets, rows = np.unique(offset_of(planned["offset"].to_numpy()), return_index=True)
        chosen = planned.take(pa.array(rows))
        self._starts_of_files: list[int] = offsets.tolist()
        self._names: list[bytes] = chosen["name"].to_pylist()
        self._sizes: list[int] = chosen["size"].to_pylist()
        hostile = next((name for name in self._names if name.startswith(b"/") or b".." in name.split(b"/")), None)
        if hostile is not None:
            raise PostmillError(
                f"the plan names {hostile!r}, which is not below the folder", place=folder, hint="make the plan anew"
            )
        self._folder = folder
        end = self._end(len(offsets) - 1) if len(offsets) else 0
        super().__init__((Part(folder.name, str(folder), 0, end),))

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``: headers, files, and zeros where no planned file is.

        Raises:
            PartError: A file is gone, cannot be read, or is not as long as it was.
        """
        self._checked(offset, len(buffer))
        while buffer:
            number = bisect_right(self._starts_of_files, offset) - 1
            if number < 0 or offset >= self._end(number):
                last = number + 1 == len(self._starts_of_files)
                gap = len(buffer) if last else min(len(buffer), self._starts_of_files[number + 1] - offset)
                buffer[:gap] = bytes(gap)
                offset, buffer = offset + gap, buffer[gap:]
                continue
            header = self._header(number)
            inside = offset - self._starts_of_files[number]
            take = min(len(buffer), self._end(number) - offset)
            into = buffer[:take]
            if inside < len(header):
                piece = header[inside : inside + take]
                into[: len(piece)] = piece
                into, inside = into[len(piece) :], len(header)
            if into:
                self._read(number, inside - len(header), into)
            offset, buffer = offset + take, buffer[take:]

    def _end(self, number: int) -> int:
        return self._starts_of_files[number] + LOCAL_HEADER.size + len(self._names[number]) + self._sizes[number]

    def _header(self, number: int) -> bytes:
        name, size = self._names[number], self._sizes[number]
        fields = LOCAL_SIGNATURE, 10, 0, PLAIN_FILE, 0, 0, min(size, 0xFFFFFFFF), min(size, 0xFFFFFFFF)
        return LOCAL_HEADER.pack(*fields, len(name), 0) + name

    def _read(self, number: int, position: int, into: memoryview) -> None:
        path = os.fsencode(self._folder) + b"/" + self._names[number]
        shown = os.fsdecode(path)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                size = os.fstat(fd).st_size
                if size != self._sizes[number]:
                    cause = f"has {size:,} bytes; the run was planned with {self._sizes[number]:,}"
                    raise PartError(cause, part=shown, hint=_PUT_BACK)
                while into:
                    got = os.preadv(fd, [into], position)
                    if got == 0:
                        raise PartError(f"ends at byte {position:,}", part=shown, hint=_PUT_BACK)
                    into, position = into[got:], position + got
            finally:
                os.close(fd)
        except PartError:
            raise
        except OSError as error:
            hint = _PUT_BACK if isinstance(error, FileNotFoundError) else "check the disk, and who may read the file"
            raise PartError(f"cannot be read: {error.strerror}", part=shown, hint=hint, errno=error.errno) from error


def is_tree(location: Place) -> TypeGuard[str]:
    """Say whether ``location`` is a folder of files and not one with an archive in it, nor several places."""
    if not isinstance(location, str) or is_url(location) or not Path(location).is_dir():
        return False
    with os.scandir(location) as entries:
        return not any(parse_name(entry.name) is not None for entry in entries if _is_file(entry))


def scan(folder: Path) -> FileTree:
    """Return the files below ``folder``; links to files are followed, links to folders and to nothing are not.

    Raises:
        PostmillError: A folder or a file cannot be looked at.
    """
    names: list[bytes] = []
    sizes: list[int] = []
    dangling: list[bytes] = []
    try:
        for name, size in _files(os.fsencode(folder), b""):
            if size is None:
                dangling.append(name)
            else:
                names.append(name)
                sizes.append(size)
    except OSError as error:
        raise PostmillError(
            f"cannot be read: {error.strerror}",
            place=os.fsdecode(error.filename or folder),
            hint="check the disk, and who may read it",
        ) from error
    return FileTree(folder, tuple(names), np.array(sizes, np.int64), tuple(dangling))


def _is_file(entry: os.DirEntry[AnyStr]) -> bool:
    try:
        return entry.is_file()
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link that leads back to itself
            return False
        raise


def _files(folder: bytes, below: bytes) -> Iterator[tuple[bytes, int | None]]:
    """Yield the path and the length of each file, and None for that of a link that leads to none."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        name = below + entry.name
        if entry.name.startswith(b"."):  # what systems and programs keep for themselves
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, name + b"/")
        elif len(name) > _MOST_NAME:
            continue
        elif _is_file(entry):
            yield name, entry.stat().st_size
        elif entry.is_symlink() and not Path(os.fsdecode(entry.path)).is_dir():
            yield name, None
