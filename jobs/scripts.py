"""Batch scripts from the templates beside this file: what is filled in is quoted, or refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from shlex import quote
from unicodedata import category

from postmill.shards.runtime.errors import UsageError

_DIRECTIVES, _ARGUMENTS, _ENVIRONMENT = "# [directives]", "# [arguments]", "# [environment]"
_NO_LINE = ("Cc", "Cs", "Zl", "Zp")  # control characters, bytes that are no text, line breaks
_OPTION = re.compile(r"--[a-z][a-z0-9-]*(=.+)?")


def template(name: str) -> str:
    """Return the text of the template ``name``: ``ingest``, ``encode`` or ``train``."""
    return files("postmill.jobs").joinpath("templates", f"{name}.sbatch").read_text()


def render(
    text: str, directives: Mapping[str, str | None], arguments: Sequence[str], environment: Sequence[str]
) -> str:
    """Fill in a template.

    Args:
        text: The template.
        directives: Options of sbatch without their hyphens, with their value or None; each replaces the template's own.
        arguments: What the script is called with.
        environment: Lines of shell that make `postmill` be found.

    Raises:
        UsageError: A directive holds what a line of a batch script cannot.
    """
    lines = text.splitlines()
    for option, value in directives.items():
        line = f"#SBATCH --{option}" + ("" if value is None else f"={directive(value, option)}")
        defaults = [n for n, text in enumerate(lines) if re.match(rf"#SBATCH --{re.escape(option)}(=|$)", text)]
        if defaults:
            lines[defaults[0]] = line
        else:
            lines.insert(lines.index(_DIRECTIVES), line)
    lines.remove(_DIRECTIVES)
    lines[lines.index(_ARGUMENTS)] = " ".join(["set --", *map(quote, arguments)])
    marker = lines.index(_ENVIRONMENT)
    lines[marker : marker + 1] = environment
    return "\n".join(lines) + "\n"


def directive(value: str, option: str) -> str:
    """Return ``value`` as sbatch reads it after ``#SBATCH --option=``.

    Plain words stand as they are. All else is set in double quotes, in which sbatch takes a backslash for an escape.

    Raises:
        UsageError: It holds a newline or another control character, which no quoting gets through.
    """
    if any(category(character) in _NO_LINE and character != "\t" for character in value):
        raise UsageError(
            f"{value!r} holds a control character or a line break, which no line of a batch script can",
            place=f"#SBATCH --{option}",
            hint="use a path or a value without one",
        )
    if re.fullmatch(r"[A-Za-z0-9_./:%@,+=-]+", value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def pattern(folder: Path, name: str) -> str:
    """Return the value of ``--output`` for ``folder`` and ``name``, itself a pattern such as ``windows-%A_%a.log``.

    Raises:
        UsageError: The folder's path has a backslash, with which sbatch switches its patterns off.
    """
    if "\\" in str(folder):
        raise UsageError(
            "has a backslash, with which sbatch takes the names of logs otherwise than they are",
            place=folder,
            hint="put the run into a folder without one",
        )
    return str(folder).replace("%", "%%") + f"/{name}"


def default(text: str, option: str) -> str | None:
    """Return the value of ``--option`` in a template's own lines, None where it has none."""
    line = re.search(rf"^#SBATCH --{re.escape(option)}=(.*)$", text, re.MULTILINE)
    return None if line is None else line[1]


def option(text: str) -> tuple[str, str | None]:
    """Split one option of sbatch, ``--qos=high`` or ``--exclusive``.

    Raises:
        UsageError: It is not of that form.
    """
    if not _OPTION.fullmatch(text):
        raise UsageError(f"{text!r} is no option of sbatch", place="--sbatch", hint="write --sbatch=--qos=high")
    name, equals, value = text.removeprefix("--").partition("=")
    return name, value if equals else None


def environment_lines(modules: Sequence[str], venv: Path | None) -> list[str]:
    """Return the lines that load ``modules`` and put the programs of ``venv`` first."""
    lines = [f"module load {quote(module)}" for module in modules]
    if venv is not None:
        lines.append(f"export PATH={quote(str(venv / 'bin'))}:$PATH")
    return lines
