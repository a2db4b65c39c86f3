"""Replay what the fuzzer kept: inputs that together reach what it reached, and each that once broke a promise."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from ingest.archive import Archive

FUZZ = Path(__file__).resolve().parents[1] / "fuzz"
CORPUS = sorted(path for folder in ("corpus", "findings") for path in (FUZZ / folder).glob("*"))


@pytest.fixture(scope="module")
def checks() -> ModuleType:
    """The module tests/fuzz/checks.py, which the fuzzer uses too and which lies in no package."""
    spec = importlib.util.spec_from_file_location("fuzz_checks", FUZZ / "checks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_is_a_corpus() -> None:
    assert len(CORPUS) > 50


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_promise_holds(checks: ModuleType, path: Path, tmp_path: Path) -> None:
    checks.check(path.read_bytes(), tmp_path)


def test_an_input_is_what_was_packed(checks: ModuleType) -> None:
    parts = [b"one", b"", b"three"]
    assert checks.unpack(checks.pack(parts, strict=True)) == parts
    assert checks.unpack(bytes([1]) + b"abcde") == [b"ab", b"cde"]


def test_a_broken_promise_is_noticed(checks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", b"data")
    sound = checks.pack([(tmp_path / "a.zip").read_bytes()])
    checks.check(sound, tmp_path)
    monkeypatch.setattr(Archive, "read", lambda archive, entry: b"else")
    with pytest.raises(checks.Finding):
        checks.check(sound, tmp_path)
