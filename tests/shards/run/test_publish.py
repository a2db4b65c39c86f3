"""Whole or not at all, and the manifest last."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from blake3 import blake3

from postmill.shards.run import manifests, publish, temporary
from postmill.shards.runtime.errors import PostmillError

RUN = "f" * 64


def write(folder: Path, content: bytes = b"hello", name: str = "unit") -> None:
    with publish.unit(folder, name, RUN) as unit:
        unit.file("a.bin").write(content)
        unit.counts["rows"] = 3


def test_a_finished_unit_is_done_and_its_manifest_states_size_and_hash(tmp_path: Path) -> None:
    write(tmp_path)
    manifest = manifests.done(tmp_path, "unit", RUN)
    assert manifest is not None
    assert manifest.files["a.bin"] == manifests.FileState(5, blake3(b"hello").hexdigest())
    assert manifest.counts == {"rows": 3}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "unit.json"]


def test_an_exception_discards_everything(tmp_path: Path) -> None:
    with pytest.raises(KeyError), publish.unit(tmp_path, "unit", RUN) as unit:
        unit.file("a.bin").write(b"half")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_an_exception_leaves_what_an_earlier_unit_published(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(KeyError), publish.unit(tmp_path, "unit", RUN) as unit:
        unit.file("a.bin").write(b"half")
        raise KeyError
    assert manifests.done(tmp_path, "unit", RUN) is not None
    assert (tmp_path / "a.bin").read_bytes() == b"hello"


@pytest.mark.parametrize("spoil", ["other-run", "short", "missing", "no-manifest", "not-json", "other-json", "schema"])
def test_not_done(tmp_path: Path, spoil: str) -> None:
    write(tmp_path)
    manifest = tmp_path / "unit.json"
    if spoil == "short":
        (tmp_path / "a.bin").write_bytes(b"hell")
    elif spoil == "missing":
        (tmp_path / "a.bin").unlink()
    elif spoil == "no-manifest":
        manifest.unlink()
    elif spoil == "not-json":
        manifest.write_bytes(manifest.read_bytes()[:-10])
    elif spoil == "other-json":
        manifest.write_text('["a"]')
    elif spoil == "schema":
        manifest.write_text(manifest.read_text().replace('"schema": 3', '"schema": 99'))
    assert manifests.done(tmp_path, "unit", "other" if spoil == "other-run" else RUN) is None


def test_differences_names_a_flipped_byte_that_done_cannot_see(tmp_path: Path) -> None:
    write(tmp_path)
    manifest = manifests.done(tmp_path, "unit", RUN)
    assert manifest is not None
    assert list(manifests.differences(tmp_path, manifest)) == []
    (tmp_path / "a.bin").write_bytes(b"hellp")
    assert manifests.done(tmp_path, "unit", RUN) is not None
    (sentence,) = manifests.differences(tmp_path, manifest)
    assert "a.bin" in sentence and "BLAKE3" in sentence


def test_the_same_content_gives_the_same_manifest_and_table_bytes(tmp_path: Path) -> None:
    table = pa.table({"a": list(range(1000)), "b": ["x"] * 1000})
    for name in ("one", "two"):
        with publish.unit(tmp_path / name, "unit", RUN) as unit:
            unit.table("t.parquet", table)
    for file in ("t.parquet", "unit.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        with pytest.raises(PostmillError, match="cannot write: No space left") as caught:
            write(mount / "run", bytes(200_000))
        assert caught.value.hint is not None and "same command" in caught.value.hint
        assert list((mount / "run").iterdir()) == []
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_sweep_removes_the_temporaries_of_the_dead_and_no_others(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from postmill.shards.run import temporary\n"
        "file = temporary.HashingFile(Path(sys.argv[1]) / 'dead.bin'); file.write(b'x' * 10)\n"
        "with temporary.scratch(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'x').write_text('x'); print('ready', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    assert temporary.sweep(tmp_path) == 0, "a living writer's temporary must stay"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert temporary.sweep(tmp_path) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_goes_with_its_writer_even_where_the_clean_up_was_cut_short(tmp_path: Path) -> None:
    file = temporary.HashingFile(tmp_path / "a.bin")
    file.write(b"half")
    assert len(list(tmp_path.iterdir())) == 1
    del file
    assert list(tmp_path.iterdir()) == []


def test_a_closed_file_takes_no_more(tmp_path: Path) -> None:
    file = temporary.HashingFile(tmp_path / "a.bin")
    file.discard()
    other = temporary.HashingFile(tmp_path / "b.bin")  # gets the number of the descriptor that was closed
    with pytest.raises(OSError, match="Bad file descriptor"):
        file.write(b"a footer, late")
    assert other.temporary.stat().st_size == 0
    other.discard()


def test_a_full_disk_is_said_of_a_single_file_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PostmillError, match="cannot write") as caught:
        publish.put_bytes(tmp_path / "file" / "index.json", b"x")
    assert caught.value.hint is not None


def test_two_writers_of_one_unit_leave_one_whole_unit(tmp_path: Path) -> None:
    with publish.unit(tmp_path, "unit", RUN) as first:
        first.file("a.bin").write(b"hello")
        write(tmp_path)
    manifest = manifests.done(tmp_path, "unit", RUN)
    assert manifest is not None and list(manifests.differences(tmp_path, manifest)) == []


def test_the_same_again_is_not_written_again(tmp_path: Path) -> None:
    write(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    write(tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    write(tmp_path, b"other")
    assert (tmp_path / "a.bin").read_bytes() == b"other"
    assert manifests.done(tmp_path, "unit", RUN) is not None
