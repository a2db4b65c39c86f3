"""The command line in this process: what a user types, and what messages say to type next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from postmill.cli import app
from postmill.shards.runtime.errors import PostmillError


def postmill(*words: object) -> int:
    """Run a command; return its exit code where it does not raise what a user is shown."""
    return int(app([str(word) for word in words], standalone_mode=False) or 0)


def refused(*words: object) -> PostmillError:
    """Run a command that is refused; return what is said."""
    with pytest.raises(PostmillError) as caught:
        postmill(*words)
    return caught.value


def paste(error: PostmillError, places: Mapping[str, object]) -> int:
    """Do the commands that a message ends with, with `places` put in for names in capitals.

    Only what a test knows of is done: `rm -f -- FILE` and `postmill ...`.
    """
    assert error.hint is not None
    start = min(at for word in ("postmill ", "rm -f -- ") if (at := error.hint.find(word)) >= 0)
    code = 0
    for command in error.hint[start:].split("; "):
        words = [str(places.get(word, word)) for word in shlex.split(command)]
        if words[:3] == ["rm", "-f", "--"]:
            Path(words[3]).unlink(missing_ok=True)
            continue
        assert words[0] == "postmill", command
        code = postmill(*words[1:])
    return code
