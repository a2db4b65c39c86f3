"""Fuzz the archive reader, guided by coverage: directory, kinds of split, headers, descriptors, decompression.

Needs atheris beside postmill's own packages, best in an environment of its own, as it is no dependency of anything::

    pip install atheris==3.0.0 -c constraints.txt .
    python tests/fuzz/fuzz_directory.py --seeds CORPUS                  # write the seeds; needs zip and 7z
    python tests/fuzz/fuzz_directory.py --seed-from DIR CORPUS          # and seeds of the archives below DIR
    python tests/fuzz/fuzz_directory.py -max_total_time=600 CORPUS      # ten minutes; any option of libFuzzer
    python tests/fuzz/fuzz_directory.py INPUT                           # one input again

What an input means, and what must hold for all of them, is in ``checks.py``, which
tests/ingest/archive/test_fuzz_corpus.py runs on the committed corpus and findings without atheris. A finding is: an
exception other than the reader's own, a contradiction between two ways of reading, ten seconds, or 512 MiB for one
input. It is written to tests/fuzz/findings/ and the run stops; it stays there, as a test, when it is mended.
"""

from __future__ import annotations

import atexit
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

with atheris.instrument_imports(include=["postmill.ingest", "postmill.shards"]):
    import checks

from postmill.ingest.sample.zipwriter import NewEntry, write_zip  # noqa: E402

MOST_MEMORY = 512  # MiB, for one input
_FUZZER = 2048  # MiB: instrumented code grows by 10 to 60 KiB with each input, and the same code as it is does not
MOST_INPUT = 32 << 10  # bytes
_FIELDS = {  # offset and width of each field that has a meaning, by signature
    b"PK\x03\x04": [(6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2), (30, 1), (31, 1)],
    b"PK\x01\x02": [(8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2), (42, 4), (46, 1)],
    b"PK\x05\x06": [(4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)],
    b"PK\x06\x06": [(4, 8), (16, 4), (20, 4), (24, 8), (32, 8), (40, 8), (48, 8)],
    b"PK\x06\x07": [(4, 4), (8, 8), (16, 4)],
    b"PK\x07\x08": [(4, 4), (8, 4), (12, 4)],
}
_METHODS = (0, 8, 9, 12, 14, 93, 95, 98, 0xFFFF)


def peak() -> int:
    """The most memory this process ever had resident, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def resident() -> int:
    """What it has resident now, MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20


# --- Mutations that keep an archive an archive: most others only ever reach the first refusal


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Change a field of some record, or anything at all, and then perhaps mend the end record."""
    rng = random.Random(seed)
    if rng.random() < 0.4:
        changed = bytearray(atheris.Mutate(data, most))
    else:
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            _change_field(changed, rng)
    if rng.random() < 0.5:
        _mend(changed)
    return bytes(changed[:most])


def _change_field(data: bytearray, rng: random.Random) -> None:
    signature = rng.choice(list(_FIELDS))
    places = []
    position = data.find(signature)
    while position >= 0:
        places.append(position)
        position = data.find(signature, position + 4)
    if not places:
        return
    offset, width = rng.choice(_FIELDS[signature])
    position = rng.choice(places) + offset
    if position + width > len(data):
        return
    most = (1 << 8 * width) - 1
    old = int.from_bytes(data[position : position + width], "little")
    near = old + rng.randint(-70, 70)
    new = rng.choice((0, 1, most, most - 1, near, old ^ 1 << rng.randrange(8 * width), rng.choice(_METHODS), len(data)))
    data[position : position + width] = (new & most).to_bytes(width, "little")


def _mend(data: bytearray) -> None:
    """Let the end record of one file, or of slices, point at the first directory record again."""
    end, start = data.rfind(b"PK\x05\x06"), data.find(b"PK\x01\x02")
    head = 1 + (2 * (data[0] & 0x0F) if data and data[0] & checks.SIZED else 0)
    if head <= start < end and end + 22 <= len(data):
        struct.pack_into("<II", data, end + 12, end - start, start - head)


# --- Seeds


def write_seeds(corpus: Path) -> None:
    """Write one input for each shape of archive: of zip, of 7z, and of postmill's own writer."""
    corpus.mkdir(parents=True, exist_ok=True)
    rng = random.Random(1)
    files = {f"image/user.{n}-{n * 977}.jpg": rng.randbytes(n * 23) for n in range(5)}
    files |= {f"info/post{n}.info": b'{"caption": "fresh bread"}' * (n * 9) for n in range(4)}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name, data in files.items():
            (root / "in" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "in" / name).write_bytes(data)
        members = [NewEntry(name, data) for name, data in files.items()]
        for number, options in enumerate(
            [{}, {"zip64": True}]
            + [{"part_size": size, "split": split} for size in (300, 700) for split in ("disks", "bytes")]
            + [{"part_size": 500, "zip64": True}]
        ):
            (root / f"own{number}").mkdir()
            write_zip(root / f"own{number}" / "a.zip", members if number < 2 else members[3:6], **options)
        commands = {
            "zip": "zip -q -r ../zip/a.zip .",
            "zip-stored": "zip -q -r -0 ../zip-stored/a.zip .",
            "zip-zip64": "zip -q -r -fz ../zip-zip64/a.zip .",
            "zip-comment": "echo a comment | zip -q -r -z ../zip-comment/a.zip info",
            "zip-encrypted": "zip -q -r -P secret ../zip-encrypted/a.zip info",
            "zip-pipe": "zip -q -r - . > ../zip-pipe/a.zip",
            "zip-pipe-zip64": "zip -q -r -fz - info | cat > ../zip-pipe-zip64/a.zip",
            "zip-prefix": "(head -c 99 /dev/zero; zip -q -r - info) > ../zip-prefix/a.zip",
            "zip-slices": "zip -q -r - info | split -b 200 -d - ../zip-slices/a.zip.",
            "7z": "7z a -tzip -bso0 ../7z/a.zip .",
            "7z-slices": "7z a -tzip -bso0 -v900b ../7z-slices/a.zip .",
            "7z-deflate64": "7z a -tzip -bso0 -mm=Deflate64 ../7z-deflate64/a.zip .",
            "7z-bzip2": "7z a -tzip -bso0 -mm=BZip2 ../7z-bzip2/a.zip info",
            "7z-lzma": "7z a -tzip -bso0 -mm=LZMA ../7z-lzma/a.zip info",
            "7z-xz": "7z a -tzip -bso0 -mm=XZ ../7z-xz/a.zip info",
        }
        for name, command in commands.items():
            (root / name).mkdir()
            subprocess.run(["sh", "-c", command], cwd=root / "in", check=True)
        add_seeds(root, corpus, skip="in")
    (corpus / "seed-zstandard").write_bytes(checks.pack([zstandard_zip(b"caption " * 50)]))


def zstandard_zip(plain: bytes) -> bytes:
    """One entry of method 93, which neither tool writes."""
    import zlib

    import zstandard

    packed = zstandard.ZstdCompressor().compress(plain)
    common = struct.pack("<HHIIII", 0, 93, 0, zlib.crc32(plain), len(packed), len(plain)) + struct.pack("<HH", 1, 0)
    local = b"PK\x03\x04" + struct.pack("<H", 63) + common + b"a" + packed
    record = b"PK\x01\x02" + struct.pack("<HH", 63, 63) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + b"a"
    return local + record + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(record), len(local), 0)


def add_seeds(root: Path, corpus: Path, skip: str = "") -> None:
    """Write an input for each folder below ``root`` with parts, and for each whole zip, that is small enough."""
    from postmill.ingest.zipformat.parts import find_parts
    from postmill.shards.runtime.errors import PostmillError

    corpus.mkdir(parents=True, exist_ok=True)
    for first in sorted(path for path in root.rglob("*") if path.is_file()):
        if skip and first.relative_to(root).parts[0] == skip:
            continue
        try:
            paths = [Path(part.path) for part in find_parts(first)]
        except PostmillError:
            continue
        parts = [path.read_bytes() for path in paths]
        fits = len(parts) <= 16 and sum(map(len, parts)) < MOST_INPUT
        if paths[0] == first and fits and b"PK\x05\x06" in b"".join(parts):
            name = "-".join(first.relative_to(root).with_suffix("").parts)
            (corpus / f"seed-{name}").write_bytes(checks.pack(parts, strict=len(name) % 2 == 0))


def main() -> None:
    """Write seeds, or hand over to libFuzzer."""
    if "--seeds" in sys.argv:
        write_seeds(Path(sys.argv[-1]))
        return
    if "--seed-from" in sys.argv:
        add_seeds(Path(sys.argv[-2]), Path(sys.argv[-1]))
        return
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="postmill-fuzz-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

    def one(data: bytes) -> None:
        before, highest = resident(), peak()
        checks.check(data, folder)
        if highest < peak() and peak() > before + MOST_MEMORY:
            raise checks.Finding(f"{peak()} MiB, {peak() - before} of them for this input")

    options = {
        "rss_limit_mb": str(peak() + MOST_MEMORY + _FUZZER),
        "malloc_limit_mb": str(MOST_MEMORY),
        "timeout": "10",
        "max_len": str(MOST_INPUT),
        "dict": str(HERE / "zip.dict"),
        "artifact_prefix": f"{HERE / 'findings'}/",
    }
    given = {argument.partition("=")[0].lstrip("-") for argument in sys.argv[1:] if argument.startswith("-")}
    (HERE / "findings").mkdir(exist_ok=True)
    arguments = [f"-{name}={value}" for name, value in options.items() if name not in given]
    atheris.Setup([sys.argv[0], *arguments, *sys.argv[1:]], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
