"""The report: one valid page that loads nothing, names no one, repeats stand-ins, and claims only what it may."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from jinja2 import UndefinedError

from postmill.shards.formats import reasons
from postmill.shards.run import manifests
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError
from postmill.train.evaluation import results, serialise
from postmill.train.evaluation.results import ModelResult
from postmill.train.evaluation.schema import ModelMetrics
from postmill.train.options import Split
from postmill.train.report import describe, html
from postmill.train.report import page as pages
from postmill.train.report.figures import drawing
from postmill.train.report.formatting import number
from postmill.train.report.page import write_report
from postmill.train.stage import train_run
from tests.train.evaluation.drawn import random_posts
from tests.train.evaluation.stated import METRICS
from tests.train.report.parsed import HOSTILE, Page, is_harmless

MakeRun = Callable[..., Run]


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
    assert not {"img", "link", "iframe", "object", "embed", "base", "form"} & set(names)
    for tag, attributes in page.tags:
        assert not {"src", "srcset", "data", "action", "xlink:href", "style"} & set(attributes), tag
        assert not any(name.startswith("on") for name in attributes), tag
        if "href" in attributes:
            assert re.match(r"#|data:(text/csv|image/svg\+xml);", str(attributes["href"])), tag
    assert not re.search(r"url\(|@import", html.partition("</style>")[0])
    manifest = manifests.read(run.report, "index")
    assert manifest is not None and not list(manifests.differences(run.report, manifest))
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_only_scripts_of_ours_may_run(reported: tuple[Run, str, Page]) -> None:
    _, page, parsed = reported
    policy = next(of["content"] for tag, of in parsed.tags if of.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and "unsafe" not in policy and policy.startswith("default-src 'none'")
    running = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert [html.csp_hash(script) for script in running] == re.search(r"script-src ([^;]+)", policy)[1].split(" ")  # type: ignore[index]
    assert running[-1] == html.source("page.js") and running[:-1] == [drawing.bundle()]
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None and html.csp_hash(style[1]) in policy
    held = [attributes for tag, attributes in parsed.tags if tag == "script" and attributes]
    assert held and all(attributes == {"type": "application/json", "class": "definition"} for attributes in held)


def test_hostile_names_are_text(reported: tuple[Run, str, Page]) -> None:
    _, page, parsed = reported
    assert is_harmless(page)
    assert HOSTILE in parsed.text and "food & <b>drink</b>" in parsed.text


def test_it_names_no_account_caption_or_user(reported: tuple[Run, str, Page]) -> None:
    _, page, parsed = reported
    rest = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    files = [base64.b64decode(content).decode() for content in re.findall(r'base64,([^"]*)"', rest)]
    assert len(files) > 10
    for private in ("account0", "secret words", "looks great", "recipe please", "gone.jpg", "p000"):
        assert not any(private in text for text in (rest, *files)), private
    assert "1000" not in parsed.text  # the number of an owner


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
    _, page = written(run)
    # The three rare posts and the 70 of pets are too few together: art goes with them.
    assert "food 207" in page.text and "3 others 213" in page.text
    assert not re.search(r"\b(art|pet|rare) \d", page.text)
    assert f"with fewer than {describe.SPREAD_ACCOUNTS} accounts no more is told" in page.text


def test_it_says_what_was_lost_and_that_it_adds_up(reported: tuple[Run, str, Page]) -> None:
    _, _, page = reported
    assert "324 posts mapped = 320 in shards + 4 lost. It adds up: no post was dropped in silence." in page.text
    assert "Lost: 4 metadata missing." in page.text
    assert reasons.REMEDY[reasons.Reason.METADATA_MISSING] in page.text


def test_tables_can_be_read_aloud(reported: tuple[Run, str, Page]) -> None:
    _, _, page = reported
    names = [tag for tag, _ in page.tags]
    assert names.count("caption") == names.count("table") > 4
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in page.tags if tag == "th")
    assert all(attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg")


def test_it_has_a_table_of_each_split_and_every_model(reported: tuple[Run, str, Page]) -> None:
    run, html, page = reported
    assert html.index("Accounts not trained on, their past known") < html.index("Random split: optimistic")
    models = results.read_results(run)
    for row in (row for split in Split for row in results.rows_of(models, split)):
        assert number(row["mse"].value, 3) in page.text


def test_the_same_run_gives_the_same_bytes(reported: tuple[Run, str, Page]) -> None:
    run, html, _ = reported
    again = write_report(run)
    assert again.path.read_text() == html and not again.written


def test_few_posts_make_no_claim(planted_run: MakeRun) -> None:
    run = planted_run(posts=97, accounts=10, text=1.0, noise=0.5)
    train_run(run, names=["mean", "text-mlp"], seeds=2)
    html, page = written(run)
    assert "support no claim" in page.text
    assert html.count('claim"') == 2  # of the ledger of posts, which adds up
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
    assert "target log(1 + likes)" in alone.text and "metadata-likes" in alone.text
    train_run(run, names=["mean"], seeds=1, comment_weight=0.0)
    train_run(run, names=["followers"], seeds=1)
    _, page = written(run)
    assert "target log(1 + likes + comments)" in page.text and "metadata-likes" not in page.text
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


def test_without_what_draws_the_numbers_of_figures_are_tables(
    planted_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = planted_run(posts=240, accounts=40)
    train_run(run, names=["mean", "metadata"], seeds=5, split_names=("influencer",))
    monkeypatch.setattr(drawing, "available", lambda: False)
    page, parsed = written(run)
    assert "their numbers stand as tables: pip install 'postmill[figures]'" in parsed.text
    names = [tag for tag, _ in parsed.tags]
    assert "svg" not in names and names.count("figure") > 5 and names.count("script") == 1
    assert len(page) < 300_000
    assert re.search(r"The numbers of R² on accounts|R² on accounts that were not trained on", parsed.text)


def test_a_damaged_model_is_named(planted_run: MakeRun) -> None:
    run = planted_run(posts=60, accounts=20)
    train_run(run, names=["mean"], seeds=1)
    path = run.models / "mean" / "metrics.json"
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(PostmillError, match="is damaged") as caught:
        write_report(run)
    assert "postmill train" in str(caught.value.hint)


def test_everything_is_escaped_but_what_is_ours() -> None:
    """`safe` is for what escapes itself: drawings, JSON for scripts, and the page's own script and style sheet."""
    loader = html.templates().loader
    assert loader is not None and html.templates().autoescape is True
    sources = {name: html.source(name) for name in loader.list_templates() if name.endswith(".j2")}
    unescaped = {(name, found) for name, text in sources.items() for found in re.findall(r"{{ (.*?\bsafe) }}", text)}
    assert unescaped == {
        ("macros.html.j2", "of.svg | safe"),
        ("macros.html.j2", "of.definition | inline_json | safe"),
        ("base.html.j2", "style | safe"),
        ("base.html.j2", "script | safe"),
    }
    assert not any("autoescape" in text or "Markup" in text for text in sources.values())
    assert "<" not in html.inline_json({"</script>": HOSTILE}) and "<!--" not in drawing.bundle()
    assert "</script" not in drawing.bundle().lower()


def test_a_name_that_a_template_does_not_know_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        html.templates().from_string("{{ page.nothing }}").render(page=html.TableColumn("heading"))


def test_a_table_has_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="has not 2 cells"):
        html.Table("name", "title", "caption", html.text_columns("a", "b"), [["one"]])


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
    text = html.render(pages.TEMPLATE, pages.page(run, describe.summarise(run), models))
    assert is_harmless(text) and "onerror=alert(2)>" not in re.sub(r"base64,[^\"]*", "", text)
    assert Page(text).text.count(HOSTILE) > 10
