"""What was tried and failed binds nobody: the source is put right, and the same command again does its work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postmill.ingest.remote import patience
from postmill.ingest.sample.write import write_sample
from postmill.shards.formats import plan
from postmill.shards.run import folder as runs
from postmill.shards.runtime.processes import this_process
from tests.commands import paste, postmill, refused
from tests.web import serving

MAPPING, INFLUENCERS = "JSON-Image_files_mapping.txt", "influencers.txt"
METADATA, IMAGES = "Post_metadata", "Post_images"
Spoil = Callable[[Path, Path], None]  # the data, and other data


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("first")
    for number, name in enumerate(("data", "other")):
        write_sample(folder / name, posts=60, influencers=5, seed=number, part_size=64 << 10)
    return folder / "data", folder / "other"


@pytest.fixture
def data(datasets: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(datasets[0], tmp_path / "data"))


def the_last_numbered_parts(data: Path, other: Path) -> None:
    for path in sorted((data / IMAGES).glob("*.z*"))[-3:-1]:
        path.unlink()


def a_middle_part(data: Path, other: Path) -> None:
    sorted((data / IMAGES).glob("*.z0*"))[1].unlink()


def the_last_part(data: Path, other: Path) -> None:
    (data / IMAGES / "posts_image.zip").unlink()


def half_of_the_last_part(data: Path, other: Path) -> None:
    last = data / METADATA / "posts_info.zip"
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])


def an_empty_influencers_file(data: Path, other: Path) -> None:
    (data / INFLUENCERS).write_bytes(b"\n\n")


def another_mapping(data: Path, other: Path) -> None:
    shutil.copyfile(other / MAPPING, data / MAPPING)


def no_mapping(data: Path, other: Path) -> None:
    (data / MAPPING).write_bytes(b"")


def another_zip(data: Path, other: Path) -> None:
    shutil.rmtree(data / METADATA)
    shutil.copytree(other / METADATA, data / METADATA)


SPOILED = [
    the_last_numbered_parts,
    a_middle_part,
    the_last_part,
    half_of_the_last_part,
    an_empty_influencers_file,
    another_mapping,
    no_mapping,
    another_zip,
]


@pytest.mark.parametrize("spoil", SPOILED)
def test_a_first_call_that_fails_binds_nobody(
    data: Path, datasets: tuple[Path, Path], tmp_path: Path, spoil: Spoil
) -> None:
    run = tmp_path / "run"
    spoil(data, datasets[1])
    refused("plan", data, run)
    assert not run.exists()
    shutil.rmtree(data)
    shutil.copytree(datasets[0], data)
    assert postmill("plan", data, run) == 0
    assert plan.counts(runs.open_run(run)).planned_posts > 0


def test_a_server_that_refuses_too_long_binds_nobody(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, refusals = tmp_path / "run", iter([429] * 3)
    monkeypatch.setattr(patience, "LIMIT_S", 0)

    def busy(path: str, query: str, authorization: str) -> int:
        return next(refusals, 200) if path.endswith(".zip") else 200

    with serving(data, busy) as host:
        words = ["plan", data, run, "--images", f"http://{host}/{IMAGES}/posts_image.zip"]
        assert "429" in refused(*words).cause
        assert not run.exists()
        for _ in refusals:  # the hour is over
            pass
        assert postmill(*words) == 0


@pytest.mark.parametrize("first", [["--strict"], ["--shard-size", "1"], ["--no-raw"], ["--max-entry", "1"]])
def test_options_of_a_plan_that_nothing_was_made_of_may_be_others(
    data: Path, tmp_path: Path, first: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    assert postmill("plan", data, run, *first) == 0
    before = runs.open_run(run).options
    caplog.set_level("INFO")
    assert postmill("plan", data, run, "--shard-size", "3", "--no-strict", "--raw", "--max-entry", "64") == 0
    assert runs.open_run(run).options != before
    assert "is planned anew with" in caplog.text and " ".join(first) in caplog.text
    assert postmill("ingest", run) == 0


def test_what_the_run_knows_need_not_be_typed_again(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert postmill("plan", data, run, "--shard-size", "2", "--no-raw") == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for words in (["plan", data, run], ["plan", run], ["plan", run, "--shard-size", "2"]):
        assert postmill(*words) == 0
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_other_options_of_a_run_that_was_worked_on_are_refused_as_they_were_typed(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    postmill("plan", data, run, "--shard-size", "2")
    postmill("ingest", run, "--stage", "metadata")
    error = refused("plan", data, run, "--shard-size", "3", "--strict")
    assert "planned with --shard-size 2 --no-strict, and now it is --shard-size 3 --strict" in error.cause
    assert paste(error, {"SOURCE": data, "NEW_RUN": tmp_path / "new"}) == 0


def test_other_sources_are_refused_in_words(data: Path, datasets: tuple[Path, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    postmill("plan", data, run)
    error = refused("plan", datasets[1], run)
    assert "another metadata archive" in error.cause and "sha256" not in error.cause
    assert paste(error, {"SOURCE": datasets[1], "NEW_RUN": tmp_path / "new"}) == 0


@pytest.mark.parametrize("worked_on", [False, True])
def test_a_mapping_that_was_changed_in_its_middle_is_another_one(data: Path, tmp_path: Path, worked_on: bool) -> None:
    run = tmp_path / "run"
    postmill("plan", data, run)
    if worked_on:
        postmill("ingest", run)
    mapping = data / MAPPING
    content = bytearray(mapping.read_bytes())
    middle = content.index(b".jpg", len(content) // 2)
    content[middle - 1] ^= 1
    mapping.write_bytes(content)
    assert "another mapping file: as long as it was" in refused("plan", data, run).cause
    assert postmill("verify", run) == 0 if worked_on else True  # which reads no source


def test_two_plans_of_different_sources_at_once_give_one_run(
    data: Path, datasets: tuple[Path, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "postmill.cli", "plan"]
    both = [
        subprocess.Popen([*command, source, run], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for source in (data, datasets[1])
    ]
    said = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], said
    assert "Traceback" not in "".join(said)
    assert plan.counts(runs.open_run(run)).planned_posts > 0


def kills() -> Iterator[int]:
    """After how many writes into a folder the command is killed."""
    yield from range(1, 40, 4)


def test_a_plan_that_is_killed_anywhere_is_made_by_the_same_command(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    program = (
        "import os, sys\n"
        "left = int(sys.argv.pop(1))\n"
        "def watch(event, arguments):\n"
        "    global left\n"
        "    if event in ('os.rename', 'os.mkdir', 'os.remove') or event == 'open' and arguments[2] & os.O_CREAT:\n"
        "        left -= 1\n"
        "        if left == 0: os.kill(os.getpid(), 9)\n"
        "import postmill.cli, postmill.ingest.plan.make, fsspec\n"
        "sys.addaudithook(watch)\n"
        "postmill.cli.app(sys.argv[1:])\n"
    )
    for writes in kills():
        words = [sys.executable, "-c", program, str(writes), "plan", data, run]
        code = subprocess.run(words, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode
        assert code in (0, -9)
        if (run / "run.json").exists():
            assert plan.counts(runs.open_run(run)).planned_posts > 0
        if code == 0:
            break
    assert postmill("plan", data, run) == 0
    assert [path.name for path in run.iterdir() if path.name.startswith(".tmp-")] == []


def test_what_a_plan_left_that_was_killed_after_its_last_step_is_removed_by_the_next(
    data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    postmill("plan", data, run)
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = run / f".tmp-scratch-{this_process().machine}-{gone.pid}-1-0123abcd"
    left.mkdir()
    (left / "tables").write_bytes(b"\0" * 4096)
    assert postmill("plan", data, run) == 0
    assert not left.exists()


@pytest.mark.parametrize("lost", [["run.json"], ["run.json", "plan/plan.json"], ["run.json", "plan/posts.parquet"]])
@pytest.mark.parametrize("worked_on", [False, True])
def test_a_lost_run_json_is_written_again(data: Path, tmp_path: Path, lost: list[str], worked_on: bool) -> None:
    run = tmp_path / "run"
    postmill("plan", data, run)
    if worked_on:
        postmill("ingest", run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for name in lost:
        (run / name).unlink()
    assert paste(refused("verify", run), {"SOURCE": data}) == 0
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_damaged_run_json_is_written_again_with_the_options_of_before(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    postmill("plan", data, run, "--shard-size", "2")
    postmill("ingest", run)
    before = (run / "run.json").read_bytes()
    (run / "run.json").write_bytes(before.replace(b"2097152", b"3145728"))
    assert paste(refused("verify", run), {"SOURCE": data}) == 0
    assert (run / "run.json").read_bytes() == before


def test_a_lost_run_json_is_not_made_up_from_other_sources(
    data: Path, datasets: tuple[Path, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    postmill("plan", data, run)
    postmill("ingest", run)
    (run / "run.json").unlink()
    assert "another metadata archive" in refused("plan", datasets[1], run).cause
    (run / "plan" / "plan.json").unlink()
    assert "work of a run of other sources" in refused("plan", datasets[1], run).cause
    assert not (run / "run.json").exists()
