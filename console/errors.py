"""Errors as people see them: cause with its subject, place, next step, and the exit code that goes with them."""

from __future__ import annotations

import atexit
import logging
import os
import re
import shlex
import signal
import sys
import traceback
from functools import partial
from types import FrameType, TracebackType

import typer
from rich.markup import escape
from typer.exceptions import TyperException

from postmill.console import extras, streams
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
    for number in interrupt.SIGNALS:  # what comes now changes nothing of what was done, or not
        signal.signal(number, partial(_leave, code))
    sys.exit(code)


def _run(app: typer.Typer) -> int:
    """Run the command line and show its error, if there is one; return the exit code."""
    try:
        with interrupt.interruptible():
            if sys.argv[1:2] != ["inspect"]:  # which writes no file that would have to tell of them
                for word in sys.argv[1:]:
                    check_text(word)
            code: int | None = app(standalone_mode=False)
            streams.flush()
        return code or EXIT_DONE
    except (PostmillError, Interrupted) as error:
        show(error.cause, error.place, _next_step(error))
        return error.exit_code
    except ModuleNotFoundError as error:
        told = extras.lacking(error, next(iter(sys.argv[1:]), ""))
        if told is None:
            raise
        show(told.cause, told.place, told.hint)
        return told.exit_code
    except BrokenPipeError:  # whoever read has enough
        return EXIT_FAILED
    except TyperException as error:
        if not hasattr(error, "ctx"):  # a mistake of ours, not of who typed
            raise
        _show_usage(error)
        return EXIT_USAGE
    except typer.Abort:
        show("stopped", None, "the same command carries on")
        return Interrupted.exit_code


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


def _next_step(error: PostmillError | Interrupted) -> str | None:
    """Return what to do, with the very command that takes what is there of a damaged source."""
    if not isinstance(error, DamagedSource):
        return error.hint
    words = [word for word in sys.argv[1:] if word not in ("--strict", "--no-salvage")]  # which --salvage excludes
    return f"{error.hint}; to take what is there all the same: {shlex.join(['postmill', *words, '--salvage'])}"


def show(cause: str, place: str | None, hint: str | None) -> None:
    """Print an error on standard error, addresses without what is secret in them, such as those that were typed."""
    subject = f"{place}: " if place else ""
    err.print("[bold red]error:[/] " + escape(redacted(subject + cause)), highlight=False, soft_wrap=True)
    if hint:
        err.print("  next:  " + escape(redacted(hint)), highlight=False, soft_wrap=True)


def _show_usage(error: TyperException) -> None:
    """Print what is wrong with the words of a command, in the form of all errors."""
    context = getattr(error, "ctx", None)
    command = "postmill" if context is None else context.command_path
    if not error.format_message():  # nothing was given, and the help is out already
        return
    parameter = getattr(error, "param", None)
    if parameter is not None and parameter.param_type_name == "option":
        show(error.message.rstrip("."), parameter.opts[0], f"see {command} --help")
        return
    possible = getattr(error, "possibilities", None)
    near = possible or re.findall(r"(?<=Did you mean )'([^']+)'", error.message)
    cause = (error.message if possible else error.format_message()).partition(". Did you mean")[0]
    show(cause.rstrip("."), command, f"did you mean {' or '.join(near)}?" if near else f"see {command} --help")
