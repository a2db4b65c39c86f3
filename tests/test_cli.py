"""What a user meets: messages that name cause, place and next step, and exit codes that are a contract."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample

COMMAND = [sys.executable, "-m", "postmill.cli"]


def postmill(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [*COMMAND, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, env={**_environment(), **environment})


def _environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    said = done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said and said.count("error:") == 1 and "next:" in said
    for word in words:
        assert word in said, f"{word!r} is not in {said}"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "data"
    write_sample(folder, posts=150, influencers=9, seed=1, part_size=64 << 10)
    return folder


@pytest.fixture
def data(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "data"))


def test_the_whole_job_as_the_study_did_it_and_with_another_target(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("run", data, run, "--models", "light", "--images", "none", "--study", "paper", "--target", "comments")
    done = postmill(*words)
    assert done.returncode == 0, done.stderr
    models = {f"paper-{name}{scale}-comments" for name in ("text-mlp", "fusion") for scale in ("", "-standardised")}
    assert {folder.name for folder in (run / "models").iterdir()} == models
    assert "image-mlp left out" in done.stderr and "stands in for" in done.stderr
    assert "R² of log(1 + comments)" in done.stdout
    assert done.stdout.index("random") < done.stdout.index("influencer")  # its own split first
    page = (run / "report" / "index.html").read_text()
    assert (
        "Figure 1: Predicted against true, by the study&#39;s models" in page
        and "its recipe takes 6 gradient steps" in page
    )
    refused(postmill("train", run, "--study", "paper", "--model", "history"), 2, "none of the models of the study")


def everything(folder: Path) -> dict[Path, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and "logs" not in path.parts]
    return {path: path.read_bytes() for path in files}


@pytest.mark.parametrize("archive", ["Post_images/posts_image", "Post_metadata/posts_info"])
def test_a_missing_part(data: Path, tmp_path: Path, archive: str) -> None:
    (data / f"{archive}.z01").unlink()
    done = postmill("run", data, tmp_path / "run", "--models", "light")
    assert ".z01" in done.stderr
    refused(done, 1, "missing")


def test_a_missing_last_part(data: Path, tmp_path: Path) -> None:
    (data / "Post_images" / "posts_image.zip").unlink()
    refused(postmill("run", data, tmp_path / "run", "--models", "light"), 1, "end of central directory")


def test_an_unreadable_mapping(data: Path, tmp_path: Path) -> None:
    mapping = data / "JSON-Image_files_mapping.txt"
    mapping.write_bytes(bytes(range(256)) * 50)
    refused(postmill("run", data, tmp_path / "run", "--models", "light"), 1, str(mapping))


def test_a_mapping_that_may_not_be_read_or_is_a_folder(data: Path, tmp_path: Path) -> None:
    mapping = data / "JSON-Image_files_mapping.txt"
    mapping.unlink()
    refused(postmill("plan", data, tmp_path / "run"), 2, "--mapping")
    mapping.mkdir()
    refused(postmill("plan", data, tmp_path / "run"), 2, "--mapping")


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    done = postmill("run", tmp_path / "data", tmp_path / "run", "--models", "light")
    refused(done, 2, "--metadata", "--images", "--mapping", "--influencers")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    refused(postmill("run", tmp_path / "data", tmp_path / "run", "--models", "light"), 2, "does not exist")


def test_a_name_is_shown_as_it_is(tmp_path: Path) -> None:
    name = tmp_path / "[bold]of :smile: posts[/bold]"
    refused(postmill("plan", name, tmp_path / "run"), 2, str(name))


def test_a_run_folder_of_another_dataset_is_refused_and_unharmed(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert postmill("plan", data, run).returncode == 0
    before = everything(run)
    write_sample(tmp_path / "other", posts=40, influencers=4, seed=2)
    refused(postmill("run", tmp_path / "other", run, "--models", "light"), 2, "planned with another", "new run folder")
    assert everything(run) == before


def test_an_unknown_model_is_refused_before_any_work(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    refused(postmill("run", data, run, "--models", "heavy"), 2, "'heavy'", "light")
    refused(postmill("run", data, run, "--models", "light", "--model", "texd=/m"), 2, "'texd'")
    refused(postmill("run", data, run, "--models", "light", "--device", "tpu"), 2, "'tpu'")
    refused(postmill("run", data, run, "--model", "nonsense"), 2, "nonsense")
    offline = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "no-cache")}
    refused(postmill("run", data, run, **offline), 1, "--models light", "--model ")
    assert not run.exists()


def test_the_hub_out_of_reach_names_the_two_ways_out_and_keeps_the_shards(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert postmill("plan", data, run).returncode == 0
    assert postmill("ingest", run).returncode == 0
    before = everything(run)
    done = postmill("encode", run, HF_ENDPOINT="http://127.0.0.1:9", HF_HOME=str(tmp_path / "no-cache"))
    refused(done, 1, "--models light", "--model ")
    assert everything(run) == before


def test_commands_before_their_time(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    refused(postmill("ingest", run), 2, "postmill plan SOURCE")
    assert postmill("plan", data, run).returncode == 0
    refused(postmill("train", run), 2, "postmill")
    refused(postmill("ingest", run, "--stage", "windows"), 1, "--stage metadata")


def test_wrong_usage_exits_with_2(tmp_path: Path) -> None:
    assert postmill("ingest").returncode == 2
    assert postmill("nonsense").returncode == 2
    assert postmill("ingest", tmp_path, "--stage", "nonsense").returncode == 2
    refused(postmill("ingest", tmp_path), 2, "not a run folder")


@pytest.mark.parametrize(
    ("option", "value", "known"),
    [("--parts", "z99", "posts_image.z01"), ("--shards", "9999", "post shards 0 to"), ("--shards", "3-1", "backwards")],
)
def test_ranges_of_what_there_is_not_are_refused_before_anything_is_read(
    data: Path, tmp_path: Path, option: str, value: str, known: str
) -> None:
    run = tmp_path / "run"
    assert postmill("plan", data, run, "--shard-size", 1).returncode == 0
    refused(postmill("ingest", run, option, value), 2, option, known)
    assert not (run / "spool").exists() and not (run / "posts").exists()


def test_a_run_with_nearly_this_name_is_named(data: Path, tmp_path: Path) -> None:
    assert postmill("plan", data, tmp_path / "run").returncode == 0
    refused(
        postmill("status", tmp_path / "runn"),
        2,
        f"{tmp_path / 'runn'}: does not exist",
        f"did you mean {tmp_path / 'run'}?",
    )


def test_progress_counts_nothing_that_was_done_before(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert postmill("plan", data, run).returncode == 0
    assert "3 of 3 windows in " in postmill("ingest", run, "--stage", "metadata").stderr
    again = postmill("ingest", run, "--stage", "metadata").stderr
    assert "nothing to do, 3 of 3 windows done before" in again and " windows/" not in again and " posts/" not in again


def test_shares_must_make_sense(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert postmill("plan", data, run).returncode == 0
    refused(postmill("ingest", run, "--task", "3/3"), 2, "'3/3'")


def test_more_faults_than_allowed_exit_with_3_when_the_work_is_done(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert postmill("plan", data, run, "--max-faults", "1000").returncode == 0
    faults = len(postmill("faults", run, "--csv").stdout.splitlines()) - 1
    assert postmill("plan", data, run, "--max-faults", faults).returncode == 0
    done = postmill("plan", data, run, "--max-faults", faults - 1)
    assert done.returncode == 3 and f"faults: {faults};" in done.stdout and "postmill faults" in done.stdout
    done = postmill("ingest", run, "--max-faults", "0")
    assert done.returncode == 3 and postmill("verify", run).returncode == 0
    assert postmill("plan", data, run, "--max-faults", "-1").returncode == 2


def test_faults_are_shown_and_written_as_csv(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert postmill("plan", data, run).returncode == 0
    assert "metadata_missing" in postmill("faults", run).stdout
    csv = postmill("faults", run, "--csv").stdout.splitlines()
    columns = "unit,reason,post_lost,influencer,post_id,archive,entry,line,detail,post_waits"
    assert csv[0] == f"{columns},seen_place,seen_bytes,seen_hash"
    assert any(row.startswith("plan,metadata_missing,True,") for row in csv)
    assert postmill("faults", run, "--csv", LC_ALL="POSIX", PYTHONUTF8="0").stdout.splitlines() == csv
    (run / "plan" / "plan.json").unlink()
    refused(postmill("faults", run, "--csv"), 2, "no finished plan")


def test_verify_finds_a_flipped_byte(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert postmill("plan", data, run).returncode == 0
    assert postmill("ingest", run).returncode == 0
    assert postmill("verify", run).returncode == 0
    tar = run / "posts" / "posts-000000.tar"
    content = bytearray(tar.read_bytes())
    content[len(content) // 2] ^= 1
    tar.write_bytes(content)
    done = postmill("verify", run)
    refused(done, 1)
    assert "posts-000000.tar: BLAKE3 differs" in done.stderr


def test_the_version_and_help_for_every_command() -> None:
    assert postmill("--version").stdout.strip() == "0.1.0"
    for command in ("sample", "run", "plan", "ingest", "encode", "train", "predict", "report", "faults", "verify"):
        done = postmill(command, "--help")
        assert done.returncode == 0 and "Example" in done.stdout
