"""Links within the pages lead somewhere, every page is in the index, and options that pages name exist."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, headings, links, text_of
from tests.test_architecture import modules

TROUBLE = "docs/troubleshooting.md"
OPTION = re.compile(r"(?<![\w(-])--[a-z][a-z-]*[a-z]\b")
# Of other programs, which the pages name beside ours.
COMMON = {"--help", "--install-completion", "--show-completion"}  # of whatever is made with typer
FOREIGN = {
    *("--array", "--build-arg", "--gpus", "--gres", "--index-url", "--output", "--qos", "--rm", "--signal", "--user"),
    *("--gpus-per-task", "--hash", "--install", "--long", "--write"),
}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            named = str(target.resolve().relative_to(ROOT))
            assert named in PAGES and anchor in anchors(named), f"{page}: {link}"


def test_the_index_has_every_page() -> None:
    named = {link.partition("#")[0] for link in links("docs/README.md")}
    pages = {page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")} - {"README.md"}
    assert pages <= named


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/")])
def test_a_page_says_what_comes_next(page: str) -> None:
    assert re.search(r"\nNext: \[[^\]]+\]\([^)]+\)\n$", text_of(page))


def test_options_that_the_pages_name_exist() -> None:
    golden = json.loads((ROOT / "tests/golden/cli.json").read_text())
    groups = [golden["options"], *(command["parameters"] for command in golden["commands"].values())]
    known = {name for group in groups for option in group for name in option["name"].split()}
    for page in PAGES:
        if page.startswith("docs/") or page == "README.md":
            named = set(OPTION.findall(text_of(page)))
            assert named <= known | FOREIGN | COMMON, f"{page}: {named - known - FOREIGN - COMMON}"


def texts() -> Iterator[str]:
    """Every text that stands in the code, one with values in it with `…` in their place."""
    for _, path in modules(ROOT):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                yield node.value if isinstance(node.value, str) else node.value.decode(errors="replace")
            elif isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                yield "".join(map(str, parts))


def test_messages_that_are_explained_are_messages_of_the_code() -> None:
    """Each piece of a quoted message between two `…` is in one and the same text, in that order."""
    known = list(texts())
    messages = [text for level, text in headings(TROUBLE) if level == 3]
    assert len(messages) > 20
    for message in messages:
        assert message.startswith("`") and message.endswith("`"), message
        pieces = [re.escape(piece.strip()) for piece in message.strip("`").split("…") if piece.strip()]
        pattern = re.compile(".*".join(pieces), re.DOTALL)
        assert any(pattern.search(text) for text in known), message
