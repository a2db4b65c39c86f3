"""Counts that do not fit, what is not done yet, and the remedies: each is one that mends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postmill.ingest.pack.stages import ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.source.layout import discover
from postmill.shards.formats import plan
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.run import folder as runs
from postmill.shards.run import manifests, sealed
from postmill.shards.run.options import Options
from postmill.shards.state.verify import check_counts, verify
from tests.shards.whole_runs import digests, discrepancies, everything, named, replace


def restated(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    path = folder / name
    value = sealed.unseal(path.read_bytes())
    change(value)
    replace(path, sealed.json_bytes(sealed.seal(value)))
    return path


def test_the_counts_identity(folder: Path) -> None:
    assert list(check_counts(runs.open_run(folder))) == []

    def one_more(value: dict[str, Any]) -> None:
        value["counts"]["mapped_posts"] += 1

    restated(folder, "plan/plan.json", one_more)
    mapped = manifests.read(folder / "plan", "plan").counts["mapped_posts"]  # type: ignore[union-attr]
    (discrepancy,) = check_counts(runs.open_run(folder))
    assert f"{mapped} mapped posts are not" in discrepancy.what
    assert folder / "plan" / "plan.json" in named(folder)


def test_posts_of_a_shard_and_lost_ones_are_those_planned(folder: Path) -> None:
    def one_less(value: dict[str, Any]) -> None:
        value["counts"]["posts"] -= 1

    path = restated(folder, "posts/posts-000001.json", one_less)
    (discrepancy, total) = check_counts(runs.open_run(folder))
    assert discrepancy.path == path and "planned" in discrepancy.what and "mapped posts" in total.what


def test_embeddings_of_another_encoder_are_found(folder: Path) -> None:
    def another(value: dict[str, Any]) -> None:
        value["precision"] = "float8"

    restated(folder, "embeddings/metadata/encoder.json", another)
    assert {path.name for path in named(folder)} == {path.name for path in (folder / "posts").glob("posts-*.json")}


def test_what_is_not_done_yet_is_said_with_the_command_that_does_it(source: Path, tmp_path: Path) -> None:
    run, _ = make_plan(discover(str(source)), tmp_path / "run", Options(shard_bytes=1 << 20))
    found = discrepancies(run.folder)
    assert {discrepancy.path.parent for discrepancy in found[:-1]} == {run.spool, run.posts}
    assert {discrepancy.remedy for discrepancy in found} == {f"postmill ingest {run.word}"}
    assert "mapped posts wait" in found[-1].what


def test_the_remedies_make_the_same_bytes_again(source: Path, pristine: Path, folder: Path) -> None:
    wrong = (
        "plan/entries.parquet",
        "spool/metadata-000000.spool",
        "posts/posts-000001.tar",
        "spool/window-000000.json",
        "posts/index.json",
        "embeddings/metadata/encoder.json",
        "embeddings/metadata/posts-000000.npy",
        "embeddings/sentiment/posts-000002.parquet",
        "models/followers/predictions.parquet",
        "report/index.html",
    )
    wrong = tuple(name.replace("sentiment/", f"{_folder_of(pristine, 'sentiment')}/") for name in wrong)
    for name in wrong:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 4
        replace(folder / name, bytes(content))
    found = {discrepancy.path: discrepancy.remedy for discrepancy in discrepancies(folder)}
    assert set(found) == {folder / name for name in wrong}
    for path, remedy in found.items():
        delete, _, command = remedy.rpartition("; ")
        assert delete in ("", f"rm -f -- {path}") and command.startswith("postmill ")
        if delete:
            path.unlink()
    everything(source, folder)
    assert discrepancies(folder) == []
    assert digests(folder) == digests(pristine)


def _folder_of(run: Path, encoder: str) -> str:
    (found,) = (each.folder for each in encoders_of(runs.open_run(run)) if each.encoder == encoder)
    return found


def test_the_command_names_the_file_and_what_mends_it_and_exits_with_1(folder: Path) -> None:
    path = folder / "posts" / "faults" / "000001.parquet"
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    replace(path, bytes(content))
    done = subprocess.run([sys.executable, "-m", "postmill.cli", "verify", str(folder)], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{path}: BLAKE3 differs from the manifest's" in done.stderr
    assert f"mend: rm -f -- {path}; postmill ingest {folder}" in done.stderr and "1 things are wrong" in done.stderr


def test_the_lists_of_shards_are_written_anew_where_they_differ(folder: Path) -> None:
    index = folder / "posts" / "index.json"
    held = index.read_bytes()
    replace(index, held.replace(b'"nsamples": 6', b'"nsamples": 7'))
    run = runs.open_run(folder)
    assert [discrepancy.path for discrepancy in verify(run)] == [index]
    list(ingest(run))
    assert index.read_bytes() == held


def test_bytes_read_are_told_to_the_progress(pristine: Path) -> None:
    from postmill.shards.runtime.progress import Silent

    told: list[int] = []

    class Counting(Silent):
        @contextmanager
        def track(self, label: str, total: int | None, unit: str = "") -> Iterator[Callable[[int], None]]:
            told.append(total or 0)
            yield lambda n: told.append(-n)

    run = runs.open_run(pristine)
    assert list(verify(run, Counting())) == []
    assert sum(told) == 0 and told[0] > sum(path.stat().st_size for path in run.posts.glob("*.tar"))
    assert len(plan.shards(run)) > 1
