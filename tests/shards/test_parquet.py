"""Tables: rows are found by row group, and no thread is started to read them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards import parquet


@pytest.fixture
def path(tmp_path: Path) -> Path:
    columns = {"n": range(10), "word": list("aabbccddee"), "listed": [[i] for i in range(10)]}
    with (tmp_path / "a.parquet").open("wb") as sink:
        parquet.write(sink, pa.table(columns), row_group_size=3)
    return tmp_path / "a.parquet"


def test_rows_are_found_wherever_row_groups_end(path: Path) -> None:
    assert parquet.read(path) == pq.read_table(path)
    for n in range(-1, 11):
        assert parquet.read(path, equal={"n": n})["listed"].to_pylist() == ([[n]] if 0 <= n < 10 else [])
    assert parquet.read(path, ["n", "word"], {"word": "c"}).to_pylist() == [
        {"n": 4, "word": "c"},
        {"n": 5, "word": "c"},
    ]
    assert parquet.read(path, equal={"word": "b", "n": 3})["n"].to_pylist() == [3]
    assert parquet.read(path, equal={"word": "b", "n": 4}).schema == pq.read_schema(path)


def test_rows_are_found_without_statistics_and_among_nulls(tmp_path: Path) -> None:
    table = pa.table({"n": pa.array([None, 1, None, 2], pa.int32())})
    for statistics in (True, False):
        pq.write_table(table, tmp_path / "b.parquet", row_group_size=1, write_statistics=statistics)
        assert parquet.read(tmp_path / "b.parquet", equal={"n": 2})["n"].to_pylist() == [2]


def test_a_table_is_read_by_the_calling_thread_alone(path: Path) -> None:
    """A pool of threads that cannot grow, for want of address space, makes its user wait for ever."""
    program = (
        "import sys; from pathlib import Path; import numpy, pyarrow; from shards import parquet; "
        "count = lambda: len(list(Path('/proc/self/task').iterdir())); before = count(); "
        "parquet.read(sys.argv[1], equal={'n': 3}); parquet.read(sys.argv[1]); print(count() - before)"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_row_groups_that_are_kept_give_the_same_rows_and_are_let_go_when_the_file_is_another(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    for factor in (1, 10):
        table = pa.table({"shard": [n // 7 for n in range(100)], "value": [n * factor for n in range(100)]})
        pq.write_table(table, path, row_group_size=16)
        for shard in (0, 1, 2, 1, 14, 15):
            kept = parquet.read(path, equal={"shard": shard}, keep=True)
            assert kept.equals(parquet.read(path, equal={"shard": shard}))
            assert kept["value"].to_pylist() == [n * factor for n in range(100) if n // 7 == shard]
            columns = parquet.read(path, ["shard"], {"shard": shard}, keep=True)
            assert columns.column_names == ["shard"] and columns.num_rows == kept.num_rows
