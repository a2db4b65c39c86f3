"""`postmill run` killed in every stage and started again ends with the same bytes as an undisturbed run."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from tests.runs import plant_secret

COMMAND = [sys.executable, "-m", "postmill.cli"]


def start(source: Path, run: Path) -> subprocess.Popen[bytes]:
    arguments = ["run", str(source), str(run), "--models", "light", "--shard-size", "1"]
    return subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process: subprocess.Popen[bytes]) -> str:
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output.decode()
    return output.decode()


def digests(run: Path) -> dict[str, str]:
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and "logs" not in path.parts]
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def any_of(pattern: str) -> Callable[[Path], bool]:
    return lambda run: any(True for _ in run.glob(pattern))


# A moment in each stage: the work has begun, and is not over.
MOMENTS = {
    "plan": any_of(".tmp-scratch-*"),
    "plan, while it is written": any_of(".tmp-scratch-*/plan/.tmp-*.parquet-*"),
    "metadata": any_of("spool/*"),
    "windows": any_of("posts/*"),
    "windows, after the first shard": any_of("posts/posts-000000.json"),
    "encode": any_of("embeddings/*/.tmp-*"),
    "encode, after the first shard": any_of("embeddings/text.*/posts-000000.json"),
    "encode images": any_of("embeddings/image.*/posts-000001.json"),
    "train": any_of("models/*/manifest.json"),
    "train, the fusion": any_of("models/text-mlp/manifest.json"),
    "report": any_of("report/*"),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed") / "data"
    write_sample(folder, posts=160, influencers=14, seed=3, part_size=1 << 20)
    return folder


@pytest.fixture(scope="module")
def undisturbed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    plant_secret(run)
    finish(start(source, run))
    return run


def test_killed_in_every_stage(source: Path, undisturbed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    plant_secret(run)
    killed = []
    for name, reached in MOMENTS.items():
        process = start(source, run)
        while process.poll() is None and not (run.is_dir() and reached(run)):
            time.sleep(0.001)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed.append(name)
        output, _ = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), output.decode()
    assert {name.split(",")[0].split()[0] for name in killed} >= {"plan", "metadata", "windows", "encode", "train"}
    finish(start(source, run))
    assert digests(run) == digests(undisturbed)


def test_a_second_call_does_nothing_and_says_so(source: Path, undisturbed: Path) -> None:
    def times() -> dict[Path, int]:
        files = [path for path in undisturbed.rglob("*") if path.is_file() and "logs" not in path.parts]
        return {path: path.stat().st_mtime_ns for path in files}

    before = times()
    output = finish(start(source, undisturbed))
    assert output.count("nothing to do, all") >= 7
    assert times() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGINT])
def test_a_signal_ends_it_with_75_and_leaves_no_temporary(source: Path, tmp_path: Path, number: signal.Signals) -> None:
    run = tmp_path / "run"
    process = start(source, run)
    while process.poll() is None and not (run / "posts" / "posts-000000.json").exists():
        time.sleep(0.001)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 75, output.decode()
    assert f"stopped by {number.name}" in output.decode() and "Traceback" not in output.decode()
    assert not list(run.rglob(".tmp-*"))
