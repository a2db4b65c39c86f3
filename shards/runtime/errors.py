"""The errors a user is meant to read: cause, place, next step, and the exit code that goes with them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from postmill.shards.runtime.addresses import redacted

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_FAULTS = 3
EXIT_INTERRUPTED = 75  # EX_TEMPFAIL of sysexits.h: "try again later", which is what a scheduler should do


class PostmillError(Exception):
    """Something a user can mend. What it says is printed and logged, so addresses lose what is secret in them.

    Args:
        cause: What is wrong, in one sentence without a final full stop.
        place: The file, entry, row or option it is about.
        hint: What to do next: a command to type or a thing to check.
    """

    exit_code = EXIT_FAILED

    def __init__(self, cause: str, *, place: object = None, hint: str | None = None) -> None:
        self.cause = redacted(cause)
        self.place = None if place is None else redacted(str(place))
        self.hint = None if hint is None else redacted(hint)
        super().__init__(self.cause if place is None else f"{self.place}: {self.cause}")

    def __reduce__(self) -> tuple[Any, ...]:  # subclasses have arguments of their own; worker processes send them home
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[PostmillError], args: tuple[Any, ...], state: dict[str, Any]) -> PostmillError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class UsageError(PostmillError):
    """The command was called with something it cannot work with."""

    exit_code = EXIT_USAGE


class DamagedSource(PostmillError):
    """A copy of a source is not whole, or not what it should be.

    At level ``salvage`` what is there of it is taken all the same; on the command line the hint is followed by the
    command that does so.
    """


def unknown(value: str, known: Iterable[str], *, place: object, what: str = "", first: str = "") -> UsageError:
    """Return the error for a name that is none of ``known``: everywhere the same words, and the nearest name.

    Args:
        value: What was given.
        known: What could have been.
        place: The option, or what else asks for it.
        what: What the names are of, such as ``this run's models``; empty where the place tells.
        first: What to do where there is none yet to choose among.
    """
    names = list(known)
    begun = [name for name in names if value and name.startswith(value)]
    near = begun if len(begun) == 1 else difflib.get_close_matches(value, names, 1)
    listed = ", ".join(names) or "none yet"
    return UsageError(
        f"{value!r} is none of {what + ': ' if what else ''}{listed}",
        place=place,
        hint=f"did you mean {near[0]}?" if near else "choose among these" if names or not first else first,
    )


class Interrupted(BaseException):
    """A signal asked the work to stop; what was finished is kept and the same command carries on.

    Not an Exception, as KeyboardInterrupt is none: no library's ``except Exception`` may swallow it.
    """

    exit_code = EXIT_INTERRUPTED

    def __init__(self, cause: str) -> None:
        self.cause = cause
        self.place = None
        self.hint = "what was finished is kept: the same command carries on"
        super().__init__(cause)
