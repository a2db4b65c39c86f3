"""Folders as people have them: with any name that is text, or one sentence that says which is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from tests.commands import postmill

COMMAND = [sys.executable, "-m", "postmill.cli"]


@pytest.mark.parametrize("name", ["a::b", "data:2019", "o'brien's \"data\" [2024] 100% 😀", "*star?", " blanks ", "-x"])
def test_any_text_is_a_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    write_sample(folder / "data", posts=30, influencers=3, seed=1, part_size=64 << 10)
    assert postmill("plan", folder / "data", folder / "run") == 0
    assert postmill("ingest", folder / "run") == 0
    assert postmill("verify", folder / "run") == 0
    assert postmill("inspect", folder / "data" / "Post_images") == 0


@pytest.fixture
def latin(tmp_path: Path) -> bytes:
    """A folder from an old file system, with a dataset in it."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    write_sample(tmp_path / "data", posts=30, influencers=3, seed=1, part_size=64 << 10)
    folder.mkdir()
    (tmp_path / "data").rename(folder / "data")
    return os.fsencode(folder)


def said(*words: bytes, folder: bytes | None = None, **environment: str) -> tuple[int, str]:
    done = subprocess.run([*COMMAND, *words], capture_output=True, cwd=folder, env={**os.environ, **environment})
    return done.returncode, done.stderr.decode("utf-8", "replace")


def test_bytes_that_are_no_text_are_refused_in_one_sentence(latin: bytes, tmp_path: Path) -> None:
    run = os.fsencode(tmp_path / "run")
    for words in ([b"plan", latin + b"/data", run], [b"status", latin + b"/run"], [b"sample", latin + b"/x"]):
        code, message = said(*words)
        assert (code, message.count("\n")) == (2, 2)
        assert "caf\\xe9" in message and "not UTF-8" in message
    code, message = said(b"plan", b"data", b"run", folder=latin)
    assert code == 2
    assert "caf\\xe9/data/Post_metadata" in message and "not UTF-8" in message
    assert not (tmp_path / "run").exists()


def test_through_a_link_they_can_be_reached_and_inspected_as_they_are(latin: bytes, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(os.fsdecode(latin))
    assert postmill("plan", tmp_path / "link" / "data", tmp_path / "link" / "run") == 0
    assert postmill("ingest", tmp_path / "link" / "run") == 0
    assert postmill("verify", tmp_path / "link" / "run") == 0
    assert said(b"inspect", latin + b"/data/Post_images", b"--digest")[0] == 0


def test_a_locale_that_does_not_know_a_letter_is_told_from_a_name_that_is_no_text(tmp_path: Path) -> None:
    bare = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, message = said(b"plan", os.fsencode(tmp_path / "données"), b"run", **bare)
    assert code == 2
    assert "this locale does not know" in message and "PYTHONUTF8=1" in message
