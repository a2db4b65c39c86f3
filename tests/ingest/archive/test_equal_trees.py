"""One tree of 3,000 files, written by several tools in several shapes, is the same tree whichever is read."""

from __future__ import annotations

import hashlib
import random
import subprocess
import zlib
from pathlib import Path

import pytest

from postmill.ingest.archive.reader import Archive
from postmill.ingest.sample.zipwriter import NewEntry, write_zip
from tests.ingest.archives import needs_7z, needs_zip

FILES = 3000


def content(number: int, rng: random.Random) -> bytes:
    """Empty, tiny, or up to 2 KiB, a few up to 100 KiB, so that parts end within headers, data and directory."""
    size = 0 if number % 97 == 0 else rng.randint(1, 100_000 if number % 500 == 1 else 2048)
    return rng.randbytes(size) if number % 3 else (b"bread #%d " % number * size)[:size]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder of the tree, and the SHA-256 of each file."""
    rng = random.Random(20)
    root = tmp_path_factory.mktemp("tree")
    digests = {}
    for number in range(FILES):
        name = f"image/{number % 30:02d}/user.{number}-{rng.randrange(1 << 60)}.jpg"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        data = content(number, rng)
        (root / name).write_bytes(data)
        digests[name] = hashlib.sha256(data).hexdigest()
    return root, digests


def digests_of(source: Path | list[Path], kind: str, least_parts: int) -> dict[str, str]:
    with Archive.open(source, strict=True) as archive:
        assert archive.kind == kind
        assert len(archive.parts) >= least_parts
        read: dict[str, str] = {}
        for entry, data in archive.stream():
            assert isinstance(data, bytes)
            if not entry.is_dir:
                assert entry.name not in read
                read[entry.name] = hashlib.sha256(data).hexdigest()
    return read


@pytest.mark.parametrize(
    ("command", "kind", "least_parts"),
    [
        pytest.param("zip -q -r $OUT/a.zip .", "single", 1, marks=needs_zip),
        pytest.param("zip -q -r -s 64k $OUT/a.zip .", "disks", 20, marks=needs_zip),
        pytest.param("zip -q -r -s 64k -fz $OUT/a.zip .", "disks", 20, marks=needs_zip),
        pytest.param("zip -q -r - . | split -b 100000 -d -a 3 - $OUT/a.zip.", "bytes", 20, marks=needs_zip),
        pytest.param("zip -q -r - . | split -b 100000 - $OUT/a.zip.", "bytes", 20, marks=needs_zip),
        pytest.param("zip -q -r - . | split -b 100000 -d - $OUT/a.z", "bytes", 20, marks=needs_zip),
        pytest.param("7z a -tzip -bso0 -v64k $OUT/a.zip .", "bytes", 20, marks=needs_7z),
        *(
            pytest.param(f"7z a -tzip -bso0 -mm={method} $OUT/a.zip .", "single", 1, marks=needs_7z)
            for method in ("Deflate64", "BZip2", "LZMA", "LZMA:eos=on", "XZ")
        ),
        pytest.param("zip -q -r -Z bzip2 -s 64k $OUT/a.zip .", "disks", 10, marks=needs_zip),
    ],
)
def test_what_a_tool_writes(
    tree: tuple[Path, dict[str, str]], tmp_path: Path, command: str, kind: str, least_parts: int
) -> None:
    root, digests = tree
    command = command.replace("$OUT", '"$0"')
    subprocess.run(["sh", "-c", command, str(tmp_path)], cwd=root, check=True)
    assert digests_of(tmp_path, kind, least_parts) == digests


@pytest.mark.parametrize("names", ["zx01", "z00", "uppercase", "renamed and listed"])
def test_sets_under_other_names(tree: tuple[Path, dict[str, str]], tmp_path: Path, names: str) -> None:
    root, digests = tree
    members = (NewEntry(name, (root / name).read_bytes()) for name in digests)
    written = write_zip(tmp_path / "a.zip", members, part_size=64 << 10)
    last = len(written.parts) - 1
    renamed = []
    for number, part in enumerate(written.parts):
        name = {
            "zx01": f"a.zx{number + 1:02d}" if number < last else "a.zipx",
            "z00": f"a.z{number:02d}",
            "uppercase": part.name.upper(),
            "renamed and listed": f"{zlib.crc32(part.name.encode()):08x}",
        }[names]
        renamed.append(part.rename(tmp_path / name))
    if names == "renamed and listed":
        assert digests_of(renamed, "disks", 20) == digests
    else:
        assert digests_of(tmp_path, "disks", 20) == digests
        assert digests_of(renamed[3], "disks", 20) == digests
