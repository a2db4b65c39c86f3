"""Every block of every page that a reader would type is typed: what it shows works, and prints what it says.

A page is done from its top to its end at a desk of its own (`desk.py`, which says what the names on the pages are
there). Each block begins with a finished run, but on pages that are one walk from clone to report, where each goes on
from the one before. What cannot be done here stands in `elsewhere.py`, with the reason and with what is checked
instead.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter

import pytest

from tests.docs.desk import WALKS, Desk, do, matches
from tests.docs.elsewhere import NOT_HERE, elsewhere
from tests.docs.pages import PAGES, PYTHON, Block, blocks, commands

KINDS = ("", "text", "json", "toml", "sh", "console", "python")


@pytest.mark.parametrize("page", [page for page in PAGES if any(block.runs for block in blocks(page))])
def test_what_a_page_shows_works(page: str, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    done, printed = 0, ""
    for block in blocks(page):
        if block.output:
            assert matches(desk.put(block.text), printed), f"{block.place} shows\n{block.text}\nbut is\n{printed}"
        elif block.language == "toml":
            register(desk, block)
        elif block.runs:
            if page not in WALKS:
                desk.tidy()
            printed = work(desk, block, capsys)
            done += 1
    print(f"{page}: {done} blocks")
    assert done


def work(desk: Desk, block: Block, capsys: pytest.CaptureFixture[str]) -> str:
    """Do a block; return what its last line prints, or all that its code does."""
    try:
        if block.language in PYTHON:
            return python(desk, block, capsys)
        printed = ""
        for command in commands(block):
            kind = elsewhere(command)
            if kind is None:
                printed = do(desk, command, capsys)
            else:
                kind.check(command)
        return printed
    except BaseException as error:
        error.add_note(f"at {block.place}")
        raise


def python(desk: Desk, block: Block, capsys: pytest.CaptureFixture[str]) -> str:
    code = desk.put(block.text)
    if block.file:
        (desk.folder / block.file).write_text(code)
    capsys.readouterr()
    exec(compile(code, block.place, "exec"), {"__name__": "__main__"})
    return capsys.readouterr().out


def register(desk: Desk, block: Block) -> None:
    """Make the entry points that a pyproject.toml names those of an installed package."""
    points = tomllib.loads(block.text)["project"]["entry-points"]
    about = desk.folder / "example-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in named.items())
        for group, named in points.items()
    ]
    (about / "entry_points.txt").write_text("".join(lines))


def test_each_block_is_done_or_has_a_reason() -> None:
    counts: Counter[str] = Counter()
    for page in PAGES:
        for block in blocks(page):
            counts[sort_of(block)] += 1
    print(dict(counts))
    assert counts["neither"] == 0
    assert counts["done"] > 4 * counts["parsed only"]


def sort_of(block: Block) -> str:
    if block.language not in KINDS:
        return "neither"
    if not block.runs:
        return "compared" if block.output else "shown"
    if block.language in PYTHON:
        return "done"
    typed = commands(block)
    if not typed:
        return "neither"
    return "parsed only" if all(elsewhere(command) for command in typed) else "done"


def test_no_reason_is_left_over() -> None:
    typed = [command for page in PAGES for block in blocks(page) if block.runs for command in commands(block)]
    unused = [kind.pattern for kind in NOT_HERE if not any(re.match(kind.pattern, command) for command in typed)]
    assert not unused


def test_blocks_of_json_and_toml_can_be_read() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "json" and not block.output:
                json.loads(block.text)
            elif block.language == "toml":
                tomllib.loads(block.text)


def test_a_page_that_shows_something_else_is_told() -> None:
    assert matches("a …\n…\nz\n", "a 1\nb\nc\nz\n")
    assert matches("1 …, 2\n", "1 and more, 2\n")
    assert not matches("a …\nz\n", "a 1\nb\nz\n")
    assert not matches("a\n", "b\n")
