"""Figures as SVG, PDF and definitions that a page can bring to life: Vega by vl-convert, no browser and no network."""

from __future__ import annotations

import importlib.util
import re
import textwrap
from collections.abc import Mapping
from html import escape
from typing import Any

from postmill.train.report.figures.figure import Figure

PAPER: Mapping[str, str] = {
    "ink": "#1a1a1a",
    "soft": "#4d4d4d",
    "line": "#8c8c8c",
    "grid": "#e6e6e6",
    "card": "#ffffff",
    "accent": "#0072b2",
    "other": "#d55e00",
    "third": "#009e73",
    "fourth": "#cc79a7",
}
"""Colours of files, by role; those of data are told apart by the colour-blind too (Okabe and Ito, 2008)."""

PAGE_FONT = "system-ui, -apple-system, Segoe UI, Roboto, Arial, sans-serif"
PAPER_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
PAGE_WIDTH, PAPER_WIDTH = 640, 420
"""Pixels: of a figure on the page with all that belongs to it, and of a paper's plot between its axes."""

_CAPTION_LETTERS = 50  # of a line below a paper's figure, for every panel beside another
_TITLE = {"anchor": "start", "fontSize": 14, "offset": 10}
_BELOW = {"orient": "bottom", "anchor": "start", "fontSize": 10, "offset": 12}
_PACKAGES = ("altair", "vl_convert")
_OF_THE_WHOLE = ("$schema", "background", "config", "datasets", "padding")
_NAMED, _REFERRED = re.compile(r'\bid="([^"]*)"'), re.compile(r"url\(#([^)]*)\)")
_RESOURCES = re.compile(rb"(?:^ +/[A-Za-z]+\d+ \d+ 0 R\n)+", re.MULTILINE)
# What a page of a PDF uses, a name a line, in an order of the moment: sorted, it is as long as before and each time the
# same. Of two fonts the order cannot be mended so, which is why all that a paper's figure says has one weight.
_OF_PARTS = re.compile(r' (?:role|aria-roledescription|aria-label|aria-hidden)="[^"]*"')
_COLOUR = re.compile(r"var\(--(\w+)\)")


def available() -> bool:
    """Say whether what draws is installed: the extra ``figures``."""
    return all(importlib.util.find_spec(package) is not None for package in _PACKAGES)


def definition(figure: Figure) -> dict[str, Any]:
    """Return the Vega-Lite definition for a page with scripts: as wide as what holds it, colours as style sheets say.

    One with ``usermeta.square`` is of a fixed width; another may be set, to ``width`` and ``height`` alike.

    Raises:
        ValueError: The figure has no chart.
    """
    return {**_chart(figure), "background": "transparent", "description": figure.label}


def svg(figure: Figure, width: int = PAGE_WIDTH) -> str:
    """Return the figure for the page, as it stands before anything is chosen.

    It is drawn ``width`` pixels wide, scales, and takes colours from the style sheet of what it stands in.

    Raises:
        ValueError: The figure has no chart.
    """
    import vl_convert

    chart = definition(figure)
    if chart.get("width") == "container":
        chart["width"] = width
    drawn: str = vl_convert.vegalite_to_svg(chart)
    return _labelled(_own_names(drawn, figure.name), figure.label)


def paper_svg(figure: Figure) -> str:
    """Return the figure for a paper as SVG that needs nothing beside it, title and caption included.

    Raises:
        ValueError: The figure has no chart.
    """
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(paper_definition(figure))
    return _labelled(_own_names(drawn, figure.name), figure.label)


def paper_pdf(figure: Figure) -> bytes:
    """Return :func:`paper_svg` as PDF, with its fonts: the same bytes for the same figure.

    Raises:
        ValueError: The figure has no chart.
    """
    import vl_convert

    # Of a whole mark the opacity makes it a drawing of its own, four times the bytes; these are filled and no more.
    drawn: bytes = vl_convert.svg_to_pdf(paper_svg(figure).replace(' opacity="0.', ' fill-opacity="0.'))
    return _RESOURCES.sub(lambda found: b"".join(sorted(found[0].splitlines(keepends=True))), drawn)


def bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, which sets ``window.vegaEmbed``."""
    import vl_convert

    script: str = vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;")
    return script


def paper_definition(figure: Figure) -> dict[str, Any]:
    """Return the definition of the figure in a paper: colours of :data:`PAPER`, title above and caption below.

    Raises:
        ValueError: The figure has no chart.
    """
    chart = dict(_chart(figure) if figure.paper is None else figure.paper)
    whole = {name: chart.pop(name) for name in _OF_THE_WHOLE if name in chart}
    for name in ("autosize", "usermeta", "params"):
        chart.pop(name, None)
    if chart.get("width") == "container":
        chart["width"] = PAPER_WIDTH
    title = f"{figure.number}. {figure.title}" if figure.number else figure.title
    across = min(len(chart["concat"]), chart.get("columns", 1)) if "concat" in chart else 2
    caption = textwrap.wrap(figure.caption, max(across, 1) * _CAPTION_LETTERS)
    config = whole["config"]
    whole["config"] = {
        **config,
        "font": PAPER_FONT,
        "legend": {**config["legend"], "orient": "bottom"},
        "title": {**config["title"], "fontWeight": "normal"},
    }
    made = {
        **whole,
        "background": PAPER["card"],
        "padding": 8,
        "vconcat": [{"vconcat": [chart], "title": {"text": title, **_TITLE}}],
        "title": {"text": caption, "color": "var(--soft)", "lineHeight": 13, **_BELOW},
    }
    return dict(_coloured(made))


def _chart(figure: Figure) -> Mapping[str, Any]:
    if figure.chart is None:
        raise ValueError(f"the figure {figure.name} has no chart: what draws is not installed")
    return figure.chart


def _coloured(value: Any) -> Any:
    """Return a definition in which each value that is ``var(--role)`` is that role's colour in a paper."""
    if isinstance(value, str):
        found = _COLOUR.fullmatch(value)
        return PAPER.get(found[1], value) if found else value
    if isinstance(value, Mapping):
        return {name: _coloured(of) for name, of in value.items()}
    return [_coloured(of) for of in value] if isinstance(value, list | tuple) else value


def _own_names(drawn: str, name: str) -> str:
    """Return an SVG whose elements are named after the figure.

    What draws numbers them on from one drawing to the next, so names would depend on what was drawn before, and those
    of several drawings of one page could be the same.
    """
    names = {found: f"{name}-{place}" for place, found in enumerate(dict.fromkeys(_NAMED.findall(drawn)))}
    drawn = _NAMED.sub(lambda found: f'id="{names[found[1]]}"', drawn)
    return _REFERRED.sub(lambda found: f"url(#{names.get(found[1], found[1])})", drawn)


def _labelled(drawn: str, label: str) -> str:
    """Return an SVG that is one picture and says what it shows; its numbers are beside it, as a table or a file."""
    opening = f'<svg role="img" aria-label="{escape(label)}"'
    head, _, body = _OF_PARTS.sub("", drawn).replace("<svg", opening, 1).partition(">")
    return f"{head}><title>{escape(label)}</title>{body}"
