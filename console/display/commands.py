"""Commands as the program has them: their help is boxes on a wide terminal, and a plain list elsewhere."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from postmill.console.output import out

_BOXES = 100  # columns that the help takes in boxes without cutting a name
_LIST = 80  # columns of the list, where there are more
Function = TypeVar("Function", bound=Callable[..., Any])


def _for_a_program(asked: bool) -> bool:
    """Leave standard output to the answer, and send what people read to standard error."""
    out.stderr = asked
    return asked


def _show_version(asked: bool) -> None:
    """Print the version and exit, if that is what was asked for."""
    if asked:
        from importlib.metadata import version

        out.print(version("postmill"))
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Say which it is.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", callback=_for_a_program, help="Answer with one JSON object: docs/output.md.")
]


class Command(TyperCommand):
    """A command whose help is whole in any width, and which has the options that all have."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.params.extend(_options_of_all())

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words behind the command, which say how much is told, and to whom."""
        out.hushed = out.answered = out.stderr = False
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        _format_help(self, super().format_help, ctx, formatter)


class Group(TyperGroup):
    """The program: what it says of itself is whole in any width."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        _format_help(self, super().format_help, ctx, formatter)


class App(typer.Typer):
    """A program of such commands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=Group, **options)

    def command(self, *names: Any, **options: Any) -> Callable[[Function], Function]:
        """Add a command, as typer does."""
        return super().command(*names, cls=Command, **options)


def _options_of_all() -> list[Any]:
    """Return the options of every command, as typer makes them of a function's."""
    program = typer.Typer(add_completion=False)

    @program.command()
    def command(
        quiet: Annotated[
            bool,
            typer.Option(
                "--quiet", "-q", help="Only results, warnings and errors.", callback=_hush, expose_value=False
            ),
        ] = False,
    ) -> None:
        """Stand for any command."""

    return typer.main.get_command(program).params


def _hush(asked: bool) -> bool:
    out.hushed = asked
    return asked


def _format_help(command: TyperCommand | TyperGroup, boxes: Callable[[Any, Any], None], ctx: Any, to: Any) -> None:
    """Print the help as ``boxes`` does, or as a list where they have no room, or no place: in a file or a pipe."""
    if out.is_terminal and out.width >= _BOXES:
        boxes(ctx, to)
    else:
        to.write("\n".join(_listed(command, ctx)))


def _listed(command: TyperCommand | TyperGroup, ctx: Any) -> Iterator[str]:
    """Yield the lines of the help of ``command``: each name whole on a line of its own, and below it what it means."""
    width = min(out.width, _LIST)
    words = " ".join(command.collect_usage_pieces(ctx))
    yield from _wrapped(f"Usage: {ctx.command_path} {words}", width, "")
    if command.help:
        for paragraph in inspect.cleandoc(command.help).split("\n\n"):
            yield ""
            yield from _wrapped(paragraph, width, "")
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panels.setdefault(kind, []).append(record)
    for name, other in command.commands.items() if isinstance(command, TyperGroup) else ():
        panels.setdefault(getattr(other, "rich_help_panel", None) or "Commands", []).append((name, other.help or ""))
    for panel, records in panels.items():
        yield from ("", f"{panel}:")
        for name, told in records:
            yield f"  {name}"
            yield from _wrapped(inspect.cleandoc(told).partition("\n\n")[0], width, "      ")
    if command.epilog:
        yield ""
        yield from _wrapped(command.epilog, width, "")
    yield ""


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        max(width, 20),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
