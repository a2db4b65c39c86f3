"""The page around the report: style sheet, sections, tables. Everything that comes from data is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Markup:
    """HTML that is safe to put on the page as it is."""

    html: str


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, whether it holds numbers, and whether it is set back."""

    heading: str
    numeric: bool = True
    soft: bool = False

    @property
    def css(self) -> str:
        """Classes of its cells."""
        return " ".join(name for name, on in (("n", self.numeric), ("soft", self.soft)) if on)


Cell = str | int | Markup


def text(value: Cell) -> str:
    """Return ``value`` as HTML: escaped, unless it is markup already; whole numbers with thousands apart."""
    if isinstance(value, Markup):
        return value.html
    return escape(f"{value:,}" if isinstance(value, int) else value)


def paragraph(value: Cell, css: str = "") -> str:
    """Return one paragraph."""
    return f"<p{_css(css)}>{text(value)}</p>"


def listing(items: Iterable[Cell], css: str = "") -> str:
    """Return a list of points."""
    return f"<ul{_css(css)}>" + "".join(f"<li>{text(item)}</li>" for item in items) + "</ul>"


def section(anchor: str, heading: str, *parts: str) -> str:
    """Return a section with its heading."""
    return f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(heading)}</h2>{"".join(parts)}</section>'


def table(caption: Cell, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], css: str = "") -> str:
    """Return a table: a caption, a heading for each column, and the first cell of each row as the row's heading."""
    head = "".join(f'<th scope="col"{_css(c.css)}>{escape(c.heading)}</th>' for c in columns)
    body = []
    for row in rows:
        cells = [f'<th scope="row">{text(row[0])}</th>']
        cells += [f"<td{_css(column.css)}>{text(cell)}</td>" for column, cell in zip(columns[1:], row[1:], strict=True)]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" tabindex="0" role="group"><table{_css(css)}>'
        f"<caption><span>{text(caption)}</span></caption><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def figure(svg: str, caption: Cell, css: str = "") -> str:
    """Return a figure with its caption."""
    return f"<figure{_css(css)}>{svg}<figcaption>{text(caption)}</figcaption></figure>"


def facts(pairs: Iterable[tuple[str, Cell]]) -> str:
    """Return a row of large numbers, each with what it counts."""
    return (
        '<dl class="facts">'
        + "".join(f"<div><dt>{escape(name)}</dt><dd>{text(value)}</dd></div>" for name, value in pairs)
        + "</dl>"
    )


def details(summary: str, *parts: str) -> str:
    """Return a part that is folded until it is asked for."""
    return f"<details><summary>{escape(summary)}</summary>{''.join(parts)}</details>"


def page(title: str, header: str, main: Iterable[str], footer: str) -> str:
    """Return the whole document, which loads nothing from anywhere."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Whatever a hostile name might smuggle in: nothing may be loaded or run.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body><header>{header}</header>\n<main>"
        + "\n".join(main)
        + f"</main>\n<footer>{footer}</footer></body></html>\n"
    )


def _css(name: str) -> str:
    return f' class="{name}"' if name else ""


STYLE = """
:root{--paper:#fbfbf9;--card:#fff;--ink:#1c2024;--soft:#5c6570;--line:#dfe2e0;--grid:#ecedea;--accent:#0b6e6e;
--other:#b0722a;--warn:#8a4b00;--warn-bg:#fff4e0;--good-bg:#e6f4f1}
@media (prefers-color-scheme:dark){:root{--paper:#14171a;--card:#1b1f23;--ink:#e6e8ea;--soft:#9aa4ae;--line:#32383e;
--grid:#262b30;--accent:#4cc3bd;--other:#e0a95c;--warn:#f2c078;--warn-bg:#33291a;--good-bg:#16302e}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
header,main,footer{max-width:66rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.75rem}
h1{font-size:1.9rem;line-height:1.2;letter-spacing:-.02em;margin:0 0 .35rem;font-weight:680}
h2{font-size:1.28rem;letter-spacing:-.01em;margin:0 0 .6rem;font-weight:650}
h3{font-size:1rem;margin:1.6rem 0 .4rem}
p,ul{max-width:44rem;margin:.5rem 0}
ul{padding-left:1.2rem}
li{margin:.3rem 0}
section{margin:2.6rem 0 0;padding-top:1.5rem;border-top:1px solid var(--line)}
code{font:.88em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.sub{color:var(--soft);margin:0}
.soft,figcaption,caption,footer{color:var(--soft);font-size:.9rem}
.facts{display:flex;flex-wrap:wrap;gap:.5rem 2.4rem;margin:1.5rem 0 0}
.facts div{display:flex;flex-direction:column-reverse}
.facts dt{color:var(--soft);font-size:.85rem}
.facts dd{margin:0;font-size:1.55rem;font-weight:640;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.notice{background:var(--warn-bg);border-left:4px solid var(--warn);padding:.7rem 1rem;border-radius:0 6px 6px 0;
max-width:none;margin:1.4rem 0 0}
.notice p{margin:.15rem 0;max-width:52rem}
.findings{list-style:none;padding:0;max-width:52rem}
.findings li{padding:.65rem .9rem;margin:.5rem 0;border-radius:6px;background:var(--card);border:1px solid var(--line);
border-left:4px solid var(--line)}
.findings .claim{border-left-color:var(--accent);background:var(--good-bg)}
.findings .none{border-left-color:var(--warn);background:var(--warn-bg)}
.findings li:first-child{font-size:1.08rem}
.scroll{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;font-size:.94rem;font-variant-numeric:tabular-nums;min-width:22rem}
table.wide{width:100%}
caption{text-align:left;padding:0 0 .5rem}
caption span,figcaption{display:block;position:sticky;left:0;max-width:min(46rem,100vw - 2.5rem)}
caption b{color:var(--ink)}
th,td{padding:.42rem 1.15rem .42rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:baseline}
thead th{font-weight:600;font-size:.85rem;color:var(--soft);border-bottom-color:var(--soft);vertical-align:bottom}
tbody th{font-weight:560}
.n{text-align:right;white-space:nowrap}
td.soft{font-size:.86rem}
thead th.soft{font-size:.85rem}
figure{margin:1rem 0}
figcaption{margin-top:.3rem}
.chart{overflow-x:auto}
.chart svg{min-width:38rem}
svg{max-width:100%;height:auto;display:block}
svg text{fill:var(--soft);font:11px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}
svg .name{fill:var(--ink);font-size:13px}
.frame{fill:none;stroke:var(--line)}
.grid{stroke:var(--grid);fill:none}
.zero{stroke:var(--soft);stroke-dasharray:3 3;fill:none}
.base{stroke:var(--soft);fill:none}
.bar{fill:var(--accent);opacity:.8}
.identity{stroke:var(--ink);stroke-width:1.2;stroke-dasharray:5 4;fill:none}
.points circle{fill:var(--accent);fill-opacity:.42}
.points path{fill:var(--accent)}
.disjoint .dot{fill:var(--accent)}.disjoint .interval{stroke:var(--accent);stroke-width:2.4}
.mixed .dot{fill:var(--paper);stroke:var(--other);stroke-width:2}.mixed .interval{stroke:var(--other);stroke-width:1.6}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(15.5rem,1fr));gap:.4rem 1.2rem}
.plots figure{margin:.4rem 0}
.plots figcaption{margin:0 0 0 2.2rem}
.plots figcaption b{color:var(--ink);font-weight:600}
.key{display:inline-block;width:.7em;height:.7em;border-radius:50%;background:var(--accent);margin:0 .3em 0 0}
.key.hollow{background:none;border:2px solid var(--other)}
details{margin:1rem 0}
summary{cursor:pointer;color:var(--accent);font-weight:560}
footer{border-top:1px solid var(--line);margin-top:3rem;padding-top:1rem;padding-bottom:3rem}
@media (max-width:40rem){header{padding-top:1.5rem}h1{font-size:1.5rem}.facts{gap:.5rem 1.4rem}
.facts dd{font-size:1.25rem}th,td{padding-right:.7rem}}
@media print{body{background:#fff}section{break-inside:avoid}}
"""
