"""`postmill inspect` on sets of every layout and on hostile files."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "postmill.cli", "inspect"]


def inspect(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "160", "NO_COLOR": "1"}
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, env=environment
    )


def digest(*arguments: object) -> tuple[int, list[dict[str, Any]]]:
    done = inspect(*arguments, "--digest")
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def pack(folder: Path, *command: str) -> None:
    """Run an archiver where names are UTF-8: in another locale zip does not mark them so."""
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, bytes]:
    noise = random.Random(5)
    files = {
        f"d/{n:03d} x.bin": noise.randbytes(noise.randrange(5000)) + bytes(noise.randrange(3000)) for n in range(40)
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return files


def expected(files: dict[str, bytes]) -> list[dict[str, Any]]:
    rows = []
    for name, content in files.items():
        crc32 = f"{zlib.crc32(content):08x}"
        rows.append({"name": name, "size": len(content), "crc32": crc32, "sha256": hashlib.sha256(content).hexdigest()})
    return sorted(rows, key=lambda row: str(row["name"]))


@pytest.mark.parametrize(
    ("command", "kind", "part"),
    [
        (["zip", "-qr", "-s", "64k", "a.zip", "d"], "disks", "a.z01"),
        (["zip", "-qr", "-fz", "-s", "64k", "a.zip", "d"], "disks", "a.zip"),
        (["zip", "-qr", "a.zip", "d"], "single", "a.zip"),
        (["7z", "a", "-bso0", "-v20k", "a.zip", "d"], "bytes", "a.zip.003"),
        (["7z", "a", "-bso0", "-mm=Deflate64", "a.zip", "d"], "single", "a.zip"),
    ],
)
def test_one_tree_by_many_writers(
    tree: dict[str, bytes], tmp_path: Path, command: list[str], kind: str, part: str
) -> None:
    pack(tmp_path, *command)
    code, rows = digest(tmp_path / part)
    assert code == 0
    assert sorted(rows, key=lambda row: str(row["name"])) == expected(tree)
    described = json.loads(inspect(tmp_path / part, "--json").stdout)
    assert (described["kind"], described["files"]) == (kind, 40)
    assert described["size"] == sum(map(len, tree.values()))


def test_a_glob_a_list_and_a_folder_name_the_same_archive(tree: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "set").mkdir(exist_ok=True)
    pack(tmp_path, "zip", "-qr", "-s", "64k", "set/a.zip", "d")
    expected_rows = digest(tmp_path / "set" / "a.zip")
    assert digest(tmp_path / "set" / "a.*") == digest(tmp_path / "set") == expected_rows
    assert digest(*sorted((tmp_path / "set").iterdir())) == expected_rows


def test_faults_exit_with_3_and_the_others_are_read(tree: dict[str, bytes], tmp_path: Path) -> None:
    pack(tmp_path, "zip", "-qr0", "a.zip", "d")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    start = content.index(tree["d/007 x.bin"])
    content[start + 3] ^= 1
    (tmp_path / "a.zip").write_bytes(content)
    code, rows = digest(tmp_path / "a.zip")
    assert code == 3
    assert [(row["name"], row["fault"]) for row in rows if "fault" in row] == [("d/007 x.bin", "crc_wrong")]
    assert sorted((r for r in rows if "fault" not in r), key=lambda row: str(row["name"])) == [
        row for row in expected(tree) if row["name"] != "d/007 x.bin"
    ]


@pytest.mark.parametrize("content", [b"", b"PK", b"hello" * 1000, b"PK\x05\x06" + bytes(10)])
def test_what_is_no_zip_exits_with_1_and_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    done = inspect(tmp_path / "a.zip")
    assert done.returncode == 1 and "error:" in done.stderr and "Traceback" not in done.stderr


def test_an_empty_zip_is_a_zip(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    assert digest(tmp_path / "a.zip") == (0, [])


def test_salvage_reads_what_is_there(tree: dict[str, bytes], tmp_path: Path) -> None:
    pack(tmp_path, "zip", "-qr0", "-s", "64k", "a.zip", "d")
    (tmp_path / "a.zip").unlink()
    (tmp_path / "a.z02").unlink(missing_ok=True)
    assert "--salvage" in inspect(tmp_path / "a.z01").stderr
    code, rows = digest(tmp_path / "a.z01", "--salvage")
    assert code == 3
    good = [row for row in rows if "fault" not in row]
    assert good and all(row in expected(tree) for row in good)
    described = json.loads(inspect(tmp_path / "a.z01", "--salvage", "--json").stdout)
    assert any("salvaged from local headers" in warning for warning in described["warnings"])
    both = inspect(tmp_path / "a.z01", "--salvage", "--strict")
    assert both.returncode == 2 and "exclude" in both.stderr


# VmHWM, not ru_maxrss: the latter keeps the size of the process that forked this one.
HASH = """
import json, re, sys
from postmill.ingest.archive.reader import Archive
from postmill.ingest.archive.inspect import digests
with Archive.open(sys.argv[1], strict=True) as archive:
    rows = list(digests(archive))
print(json.dumps([rows, int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) >> 10]))
"""


@pytest.mark.parametrize("options", [["-1"], ["-0"], ["-1", "-fd"]])
def test_a_large_entry_is_hashed_in_bounded_memory(tmp_path: Path, options: list[str]) -> None:
    size = 300 << 20
    with (tmp_path / "large").open("wb") as file:
        file.write(b"begins")
        file.seek(size - 4)
        file.write(b"ends")
    pack(tmp_path, "zip", "-q", *options, "a.zip", "large")
    (tmp_path / "large").unlink()
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", HASH, str(tmp_path / "a.zip")], capture_output=True, check=True, timeout=120, cwd=root
    )
    (row,), megabytes = json.loads(done.stdout)
    zeros, sha256, crc32 = bytes(1 << 20), hashlib.sha256(b"begins"), zlib.crc32(b"begins")
    for start in range(6, size - 4, len(zeros)):
        piece = zeros[: size - 4 - start]
        sha256.update(piece)
        crc32 = zlib.crc32(piece, crc32)
    sha256.update(b"ends")
    crc32 = zlib.crc32(b"ends", crc32)
    assert row == {"name": "large", "size": size, "crc32": f"{crc32:08x}", "sha256": sha256.hexdigest()}
    assert megabytes < 250


def test_a_large_entry_that_is_damaged_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(20 << 20))
    for options, fault in ((["-0"], "crc_wrong"), (["-1"], None)):
        pack(tmp_path, "zip", "-q", *options, "a.zip", "large")
        content = bytearray((tmp_path / "a.zip").read_bytes())
        content[len(content) // 2] ^= 0xFF
        (tmp_path / "a.zip").write_bytes(content)
        (tmp_path / "b.zip").write_bytes(content)
        code, (row,) = digest(tmp_path / "b.zip")
        assert code == 3 and row["fault"] in ({fault} if fault else {"crc_wrong", "data_corrupt", "size_lie"})
        assert inspect(tmp_path / "b.zip", "--digest", "--strict").returncode == 1
        (tmp_path / "a.zip").unlink()
