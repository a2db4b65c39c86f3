"""The tables of tone come back as they were written, and what is no such table is refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from postmill.shards.formats import custody, plan
from postmill.shards.formats.counts import InsightsCounts
from postmill.shards.indicators import tables
from postmill.shards.indicators.tables import EffectRow, HashtagRow, IndicatorRow, Insights, ShiftRow, ToneRow, WordRow
from postmill.shards.run import publish
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError
from tests.runs import new_run, plan_counts

INSIGHTS = Insights(
    indicators=(
        IndicatorRow("e.m/joy", "e.m", "joy", "joy", "content", "probability", 0.0, 1.0, 0.5, False, "", 300, 290, 200),
        IndicatorRow("e.m/tone", "e.m", "tone", "tone", "response", "score", 1.0, 9.0, None, True, "x/y", 300, 290, 9),
    ),
    tone=(
        ToneRow("e.m/joy", "all", "all", 200, 30, 0.25, 0.2, 0.3, ""),
        ToneRow("e.m/joy", "month", "", 12, None, None, None, None, "not shown"),
    ),
    effects=(EffectRow("engagement", "e.m/joy", 200, 30, 0.1, 0.05, 0.15, 0.001, 0.002, 0.005, True, ""),),
    shifts=(ShiftRow(0, "e.m/tone", "month", "2019-01", "2019-02", "en", 0.3, None, None, None, "few words"),),
    words=(WordRow(0, "happy", 8.3, 0.02, 0.01, 0.03),),
    hashtags=(HashtagRow("summer", 0.1, 0.2, 0.1, 0.05, 0.15, 150, 300),),
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = new_run(tmp_path / "run")
    with publish.unit(run.plan, plan.NAME, run.fingerprint) as unit:
        plan_counts(shards=0).put(unit)
    return run


def put(run: Run, insights: Insights, **others: pa.Table) -> None:
    with publish.unit(run.insights, tables.UNIT, run.fingerprint) as unit:
        InsightsCounts(300, len(insights.indicators), 1).put(unit)
        custody.put_shards(unit, ())
        for name, row in tables.ROWS.items():
            unit.table(f"{name}.parquet", others.get(name, tables.table(row, getattr(insights, name))))


@pytest.mark.parametrize("insights", [INSIGHTS, Insights()], ids=["some", "none"])
def test_what_was_written_is_read(run: Run, insights: Insights) -> None:
    assert tables.read(run) is None
    put(run, insights)
    assert tables.read(run) == insights


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"word": ["<script>"]}),
        tables.table(WordRow, INSIGHTS.words).set_column(1, "word", pa.array([b"\xff"])),
        tables.table(WordRow, INSIGHTS.words * (tables.MOST_ROWS + 1)),
    ],
    ids=["other columns", "another type", "too many rows"],
)
def test_what_is_no_such_table_is_refused(run: Run, table: pa.Table) -> None:
    put(run, INSIGHTS, words=table)
    with pytest.raises(PostmillError, match=r"words\.parquet") as raised:
        tables.read(run)
    assert "postmill insights" in (raised.value.hint or "")
