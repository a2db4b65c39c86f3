"""Tests that take a program which is not installed are left out, and named at the end with what would bring it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterable
from typing import Any

import pytest

from tests.machine.tools import BY_NAME, reason, where

_LEFT_OUT = re.compile(r"needs (\S+): (apt-get install .+)")


def needs(name: str) -> pytest.MarkDecorator:
    """Mark a test, or a module, that takes the program `name`."""
    return pytest.mark.skipif(where(name) is None, reason=reason(name))


def leave_out_without(name: str) -> None:
    """Leave out the test that calls this where `name` is not installed."""
    if where(name) is None:
        pytest.skip(reason(name))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """Leave out a test whose fixture starts a program that is not installed."""
    return (yield from _or_left_out())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Leave out a test that starts a program that is not installed."""
    return (yield from _or_left_out())


def _or_left_out() -> Generator[None, object, object]:
    try:
        return (yield)
    except FileNotFoundError as error:
        if error.filename not in BY_NAME or where(error.filename) is not None:
            raise
        pytest.skip(reason(error.filename))


def left_out(reasons: Iterable[str]) -> list[str]:
    """What is said at the end of the tests that were left out for one of `reasons`: a line for each program."""
    counted = Counter(found.groups() for text in reasons if (found := _LEFT_OUT.search(text)))
    return [
        f"left out: {count} {'test that needs' if count == 1 else 'tests that need'} {name}: {command}"
        for (name, command), count in sorted(counted.items())
    ]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Generator[None, object, object]:
    """Say what was left out, below all else."""
    result = yield
    skipped = terminalreporter.stats.get("skipped", [])
    for line in left_out(report.longrepr[2] for report in skipped):  # after its file and line
        terminalreporter.write_line(line)
    return result
