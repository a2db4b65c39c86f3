"""What it costs to leave out a gap between entries, against reading it and throwing it away.

    python benchmarks/gaps.py DIR          # DIR on the disk in question, with 1 GB free

Entries of 15 kB, as the dataset's pictures, lie so far apart as the first column says, in a part of 1 GiB. They are
read as ingest reads a window, once with every gap left out and once with none, from the page cache and, as far as the
kernel can be asked for it, from the disk.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from postmill.ingest.zipformat.forward import Forward
from postmill.ingest.zipformat.space import AddressSpace, lay_out
from postmill.ingest.zipformat.stretches import Stretches

PART = 1 << 30
ENTRY = 15 << 10
BATCH = 2 << 20
GAPS = (4, 16, 32, 64, 128, 256, 1024)  # KiB
REPEATS = 3


def main() -> None:
    """Write the part, read it in all ways, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    path = parser.parse_args().folder / "gaps.bin"
    with path.open("wb") as file:
        block = os.urandom(16 << 20)
        for _ in range(PART // len(block)):
            file.write(block)
        os.fsync(file.fileno())
    print("| gap, KiB | stretches | cached: left out, ms | cached: read, ms | disk: left out, ms | disk: read, ms |")
    print("|---|---|---|---|---|---|")
    for gap in GAPS:
        offset = np.arange(0, PART - ENTRY, ENTRY + (gap << 10))
        best = [
            min(read(path, offset, taken_along, cold) for _ in range(REPEATS))
            for cold in (False, True)
            for taken_along in (0, PART)
        ]
        print(f"| {gap} | {len(offset):,} | {' | '.join(f'{1000 * seconds:,.0f}' for seconds in best)} |")
    path.unlink()


def read(path: Path, offset: np.ndarray, taken_along: int, cold: bool) -> float:
    """Return the seconds that it takes to read the entries at ``offset``, with gaps of up to ``taken_along`` bytes."""
    if cold:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    with AddressSpace(lay_out([(str(path), PART)])) as space:
        started = time.perf_counter()
        stretches = Stretches(space, offset, offset + ENTRY, taken_along)
        forward = Forward(stretches, stretches.size, BATCH)
        for start in range(0, stretches.size, BATCH):
            forward.view(start, min(start + BATCH, stretches.size))
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
