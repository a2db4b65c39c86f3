"""The scripts in examples/ do what their first lines say, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.docs.desk import Desk
from tests.docs.pages import ROOT, text_of

EXAMPLES = {
    "own_model.py": (["RUN"], "ridge on captions and pictures: R² "),
    "batches.py": (["RUN"], "(32, 3, 64, 64) log(1 + likes) from "),
    "steps.py": (["SOURCE", "NEW"], "report: NEW/report/index.html"),
}


def test_each_script_is_here_and_on_a_page() -> None:
    scripts = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert scripts == set(EXAMPLES)
    assert all(f"(../examples/{name})" in text_of("docs/python.md") for name in scripts)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_works(name: str, desk: Desk) -> None:
    words, said = EXAMPLES[name]
    script = ROOT / "examples" / name
    assert f"python examples/{name} {words[0]}" in script.read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), *words], cwd=desk.folder, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
