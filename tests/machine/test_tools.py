"""What a bare machine lacks is installed where that may be, and else leaves out tests by name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import tools
from tests.machine.needs import left_out

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH, with nothing in it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "_PLACES", "")
    return tmp_path


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def by(user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)


def test_every_tool_is_missing_on_a_bare_machine_and_slurm_to_root_alone(bare: Path) -> None:
    programs = {tool.name for tool in tools.TOOLS if ".so" not in tool.name}
    assert {tool.name for tool in tools.missing(root=True)} >= programs
    others = {tool.name for tool in tools.missing(root=False)}
    assert others >= {"7z", "strace", "nginx", "sshd", "rclone", "chromium"} and not others & {"slurmctld", "munged"}
    program(bare, "7z", "")
    assert "7z" not in {tool.name for tool in tools.missing(root=True)}


def test_a_package_is_asked_for_once() -> None:
    packages = tools.packages_of(list(tools.TOOLS))
    assert len(packages) == len(set(packages)) and packages.count("slurm-wlm") == 1


def test_who_may_install(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by(0, monkeypatch)
    assert tools.as_root() is None, "there is no apt-get"
    program(bare, "apt-get", "")
    assert tools.as_root() == []
    by(1000, monkeypatch)
    assert tools.as_root() is None, "there is no sudo"
    program(bare, "sudo", "exit 1")
    assert tools.as_root() is None, "it asks for a password"
    program(bare, "true", "")
    program(bare, "sudo", "exit 0")
    assert tools.as_root() == ["sudo", "-n"]


def test_a_package_that_cannot_be_had_keeps_no_other_away(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    log = bare / "log"
    program(bare, "env", 'shift; exec "$@"')
    program(bare, "apt-get", f'echo "$@" >> {log}; case "$*" in *rclone*) exit 100;; esac')
    by(0, monkeypatch)
    tools.install()
    asked = [line.split()[-1] for line in log.read_text().splitlines() if line.startswith("install")]
    assert set(asked) >= {"zip", "p7zip-full", "rclone", "chromium", "slurm-wlm"}
    told = capfd.readouterr().out.splitlines()
    assert told[0].startswith("installing ") and told[-1].endswith("apt-get install rclone")


def test_where_nothing_may_be_installed_it_is_said_what_is_left_out(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    by(1000, monkeypatch)
    tools.install()
    told = capfd.readouterr().out
    assert "not installed (neither root nor sudo" in told and "7z" in told
    assert "left out, and named at the end; apt-get install zip unzip p7zip-full" in told


def test_a_machine_with_everything_is_asked_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tools, "TOOLS", ())
    tools.install()
    assert capfd.readouterr().out == ""


def test_a_python_that_is_too_old_or_lacks_venv_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tools.check_python() == ""
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert tools.check_python() == "Python lacks venv: apt-get install python3-venv"
    monkeypatch.setattr(tools, "OLDEST", (99, 0))
    assert tools.check_python().startswith("Python 99.0 or later is needed, and ")


def test_the_list_stands_in_one_place() -> None:
    for name in ("Makefile", ".ci/run"):
        assert not re.search("p7zip|nginx|strace|rclone|slurm", (ROOT / name).read_text()), name
    assert tools.OLDEST == (3, 11) and 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text()


def test_what_was_left_out_is_counted_by_program() -> None:
    reasons = [tools.reason("7z"), tools.reason("nginx"), f"Skipped: {tools.reason('7z')}", "root may list everything"]
    assert left_out(reasons) == [
        "left out: 2 tests that need 7z: apt-get install p7zip-full",
        "left out: 1 test that needs nginx: apt-get install nginx",
    ]


def test_tests_are_left_out_by_name_where_a_program_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/ingest/zipformat/test_kinds.py"]
    variables = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    told = [line for line in done.stdout.splitlines() if line.startswith("left out: ")]
    assert [re.sub(r"^left out: \d+ tests? that needs? ", "", line) for line in told] == [
        "7z: apt-get install p7zip-full",
        "zip: apt-get install zip",
    ]


@pytest.mark.parametrize("marked", [False, True])
def test_a_test_that_starts_a_program_without_a_word_is_left_out_too(tmp_path: Path, marked: bool) -> None:
    (tmp_path / "conftest.py").write_text("from tests.machine.needs import *\n")
    fixture = "import pytest, subprocess\n@pytest.fixture\ndef made():\n    subprocess.run(['7z'])\n"
    body = "def test(made): ...\n" if marked else "def test():\n    subprocess.run(['7z'])\n"
    other = "def test_other():\n    subprocess.run(['no-such-program'])\n"
    (tmp_path / "test_it.py").write_text(fixture + body + other)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    (tmp_path / "empty").mkdir()
    variables = {"PATH": str(tmp_path / "empty"), "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **variables}, capture_output=True, text=True)
    assert "left out: 1 test that needs 7z: apt-get install p7zip-full" in done.stdout
    assert done.returncode == 1 and "1 failed, 1 skipped" in done.stdout, "another program's absence is a failure"
