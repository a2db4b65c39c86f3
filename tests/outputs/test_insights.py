"""`postmill insights`: what it says, what its files are to `verify` and `status`, and what helps where it cannot."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from postmill.console import insights as command
from postmill.ingest.sample.write import write_sample
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.indicators import tables
from postmill.shards.run.folder import open_run
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Silent
from postmill.shards.state import status, verify
from tests.commands import paste, postmill, refused
from tests.shards.document import columns
from tests.shards.test_verify_chain import restate

DOC = (Path(__file__).resolve().parents[2] / "docs" / "insights.md").read_text()


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of invented posts that no encoder of tone has read."""
    folder = tmp_path_factory.mktemp("tone")
    write_sample(folder / "data", posts=500, influencers=26, seed=5)
    assert postmill("plan", folder / "data", folder / "run", "--images", "none") == 0
    assert postmill("ingest", folder / "run") == 0
    assert postmill("encode", folder / "run", "--encoder", "metadata") == 0
    return folder / "run"


@pytest.fixture(scope="module")
def run(packed: Path) -> Path:
    """The same, encoded, put together and shown."""
    done = Path(shutil.copytree(packed, packed.with_name("told")))
    for typed in ("encode --encoder emotion --encoder emotion-comments --models light", "insights", "report"):
        word, *rest = typed.split()
        assert postmill(word, done, *rest) == 0
    return done


def stages(run: Path) -> dict[str, tuple[int, int]]:
    return {stage.stage: (stage.done, stage.waiting) for stage in status.read(open_run(run)).stages}


def found(run: Path) -> dict[str, str]:
    """What ``verify`` finds, with what mends it."""
    return {str(of.path.relative_to(run)): of.remedy for of in verify.verify(open_run(run))}


def test_without_tone_it_names_the_command_which_works_when_pasted(packed: Path, tmp_path: Path) -> None:
    assert "insights" not in stages(packed)
    command.where_told(open_run(packed), Silent())  # nothing, as in a run without such encoders
    other = Path(shutil.copytree(packed, tmp_path / "a run"))
    error = refused("insights", other)
    assert "has no embeddings of an encoder of tone" in str(error)
    assert paste(error, {}) == 0
    assert stages(other)["insights"] == (0, 1)
    assert postmill("insights", other) == 0 and stages(other)["insights"] == (1, 0)


def test_it_says_how_much_is_told_and_that_it_is_done(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert postmill("insights", run) == 0
    said = capsys.readouterr().out
    for words in (
        r"insights: \d+ indicators, \d+ numbers of groups",
        r"insights: \d+ of \d+ effects within accounts are claimed, as associations",
        r"emotion\.\S+ could judge \d+% to \d+% of [\d,]+ posts",
        "note: The data are invented",
        r"in README\.md \(nothing to do, it says so already\)",
        f"next: postmill report {run}",
    ):
        assert re.search(words, said), words


def test_a_whole_job_does_it_where_tone_was_encoded(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.where_told(open_run(run), Silent())
    assert "(nothing to do, it says so already)" in capsys.readouterr().out


def test_a_program_is_told_the_same(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert postmill("insights", run, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["written"] is False and told["shown"] > 0 and told["effects"] >= told["claims"]
    assert {of["side"] for of in told["indicators"]} == {"content", "response"}
    assert all(of["judged"] <= of["texts"] <= of["posts"] for of in told["indicators"])
    assert told["left_out"] == [] and any("invented" in text for text in told["caveats"])


def test_the_report_shows_it_and_states_it(run: Path) -> None:
    assert '<figure id="figure-tone-engagement"' in (run / "report" / "index.html").read_text()
    stated = json.loads((run / "report" / "index.json").read_text())["inputs"]
    assert "insights" in stated
    assert found(run) == {} and stages(run)["insights"] == (1, 0)


def test_verify_knows_its_files(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "run"))
    (other / "insights" / "more.parquet").write_bytes(b"x")
    assert found(other) == {"insights/more.parquet": "move it out of the run folder"}
    (other / "insights" / "more.parquet").unlink()
    path = other / "insights" / "tone.parquet"
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(bytes(content))
    wrong = found(other)
    assert list(wrong) == ["insights/tone.parquet"] and f"postmill insights {other}" in wrong["insights/tone.parquet"]
    assert postmill("insights", other) == 0
    assert found(other) == {} and path.read_bytes() == (run / "insights" / "tone.parquet").read_bytes()


def test_what_is_made_from_other_embeddings_is_told_down_to_the_page(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "run"))
    folder = next(of.folder for of in encoders_of(open_run(other)) if of.encoder == "emotion-comments")
    path = other / "embeddings" / folder / "posts-000000.parquet"
    table = pq.read_table(path)
    column = table.column_names.index("happiness")
    none_judged = pa.nulls(len(table), table.schema.field(column).type)
    path.unlink()
    pq.write_table(table.set_column(column, table.schema.field(column), none_judged), path)
    restate(path.with_suffix(".json"), path)
    wrong = found(other)
    assert list(wrong) == ["insights/insights.json", "report/index.json"]
    for remedy in wrong.values():
        assert paste(PostmillError("as verify says", hint=remedy), {}) == 0
    assert found(other) == {}


@pytest.mark.parametrize("name", tables.ROWS)
def test_the_document_lists_the_columns_of_the_tables(name: str) -> None:
    after = DOC.partition(f"**{name}.parquet**")[2]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (yes|no) \| \S", after.partition("\n**")[0], re.MULTILINE)
    assert [(column, kind, null == "yes") for column, kind, null in rows] == columns(tables.schema(tables.ROWS[name]))
