"""The pages of the documentation as a reader sees them: fenced blocks, headings, links, and what stands as code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")),
    "benchmarks/README.md",
    "tests/README.md",
)
SHELL, PYTHON = ("sh", "bash", "console"), ("python",)
_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) +(.*?) *$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: Path from the root of the repository.
        line: Of its fence, from 1.
        language: First word behind the fence, or nothing.
        output: Whether it says to be what the block before it prints, its last line if these are of a shell.
        file: Name of the Python file that the sentence before it says it is, or nothing.
        text: What stands in it.
    """

    page: str
    line: int
    language: str
    output: bool
    file: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def runs(self) -> bool:
        """Whether a reader would type it."""
        return self.language in (*SHELL, *PYTHON)


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> Iterator[Block]:
    text = text_of(page)
    for match in _FENCE.finditer(text):
        words = match["info"].split()
        line = text.count("\n", 0, match.start()) + 1
        named = re.search(r"`(\w+\.py)`:\s*$", text[: match.start()])
        file = named[1] if named else ""
        yield Block(page, line, words[0] if words else "", words[1:] == ["output"], file, match["text"])


def without_blocks(page: str) -> str:
    """The page without its blocks, and without what is commented out."""
    return re.sub(r"<!--.*?-->", "", _FENCE.sub("", text_of(page)), flags=re.DOTALL)


def headings(page: str) -> list[tuple[int, str]]:
    """Level and text of each heading."""
    return [(len(match[1]), match[2]) for match in _HEADING.finditer(without_blocks(page))]


def anchors(page: str) -> set[str]:
    """What a link may name behind `#`: GitHub's names of headings, and anchors that are written out."""
    found: dict[str, int] = {}
    names = set(re.findall(r'<a id="([^"]+)">', text_of(page)))
    for _, heading in headings(page):
        plain = _LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading).lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        times = found[name] = found.get(name, -1) + 1
        names.add(f"{name}-{times}" if times else name)
    return names


def links(page: str) -> list[str]:
    return [*_LINK.findall(without_blocks(page)), *re.findall(r'(?:src|href)="([^"]+)"', without_blocks(page))]


def commands(block: Block) -> list[str]:
    """The commands of a shell block: a line each, continued lines in one, comments behind them left out."""
    joined = block.text.replace("\\\n", " ")
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.split("\n"))
    return [line.removeprefix("$ ") for line in lines if line]
