"""Parts that were awaited when the run was planned: which have come, and why the others are not taken yet.

A part is taken when it is here under its own name, has the bytes that its entries need, and nobody seems to write it
any more. Where that cannot be told, a part as long as its siblings is taken, and a shorter one when it has been left
alone for a while; what then turns out not to be there waits like any other damage (:mod:`.mend`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from postmill.ingest.source.pinning import part_paths
from postmill.ingest.zipformat.parts import measure, there
from postmill.ingest.zipformat.signatures import LOCAL_SIGNATURE
from postmill.ingest.zipformat.space import AddressSpace, lay_out
from postmill.ingest.zipformat.stand_ins import stand_in
from postmill.shards.formats import plan
from postmill.shards.formats.places import offset_of, part_of
from postmill.shards.formats.plan import IMAGES, METADATA, PlannedPart
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Level
from postmill.shards.runtime.addresses import is_url

# What aria2 and axel keep beside a file that is allocated whole and not filled; others give such a file another name.
_BESIDE = (".aria2", ".st")
_HEADER = 1024  # bytes by which a part may be shorter than the others: a writer does not cut a local header in two
_LEFT_ALONE_S = 60  # since it was last written to, for a part that is shorter than its siblings
_LOOK_AGAIN_S = 0.5  # later, for one of which only that can tell


@dataclass(frozen=True)
class AwaitedPart:
    """A part that is not to be taken yet: its archive (METADATA or IMAGES), number and name, and why."""

    archive: int
    part: int
    name: str
    why: str


@dataclass(frozen=True)
class _State:
    size: int
    written: float  # seconds since 1970


def awaits(run: Run) -> bool:
    """Say whether the run was planned while parts were awaited, which may have come since."""
    pinned = (run.sources.metadata, run.sources.images)
    return run.options.level is not Level.SALVAGE and any(size is None for each in pinned for _, size in each.parts)


def awaited_parts(run: Run, wanted: Mapping[int, Iterable[int]] | None = None) -> list[AwaitedPart]:
    """Return the parts that are not to be taken yet, in order.

    Args:
        run: A planned run.
        wanted: The numbers of the parts to look at, by archive; None for all.

    Raises:
        PostmillError: A part is there and cannot be read, or a table of the plan is damaged.
    """
    if not awaits(run):
        return []
    found: list[AwaitedPart] = []
    for archive in (METADATA, IMAGES):
        pinned = (run.sources.metadata, run.sources.images)[archive]
        numbers = range(len(pinned.parts)) if wanted is None else sorted(set(wanted.get(archive, ())))
        unknown = [number for number in numbers if pinned.parts[number][1] is None]
        if unknown:
            found += _not_yet(run, archive, unknown)
    return found


def _not_yet(run: Run, archive: int, numbers: Sequence[int]) -> list[AwaitedPart]:
    planned, paths = plan.parts(run, archive), part_paths(run, archive)
    remote = [number for number in numbers if is_url(paths[number])]
    reasons = {number: _lacking(planned[number], there(paths[number])) for number in remote}
    local = _local_reasons(planned, paths, [number for number in numbers if not is_url(paths[number])])
    for number in [number for number, why in local.items() if why is None]:
        local[number] = _unlike_a_part(run, paths[number], planned[number])
    found = sorted({**reasons, **local}.items())
    return [AwaitedPart(archive, number, planned[number].name, why) for number, why in found if why is not None]


def _local_reasons(
    planned: Sequence[PlannedPart], paths: Sequence[str], numbers: Sequence[int]
) -> dict[int, str | None]:
    """Return why each of ``numbers`` is not taken, as far as names, lengths and times tell; None for one that is."""
    states = [_state(path) for path in paths]
    # The last part is as long as it happens to be; of the others all that are whole have about one length.
    sizes = [state.size for state in states[:-1] if state is not None]
    alike = {size: sum(size - _HEADER <= other <= size for other in sizes) for size in sizes}
    usual = max(alike, key=lambda size: (alike[size], size), default=0)
    reasons: dict[int, str | None] = {}
    doubtful: list[int] = []
    for number in numbers:
        state = states[number]
        size, age = (0, 0.0) if state is None else (state.size, time.time() - state.written)
        reasons[number] = _lacking(planned[number], size) or _written_beside(paths[number])
        alone = size + _HEADER < usual or alike.get(usual) == 1
        if reasons[number] is None and alone and age < _LEFT_ALONE_S:
            doubtful.append(number)
    if doubtful:
        time.sleep(_LOOK_AGAIN_S)
    for number in doubtful:
        before, now = states[number], _state(paths[number])
        if now is None or now != before:
            reasons[number] = "is still being written"
        elif now.size + _HEADER < usual:
            reasons[number] = f"has {now.size:,} bytes, fewer than its siblings, and was written to just now"
    return reasons


def _lacking(part: PlannedPart, size: int | None) -> str | None:
    """Say why a part of ``size`` bytes cannot be taken, whatever else is true of it; None where nothing is."""
    if not size:
        return "is not here"
    return f"has {size:,} bytes, and its entries need at least {part.needs:,}" if size < part.needs else None


def _written_beside(path: str) -> str | None:
    beside = next((f"{path}{suffix}" for suffix in _BESIDE if os.path.lexists(f"{path}{suffix}")), None)
    return None if beside is None else f"is being fetched: {Path(beside).name} lies beside it"


def _unlike_a_part(run: Run, path: str, part: PlannedPart) -> str | None:
    """Look at where entries must begin: a part may be allocated and not filled, or a page in its stead."""
    places = [window.start for window in plan.windows(run, part.archive) if part_of(window.start) == part.part]
    begins = [offset_of(place) for place in places] + ([] if part.last is None else [part.last])
    with AddressSpace(lay_out([(path, measure(path) or 0)])) as space:
        for offset in begins:
            if space.read(offset, min(len(LOCAL_SIGNATURE), space.size - offset)).strip(b"\0") == b"":
                return f"holds zeros at byte {offset:,}, where an entry must begin"
        return stand_in(space, space.parts[0])


def _state(path: str) -> _State | None:
    try:
        state = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):  # below the name of a list lies nothing
        return None
    return _State(state.st_size, state.st_mtime)
