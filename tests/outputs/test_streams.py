"""Standard output that is full, closed or of few characters, and signals before the program has loaded."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from postmill.console import streams
from postmill.shards.runtime import interrupt

# The whole program, but for a command that prints what is asked for.
PROGRAM = r"""
import sys, typer
from postmill.console import errors, output, streams
app = typer.Typer()
@app.command()
def command(kind: str, count: int = 1):
    for _ in range(count):
        if kind == "text":
            output.out.print("R\u00b2 = 0.5, caf\u00e9")
        else:
            streams.emit("R\u00b2 = 0.5, caf\u00e9\n".encode())
sys.argv[0] = "postmill"
errors.run_app(app)
"""


def run(*words: str, stdout: object = subprocess.PIPE, **variables: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", PROGRAM, *words]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, env={**os.environ, **variables})  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("kind", ["text", "bytes"])
@pytest.mark.parametrize("count", ["1", "5000"])
def test_a_full_disk_is_said(kind: str, count: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(kind, "--count", count, stdout=full)
    said = done.stderr.decode()
    assert done.returncode == 1
    assert said.startswith("error: standard output: cannot be written: No space left") and "next:" in said
    assert "Traceback" not in said and "Exception" not in said


@pytest.mark.parametrize("kind", ["text", "bytes"])
def test_a_reader_that_has_enough_ends_it_quietly(kind: str) -> None:
    command = [sys.executable, "-c", PROGRAM, kind, "--count", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 1


def closed(number: int, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {number}>&-', "sh", sys.executable, "-c", PROGRAM, *words], capture_output=True
    )


def test_closed_standard_output_is_said_of_data_and_is_no_matter_for_what_is_only_shown() -> None:
    done = closed(1, "bytes")
    assert done.returncode == 1 and b"standard output: cannot be written: it is closed" in done.stderr
    assert closed(1, "text").returncode == 0


def test_standard_error_that_is_closed_or_full_changes_no_exit_code() -> None:
    assert closed(2, "--no-such-option").returncode == 2
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", PROGRAM, "--no-such-option"], stderr=full)
    assert done.returncode == 2


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii:strict"},
    ],
)
def test_characters_that_an_encoding_lacks_are_replaced_in_text_and_kept_in_data(variables: dict[str, str]) -> None:
    shown = run("text", **variables)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, b"R? = 0.5, caf?\n", b"")
    assert run("bytes", **variables).stdout.decode() == "R² = 0.5, café\n"


def test_a_name_that_is_no_utf_8_is_refused_in_words(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "postmill.cli", "status", os.fsencode(tmp_path) + b"/caf\xe9"], capture_output=True
    )
    assert done.returncode == 2 and b"Traceback" not in done.stderr and b"that is not UTF-8: e9" in done.stderr


def test_the_streams_are_pythons_own_but_for_their_bottom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="latin-1") as file:
        monkeypatch.setattr(sys, "stdout", file)
        monkeypatch.setattr(sys, "stderr", None)
        streams.prepare()
        assert isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.encoding == "latin-1"
        sys.stdout.write("é€\n")
        streams.flush()
    assert (tmp_path / "out").read_bytes() == b"\xe9?\n"


# What the console script does, with a module in the place of the command line that takes long to load.
STARTING = """
import sys, time, types
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "postmill.cli":
            print("loading", flush=True); time.sleep(60)
sys.meta_path.insert(0, Slow())
from postmill.console.start import main
main()
"""


@pytest.mark.parametrize("number", interrupt.SIGNALS)
def test_a_signal_while_the_program_loads_ends_it_as_an_interrupted_command(number: signal.Signals) -> None:
    command = [sys.executable, "-c", STARTING, "status", "nowhere"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stderr is not None
        assert child.stdout.readline() == "loading\n"
        child.send_signal(number)
        said = child.stderr.read()
    assert child.returncode == 75
    assert said == f"error: stopped by {number.name}\n  next:  what was finished is kept: the same command carries on\n"


def test_the_module_of_the_command_line_minds_signals_before_it_loads_the_rest() -> None:
    """As `python -m postmill.cli`, told by what it imports first."""
    command = [sys.executable, "-X", "importtime", "-m", "postmill.cli", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    order = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert order.index("postmill.shards.runtime.interrupt") < order.index("typer")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 75)])
def test_watching_ends_by_ctrl_c_and_is_done(number: signal.Signals, code: int, tmp_path: Path) -> None:
    program = PROGRAM.replace("@app.command()", WATCH + "@app.command()")
    with subprocess.Popen(
        [sys.executable, "-c", program, "watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"watching\n"
        child.send_signal(number)
        child.communicate()
    assert child.returncode == code


WATCH = """
@app.command()
def watch():
    from types import SimpleNamespace
    from postmill.console import checks
    from postmill.jobs import show, submit
    from postmill.shards.state import status
    show.status_view = show.state_of = lambda *_: "as it stands"
    status.read, submit.reachable = (lambda _: print("watching", flush=True)), str
    checks.watch_status(SimpleNamespace(folder="run"))
"""
