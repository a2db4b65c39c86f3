"""A page as a strict reader sees it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "path", "circle", "rect", "link", "input"}
HOSTILE = "<script>alert(1)</script>\"'><img src=http://evil.example/x onerror=alert(2)>"


class Page(HTMLParser):
    """Parses strictly enough to see an unclosed element, and keeps what matters."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & {*self.open}:
            self.text += " ".join(data.split()) + " "  # white space collapses, as it does on a page


def is_harmless(page: str) -> bool:
    """Whether no script and no picture is on the page that a name has put there."""
    rest = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)  # those that the policy lets run
    opened = re.findall(r"<script[^>]*>", rest)
    return "<img" not in rest and set(opened) <= {'<script type="application/json" class="definition">'}
