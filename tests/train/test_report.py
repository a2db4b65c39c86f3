"""The report: one valid page that loads nothing, names no one, repeats stand-ins, and claims only what it may."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from shards import manifests
from shards.errors import PostmillError
from shards.run import Run
from train import describe, findings, plots
from train.intervals import Interval
from train.report import write_report
from train.results import Comparison, ResultRow, results_table
from train.stage import train_run

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
            self.text += data + " "


def written(run: Run) -> tuple[str, Page]:
    html = write_report(run).path.read_text()
    return html, Page(html)


@pytest.fixture(scope="module")
def reported(plant_once: MakeRun) -> tuple[Run, str, Page]:
    run = plant_once(
        posts=150,
        accounts=30,
        lost=4,
        text=0.5,
        account=0.5,
        record={
            "category": lambda row: HOSTILE if row % 7 == 0 else "food & <b>drink</b>",
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


def test_it_says_what_was_lost_and_that_it_adds_up(reported: tuple[Run, str, Page]) -> None:
    _, _, page = reported
    assert "154 posts mapped = 150 in shards + 4 lost. It adds up" in page.text
    assert "metadata missing" in page.text


def test_tables_can_be_read_aloud(reported: tuple[Run, str, Page]) -> None:
    _, _, page = reported
    names = [tag for tag, _ in page.tags]
    assert names.count("caption") == names.count("table") > 4
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in page.tags if tag == "th")
    assert all(attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg")


def test_it_has_both_tables_and_a_plot_for_each_model_but_the_mean(reported: tuple[Run, str, Page]) -> None:
    run, html, page = reported
    assert html.index("New accounts: none of the test posts") < html.index("Random split: optimistic")
    for row in results_table(run):
        assert findings.number(row.mse, 3) in page.text
    labels = [a["aria-label"] for t, a in page.tags if t == "svg" and str(a["aria-label"]).startswith("Predicted")]
    assert len(labels) == 2 * 4


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
    train_run(run, names=["mean"], seeds=1)
    train_run(run, names=["metadata"], seeds=1, comment_weight=0.0)
    _, page = written(run)
    assert "not all trained on the same posts and target" in page.text


def test_a_damaged_model_is_named(planted_run: MakeRun) -> None:
    run = planted_run(posts=60, accounts=20)
    train_run(run, names=["mean"], seeds=1)
    path = run.models / "mean" / "metrics.json"
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(PostmillError, match="cannot be read") as caught:
        write_report(run)
    assert "postmill train" in str(caught.value.hint)


def row(**fields: Any) -> ResultRow:
    base: dict[str, Any] = dict(
        model="fusion",
        split="influencer",
        mse=1.0,
        mae=0.8,
        r2=0.3,
        r2_interval=Interval(0.1, 0.4),
        spearman=0.5,
        spearman_interval=Interval(0.4, 0.6),
        note="",
        r2_mean=0.3,
        r2_spread=0.05,
        seeds=5,
        test_posts=1_000,
        test_accounts=60,
    )
    return ResultRow(**{**base, **fields})


@pytest.mark.parametrize(
    ("rows", "comparison", "strength", "said"),
    [
        ([row()], None, "claim", "predicts engagement better than the mean does"),
        ([row(r2_interval=Interval(-0.1, 0.4))], None, "weak", "cannot be told from predicting the mean"),
        ([row(r2=-0.3, r2_interval=Interval(-0.5, -0.1))], None, "claim", "is worse than the mean"),
        ([row(r2_interval=None, spearman_interval=None, note="too few")], None, "none", "support no claim"),
        ([row(), row(split="random", r2=0.7)], None, "weak", "R² 0.70 instead of 0.30"),
        (
            [row()],
            Comparison("followers", 0.1, Interval(0.02, 0.2)),
            "claim",
            "adds to the best single",
        ),
        (
            [row()],
            Comparison("followers", 0.1, Interval(-0.02, 0.2)),
            "weak",
            "cannot be told from the best single",
        ),
        ([row()], Comparison("followers", -0.1, Interval(-0.2, -0.02)), "claim", "worse than the best single model"),
        ([row(split="random")], None, "none", "nothing can be said about new accounts"),
        ([], None, "none", "No model has been trained"),
    ],
)
def test_sentences_follow_the_numbers(
    rows: list[ResultRow], comparison: Comparison | None, strength: str, said: str
) -> None:
    found = findings.findings(rows, comparison, [])
    assert any(said in finding.text and finding.strength == strength for finding in found)
    if strength == "none":
        assert all(finding.strength != "claim" for finding in found)


def test_a_detectable_correlation_is_shown_four_times_in_five() -> None:
    random, count = np.random.default_rng(0), 60
    planted = findings.detectable(count)
    assert planted is not None
    x, noise = random.normal(size=(2, 20_000, count))
    y = planted * x + np.sqrt(1 - planted**2) * noise
    x, y = (side - side.mean(axis=1, keepdims=True) for side in (x, y))
    found = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    shown = np.abs(np.arctanh(found)) * np.sqrt(count - 3) > 1.96
    assert shown.mean() == pytest.approx(0.8, abs=0.02)
    assert findings.needed(planted) in (count, count + 1) and findings.detectable(4) is None


@pytest.mark.parametrize(("value", "shown"), [(None, "–"), (-0.001, "0.00"), (-0.25, "−0.25"), (1.0, "1.00")])  # noqa: RUF001
def test_numbers_are_written_for_people(value: float | None, shown: str) -> None:
    assert findings.number(value) == shown


def test_the_description_counts_by_hand(planted_run: MakeRun) -> None:
    run = planted_run(
        posts=20,
        accounts=4,
        lost=2,
        record={
            "influencer": lambda row: "big" if row < 14 else f"small{row % 3}",
            "category": lambda row: None if row < 5 else "food",
            "caption": lambda row: "  " if row == 0 else "text",
            "images": lambda row: [] if row == 1 else ["a.jpg", "b.jpg"],
            "missing_images": lambda row: ["c.jpg"] if row == 1 else [],
            "likes": lambda row: None if row == 2 else 10 * row,
            "taken_at": lambda row: 1_500_000_000 + row,
        },
    )
    found = describe.describe(run)
    assert (found.posts, found.mapped, found.lost, found.adds_up) == (20, 22, {"metadata_missing": 2}, True)
    assert found.account_posts == (2, 2, 2, 14, 14) or found.account_posts == (2, 2, 2, 2, 14)
    assert (found.images, found.missing_images, found.without_image, found.without_caption) == (38, 1, 1, 1)
    assert found.left_out == {"hidden_likes": 1} and sum(found.counts) == 19
    assert found.categories == {"food": (15, 4), "not known": (5, 1)}
    assert (found.first, found.last) == (1_500_000_000, 1_500_000_019)


def test_many_points_are_drawn_as_hexagons() -> None:
    random = np.random.default_rng(0)
    few, many = random.normal(size=plots.MAX_POINTS), random.normal(size=200_000)
    assert plots.scatter(few, few, -4, 4, "few").count("<circle") == plots.MAX_POINTS
    drawn = plots.scatter(many, many * 0.5, -4, 4, "many")
    assert "<circle" not in drawn and len(drawn) < 200_000


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.93, 1.0), (3.0, 17.0), (0.0, 12_345.0), (0.0, 0.003)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    found = plots.ticks(low, high, 6)
    assert 3 <= len(found) <= 8
    assert all(low <= tick <= high + 1e-9 for tick in found)
    assert len({round(b - a, 9) for a, b in itertools.pairwise(found)}) == 1
