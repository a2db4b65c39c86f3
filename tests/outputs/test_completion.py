"""What a shell is offered: commands, options, closed sets, names of models and encoders, run folders; and at once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from postmill.train.models import registry

PROGRAM = "import sys; sys.argv[0] = 'postmill'; from postmill.console.start import main; main()"
SHELLS = ("bash", "zsh", "fish")


def offered(shell: str, words: str, folder: Path | None = None) -> list[str]:
    """What is offered for the last word of a line; it is empty where the line ends in a blank."""
    environment = {**os.environ, "_POSTMILL_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        environment |= {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    else:
        environment |= {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.stderr == "", done.stderr
    if shell == "zsh":
        return [line.split('"')[1] for line in done.stdout.splitlines() if '"' in line]
    return [line.partition("\t")[0] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_line_offers_an_option_whatever_its_help_says(shell: str) -> None:
    for command in ("run", "plan", "encode", "train", "submit"):
        assert all(re.fullmatch(r"-[a-z-]+", word) for word in offered(shell, f"postmill {command} a --")), command


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name in ("run-a", "run-b", "data", "below/run-c"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("run-a", "run-b", "below/run-c"):
        (tmp_path / name / "run.json").write_text("{}")
    (tmp_path / "run-a" / "models" / "fusion").mkdir(parents=True)
    (tmp_path / "run-a" / "embeddings" / "text.all-MiniLM-L6-v2").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_options_and_closed_sets_are_offered(shell: str) -> None:
    assert offered(shell, "postmill in") == ["ingest", "insights", "inspect"]
    assert offered(shell, "postmill encode run --mod") == ["--models", "--model"]
    assert offered(shell, "postmill encode run --models ") == ["paper", "light"]
    assert offered(shell, "postmill encode run --encoder te") == ["text", "text-with-comments"]
    assert "--quiet" in offered(shell, "postmill faults run --")


@pytest.mark.parametrize("shell", SHELLS)
def test_models_are_offered(shell: str) -> None:
    names = [name for name in registry.every_name() if name.startswith("fus")]
    assert offered(shell, "postmill train run --model fus") == names and len(names) > 1


@pytest.mark.parametrize("shell", SHELLS)
def test_run_folders_are_offered_and_what_lies_in_them(shell: str, runs: Path) -> None:
    assert offered(shell, "postmill status ", runs) == ["run-a", "run-b"]
    assert offered(shell, "postmill status run-b", runs) == ["run-b"]
    assert offered(shell, "postmill status below/", runs) == ["below/run-c"]
    assert offered(shell, f"postmill status {runs}/run-", runs) == [f"{runs}/run-a", f"{runs}/run-b"]
    assert offered(shell, "postmill predict run-a --model fu", runs) == ["fusion"]
    assert offered(shell, "postmill export run-a out --encoder ", runs) == ["text.all-MiniLM-L6-v2"]


def test_nothing_is_offered_for_what_is_not_there(runs: Path) -> None:
    assert offered("bash", "postmill status nowhere/", runs) == []
    assert offered("bash", "postmill predict nowhere --model ", runs) == []


def test_completing_loads_nothing_heavy(runs: Path) -> None:
    program = (
        "import sys, atexit; sys.argv[0] = 'postmill';"
        "heavy = {'torch', 'numpy', 'pyarrow', 'duckdb', 'fsspec', 'transformers', 'scipy'};"
        "atexit.register(lambda: sys.stderr.write(str(sorted(heavy & set(sys.modules)))));"
        "from postmill.console.start import main; main()"
    )
    environment = {**os.environ, "_POSTMILL_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
    for words in ("postmill status ", "postmill train run-a"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=runs,
            capture_output=True,
            text=True,
            env={**environment, "COMP_WORDS": words},
        )
        assert "run-a" in done.stdout and done.stderr == "[]"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_itself_completes_with_the_script_that_is_installed(runs: Path) -> None:
    (runs / "bin").mkdir()
    (runs / "bin" / "postmill").write_text(f'#!/bin/sh\nexec {sys.executable} -c "{PROGRAM}" "$@"\n')
    (runs / "bin" / "postmill").chmod(0o755)
    script = (
        'eval "$(_POSTMILL_COMPLETE=source_bash postmill)"; COMP_WORDS=(postmill status run-); COMP_CWORD=2;'
        ' _postmill_completion postmill; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{runs / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], cwd=runs, capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["run-a", "run-b"], done.stderr


def test_the_help_says_how_completion_is_turned_on() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, "--help"], capture_output=True, text=True)
    assert "--install-completion" in done.stdout and "--show-completion" in done.stdout
