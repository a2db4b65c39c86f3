"""The archives that benchmarks/archives.py has read: by every tool that is here, and those beside the project."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import zstandard

from benchmarks.archive_readers import ROOT, Case, Tree, digest
from postmill.ingest.sample.zipwriter import NewEntry, write_zip
from postmill.ingest.zipformat.parts import find_parts

SHARED = ROOT / ".." / "shared" / "zips"
FILES = 3000


def tree(root: Path) -> Tree:
    """Write 3,000 files below ``root``: empty, small, and some up to 60 kB."""
    rng = random.Random(3)
    made: Tree = {}
    for number in range(FILES):
        size = 0 if number % 101 == 0 else rng.randint(1, 60_000 if number % 150 == 0 else 1500)
        data = rng.randbytes(size) if number % 3 else (b"fresh bread #%d " % number * size)[:size]
        name = f"image/{number % 20:02d}/user.{number}-{rng.randrange(1 << 60)}.jpg"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
        made[name] = hashlib.sha256(data).hexdigest()
    return made


COMMANDS = {
    "zip": "zip -q -r $OUT/a.zip .",
    "zip -s 64k": "zip -q -r -s 64k $OUT/a.zip .",
    "zip -s 64k -fz": "zip -q -r -s 64k -fz $OUT/a.zip .",
    "zip - (to a pipe)": "zip -q -r - . > $OUT/a.zip",
    "zip - | split": "zip -q -r - . | split -b 64k -d -a 3 --numeric-suffixes=1 - $OUT/a.zip.",
    "7z -v64k": "7z a -tzip -bso0 -v64k $OUT/a.zip .",
    "7z -mm=Deflate64": "7z a -tzip -bso0 -mm=Deflate64 $OUT/a.zip .",
}


def made_cases(root: Path) -> Iterator[Case]:
    """Write the tree with every tool that is here, and with postmill's writer under other tools' names."""
    (root / "tree").mkdir()
    holds = tree(root / "tree")
    for number, (name, command) in enumerate(COMMANDS.items()):
        out = root / f"made{number}"
        out.mkdir()
        if shutil.which(command.split()[0]):
            shell = ["sh", "-c", command.replace("$OUT", '"$0"'), str(out)]
            subprocess.run(shell, cwd=root / "tree", check=True)
            yield Case(name, [Path(part.path) for part in find_parts(out)], holds)
    members = [NewEntry(name, (root / "tree" / name).read_bytes()) for name in holds]
    for label, part, names in (
        ("as WinRAR names them (.z01, 300 kB)", 300_000, ("z{:02d}", "zip")),
        ("as WinZip names them (.zx01, .zipx)", 200_000, ("zx{:02d}", "zipx")),
        ("numbered from .z00, no .zip", 64_000, ("z{:02d}", None)),
    ):
        out = root / f"own-{part}"
        out.mkdir()
        parts = write_zip(out / "a.zip", members, part_size=part).parts
        first = 0 if names[1] is None else 1
        suffixes = [names[0].format(n + first) for n in range(len(parts))]
        suffixes[-1] = names[1] or suffixes[-1]
        yield Case(label, [p.rename(out / f"a.{s}") for p, s in zip(parts, suffixes, strict=True)], holds)
    (root / "zstandard.zip").write_bytes(zstandard_zip({member.name: member.data for member in members}))
    yield Case("Zstandard (method 93)", [root / "zstandard.zip"], holds)


def zstandard_zip(files: dict[str, bytes]) -> bytes:
    """A whole zip of method 93, which none of the tools here writes."""
    data, directory = bytearray(), bytearray()
    for name, plain in files.items():
        packed = zstandard.ZstdCompressor().compress(plain)
        fields = struct.pack("<HHIIIIHH", 0, 93, 0x21 << 16, zlib.crc32(plain), len(packed), len(plain), len(name), 0)
        directory += b"PK\x01\x02" + struct.pack("<HH", 63, 63) + fields
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(data)) + name.encode()
        data += b"PK\x03\x04" + struct.pack("<H", 63) + fields + name.encode() + packed
    counts = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(directory), len(data), 0)
    return bytes(data + directory + b"PK\x05\x06" + counts)


def shared_cases() -> Iterator[Case]:
    """The sets beside the project, where they are there: of rare shapes, of real writers, and hostile ones."""
    generated = SHARED / "generated"
    if not generated.is_dir():
        return
    members = {name: sha for name, (_, sha) in json.loads((generated / "members.json").read_text()).items()}
    expected: dict[str, list[str]] = json.loads((generated / "EXPECTED.json").read_text())
    for name in expected:
        if not name.startswith("hostile/") and (generated / name).exists():
            yield Case(name, [Path(part.path) for part in find_parts(generated / name)], members)
    if (generated / "cc-writer").is_dir():
        yield Case("cc-writer", [Path(part.path) for part in find_parts(generated / "cc-writer")], None)
    for path in sorted(SHARED.glob("commons-compress-*/*/split*.zip")):
        reference = path.parent / path.name.replace("split_zip_created", "zip_to_compare_created")
        yield Case(path.stem, [Path(part.path) for part in find_parts(path)], digest(reference))
    whole_set = ("two-eocd", "eocd-in-comment", "prefix-junk", "truncated-mid", "truncated-tail")
    for path in sorted((generated / "hostile").glob("*.zip")):
        yield Case(f"hostile/{path.stem}", [path], members if path.stem in whole_set else None)
