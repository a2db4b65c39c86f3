"""Find a part that is not what the directory says of it, before any work is done.

Names and numbers can be right while a part is cut short, is a page that a server gave in its place, was allocated and
never filled, or belongs to another archive. The directory says what each part must hold: how far its entries reach, and
where their local headers lie, of which a few are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from postmill.ingest.zipformat.directory import Directory
from postmill.ingest.zipformat.entry_names import same_name
from postmill.ingest.zipformat.local_header import header_size
from postmill.ingest.zipformat.signatures import LOCAL_HEADER, LOCAL_SIGNATURE, NOWHERE
from postmill.ingest.zipformat.space import AddressSpace, Part
from postmill.ingest.zipformat.stand_ins import stand_in
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.errors import DamagedSource

_HEADERS, _REMOTE_HEADERS = 8, 3  # of a part that are looked at; each costs a request where parts are behind URLs
_ENOUGH_HEADERS = 4  # of an archive in one part: fewer that are wrong are faults of their entries
_NAMED = 8  # parts in a message, at most


class _Header(NamedTuple):
    """Where a local header must lie, the name that it must have, and the bytes of data behind it."""

    offset: int
    raw_name: bytes
    compressed_size: int


def check_parts(
    space: AddressSpace, directory: Directory, batches: Iterable[pa.RecordBatch], *, refuse: bool
) -> Iterator[pa.RecordBatch]:
    """Yield the directory's ``batches``, and after the last one look at every part.

    Reads at most 8 headers of each part, 3 behind a URL, and of a part that seems wrong its beginning. It is wrong if

    - entries lie behind its end, or its last entry reaches into the first one of a later part (slices of one file,
      whose sizes the end record has proved, need no such proof);
    - one of the headers that were looked at is zeros;
    - more than half of them are not there.

    Args:
        space: The archive.
        directory: Its directory; without ``refuse`` the wrong parts are named in its warnings.
        batches: Its records, in the order of the directory.
        refuse: Whether a wrong part is an error.

    Raises:
        PartError: A part cannot be read.
        DamagedSource: A part is wrong, and ``refuse``.
    """
    directory.beyond.clear()
    samples = _Samples(space)
    for batch in batches:
        samples.add(batch)
        yield batch
    wrong = list(_wrong_parts(space, directory, samples))
    if not wrong:
        return
    sentences = [sentence for _, sentence in wrong if sentence is not None]
    strangers = [part.name for part, sentence in wrong if sentence is None]
    if strangers:
        named = ", ".join(strangers[:_NAMED])
        sentences.append(f"{named}: not the entries that the directory lists there; of another archive, or damaged")
    if refuse:
        raise DamagedSource(
            "; ".join(sentences[:_NAMED]),
            place=wrong[0][0].path,
            hint=f"fetch {', '.join(part.name for part, _ in wrong[:_NAMED])} again, then run the same command",
        )
    directory.warnings.extend(sentence for sentence in sentences if sentence not in directory.warnings)


class _Samples:
    """The entries whose headers are looked at: of each part the first, some between, and the last.

    Attributes:
        first: Shape (parts,), uint64. Offset of the first sound entry on each part, NOWHERE where there is none.
        last: The last one of each part, by the part's index.
    """

    def __init__(self, space: AddressSpace) -> None:
        count = _REMOTE_HEADERS if any(is_url(part.path) for part in space.parts) else _HEADERS
        starts = np.array([part.start for part in space.parts], dtype=np.uint64)
        sizes = np.array([part.size for part in space.parts], dtype=np.uint64)
        steps = np.arange(count - 1, dtype=np.uint64)  # the last header is asked for by itself
        self._starts, self._ends = starts, starts + sizes
        self._targets = (starts[:, None] + sizes[:, None] // np.uint64(count - 1) * steps).ravel()
        self._target_ends = np.repeat(self._ends, count - 1)
        self._nearest = np.full(len(self._targets), NOWHERE, dtype=np.uint64)
        self._found: dict[int, _Header] = {}  # by target
        self.last: dict[int, _Header] = {}

    @property
    def first(self) -> npt.NDArray[np.uint64]:
        """See the class."""
        return self._nearest[:: len(self._targets) // len(self._starts)]

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in a batch of the directory: of each target the nearest entry behind it, of each part the last."""
        rows = np.flatnonzero(batch["fault"].is_null().to_numpy(zero_copy_only=False))
        if len(rows) == 0:
            return
        offsets = batch["offset"].to_numpy()[rows]
        order = np.argsort(offsets, kind="stable")
        rows, offsets = rows[order], offsets[order]
        behind = np.minimum(np.searchsorted(offsets, self._targets), len(offsets) - 1)
        nearest = offsets[behind]
        better = (nearest >= self._targets) & (nearest < self._target_ends) & (nearest < self._nearest)
        self._nearest[better] = nearest[better]
        for target in np.flatnonzero(better).tolist():
            self._found[target] = _header(batch, int(rows[behind[target]]))
        before = np.searchsorted(offsets, self._ends) - 1
        for part in np.flatnonzero((before >= 0) & (offsets[before] >= self._starts)).tolist():
            offset = int(offsets[before[part]])
            if part not in self.last or self.last[part].offset < offset:
                self.last[part] = _header(batch, int(rows[before[part]]))

    def of(self, part: int) -> list[_Header]:
        """Return the headers to look at on the part of that index, in order of place."""
        each = len(self._targets) // len(self._starts)
        found = {self._found[target] for target in range(part * each, (part + 1) * each) if target in self._found}
        return sorted(found | ({self.last[part]} if part in self.last else set()))


def _header(batch: pa.RecordBatch, row: int) -> _Header:
    return _Header(*(batch[name][row].as_py() for name in ("offset", "raw_name", "compressed_size")))


def _wrong_parts(space: AddressSpace, directory: Directory, samples: _Samples) -> Iterator[tuple[Part, str | None]]:
    """Yield each wrong part with what is wrong with it; None where its entries are others."""
    later = np.append(samples.first, np.uint64(directory.start))
    later = np.minimum.accumulate(later[::-1])[::-1]  # the first entry, or the directory, on each part or behind it
    for index, part in enumerate(space.parts):
        if part.missing:
            continue
        headers = samples.of(index)
        read = [_read(space, header) for header in headers]
        right = [_confirms(header, content) for header, content in zip(headers, read, strict=True)]
        zeros = [header.offset for header, content in zip(headers, read, strict=True) if not content.strip(b"\0")]
        into = 0  # bytes of the last entry within the first one of a later part
        if right and right[-1]:
            end = headers[-1].offset + header_size(read[-1]) + headers[-1].compressed_size
            into = end - int(later[index + 1])
        beyond = directory.beyond[index]
        short = directory.kind == "disks" and (into > 0 or beyond > 1 or (beyond > 0 and not headers))
        many = len(headers) >= (_ENOUGH_HEADERS if len(space.parts) == 1 else 1)
        others = many and 2 * sum(right) < len(right)
        if not short and not zeros and not others:
            continue
        instead = stand_in(space, part)
        if instead is not None:
            yield part, instead
        elif short:
            yield part, f"{part.name}, of {part.size:,} bytes, is shorter than {_needs(beyond, into)}"
        elif zeros:
            yield part, f"{part.name} holds zeros at byte {zeros[0] - part.start:,}, where an entry must begin"
        else:
            yield part, None


def _needs(beyond: int, into: int) -> str:
    return f"its entries need: {beyond:,} lie behind its end" if beyond else f"its last entry needs, by {into:,} bytes"


def _read(space: AddressSpace, header: _Header) -> bytes:
    length = LOCAL_HEADER.size + len(header.raw_name)
    return space.read(header.offset, min(length, space.size - header.offset))


def _confirms(expected: _Header, content: bytes) -> bool:
    return content.startswith(LOCAL_SIGNATURE) and same_name(content[LOCAL_HEADER.size :], expected.raw_name)
