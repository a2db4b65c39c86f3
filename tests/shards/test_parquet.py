"""Tables: rows are found by row group, and no thread is started to read them."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from postmill.shards.run import parquet
from postmill.shards.run.manifests import FileState
from postmill.shards.run.temporary import HashingFile
from postmill.shards.runtime.errors import PostmillError


def written(path: Path, table: pa.Table, row_group_size: int, *, statistics: bool = True) -> FileState:
    """Write ``table`` as a run's tables are that are read in places; return what a manifest states of it."""
    file = HashingFile(path, in_places=True)
    pq.write_table(table, file, row_group_size=row_group_size, write_statistics=statistics)
    state = file.finish()
    file.temporary.replace(path)
    return state


def rows(path: Path, state: FileState, equal: parquet.Equal) -> pa.Table:
    return parquet.rows_equal(path, state, "postmill plan run", equal)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.parquet"


@pytest.fixture
def state(path: Path) -> FileState:
    columns = {"n": range(10), "word": list("aabbccddee"), "listed": [[i] for i in range(10)]}
    return written(path, pa.table(columns), 3)


def test_rows_are_found_wherever_row_groups_end(path: Path, state: FileState) -> None:
    assert parquet.read(path) == pq.read_table(path) == rows(path, state, {})
    for n in range(-1, 11):
        assert rows(path, state, {"n": n})["listed"].to_pylist() == ([[n]] if 0 <= n < 10 else [])
    assert rows(path, state, {"word": "c"}).select(["n", "word"]).to_pylist() == [
        {"n": 4, "word": "c"},
        {"n": 5, "word": "c"},
    ]
    assert rows(path, state, {"word": "b", "n": 3})["n"].to_pylist() == [3]
    for nothing in ({"word": "b", "n": 4}, {"n": 99}):
        assert rows(path, state, nothing).schema == pq.read_schema(path)


def test_rows_are_found_without_statistics_and_among_nulls(tmp_path: Path) -> None:
    table = pa.table({"n": pa.array([None, 1, None, 2], pa.int32())})
    for statistics in (True, False):
        path = tmp_path / f"{statistics}.parquet"
        state = written(path, table, 1, statistics=statistics)
        assert rows(path, state, {"n": 2})["n"].to_pylist() == [2]
        assert rows(path, replace(state, blocks=()), {"n": 2})["n"].to_pylist() == [2]  # of a run of format 2


def test_a_table_is_read_by_the_calling_thread_alone(path: Path, state: FileState) -> None:
    """A pool of threads that cannot grow, for want of address space, makes its user wait for ever."""
    program = (
        "import sys; from pathlib import Path; import numpy, pyarrow; from postmill.shards.run import parquet; "
        "from postmill.shards.run.manifests import FileState; "
        "count = lambda: len(list(Path('/proc/self/task').iterdir())); before = count(); "
        "path, state = Path(sys.argv[1]), FileState(int(sys.argv[2]), sys.argv[3], tuple(sys.argv[4:])); "
        "parquet.rows_equal(path, state, '', {'n': 3}); parquet.read(path); parquet.read_checked(path, state, ''); "
        "print(count() - before)"
    )
    words = [sys.executable, "-c", program, path, str(state.bytes), state.blake3, *state.blocks]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_row_groups_that_are_kept_give_the_same_rows_and_are_let_go_when_the_file_is_another(path: Path) -> None:
    for factor in (1, 10):
        table = pa.table({"shard": [n // 7 for n in range(100)], "value": [n * factor for n in range(100)]})
        state = written(path, table, 16)
        for shard in (0, 1, 2, 1, 14, 15):
            kept = rows(path, state, {"shard": shard})
            assert kept["value"].to_pylist() == [n * factor for n in range(100) if n // 7 == shard]


def test_no_byte_is_used_that_the_manifest_does_not_state(tmp_path: Path) -> None:
    """Not of the pages, of which Parquet knows checksums, nor of their headers and the footer, of which it has none."""
    whole = tmp_path / "whole.parquet"
    table = pa.table({"n": range(60_000), "noise": [random.Random(n).randbytes(40) for n in range(60_000)]})
    state = written(whole, table, 10_000)
    content = whole.read_bytes()
    assert len(state.blocks) == 3
    chance = random.Random(1)
    noticed = 0
    for trial in range(60):
        path = tmp_path / f"{trial}.parquet"  # of another name: what is kept is kept by name and hash
        flipped = bytearray(content)
        flipped[chance.choice([chance.randrange(len(content)), len(content) - 1 - chance.randrange(4000)])] ^= 1
        path.write_bytes(flipped)
        try:
            assert rows(path, state, {"n": 35_000}).equals(table.slice(35_000, 1))
        except PostmillError as error:
            noticed += 1
            assert "is damaged" in error.cause and error.hint == f"rm -f -- {path}; postmill plan run"
    assert 30 < noticed < 60  # what lies in row groups that are not asked for is not read


@pytest.mark.parametrize(
    "error",
    [
        OSError("Couldn't deserialize thrift: std::bad_alloc"),
        pa.ArrowInvalid("std::bad_alloc"),
        pa.ArrowMemoryError("x"),
    ],
)
def test_want_of_memory_is_not_told_as_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def opened(*arguments: object, **options: object) -> pq.ParquetFile:
        raise error

    monkeypatch.setattr(pq, "ParquetFile", opened)
    with pytest.raises(MemoryError):
        parquet.read(tmp_path / "a.parquet")
