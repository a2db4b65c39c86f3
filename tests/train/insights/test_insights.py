"""The tables of a run whose posts have planted words: against sums by hand, suppressed, damaged, and naming nobody."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from postmill.console.insights import where_told
from postmill.encode.options import ModelSet
from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.indicators import lexica, tables
from postmill.shards.run import folder as runs
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.train import insights
from postmill.train.insights import hashtags, posts
from postmill.train.insights.stage import InsightsSummary, write_insights
from tests.commands import postmill
from tests.train.conftest import Notes, record, write_posts

HAPPY = ("so happy with this lovely sunny day and all my friends", "what a beautiful morning, laughing and smiling")
SAD = ("such a sad and terrible day, crying alone at home", "tired and hurt again, everything went wrong and failed")
CHEERS, BOOS = "love this, so beautiful and happy", "awful and boring, this is a terrible waste"
HAPPINESS = "emotion.lexica/happiness"


def name(account: int) -> str:
    return f"zed{'abcdefghijklmnopqrstuvwxyz'[account % 26]}quix.{account}"


def made(folder: Path, accounts: int, number: int, shards: int = 3) -> Run:
    """Posts whose happy share rises over time; happy ones have more likes and kinder comments."""
    random = np.random.default_rng(5)
    of = np.concatenate([np.arange(accounts), random.integers(0, accounts, number - accounts)])
    records = []
    for n in range(number):
        account, late = int(of[n]), n > number // 2
        happy = random.random() < (0.7 if late else 0.3)
        kind = random.random() < (0.8 if happy else 0.4)
        tags = [f"tag{int(random.integers(3))}", "winter" if not late or random.random() < 0.4 else "summer"]
        tags += [name(3).replace(".", ""), "rare"] if random.random() < 0.5 else []
        records.append(
            record(
                f"k{n:05d}",
                influencer=name(account),
                owner_id=str(9_000_000 + account),
                category=("fashion", "food", "travel")[account % 3],
                followers=5_000 if account % 2 else 50_000,
                caption=f"{(HAPPY if happy else SAD)[int(random.integers(2))]} unwiederholbar{n}",
                comments=CHEERS if kind else BOOS,
                hashtags=tags,
                likes=int(np.exp(5 + 0.4 * happy + 0.1 * account / accounts + 0.5 * random.normal())),
                taken_at=1_500_000_000 + 86_400 * 365 * n // number,
            )
        )
    run = write_posts(folder, records, shards, invented=True)
    encode_run(run, encoders=["emotion", "emotion-comments"], models=ModelSet.LIGHT)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return made(tmp_path_factory.mktemp("told") / "run", accounts=75, number=1800)


@pytest.fixture(scope="module")
def told(run: Run) -> InsightsSummary:
    return write_insights(run)


def column(run: Run, encoder: str, of: str) -> np.ndarray:
    (found,) = (each for each in encoders_of(run) if each.folder == encoder)
    parts = [embeddings.read(run, found, shard).scalars[of].to_numpy(zero_copy_only=False) for shard in range(3)]
    return np.concatenate(parts).astype(float)


def test_each_group_has_the_mean_of_its_posts(run: Run, told: InsightsSummary) -> None:
    values, of = column(run, "emotion.lexica", "happiness"), posts.load(run)
    by_name = {division.name: division for division in of.divisions}
    shown = [row for row in told.insights.tone if row.indicator == HAPPINESS and row.value is not None]
    assert {row.division for row in shown} >= {"all", "month", "category", "followers"}
    for row in shown:
        kept = ~np.isnan(values)
        if row.division in by_name:
            kept &= by_name[row.division].codes == by_name[row.division].groups.index(row.group)
        elif row.division == "language":
            continue
        assert row.value == pytest.approx(values[kept].mean(), rel=1e-3)
        assert (row.posts, row.accounts) == (kept.sum(), len(np.unique(of.accounts[kept])))
        assert row.low is not None and row.high is not None and row.low <= row.value <= row.high
    months = [row.value for row in shown if row.division == "month"]
    assert np.mean(months[-3:]) > np.mean(months[:3]) + 0.3, "the planted rise"


def test_what_is_planted_within_accounts_is_claimed(told: InsightsSummary) -> None:
    found = {(row.outcome, row.indicator): row for row in told.insights.effects}
    assert found["engagement", HAPPINESS].claimed and (found["engagement", HAPPINESS].slope or 0) > 0
    assert found["comment tone", HAPPINESS].claimed and (found["comment tone", HAPPINESS].slope or 0) > 0
    assert not any("emotion-comments" in indicator for _, indicator in found), "the response is never a predictor"


def test_words_add_up_to_the_difference_they_explain(run: Run, told: InsightsSummary) -> None:
    shift = next(row for row in told.insights.shifts if row.indicator == HAPPINESS and row.division == "month")
    words = [row for row in told.insights.words if row.shift == shift.shift]
    (encoder,) = (each for each in encoders_of(run) if each.folder == "emotion.lexica")
    known, of = lexica.load(), posts.load(run)
    month = next(division for division in of.divisions if division.name == "month")
    start, counts = 0, {shift.low_group: {}, shift.high_group: {}}
    for shard in range(3):
        scalars = embeddings.read(run, encoder, shard).scalars
        judged = scalars["happiness"].to_pylist()
        for row, numbers in enumerate(scalars["happiness_words"].to_pylist(), start):
            group = month.groups[month.codes[row]]
            if group in counts and judged[row - start] is not None:
                for number in numbers:
                    counts[group][number] = counts[group].get(number, 0) + 1
        start += len(judged)
    low, high = counts[shift.low_group], counts[shift.high_group]
    tone = {number: known.word(number).happiness for number in {*low, *high}}
    sums = [sum(tone[n] * count for n, count in side.items()) / sum(side.values()) for side in (low, high)]
    assert shift.difference == pytest.approx(sums[1] - sums[0], rel=1e-3)
    for word in words:
        number = next(n for n in tone if known.word(n).word == word.word)
        share = high.get(number, 0) / sum(high.values()) - low.get(number, 0) / sum(low.values())
        assert word.contribution == pytest.approx((word.tone - sums[0]) * share, rel=2e-2, abs=1e-4)
    assert shift.low is not None and shift.low <= shift.difference <= (shift.high or 0)


def test_hashtags_rise_and_fall_and_are_no_accounts_names(told: InsightsSummary) -> None:
    found = {row.hashtag: row for row in told.insights.hashtags}
    assert found["winter"].change < -0.4
    assert hashtags.folded(name(3)) not in {hashtags.folded(tag) for tag in found}
    assert "rare" in found, "the same posts have it: as common, and nobody's name"


def test_nothing_names_anybody_or_quotes_anything(run: Run, told: InsightsSummary) -> None:
    assert told.written
    for path in run.insights.iterdir():
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content = repr(pq.read_table(path).to_pydict()).encode() + content
        for account in range(75):
            for spelling in (name(account), name(account).replace(".", ""), str(9_000_000 + account)):
                assert spelling.encode() not in content, f"{path.name} names an account"
        for text in (*HAPPY, *SAD, CHEERS, BOOS, "unwiederholbar", "k00001"):
            assert text.encode() not in content, f"{path.name} quotes a post"


def test_few_posts_more_are_not_told_from_the_tables_before(run: Run, tmp_path: Path) -> None:
    told = {posts: made(tmp_path / str(posts), accounts=75, number=posts) for posts in (1800, 1830, 2300)}
    write_insights(told[1800])
    for number, other in told.items():
        if number > 1800:
            shutil.copytree(told[1800].insights, other.insights)
    with pytest.raises(UsageError, match="30 posts more or fewer") as raised:
        write_insights(told[1830])
    notes = Notes()
    where_told(told[1830], notes)  # as within a whole job, which goes on to its report
    assert len(notes.lines) == 1 and "30 posts more or fewer" in notes.lines[0] and "rm -r" in notes.lines[0]
    removing, again = re.findall(r"(rm -r .*) && (postmill insights .*)", raised.value.hint or "")[0]
    assert subprocess.run(shlex.split(removing), check=True) and not told[1830].insights.exists()
    postmill(*shlex.split(again)[1:])
    before = {(r.indicator, r.division, r.group): r.posts for r in write_insights(told[1800]).insights.tone if r.group}
    after = {(r.indicator, r.division, r.group): r.posts for r in write_insights(told[2300]).insights.tone if r.group}
    both = before.keys() & after.keys()
    assert len(both) > 20
    assert all(after[each] == before[each] or abs(after[each] - before[each]) >= 100 for each in both)


def test_no_function_is_asked_about_one_account() -> None:
    for found in pkgutil.iter_modules(insights.__path__, f"{insights.__name__}."):
        module = importlib.import_module(found.name)
        for each, function in inspect.getmembers(module, inspect.isfunction):
            asked = {*inspect.signature(function).parameters} & {"account", "influencer", "owner", "user", "person"}
            assert each.startswith("_") or not asked, f"{found.name}.{each} takes {asked}"


def test_of_ten_accounts_nothing_is_told(tmp_path: Path) -> None:
    few = write_insights(made(tmp_path / "few", accounts=10, number=600))
    assert few.suppressed and few.claims == 0
    assert all(row.value is None and row.low is None and row.group == "" for row in few.insights.tone)
    assert all(row.slope is None and row.p is None for row in few.insights.effects)
    assert few.insights.shifts == few.insights.words == few.insights.hashtags == ()


def copied(run: Run, folder: Path) -> Run:
    shutil.copytree(run.folder, folder)
    return runs.open_run(folder)


def test_a_second_call_changes_nothing_and_damage_is_mended(run: Run, told: InsightsSummary, tmp_path: Path) -> None:
    other = copied(run, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in other.insights.iterdir()}
    assert not write_insights(other).written
    tone = other.insights / "tone.parquet"
    tone.write_bytes(tone.read_bytes()[:-9] + b"x" * 9)
    with pytest.raises(PostmillError, match=r"tone\.parquet"):
        tables.read(other)
    assert write_insights(other).written
    assert {path.name: path.read_bytes() for path in other.insights.iterdir()} == before
    assert tables.read(other) == told.insights


def test_tables_of_other_embeddings_are_not_taken_for_these(run: Run, told: InsightsSummary, tmp_path: Path) -> None:
    other = copied(run, tmp_path / "run")
    shutil.rmtree(other.embeddings / "emotion-comments.lexica")
    assert tables.read(other) is None
    assert {row.side for row in write_insights(other).insights.indicators} == {"content"}
    shutil.rmtree(other.embeddings / "emotion.lexica")
    with pytest.raises(UsageError, match="encoder of tone") as raised:
        write_insights(other)
    assert "postmill encode" in (raised.value.hint or "")


def test_a_growing_run_is_told_of_when_it_is_whole(run: Run, told: InsightsSummary, tmp_path: Path) -> None:
    other = copied(run, tmp_path / "run")
    for path in [*other.posts.glob("posts-000002*"), *other.embeddings.glob("*/posts-000002*")]:
        path.unlink()
    with pytest.raises(UsageError):
        write_insights(other)
    encoder = next(each for each in encoders_of(run) if each.folder == "emotion.lexica")
    again = copied(run, tmp_path / "again")
    for path in (again.embeddings / encoder.folder).glob("posts-000002*"):
        path.unlink()
    left_out = write_insights(again).left_out
    assert len(left_out) == 1 and "1 of 3 shards" in left_out[0]
