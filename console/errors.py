"""Errors as people see them: cause with its subject, place, next step, and the exit code that goes with them."""

from __future__ import annotations

import atexit
import difflib
import errno
import logging
import os
import re
import shlex
import signal
import sys
import traceback
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType

import typer
from rich.markup import escape
from typer.exceptions import TyperException

from postmill.console import extras, streams
from postmill.console.display import answering
from postmill.console.output import err
from postmill.shards.runtime import interrupt
from postmill.shards.runtime.addresses import redacted
from postmill.shards.runtime.errors import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, DamagedSource, Interrupted, PostmillError
from postmill.shards.runtime.file_names import check_text
from postmill.shards.runtime.printable import printable

OUT_OF_MEMORY = b"""error: out of memory
  where: this machine, or the limit that `ulimit -v` or a job sets
  next:  run the same command again with more memory: it carries on
"""
OUT_OF_MEMORY_OF_WORKERS = b"""error: out of memory
  where: this machine, or the limit that `ulimit -v` or a job sets
  next:  run the same command again with fewer --workers or more memory: it carries on; where one worker is too many, \
start a new run with a smaller --shard-size
"""
# What helps with what the system refuses.
_OF_THE_SYSTEM = {
    errno.EACCES: "check who may read and write it",
    errno.EPERM: "check who may read and write it",
    errno.EROFS: "name a place that can be written, or have the disk mounted so",
    errno.ENOSPC: "free some space, then run the same command again: it carries on",
    errno.EDQUOT: "free some space, for your quota is used up, then run the same command again: it carries on",
    errno.EFBIG: "have larger files allowed (ulimit -f), then run the same command again: it carries on",
    errno.EIO: "check the disk, then run the same command again: it carries on",
    errno.EMFILE: "allow more open files (ulimit -n), then run the same command again: it carries on",
    errno.ENFILE: "close other programs, then run the same command again: it carries on",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.ELOOP: "mend the links, which lead in a circle",
    errno.ESTALE: "see that its disk is there, then run the same command again: it carries on",
    errno.ENOTCONN: "see that its disk is there, then run the same command again: it carries on",
}
_OF_NUMBERS = {  # in the words of what reads options: https://docs.pydantic.dev/latest/errors/validation_errors
    "int_parsing": "is no whole number",
    "int_from_float": "is no whole number",
    "float_parsing": "is no number",
    "finite_number": "is no finite number",
    "greater_than_equal": "is less than {ge}",
    "less_than_equal": "is more than {le}",
}
_WITH_WORKERS = ("ingest", "run")
_NOISY = (
    *("httpx", "huggingface_hub", "sentence_transformers", "transformers"),
    *("fsspec", "aiobotocore", "botocore", "s3fs", "gcsfs", "google", "adlfs", "azure", "paramiko", "urllib3"),
)


class _Printable(logging.Formatter):
    """Lines of the log without what controls a terminal, and without what is secret in an address."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of ``record``."""
        return printable(redacted(super().format(record)))


def run_app(app: typer.Typer) -> None:
    """Run the command line; what a user can mend is shown without a traceback. Ends the process.

    The first line of an error has its subject, as ``error: RUN/posts: cannot be written``: a log of many tasks is read
    by that line alone.
    """
    atexit.register(_mind_no_signal)  # the first to be registered is the last to be called
    streams.prepare()
    messages = logging.StreamHandler(sys.stderr)
    messages.setFormatter(_Printable("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[messages])
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        code = _run(app)
    except MemoryError:
        message = OUT_OF_MEMORY_OF_WORKERS if sys.argv[1:2] and sys.argv[1] in _WITH_WORKERS else OUT_OF_MEMORY
        os.write(sys.stderr.fileno(), message)  # as it is: anything that is drawn takes memory
        os._exit(PostmillError.exit_code)
    finally:
        streams.finish()
        sys.excepthook = _show_mistake  # typer has put its own there
    for number in interrupt.minded():  # what comes now changes nothing of what was done, or not
        signal.signal(number, partial(_leave, code))
    sys.exit(code)


def _run(app: typer.Typer) -> int:
    """Run the command line and show its error, if there is one; return the exit code."""
    try:
        with interrupt.interruptible():
            if sys.argv[1:2] != ["inspect"]:  # which writes no file that would have to tell of them
                for word in sys.argv[1:]:
                    check_text(word)
            code: int | None = app(standalone_mode=False, prog_name="postmill")
            streams.flush()
        return code or EXIT_DONE
    except (PostmillError, Interrupted) as error:
        return show(error.cause, error.place, _next_step(error), error.exit_code)
    except ModuleNotFoundError as error:
        told = extras.lacking(error, next(iter(sys.argv[1:]), ""))
        if told is None:
            raise
        return show(told.cause, told.place, told.hint, told.exit_code)
    except BrokenPipeError:  # whoever read has enough
        return EXIT_FAILED
    except OSError as error:  # where no place of its own said it better
        if isinstance(error, FileNotFoundError) and _is_nowhere():
            hint = "go to another one, then run the same command again"
            return show("is there no more", "the folder you are in", hint, EXIT_FAILED)
        if error.errno not in _OF_THE_SYSTEM:
            raise
        place = error.filename if isinstance(error.filename, str) else "this machine"
        return show(f"cannot be used: {error.strerror}", place, _OF_THE_SYSTEM[error.errno], EXIT_FAILED)
    except TyperException as error:
        if not hasattr(error, "ctx"):  # a mistake of ours, not of who typed
            raise
        return _show_usage(error)
    except typer.Abort:
        return show("stopped", None, "the same command carries on", Interrupted.exit_code)


def _show_mistake(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of a mistake of ours, which may quote an address, without what is secret in it."""
    sys.stderr.write(redacted("".join(traceback.format_exception(kind, error, trace))))


def _mind_no_signal() -> None:
    """Ignore signals from now on: Python, as it ends, gives them back to the system, whose answer is another code."""
    sys.unraisablehook = lambda unraisable: None  # of one that came just before, which Python would tell of
    for number in interrupt.SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _leave(code: int, number: int, frame: FrameType | None) -> None:
    os._exit(code)


def _is_nowhere() -> bool:
    """Say whether the folder that one is in was removed, which libraries ask for whatever is typed."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _next_step(error: PostmillError | Interrupted) -> str | None:
    """Return what to do, with the very command that takes what is there of a damaged source."""
    if not isinstance(error, DamagedSource):
        return error.hint
    words = [word for word in sys.argv[1:] if word not in ("--strict", "--no-salvage")]  # which --salvage excludes
    return f"{error.hint}; to take what is there all the same: {shlex.join(['postmill', *words, '--salvage'])}"


def show(cause: str, place: str | None, hint: str | None, code: int) -> int:
    """Print an error on standard error, addresses without what is secret in them, such as those that were typed.

    A program that asked with ``--json`` has the same as its answer. Returns ``code``, the exit code.
    """
    subject = f"{place}: " if place else ""
    err.print("[bold red]error:[/] " + escape(redacted(subject + cause)), highlight=False, soft_wrap=True)
    if hint:
        err.print("  next:  " + escape(redacted(hint)), highlight=False, soft_wrap=True)
    if "--json" in sys.argv[1:]:  # the words may not have been read as far as that
        answering.failed(cause, place, hint, code)
    return code


def _show_usage(error: TyperException) -> int:
    """Print what is wrong with the words of a command, in the form of all errors; return the exit code."""
    context = getattr(error, "ctx", None)
    command = "postmill" if context is None else context.command_path
    if not error.format_message():  # nothing was given, and the help is out already
        return EXIT_USAGE
    parameter = getattr(error, "param", None)
    if parameter is not None and parameter.param_type_name == "option":
        return show(_of_value(error), parameter.opts[0], f"see {command} --help", EXIT_USAGE)
    possible = getattr(error, "possibilities", None)
    if possible:  # of which the first is meant, and the others are only less unlike
        possible = difflib.get_close_matches(getattr(error, "option_name", ""), possible, 1) or possible
    near = possible or re.findall(r"(?<=Did you mean )'([^']+)'", error.message)
    cause = (error.message if possible else error.format_message()).partition(". Did you mean")[0]
    hint = f"did you mean {' or '.join(near)}?" if near else f"see {command} --help"
    return show(cause.rstrip("."), command, hint, EXIT_USAGE)


def _of_value(error: TyperException) -> str:
    """Return what is wrong with the value of an option, which it quotes."""
    listed = getattr(error.__cause__, "errors", tuple)  # of pydantic, where typer has it read values
    for wrong in listed():
        words = _OF_NUMBERS.get(wrong["type"])
        if words is not None:
            return f"{wrong['input']!r} {words.format(**wrong.get('ctx', {}))}"
    return error.message.rstrip(".")
