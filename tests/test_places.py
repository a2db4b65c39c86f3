"""Runs, exports and tables lie on disks: an address there is refused in words, before anything is made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.commands import refused

BUCKET = "s3://bucket/my run"
COMMANDS = [
    ["plan", "data", BUCKET],
    ["plan", BUCKET],
    ["run", "data", BUCKET],
    *(
        [name, BUCKET]
        for name in ("ingest", "mend", "encode", "train", "report", "status", "verify", "faults", "submit")
    ),
    ["export", "RUN", BUCKET, "--to", "csv"],
    ["sample", BUCKET],
    ["predict", "RUN", BUCKET],
    ["predict", "RUN", "RUN", "--output", f"{BUCKET}/a.csv"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_address_is_no_place_to_write(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = refused(*words)
    assert error.exit_code == 2 and "is an address" in error.cause
    assert "aws s3 cp --recursive FOLDER 's3://bucket/my run" in (error.hint or "")
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.parametrize(
    ("address", "command"),
    [
        ("gs://bucket/run", "gcloud storage cp --recursive FOLDER gs://bucket/run"),
        ("sftp://bob:s3cr3t@host/data/run", "rsync -a FOLDER/ host:/data/run/"),
        ("https://bob:s3cr3t@host/dav/run?sig=s3cr3t", "rclone copy FOLDER REMOTE:dav/run"),
    ],
)
def test_what_copies_there_is_said_without_secrets(address: str, command: str) -> None:
    error = refused("status", address)
    assert (error.hint or "").endswith(command)
    assert "s3cr3t" not in f"{error} {error.hint}"
