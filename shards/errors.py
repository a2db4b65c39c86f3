"""The errors a user is meant to read: cause, place, next step, and the exit code that goes with them."""

from __future__ import annotations

from typing import Any

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_FAULTS = 3
EXIT_INTERRUPTED = 75  # EX_TEMPFAIL of sysexits.h: "try again later", which is what a scheduler should do


class PostmillError(Exception):
    """Something a user can mend.

    Args:
        cause: What is wrong, in one sentence without a final full stop.
        place: The file, entry, row or option it is about.
        hint: What to do next: a command to type or a thing to check.
    """

    exit_code = EXIT_FAILED

    def __init__(self, cause: str, *, place: object = None, hint: str | None = None) -> None:
        self.cause = cause
        self.place = None if place is None else str(place)
        self.hint = hint
        super().__init__(cause if place is None else f"{self.place}: {cause}")

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
