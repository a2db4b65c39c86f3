"""The command line is a contract: commands, options, types and defaults are those of golden/cli.json.

A change of it is a change of that file, by hand or by ``python -m tests.test_command_line > tests/golden/cli.json``,
and is read before it is committed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from postmill.cli import app, ingest
from postmill.encode.options import EncoderName, ModelSet, Precision
from postmill.shards.formats.choices import Layout, Stage
from postmill.shards.runtime.devices import Device
from postmill.train.options import FeatureSet, RecipeName, Split, StudyName, TargetName

GOLDEN = Path(__file__).parent / "golden" / "cli.json"
CLOSED = {
    "--device": Device,
    "--features": FeatureSet,
    "--models": ModelSet,
    "--precision": Precision,
    "--recipe": RecipeName,
    "--split": Split,
    "--study": StudyName,
    "--target": TargetName,
    "--stage": Stage,
    "--to": Layout,
    "--encoder": EncoderName,
    "--gpu-encoder": EncoderName,
}


def contract(application: typer.Typer) -> dict[str, Any]:
    """Commands in the order in which the help shows them, with their panels and parameters."""
    group: Any = typer.main.get_command(application)
    return {
        "options": parameters(group),
        "commands": {
            name: {"panel": command.rich_help_panel, "parameters": parameters(command)}
            for name, command in group.commands.items()
        },
    }


def parameters(command: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": " ".join([*parameter.opts, *parameter.secondary_opts])
            if parameter.param_type_name == "option"
            else parameter.metavar or parameter.name.upper(),
            "takes": parameter.metavar or parameter.type_descriptor.annotation.__name__,
            "default": plain(parameter.default),
            "repeatable": bool(getattr(parameter, "multiple", False)) or parameter.nargs == -1,
            "required": parameter.required,
        }
        for parameter in command.params
        if parameter.name not in ("install_completion", "show_completion", "help")
    ]


def plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def postmill(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "postmill.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def test_the_command_line_is_the_golden_one() -> None:
    assert contract(app) == json.loads(GOLDEN.read_text())


def test_a_planted_option_is_told() -> None:
    other = typer.Typer(rich_markup_mode="markdown")
    other.registered_callback, other.info = app.registered_callback, app.info
    other.registered_commands = [command for command in app.registered_commands if command.callback is not ingest]

    @other.command("ingest")
    def planted(planted: Annotated[int, typer.Option("--planted")] = 3) -> None: ...

    assert contract(other) != json.loads(GOLDEN.read_text())
    assert contract(app)["commands"].keys() == contract(other)["commands"].keys()


def test_options_of_several_commands_mean_the_same() -> None:
    takes: dict[str, set[str]] = {}
    for command in contract(app)["commands"].values():
        for parameter in command["parameters"]:
            takes.setdefault(parameter["name"], set()).add(parameter["takes"])
    different = {name: kinds for name, kinds in takes.items() if len(kinds) > 1}
    assert set(different) <= {"--model", "--encoder", "--influencers"}  # one sets a count, the other names a file


@pytest.mark.parametrize(("option", "kind"), CLOSED.items())
def test_a_closed_set_is_named_in_the_help_and_completed(option: str, kind: type[Enum]) -> None:
    group: Any = typer.main.get_command(app)
    with_it = [
        (name, parameter)
        for name, command in group.commands.items()
        for parameter in command.params
        if option in parameter.opts and parameter.metavar != "FOLDER"
    ]
    assert with_it
    for name, parameter in with_it:
        if parameter.metavar == "NAME":  # of a list that is too wide for its place
            assert f"One of {', '.join(plain(choice) for choice in kind)}." in parameter.help
        else:
            assert parameter.metavar == f"[{'|'.join(plain(choice) for choice in kind)}]"
        words = f"postmill {name} {option} "
        done = postmill_completes(words)
        assert [plain(choice) for choice in kind] == done, name


def postmill_completes(words: str) -> list[str]:
    environment = {**os.environ, "_POSTMILL.CLI_COMPLETE": "complete_bash", "COMP_WORDS": words}
    environment |= {"COMP_CWORD": str(words.count(" "))}
    program = "import sys; sys.argv[0] = 'postmill'; from postmill.cli import app; app(prog_name='postmill')"
    environment["_POSTMILL_COMPLETE"] = "complete_bash"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "subject", "near"),
    [
        ("encode run --device cud", "--device", "cuda"),
        ("encode run --precision floa16", "--precision", "float16"),
        ("encode run --models ligth", "--models", "light"),
        ("encode run --encoder imag", "--encoder", "image"),
        ("encode run --encoder text,imag", "--encoder", "image"),
        ("submit run --gpu-encoder imag", "--gpu-encoder", "image"),
        ("train run --split influncer", "--split", "influencer"),
        ("train run --recipe papr", "--recipe", "paper"),
        ("train run --features defualt", "--features", "default"),
        ("train run --target coments", "--target", "comments"),
        ("run data run --study papr", "--study", "paper"),
        ("train run --model fusionn", "--model", "fusion"),
        ("ingest run --stage window", "--stage", "windows"),
        ("export run out --to clip", "--to", "clip-retrieval"),
        ("ingets run", "postmill", "ingest"),
        ("ingest run --worker 2", "postmill", "--workers"),
    ],
)
def test_a_misspelling_is_answered_with_the_nearest_before_anything_is_opened(
    words: str, subject: str, near: str
) -> None:
    done = postmill(*words.split())
    first, second = done.stderr.splitlines()[:2]
    assert done.returncode == 2 and done.stdout == ""
    assert first.startswith("error: ") and subject in first
    assert second.strip().startswith("next:") and f"did you mean {near}" in second


def test_help_and_version_load_nothing_heavy() -> None:
    program = (
        "import sys; import postmill.cli; heavy = {'torch', 'numpy', 'pyarrow', 'duckdb', 'fsspec', 'transformers'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(contract(app), indent=1, ensure_ascii=False) + "\n")
