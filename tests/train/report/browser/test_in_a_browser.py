"""The report as its readers have it: wide and narrow, light and dark, by keyboard, on paper, without scripts."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from pypdf import PdfReader

from postmill.shards.run.folder import Run
from tests.train.report.browser.conftest import Open

WIDTHS = (375, 768, 1280, 1920)
A4 = 688  # pixels between the margins of the style sheet
MARKS = ".mark-symbol path, .mark-rect path, .mark-rule line, .mark-line path, .mark-bar path, .mark-shape path"


def test_it_loads_nothing_and_says_nothing_on_the_console(each: Path, opened: Open) -> None:
    seen = opened(each, all_open=True)
    assert seen.console == []
    assert seen.requests == [each.as_uri()]


def test_every_figure_is_drawn_with_marks_by_script_and_without(each: Path, opened: Open) -> None:
    live = opened(each, all_open=True).page
    names = live.eval_on_selector_all("figure", "figures => figures.map(figure => figure.id)")
    states = live.eval_on_selector_all("figure", "figures => figures.map(figure => figure.dataset.state)")
    assert states == ["live"] * len(names)
    still = opened(each, scripts=False).page
    for page, where in ((live, ".live"), (still, ".still")):
        for name in names:
            marks = page.locator(f"#{name} {where} svg").locator(MARKS)
            shown = [mark for mark in marks.all() if mark.get_attribute("d") != "" and mark.is_visible()]
            assert shown, (name, where)


def test_it_has_every_kind_of_figure(reported: Run, opened: Open) -> None:
    page = opened(reported.report / "index.html").page
    by_section = page.eval_on_selector_all(
        "main section", "sections => sections.map(section => [section.id, section.querySelectorAll('figure').length])"
    )
    assert [name for name, _ in by_section] == ["data", "losses", "quality", "gains", "certainty", "tone", "next"]
    assert all(number for name, number in by_section if name != "next"), by_section


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_it_can_be_read_by_who_cannot_see_it(each: Path, opened: Open, width: int, scheme: str) -> None:
    page = opened(each, width, all_open=True, color_scheme=scheme).page
    found = Axe().run(page).response["violations"]
    assert [(of["id"], [node["html"][:200] for node in of["nodes"]]) for of in found] == []


def test_headings_are_in_order_and_every_section_is_linked(reported: Run, opened: Open) -> None:
    page = opened(reported.report / "index.html").page
    levels = page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map(of => Number(of.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1 and levels.count(2) == 7
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    links = page.eval_on_selector_all("nav a", "all => all.map(of => of.getAttribute('href'))")
    assert links == ["#data", "#losses", "#quality", "#gains", "#certainty", "#tone", "#next"]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows(each: Path, opened: Open, width: int) -> None:
    page = opened(each, width, all_open=True).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    over = page.eval_on_selector_all(
        "figure, .live svg, .notice, .answers li, .lead, code",
        "all => all.filter(of => of.getBoundingClientRect().right > innerWidth + 1).map(of => of.outerHTML)",
    )
    assert over == []
    if width >= 1280:
        hidden = "all => all.filter(of => of.scrollWidth > of.clientWidth).map(of => of.getAttribute('aria-label'))"
        assert page.eval_on_selector_all(".scroll", hidden) == []


def column(page: Page, table: str, number: int) -> list[str]:
    return [
        row.locator("th, td").nth(number).inner_text().split("\n")[0]
        for row in page.locator(f"#{table} tbody tr").all()
    ]


def test_tables_are_sorted_by_keyboard(reported: Run, opened: Open) -> None:
    page = opened(reported.report / "index.html").page
    before = column(page, "split-influencer", 1)
    heading = page.locator("#split-influencer thead th").nth(1)
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    rising = [float(value) for value in column(page, "split-influencer", 1)]
    assert rising == sorted(map(float, before)) and len(set(rising)) > 2
    page.keyboard.press("Space")
    assert heading.get_attribute("aria-sort") == "descending"
    assert [float(value) for value in column(page, "split-influencer", 1)] == rising[::-1]
    page.locator("#split-influencer thead th").nth(0).locator("button").focus()
    page.keyboard.press("Enter")
    names = column(page, "split-influencer", 0)
    assert names == sorted(names) and heading.get_attribute("aria-sort") is None


def test_signs_and_thousands_are_sorted_as_numbers(reported: Run, opened: Open) -> None:
    page = opened(reported.report / "index.html", all_open=True).page
    page.locator("#sources thead th").nth(3).locator("button").click()
    numbers = [int(value.replace(",", "")) for value in column(page, "sources", 3)]
    assert numbers == sorted(numbers)
    page.locator("#steps thead th").nth(3).locator("button").click()
    gains = [float(value.replace("\N{MINUS SIGN}", "-")) for value in column(page, "steps", 3)]
    assert gains == sorted(gains) and gains[0] < 0 < gains[-1]


def test_a_long_table_is_narrowed_down(reported: Run, opened: Open) -> None:
    page = opened(reported.report / "index.html", all_open=True).page
    rows = page.locator("#steps tbody tr")
    everything = rows.count()
    search = page.locator("details", has=page.locator("#steps")).get_by_label("Only rows with")
    search.fill("history influencer")
    shown = [row.inner_text().lower() for row in rows.all() if row.is_visible()]
    assert 0 < len(shown) < everything
    assert all("history" in row and "influencer" in row for row in shown)
    assert page.get_by_text(f"{len(shown)} of {everything} rows").is_visible()


def test_a_list_changes_what_a_figure_shows(reported: Run, opened: Open) -> None:
    page = opened(reported.report / "index.html").page
    lists = page.locator("select")
    assert lists.count() >= 2
    for choice in lists.all():
        name, options = choice.evaluate("of => of.closest('figure').id"), choice.locator("option").count()
        figure = page.locator(f"#{name}")
        assert options >= 2, name
        drawing = figure.locator(".live svg")
        before = drawing.inner_html()
        choice.focus()
        page.keyboard.press("ArrowDown")
        page.wait_for_function(
            "([id, before]) => document.querySelector(`#${id} .live svg`).innerHTML !== before", arg=[name, before]
        )


def test_a_pointer_is_told_the_value(reported: Run, opened: Open) -> None:
    page = opened(reported.report / "index.html").page
    page.locator("#figure-headline .live svg .mark-symbol path").first.hover(force=True)
    told = page.locator("#vg-tooltip-element.visible")
    told.wait_for()
    assert re.search(r"\d\.\d\d", told.inner_text())


def test_what_can_be_downloaded_is_whole(reported: Run, opened: Open) -> None:
    page = opened(reported.report / "index.html").page
    files = {
        link.get_attribute("download") or "": unquote(link.get_attribute("href") or "")
        for link in page.locator("a[download]").all()
    }
    assert len(files) > 25 and {Path(name).suffix for name in files} == {".svg", ".csv"}
    for name, address in files.items():
        content = base64.b64decode(address.partition(";base64,")[2]).decode()
        if name.endswith(".svg"):
            root = ElementTree.fromstring(content)
            assert root.tag == "{http://www.w3.org/2000/svg}svg" and "var(" not in content, name
        else:
            rows = list(csv.reader(io.StringIO(content)))
            assert len(rows) > 1 and len({len(row) for row in rows}) == 1, name
    with page.expect_download() as waited:
        page.locator("a[download='headline.svg']").click()
    saved = Path(waited.value.path()).read_bytes()
    assert saved == base64.b64decode(files["headline.svg"].partition(";base64,")[2])


def test_the_numbers_that_are_downloaded_are_those_of_the_table(reported: Run, opened: Open) -> None:
    page = opened(reported.report / "index.html").page
    with page.expect_download() as waited:
        page.locator("a[download='split-influencer.csv']").click()
    rows = list(csv.DictReader(io.StringIO(Path(waited.value.path()).read_text())))
    stated = json.loads((reported.report / "metrics.json").read_text())["models"]
    by_name = {row["Model"].split(" (")[0]: row for row in rows}
    assert by_name.keys() == stated.keys()
    for row, model in ((by_name[name], model) for name, model in stated.items()):
        assert float(row["MSE"].replace("\N{MINUS SIGN}", "-")) == round(model["influencer"]["pooled"]["mse"], 3)


def test_it_is_printed_with_every_column_and_what_is_folded(reported: Run, opened: Open, tmp_path: Path) -> None:
    page = opened(reported.report / "index.html", A4).page
    headings = {
        re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", text))
        for text in page.eval_on_selector_all("thead th > *:first-child", "all => all.map(of => of.textContent)")
    }
    page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    sheets = PdfReader(tmp_path / "page.pdf").pages
    printed = unicodedata.normalize("NFKC", " ".join(sheet.extract_text() for sheet in sheets))  # parts ligatures
    squeezed = re.sub(r"[\s-]", "", printed)
    assert {
        name for name in headings if re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", name)) not in squeezed
    } == set()
    assert "Negativecontrol" in squeezed  # of what is folded
    page.emulate_media(media="print")
    page.evaluate("document.querySelectorAll('details').forEach(folded => { folded.open = true; })")
    cut = "all => all.filter(of => of.scrollWidth > of.clientWidth + 1).map(of => of.getAttribute('aria-label'))"
    assert page.eval_on_selector_all(".scroll", cut) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= A4


def test_without_scripts_everything_is_there(reported: Run, opened: Open) -> None:
    with_scripts = opened(reported.report / "index.html").page
    without = opened(reported.report / "index.html", scripts=False).page
    for page in (with_scripts, without):
        assert page.locator("figure svg >> visible=true").count() == page.locator("figure").count()
    texts = [page.locator("main").locator("p, li, td, dt").all_inner_texts() for page in (with_scripts, without)]
    assert set(texts[1]) - {""} <= set(texts[0])


def test_the_first_screens_answer_the_seven_questions(reported: Run, opened: Open) -> None:
    page = opened(reported.report / "index.html", 1280).page
    answers = page.locator(".answers li").all()
    assert len(answers) == 7
    for answer in answers:
        box = answer.bounding_box()
        assert box is not None and box["y"] + box["height"] <= 1_800
        assert len(answer.locator("p").first.inner_text()) > 30


def test_ten_accounts_state_no_number_without_their_caveat(few: Run, opened: Open) -> None:
    page = opened(few.report / "index.html").page
    assert page.locator(".claim").count() == 2  # of the ledger of posts, which adds up
    assert "support no claim" in page.locator(".answers li").nth(2).inner_text()
    for name in ("headline", "splits"):
        assert "No claim" in page.locator(f"#figure-{name} figcaption").inner_text()
    assert "No interval: too few accounts" in page.locator("#split-influencer caption").inner_text()


def test_forced_colours_leave_every_mark_visible(reported: Run, opened: Open) -> None:
    page = opened(reported.report / "index.html", forced_colors="active").page
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    fills = page.eval_on_selector_all(
        "#figure-headline .live .mark-symbol path", "all => all.map(of => getComputedStyle(of).stroke)"
    )
    assert fills and paper not in fills


def test_the_tab_key_reaches_everything_that_answers(reported: Run, opened: Open) -> None:
    page = opened(reported.report / "index.html").page
    wanted = (
        page.locator("a[href] >> visible=true").count()
        + page.locator("button >> visible=true").count()
        + page.locator("select >> visible=true").count()
    )
    reached = set()
    for _ in range(3 * wanted):
        page.keyboard.press("Tab")
        place = page.evaluate(
            "[...document.querySelectorAll('a[href], button, select')].indexOf(document.activeElement)"
        )
        if place in reached and place >= 0:
            break
        if place >= 0:
            reached.add(place)
    assert len(reached) >= wanted


def test_a_link_into_what_is_folded_opens_it(reported: Run, opened: Open) -> None:
    page = opened(reported.report / "index.html").page
    table = page.locator("#calibration")
    assert not table.is_visible()
    page.evaluate("location.hash = 'calibration'")
    table.wait_for(state="visible")
    assert unquote(page.url).endswith("#calibration")
