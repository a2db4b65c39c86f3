"""Replay what the fuzzer kept: inputs that together reach what it reached, and each that once broke a promise."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from postmill.ingest.archive.reader import Archive
from tests.fuzz import checks

FUZZ = Path(__file__).resolve().parents[2] / "fuzz"
CORPUS = sorted(path for folder in ("corpus", "findings") for path in (FUZZ / folder).glob("*"))


def test_there_is_a_corpus() -> None:
    assert len(CORPUS) > 50


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_promise_holds(path: Path, tmp_path: Path) -> None:
    checks.check(path.read_bytes(), tmp_path)


def test_an_input_is_what_was_packed() -> None:
    parts = [b"one", b"", b"three"]
    assert checks.unpack(checks.pack(parts, strict=True)) == parts
    assert checks.unpack(bytes([1]) + b"abcde") == [b"ab", b"cde"]


def test_a_broken_promise_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", b"data")
    sound = checks.pack([(tmp_path / "a.zip").read_bytes()])
    checks.check(sound, tmp_path)
    monkeypatch.setattr(Archive, "read", lambda archive, entry: b"else")
    with pytest.raises(checks.Finding):
        checks.check(sound, tmp_path)
