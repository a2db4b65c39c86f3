"""The commands that write for others: predictions, exports, digests."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from postmill.console import results
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.shards.runtime.progress import Silent
from tests.integration.kills import resize, small_disk

TABLE = pa.table({"key": ["1", "2"], "predicted": [0.5, None]})
COMMAND = [sys.executable, "-m", "postmill.cli"]


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Predictions without a model; what is returned names the models that were asked."""
    import postmill.train.predict

    asked: list[str] = []

    def predict(run: Any, name: str, where: Path, device: str) -> pa.Table:
        asked.append(name)
        return TABLE

    monkeypatch.setattr(postmill.train.predict, "predict", predict)
    return asked


def predict(output: Path) -> None:
    run: Any = SimpleNamespace(models=output.parent)
    results.predict(run, Path("posts"), "fusion", output, Device.CPU, Silent())


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "A.CSV"])
@pytest.mark.usefixtures("scored")
def test_predictions_are_written_as_the_suffix_says(tmp_path: Path, name: str) -> None:
    predict(tmp_path / name)
    if name == "a.parquet":
        assert pq.read_table(tmp_path / name).to_pydict() == TABLE.to_pydict()
    else:
        with (tmp_path / name).open(newline="") as file:
            assert [row["key"] for row in csv.DictReader(file)] == ["1", "2"]
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.xlsx", "a", "no/such/folder/a.csv"])
def test_predictions_that_cannot_be_written_are_not_made(tmp_path: Path, scored: list[str], name: str) -> None:
    with pytest.raises(UsageError):
        predict(tmp_path / name)
    assert scored == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.usefixtures("scored")
def test_predictions_on_a_full_disk_leave_the_earlier_ones(tmp_path: Path, suffix: str) -> None:
    with small_disk(tmp_path / "disk") as mounted:
        if not mounted:
            pytest.skip("mounting a small tmpfs needs root")
        path = tmp_path / "disk" / f"a.{suffix}"
        path.write_bytes(b"earlier")
        (tmp_path / "disk" / "rest").write_bytes(bytes(56 << 10))
        resize(tmp_path / "disk", 60 << 10)
        with pytest.raises(PostmillError, match="No space left"):
            predict(path)
        assert path.read_bytes() == b"earlier"
        assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name, "rest"]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        for number in range(2000):
            made.writestr(f"{'long' * 10}/{number}", b"x")
    return tmp_path / "a.zip"


@pytest.mark.parametrize("option", ["--digest", "--json", None])
def test_what_is_inspected_onto_a_full_disk_is_said(archive: Path, option: str | None) -> None:
    with Path("/dev/full").open("wb") as full:
        words = [*COMMAND, "inspect", str(archive), *([option] if option else [])]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1, done.stderr
    assert "error: standard output: cannot be written: No space left" in done.stderr and "Traceback" not in done.stderr


def test_a_digest_of_which_only_the_head_is_read_ends_quietly(archive: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" | head -n 1', "sh", *COMMAND, "inspect", str(archive), "--digest"],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.stdout.count("\n") == 1
    assert "rror" not in done.stderr and "Traceback" not in done.stderr


def test_json_is_utf_8_in_every_locale(archive: Path) -> None:
    named = archive.rename(archive.with_name("é.zip"))
    command = [*COMMAND, "inspect", str(named), "--json"]
    texts = [
        subprocess.run(command, capture_output=True, check=True, env={**os.environ, **variables}).stdout
        for variables in ({}, {"PYTHONIOENCODING": "ascii"})
    ]
    assert texts[0] == texts[1] and "é.zip".encode() in texts[0]
