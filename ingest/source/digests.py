"""Files read through and compared with the checksums that somebody states of them, several at once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from postmill.ingest.source.checksums import Digest
from postmill.ingest.zipformat.space import AddressSpace, Part, lay_out
from postmill.shards.runtime.errors import DamagedSource, UsageError
from postmill.shards.runtime.progress import Progress

_AT_ONCE = 4  # files; a disk or a network is kept busy, and hashing takes a core each
_NAMED = 8  # files in a message, at most
_UNIT = 1 << 20  # bytes of one step of progress


def check_digests(
    files: Sequence[Part],
    digests: Mapping[str, Sequence[Digest]],
    progress: Progress,
    *,
    refuse: bool,
) -> None:
    """Read every file that is listed and compare. What is listed and not there, and the other way round, is noted.

    Args:
        files: The parts of the archives, and the text files as if they were parts.
        digests: Of :func:`.checksums.read_checksums`, by file name. Of several of one algorithm any may be right, for a
            list may know files of one name in several folders.
        progress: Told of the MiB read.
        refuse: Whether a file that differs is an error, or else noted.

    Raises:
        DamagedSource: A file differs, and ``refuse``; all that do are named, with both digests.
        UsageError: No file is listed.
        PartError: A file cannot be read.
    """
    listed = [file for file in files if file.name in digests]
    if not listed:
        source = next(iter(digests.values()))[0].source
        raise UsageError(
            f"none of the {len(digests):,} names in it is a part or a text file of this dataset",
            place=source,
            hint="check that the list is of this dataset; names are compared without their folders",
        )
    others = len(digests.keys() - {file.name for file in files})
    if others:
        progress.note(f"checksums: {others:,} names of the lists are no source of this dataset")
    unlisted = [file.name for file in files if file.name not in digests]
    if unlisted:
        more = f" and {len(unlisted) - _NAMED:,} more" if len(unlisted) > _NAMED else ""
        progress.note(f"checksums: not listed, so not checked: {', '.join(unlisted[:_NAMED])}{more}")
    wrong = _differing(listed, digests, progress)
    if not wrong:
        return
    cause = "; ".join(sentence for _, sentence in wrong[:_NAMED])
    if not refuse:
        progress.note(f"checksums: {cause}")
        return
    names = ", ".join(file.name for file, _ in wrong[:_NAMED])
    raise DamagedSource(cause, place=wrong[0][0].place, hint=f"fetch {names} again, then run the same command")


def _differing(
    files: Sequence[Part], digests: Mapping[str, Sequence[Digest]], progress: Progress
) -> list[tuple[Part, str]]:
    """Return each file that differs with what it should be and what it is."""
    stopped = threading.Event()
    lock = threading.Lock()
    wrong: list[tuple[Part, str]] = []
    with progress.track("plan: checksums", sum(_units(file.size) for file in files), "MiB") as advance:

        def told(units: int) -> None:
            with lock:
                advance(units)

        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            work = [pool.submit(_difference, file, digests[file.name], told, stopped.is_set) for file in files]
            for file, future in zip(files, work, strict=True):
                difference = future.result()
                if difference is not None:
                    wrong.append((file, difference))
        finally:  # a file is long, and who interrupts does not wait for its end
            stopped.set()
            pool.shutdown(cancel_futures=True)
    return wrong


def _difference(
    file: Part, stated: Sequence[Digest], advance: Callable[[int], None], stopped: Callable[[], bool]
) -> str | None:
    """Read one file; return in a sentence how it differs from what is ``stated`` of it, None where it does not."""
    hashes = {digest.algorithm: hashlib.new(digest.algorithm, usedforsecurity=False) for digest in stated}
    read = 0
    with AddressSpace(lay_out([(file.path, file.size)], names=[file.name])) as space:
        for block in space.stream():
            if stopped():
                return None
            for made in hashes.values():
                made.update(block)
            advance(_units(read + len(block)) - _units(read))
            read += len(block)
    for algorithm, made in hashes.items():
        right = [digest for digest in stated if digest.algorithm == algorithm]
        if made.hexdigest() not in {digest.value for digest in right}:
            found = f"the {algorithm} of {file.name} is {made.hexdigest()}"
            return f"{found}, and {right[0].source} has {right[0].value}"
    return None


def _units(size: int) -> int:
    return -(-size // _UNIT)
