"""The section of tone: what may be told and how, what makes it where it is not there, and nothing of a few people."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import altair as alt
import numpy as np
import pytest

from postmill.shards.formats import embeddings, posts
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.indicators.indicator import INDICATORS, indicators_of
from postmill.shards.indicators.tables import Insights
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError
from postmill.train.report import page as pages
from postmill.train.report.figures import drawing
from postmill.train.report.figures.figure import Figure
from postmill.train.report.figures.files import write_figures
from postmill.train.report.html import render
from postmill.train.report.page import write_report
from postmill.train.report.tone import current, pictures, section
from tests.train.conftest import encoder
from tests.train.report.parsed import HOSTILE, Page, is_harmless
from tests.train.report.tone import CONTENT, RESPONSE, encode_tone, invented, put, suppressed

MakeRun = Callable[..., Run]


def told(run: Run, insights: Insights | None = None) -> str:
    """What the section says."""
    tone = current.read(run) if insights is None else current.Tone(insights)
    page = pages.Page("", "", "", False, "", "", (), [section.section(run, tone, ())], {})
    html = render("page.html.j2", page)
    assert is_harmless(html)
    return " ".join(Page(html).text.split())


@pytest.fixture(scope="module")
def run(plant_once: MakeRun) -> Run:
    """A run in which everything was told, put together and shown."""
    made = plant_once(posts=60, accounts=12, record={"category": lambda row: HOSTILE})
    encode_tone(made)
    put(made, invented(HOSTILE))
    write_report(made)
    return made


def figures(run: Run, insights: Insights) -> dict[str, Figure]:
    return {figure.name: figure for figure in pictures.figures(run, insights)}


def test_without_encoders_it_says_what_makes_them(planted_run: MakeRun) -> None:
    said = told(planted_run(posts=20, accounts=4))
    assert "No encoder of tone has read these posts yet." in said
    makes = "postmill encode run --encoder emotion --encoder emotion-comments --models light && postmill insights run"
    assert makes in said
    assert "no clinical reference" in said


def test_what_is_not_done_or_not_of_these_posts_is_told_with_its_command(planted_run: MakeRun) -> None:
    run = planted_run(posts=20, accounts=4)
    encode_tone(run)
    assert current.read(run).command == "postmill insights run && postmill report run"
    put(run, invented())
    assert current.read(run).insights == invented()
    keys = posts.read_records(run, 1, ["key"])["key"].to_pylist()
    both = [of for of in encoders_of(run) if of.folder in (CONTENT, RESPONSE)]
    for of in both:
        (run.embeddings / of.folder / "posts-000001.json").unlink()
    encode = "postmill encode run --encoder emotion-comments --encoder emotion --models light"
    assert current.read(run).command.startswith(encode)
    for of in both:
        again = {name: np.full(len(keys), 1.0) for name in of.scalars}
        embeddings.write(run, of, 1, keys, [None] * len(keys), None, again)
    assert current.read(run).insights is None and "other posts or embeddings" in told(run)
    put(run, invented())
    path = run.insights / "tone.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(PostmillError, match=r"tone\.parquet"):
        current.read(run)


def test_the_section_tells_groups_effects_and_bounds(run: Run) -> None:
    html = (run.report / "index.html").read_text()
    assert is_harmless(html) and len(html) < 5_000_000
    inside = re.search(r'<section id="tone".*?</section>', html, re.DOTALL)
    assert inside is not None
    said = Page(inside[0]).text
    for sentence in (
        "Tone of content: happiness 5.50 (5.38 to 5.62) (mean, 1 to 9), 120 posts.",
        "Audience response: happiness 7.50 (7.38 to 7.62) (mean, 1 to 9), 120 posts.",
        "Within accounts 2 of 3 slopes of engagement and of the comments' tone are told from 0.",
        "Happiness: where a post has more than others of its account, engagement is higher: 0.123 (0.080 to",
        "80%",  # of the texts were judged
        "Stand-in: emotion.lists in place of a-model-of-emotion.",
        *("no clinical reference", "curated", "never a person", "never a predictor", "EmoLex (research only)"),
    ):
        assert sentence in said
    assert html.count("<figure") >= 8 and not write_report(run).written


def test_every_figure_is_valid_drawn_and_has_its_numbers(run: Run) -> None:
    found = figures(run, invented(HOSTILE))
    assert list(found) == [
        *("tone-months-content", "tone-months-response", "tone-groups-content", "tone-groups-response"),
        *("tone-engagement", "tone-response", "tone-words", "tone-hashtags"),
    ]
    for figure in found.values():
        assert figure.rows and all(len(row) == len(figure.columns) for row in figure.rows), figure.name
        for definition in (drawing.definition(figure), drawing.paper_definition(figure)):
            alt.Chart.from_dict(definition)
        for svg in (drawing.svg(figure), drawing.paper_svg(figure)):
            marks = re.findall(r'<g class="mark-\w+ role-mark[^"]*"[^>]*>(.*?)</g>', svg, re.DOTALL)
            assert sum(len(re.findall("<(?:path|line|rect)", group)) for group in marks) >= 2, figure.name
            assert "<script" not in svg
    assert "No mark is filled" not in found["tone-engagement"].caption
    assert "0.08 without" in found["tone-words"].caption.replace("0.080", "0.08")
    assert found["tone-groups-content"].rows[0][:4] == ("happiness", "mean, 1 to 9", "category", HOSTILE)
    assert not any(row[3] == "" for row in found["tone-groups-content"].rows)


def test_where_nothing_may_be_told_there_is_a_sentence_and_no_number(run: Run) -> None:
    assert figures(run, suppressed()) == {}
    said = told(run, suppressed())
    assert section.FEW in said
    assert not re.search(r"\d\.\d|\b80\b|\b10\b", said.partition(section.HEADING)[2].partition("postmill ,")[0])


def test_figures_for_a_paper_have_them_and_the_same_bytes(run: Run, tmp_path: Path) -> None:
    write_figures(run, tmp_path / "a")
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert {"tone-words.svg", "tone-months-content.pdf", "tone-engagement.csv"} <= files.keys()
    for figure in figures(run, invented(HOSTILE)).values():
        assert files[f"{figure.name}.svg"] == drawing.paper_svg(figure).encode()


@pytest.mark.parametrize(
    "described", ["x", ["x"], [5], [None], {"a": 1}, [{}], [["a"]], [{"column": "a", "low": 10**400}]]
)
def test_what_an_encoder_describes_as_none_does_is_refused_with_its_place(described: object) -> None:
    with pytest.raises(PostmillError, match="describes indicators that are none") as refused:
        indicators_of(encoder("emotion", 0, preprocessing={INDICATORS: described}))
    assert refused.value.place == "emotion.tiny-emotion/encoder.json"
