"""Pictures that are not what their name says: told wherever faults are told, and borne by who reads the shards."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from postmill.shards.formats import faults
from postmill.shards.run import folder as runs
from postmill.shards.runtime.errors import PostmillError
from tests.commands import postmill, refused
from tests.datasets import info, write_dataset

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"
BROKEN = {
    "2": (b"<!DOCTYPE html><html><body>Please wait a few minutes</body></html>", "image_unreadable"),
    "3": (b"GIF89a" + bytes(50), "image_unreadable"),
    "4": (b"", "image_empty"),
}


@pytest.fixture
def folder(tmp_path: Path, make_jpeg: Callable[..., bytes]) -> Path:
    """A run of six posts: of 2 to 4 the picture is none, of 5 the second is cut short, and 1 and 6 are whole."""
    pictures = {f"ann-{n}.jpg": make_jpeg(n) for n in (1, 5, 6)}
    pictures |= {f"ann-{post}.jpg": content for post, (content, _) in BROKEN.items()}
    pictures["ann-5b.jpg"] = make_jpeg(7)[:700]
    rows = [("ann", str(n), [f"{n}.jpg", *(["5b.jpg"] if n == 5 else [])]) for n in range(1, 7)]
    write_dataset(tmp_path / "data", {f"ann-{n}.info": info(str(n)) for n in range(1, 7)}, pictures, rows)
    assert postmill("plan", tmp_path / "data", tmp_path / "run") == postmill("ingest", tmp_path / "run") == 0
    return tmp_path / "run"


def encode(folder: Path) -> int:
    return postmill("encode", folder, "--models", "light", "--encoder", "image", "--device", "cpu")


def page(folder: Path) -> str:
    assert postmill("report", folder) == 0
    return re.sub(r"<[^>]+>|\s+", " ", (folder / "report" / "index.html").read_text())


def test_they_are_in_the_ledger_and_on_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = page(folder)
    assert "Nothing was wrong with the input, as far as it was looked at" in before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert encode(folder) == 0
    assert "4 pictures are of no use" in capsys.readouterr().out
    run = runs.open_run(folder)
    assert [(row.reason, row.faults, row.lost) for row in faults.count_faults(run)] == [
        ("image_unreadable", 2, 0),
        ("image_empty", 1, 0),
        ("image_damaged", 1, 0),
    ]
    assert faults.total_faults(run) == 4
    after = page(folder)
    assert "Nothing was wrong" not in after and "image unreadable 2 0" in re.sub(r"\s+", " ", after)
    capsys.readouterr()
    assert postmill("faults", folder, "--csv") == 0
    rows = {row["post_id"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert {post: row["reason"] for post, row in rows.items()} == {
        **{post: reason for post, (_, reason) in BROKEN.items()},
        "5": "image_damaged",
    }
    assert rows["5"]["detail"] == "5b.jpg of the mapping, 5.1.jpg" and rows["5"]["influencer"] == "ann"
    assert postmill("verify", folder) == 0


def test_several_encoders_find_the_same_and_it_counts_once(folder: Path, clip_folder: Path) -> None:
    assert encode(folder) == 0
    assert postmill("encode", folder, "--model", f"image={clip_folder}", "--encoder", "image", "--device", "cpu") == 0
    assert len(list((folder / "embeddings").glob("*/faults/*.parquet"))) == 2
    assert faults.total_faults(runs.open_run(folder)) == 4
    assert sum(len(table) for _, table in faults.tables(runs.open_run(folder), 1)) == 4
    assert postmill("verify", folder) == 0


@pytest.mark.parametrize("spoil", ["flip", "remove", "add"])
def test_verify_knows_their_table(folder: Path, spoil: str) -> None:
    assert encode(folder) == 0
    (table,) = (folder / "embeddings").glob("*/faults/*.parquet")
    if spoil == "add":
        table.with_name("000007.parquet").write_bytes(table.read_bytes())
    elif spoil == "remove":
        table.unlink()
    else:
        content = bytearray(table.read_bytes())
        content[len(content) // 2] ^= 1
        table.chmod(0o644)
        table.write_bytes(content)
    assert "1 things are wrong" in refused("verify", folder).cause
    if spoil == "flip":
        with pytest.raises(PostmillError, match="damaged"):
            list(faults.tables(runs.open_run(folder), 1))


def test_the_snippet_of_the_documentation_reads_the_posts_that_can_be_read(folder: Path) -> None:
    code = re.search(r"```python\nimport webdataset\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert code is not None
    seen: list[str] = []
    program = code[1].replace("RUN", str(folder)).replace('post["__key__"],', 'seen.append(post["__key__"]),')
    exec(f"import webdataset\n{program}", {"seen": seen})
    assert sorted(seen) == ["1", "6"]
