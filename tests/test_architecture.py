"""Dependencies go one way, and stages meet only on disk."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "shards": {"shards"},
    "ingest": {"ingest", "shards"},
    "encode": {"encode", "shards"},
    "train": {"train", "shards"},
}
OURS = {"cli", "ingest", "shards", "encode", "train", "jobs"}


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    return {module.split(".")[0] for module in modules} & OURS


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    modules = sorted((ROOT / package).glob("*.py"))
    assert modules
    wrong = {path.name: imported(path) - MAY_IMPORT[package] for path in modules}
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize("package", [*MAY_IMPORT, "jobs"])
def test_only_publish_puts_files_into_a_run(package: str) -> None:
    """What a run folder holds goes through shards/publish.py; sample data and archives are not of a run."""
    writers = {
        path.name
        for path in (ROOT / package).glob("*.py")
        if any(word in path.read_text() for word in (".write_bytes(", ".write_text(", "np.save(", 'open("w'))
    }
    assert writers <= ({"sample.py"} if package == "ingest" else set())
