"""What the plan read from an address is read once more before it is believed: nothing in it has a checksum.

A wrong byte in a name of the directory would be a post without metadata, one in the mapping another post, and one in
what pins the archive a run that refuses its own sources. Bytes of a local file come out of the same cache the second
time, so only those that came over a connection are asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence

from blake3 import blake3

from postmill.ingest.source import textfile
from postmill.ingest.zipformat.space import AddressSpace, Part
from postmill.shards.run.sources import PinnedText
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Progress


class RememberingSpace(AddressSpace):
    """An address space that keeps a hash of every read that asked an address for something."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__(parts)
        self.remembered: list[tuple[int, int, bytes]] = []  # offset and length in bytes, and the hash

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """As :meth:`AddressSpace.readinto`."""
        super().readinto(offset, buffer)
        if buffer and is_url(self.parts[self.part_at(offset)].path):
            self.remembered.append((offset, len(buffer), _hash(buffer)))


def confirm_archive(space: RememberingSpace, start: int, progress: Progress, label: str) -> None:
    """Read all that was read of ``space`` from byte ``start`` on, in whole or in part, once more.

    Raises:
        PostmillError: Two reads do not agree, or a part cannot be read.
    """
    reads = [(offset, length, first) for offset, length, first in space.remembered if offset + length > start]
    if not reads:
        return
    with AddressSpace(space.parts) as fresh, progress.track(label, sum(read[1] for read in reads), "bytes") as advance:
        for offset, length, first in reads:
            if _hash(fresh.read(offset, length)) != first:
                part = fresh.parts[fresh.part_at(offset)]
                raise _two_answers(part.path, f", of {length:,} bytes at byte {offset - part.start:,},")
            advance(length)


def confirm_text(path: str, first: PinnedText, progress: Progress, label: str) -> None:
    """Read the text file ``path`` once more if it is behind an address; ``first`` is what pins it as it was read.

    Raises:
        PostmillError: Two reads do not agree, or it cannot be read.
    """
    if is_url(path) and textfile.pinned(path, progress, label) != first:
        raise _two_answers(path, "")


def _two_answers(path: str, which: str) -> PostmillError:
    return PostmillError(
        f"two reads{which} did not give the same bytes",
        place=path,
        hint="run the same command again: nothing was kept; if it stays so, fetch the file and name the copy",
    )


def _hash(content: bytes | memoryview) -> bytes:
    return blake3(content).digest()
