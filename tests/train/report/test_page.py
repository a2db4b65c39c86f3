"""The report: one valid page that loads nothing, names no one, repeats stand-ins, and claims only what it may."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2 import UndefinedError

from postmill.shards.run import manifests
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError
from postmill.train.evaluation import cells, results, serialise
from postmill.train.evaluation.results import ModelResult
from postmill.train.evaluation.schema import ModelMetrics
from postmill.train.options import Split
from postmill.train.report import describe, html, plots
from postmill.train.report import page as pages
from postmill.train.report.formatting import number
from postmill.train.report.page import write_report
from postmill.train.stage import train_run
from tests.train.evaluation.drawn import random_posts
from tests.train.evaluation.stated import METRICS

MakeRun = Callable[..., Run]
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
        if "style" not in self.open:
            self.text += " ".join(data.split()) + " "  # white space collapses, as it does on a page


def written(run: Run) -> tuple[str, Page]:
    html = write_report(run).path.read_text()
    return html, Page(html)


@pytest.fixture(scope="module")
def reported(plant_once: MakeRun) -> tuple[Run, str, Page]:
    run = plant_once(
        posts=320,
        accounts=50,
        lost=4,
        text=0.5,
        account=0.5,
        record={
            "category": lambda row: HOSTILE if row % 5 < 2 else "food & <b>drink</b>",
            "caption": lambda row: f"secret words {row}",
            "missing_images": lambda row: ["gone.jpg"] if row == 3 else [],
        },
    )
    train_run(run, names=["mean", "followers", "metadata"], seeds=5)
    train_run(run, recipe="paper", seeds=1)
    html, page = written(run)
    return run, html, page


def test_the_page_is_valid_whole_and_loads_nothing(reported: tuple[Run, str, Page]) -> None:
    run, html, page = reported
    names = [tag for tag, _ in page.tags]
    assert html.startswith("<!doctype html>") and names.count("h1") == 1
    assert not {"script", "img", "link", "iframe", "object", "embed", "base", "form"} & set(names)
    for tag, attributes in page.tags:
        assert not {"src", "href", "srcset", "data", "action", "xlink:href"} & set(attributes), tag
        assert not any(name.startswith("on") for name in attributes), tag
    assert not re.search(r"url\(|@import", html)
    manifest = manifests.read(run.report, "index")
    assert manifest is not None and not list(manifests.differences(run.report, manifest))
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_hostile_names_are_text(reported: tuple[Run, str, Page]) -> None:
    _, html, page = reported
    assert "<script" not in html and "<img" not in html
    assert HOSTILE in page.text and "food & <b>drink</b>" in page.text


def test_it_names_no_account_caption_or_user(reported: tuple[Run, str, Page]) -> None:
    _, html, _ = reported
    for private in ("account0", "secret words", "looks great", "recipe please", "gone.jpg", "p000", "1000"):
        assert private not in html, private


def test_it_repeats_the_stand_ins_and_the_leak(reported: tuple[Run, str, Page]) -> None:
    _, _, page = reported
    assert "Stand-in: text was encoded by tiny-text-with-comments in place of all-text-with-comments." in page.text
    assert "uses comments, which exist only after a post is published" in page.text


def test_it_shows_no_post_and_no_cell_of_a_few_people(planted_run: MakeRun) -> None:
    category = ["food", "food", "food", "art", "art", "pet"]
    run = planted_run(
        posts=420, accounts=60, text=0.5, record={"category": lambda row: "rare" if row < 3 else category[row % 6]}
    )
    train_run(run, names=["followers", "metadata"], seeds=5, split_names=("influencer",))
    html, page = written(run)
    drawings = re.findall(r'<g class="points">(.*?)</g>', html)
    assert len(drawings) == 2 and all(re.sub(r"<path [^>]*/>", "", drawing) == "" for drawing in drawings)
    assert f"hexagons with fewer than {plots.MIN_POSTS} posts are left out" in page.text
    assert f"of {cells.MIN_ACCOUNTS} accounts and {cells.MIN_POSTS} posts at least" in page.text
    # The three rare posts and the 70 of pets are too few together: art goes with them.
    assert "food 207" in page.text and "3 others 213" in page.text
    assert not re.search(r"\b(art|pet|rare) \d", page.text)
    assert f"with fewer than {describe.SPREAD_ACCOUNTS} accounts no more is told" in page.text


def test_it_says_what_was_lost_and_that_it_adds_up(reported: tuple[Run, str, Page]) -> None:
    _, _, page = reported
    assert "324 posts mapped = 320 in shards + 4 lost. It adds up" in page.text
    assert "metadata missing" in page.text


def test_tables_can_be_read_aloud(reported: tuple[Run, str, Page]) -> None:
    _, _, page = reported
    names = [tag for tag, _ in page.tags]
    assert names.count("caption") == names.count("table") > 4
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in page.tags if tag == "th")
    assert all(attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg")


def test_it_has_both_tables_and_a_plot_for_each_model_but_the_mean(reported: tuple[Run, str, Page]) -> None:
    run, html, page = reported
    assert html.index("<b>Accounts not trained on, their past known.") < html.index("Random split: optimistic")
    models = results.read_results(run)
    for row in (row for split in Split for row in results.rows_of(models, split)):
        assert number(row["mse"].value, 3) in page.text
    labels = [a["aria-label"] for t, a in page.tags if t == "svg" and str(a["aria-label"]).startswith("Predicted")]
    assert len(labels) == 2 * (2 + 6)  # ours, and the study's


def test_the_same_run_gives_the_same_bytes(reported: tuple[Run, str, Page]) -> None:
    run, html, _ = reported
    again = write_report(run)
    assert again.path.read_text() == html and not again.written


def test_few_posts_make_no_claim(planted_run: MakeRun) -> None:
    run = planted_run(posts=97, accounts=10, text=1.0, noise=0.5)
    train_run(run, names=["mean", "text-mlp"], seeds=2)
    html, page = written(run)
    assert "support no claim" in page.text
    assert 'class="claim"' not in html
    assert "too few accounts for an interval" in page.text
    assert "They can show that every step works" in page.text
    assert "one of 0.1 takes 782 posts" in page.text


def test_a_run_without_models_or_targets_has_a_report(planted_run: MakeRun) -> None:
    run = planted_run(posts=12, accounts=3, record={"likes": None, "taken_at": None})
    _, page = written(run)
    assert "No model has been trained" in page.text and "No post has a target" in page.text
    assert "posts without a target: hidden likes" in page.text


def test_an_unfinished_run_is_called_unfinished(planted_run: MakeRun) -> None:
    run = planted_run(posts=40, accounts=10)
    (run.posts / "posts-000001.json").unlink()
    _, page = written(run)
    assert "1 of 2 post shards are done" in page.text and "can only add up when" in page.text


def test_models_of_different_posts_are_not_compared_in_silence(planted_run: MakeRun) -> None:
    run = planted_run(posts=60, accounts=20)
    train_run(run, names=["mean", "metadata"], seeds=1)
    models = results.read_results(run)
    settings = replace(models[0].metrics.settings, posts="0" * 64)
    models[0] = replace(models[0], metrics=replace(models[0].metrics, settings=settings))
    notice = "not all trained on the same posts"
    assert notice in " ".join(pages.page(run, describe.summarise(run), models).notices)
    assert notice not in " ".join(pages.page(run, describe.summarise(run), models[1:]).notices)


def test_models_of_another_target_stand_elsewhere(planted_run: MakeRun) -> None:
    run = planted_run(posts=60, accounts=20)
    train_run(run, names=["metadata"], seeds=1, target_name="likes")
    _, alone = written(run)
    assert "Target: log(1 + likes), natural logarithm" in alone.text and "metadata-likes" in alone.text
    train_run(run, names=["mean"], seeds=1, comment_weight=0.0)
    train_run(run, names=["followers"], seeds=1)
    _, page = written(run)
    assert "Target: log(1 + likes + comments), natural logarithm" in page.text and "metadata-likes" not in page.text
    assert "This run has models of log(1 + likes) too: their numbers are in report/results.md" in page.text
    table = (run.report / "results.md").read_text()
    assert [line for line in table.splitlines() if line.startswith("What is predicted")] == [
        "What is predicted: log(1 + likes + comments), natural logarithm.",
        "What is predicted: log(1 + likes), natural logarithm.",
    ]
    assert table.index("followers") < table.index("log(1 + likes),") < table.index("metadata-likes")


def test_a_rate_is_shown_in_its_own_unit(planted_run: MakeRun) -> None:
    run = planted_run(posts=130, accounts=25, record={"followers": lambda row: 0 if row == 3 else 10_000})
    train_run(run, names=["mean"], seeds=1, target_name="rate")
    _, page = written(run)
    assert re.search(r"In likes and comments per follower, \S+ is 0\.\d+ and \S+ is 0\.\d+\.", page.text), page.text
    assert "posts without a target: no followers" in page.text
    assert "log(1 + likes + comments) - log(1 + followers)" in page.text


def test_a_damaged_model_is_named(planted_run: MakeRun) -> None:
    run = planted_run(posts=60, accounts=20)
    train_run(run, names=["mean"], seeds=1)
    path = run.models / "mean" / "metrics.json"
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(PostmillError, match="is damaged") as caught:
        write_report(run)
    assert "postmill train" in str(caught.value.hint)


def test_everything_is_escaped_but_the_drawings() -> None:
    """One `safe` in all templates, for what plots.py draws; its own labels are escaped there."""
    loader = html.templates().loader
    assert loader is not None and html.templates().autoescape is True
    sources = {name: loader.get_source(html.templates(), name)[0] for name in loader.list_templates()}
    assert {name for name, text in sources.items() if re.search(r"\|\s*safe|autoescape|Markup", text)} == {
        "macros.html.j2"
    }
    assert sources["macros.html.j2"].count("safe") == 1 and "{{ svg | safe }}" in sources["macros.html.j2"]
    assert HOSTILE not in plots.forest([HOSTILE], [[]], 0, 1, HOSTILE) and "<script" not in plots.histogram(
        [0.0, 1.0], [1], HOSTILE, HOSTILE
    )


def test_a_name_that_a_template_does_not_know_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        html.templates().from_string("{{ page.nothing }}").render(page=html.TableColumn("heading"))


def test_a_table_has_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="has not 2 cells"):
        html.Table("caption", html.text_columns("a", "b"), [["one"]])


def test_whatever_a_models_metrics_say_is_text(planted_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run folder may come from anyone: every text of metrics.json is hostile here, and the model's name too."""

    def hostile(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: hostile(item) for name, item in value.items()}
        if isinstance(value, list):
            return [hostile(item) for item in value]
        return HOSTILE if isinstance(value, str) else value

    run = planted_run(posts=12, accounts=3)
    monkeypatch.setattr(results, "predictions", lambda *_: random_posts(1))
    value = hostile(json.loads(serialise.dump_json(METRICS)))
    value["settings"]["target"] = METRICS.settings.target  # of a closed set, so that another is refused
    metrics = serialise.validate_json(ModelMetrics, json.dumps(value).encode())
    models = [ModelResult(HOSTILE, replace(metrics, leak=leak)) for leak in (HOSTILE, None)]
    text = html.render_page(pages.page(run, describe.summarise(run), models))
    assert "<script" not in text and "<img" not in text and "onerror=alert(2)>" not in text
    assert Page(text).text.count(HOSTILE) > 10
