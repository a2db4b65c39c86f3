"""Where a zip that is being written goes: one file or many parts, none of which has its name until all are whole."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import IO, Literal

from postmill.shards.run import temporary
from postmill.shards.runtime.errors import UsageError

SplitKind = Literal["disks", "bytes"]


class ZipSink:
    """The parts, under temporary names in the target's folder until :meth:`publish` renames them."""

    def __init__(self, target: Path, part_size: int | None, split: SplitKind) -> None:
        if part_size is not None and part_size < 1:
            raise UsageError(f"a part cannot have {part_size} bytes")
        self.target = target
        self.size = 0
        self._limit = part_size
        self.disks = split == "disks" and part_size is not None
        self._refuse_existing()
        self._written: list[Path] = []  # what to remove, should the set not be published
        self._used = 0
        self._file = self._open()

    def __enter__(self) -> ZipSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        for path in self._written:
            path.unlink(missing_ok=True)

    @property
    def position(self) -> tuple[int, int]:
        """The disk and the offset from its start, as the format counts them, of the next byte."""
        return (len(self._written) - 1, self._used) if self.disks else (0, self.size)

    def reserve(self, length: int) -> tuple[int, int]:
        """Make sure that the next ``length`` bytes are not cut by a part; return their disk and offset."""
        if self.disks and self._limit is not None and self._used + length > self._limit:
            if length > self._limit:
                raise UsageError(
                    f"a part of {self._limit} bytes cannot hold a record of {length}",
                    place=self.target,
                    hint="make the parts larger",
                )
            self._next()
        return self.position

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write ``data``, going on in a new part wherever one is full."""
        view = memoryview(data)
        while self._limit is not None and self._used + len(view) > self._limit:
            free = self._limit - self._used
            self._put(view[:free])
            view = view[free:]
            self._next()
        self._put(view)

    def publish(self) -> tuple[Path, ...]:
        """Give the parts their names, the ``.zip`` of a set of disks last, and return them in order."""
        self._file.close()
        paths = tuple(self._name(i) for i in range(len(self._written)))
        for i, path in enumerate(paths):
            self._written[i] = self._written[i].rename(path)
        self._written.clear()
        return paths

    def _put(self, view: memoryview) -> None:
        self._file.write(view)
        self._used += len(view)
        self.size += len(view)

    def _next(self) -> None:
        self._file.close()
        self._file = self._open()
        self._used = 0

    def _open(self) -> IO[bytes]:
        path = temporary.new_path(self.target)
        file = path.open("xb")
        self._written.append(path)
        return file

    def _name(self, index: int) -> Path:
        if self._limit is None or (self.disks and index == len(self._written) - 1):
            return self.target
        suffix = f"z{index + 1:02d}" if self.disks else f"{index + 1:03d}"
        return self.target.with_suffix(f".{suffix}") if self.disks else Path(f"{self.target}.{suffix}")

    def _refuse_existing(self) -> None:
        # A part left over from an earlier, longer set would be taken for one of this set.
        stem = self.target.stem
        for path in self.target.parent.iterdir():
            rest = path.name.removeprefix(stem)
            if rest != path.name and (rest == self.target.suffix or rest[:2] == ".z"):
                raise UsageError(
                    "a zip of that name is there already", place=path, hint="remove its parts or give another name"
                )
