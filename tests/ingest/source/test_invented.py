"""Invented data are known for what they are: by their mark, however they are named, and by the run ever after."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from postmill.shards.run import folder as runs
from postmill.shards.run.sources import INVENTED_MARK, INVENTED_SENTENCE
from tests.commands import postmill, refused
from tests.web import serving

NAMED = {
    "metadata": "Post_metadata/posts_info.zip",
    "images": "Post_images/posts_image.zip",
    "mapping": "JSON-Image_files_mapping.txt",
    "influencers": "influencers.txt",
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("invented") / "data"
    write_sample(folder, posts=60, influencers=5, part_size=64 << 10)
    return folder


@pytest.fixture
def data(sample: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sample, tmp_path / "data"))


def options(root: object) -> list[str]:
    return [f"--{name}={root}/{place}" for name, place in NAMED.items()]


def test_the_mark_says_how_the_data_were_made(data: Path, tmp_path: Path) -> None:
    sentence, made = (data / INVENTED_MARK).read_text().splitlines()
    assert sentence == INVENTED_SENTENCE
    words = made.removeprefix("They were made by: postmill ").split()
    assert postmill(*(tmp_path / "again" if word == "FOLDER" else word for word in words)) == 0
    assert (tmp_path / "again/truth.parquet").read_bytes() == (data / "truth.parquet").read_bytes()


def test_a_run_of_a_folder_says_so_everywhere(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    postmill("plan", data, run)
    assert "the data are invented" in " ".join(capsys.readouterr().out.split())
    assert runs.open_run(run).invented
    postmill("status", run)
    assert "the data are invented" in " ".join(capsys.readouterr().out.split())
    postmill("status", run, "--json")
    assert json.loads(capsys.readouterr().out)["invented"] is True
    postmill("inspect", data)
    assert "the data are invented" in capsys.readouterr().out
    postmill("inspect", data, "--json")
    assert json.loads(capsys.readouterr().out)["invented"] is True


def test_without_the_mark_nothing_is_said(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / INVENTED_MARK).unlink()
    postmill("inspect", data)
    postmill("plan", data, tmp_path / "run")
    postmill("status", tmp_path / "run")
    assert "invented" not in capsys.readouterr().out
    assert not runs.open_run(tmp_path / "run").invented
    assert "invented" not in (tmp_path / "run/run.json").read_text()


def test_sources_named_one_by_one_are_marked_too(data: Path, tmp_path: Path) -> None:
    postmill("plan", tmp_path / "run", *options(data))
    assert runs.open_run(tmp_path / "run").invented


@pytest.mark.parametrize("kept", NAMED)
def test_one_source_in_its_place_is_enough(data: Path, tmp_path: Path, kept: str) -> None:
    apart = Path(shutil.copytree(data, tmp_path / "apart"))
    (apart / INVENTED_MARK).unlink()
    places = {name: f"--{name}={data if name == kept else apart}/{place}" for name, place in NAMED.items()}
    postmill("plan", tmp_path / "run", *places.values())
    assert runs.open_run(tmp_path / "run").invented


def test_addresses_are_asked_for_the_mark(data: Path, tmp_path: Path) -> None:
    with serving(data) as address:
        postmill("plan", f"http://{address}", tmp_path / "run")
        postmill("plan", tmp_path / "named", *options(f"http://{address}"))
    assert runs.open_run(tmp_path / "run").invented and runs.open_run(tmp_path / "named").invented


def test_a_server_that_answers_to_any_name_marks_nothing(data: Path, tmp_path: Path) -> None:
    (data / INVENTED_MARK).write_text("<!DOCTYPE html><title>Welcome</title>")
    with serving(data) as address:
        postmill("plan", f"http://{address}", tmp_path / "run")
    assert not runs.open_run(tmp_path / "run").invented


def test_a_server_that_refuses_the_name_marks_nothing(data: Path, tmp_path: Path) -> None:
    def allows(path: str, query: str, authorization: str) -> int:
        return 403 if path.endswith(INVENTED_MARK) else 200

    with serving(data, allows) as address:
        postmill("plan", f"http://{address}", tmp_path / "run")
    assert not runs.open_run(tmp_path / "run").invented


def test_the_run_remembers_when_the_mark_is_gone(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    postmill("plan", data, run)
    (data / INVENTED_MARK).unlink()
    postmill("plan", data, run, "--no-raw")  # planned anew
    assert runs.open_run(run).invented
    postmill("ingest", run)
    postmill("plan", data, run)
    assert runs.open_run(run).invented


def test_a_mark_that_comes_later_is_another_dataset(data: Path, tmp_path: Path) -> None:
    mark = (data / INVENTED_MARK).read_text()
    (data / INVENTED_MARK).unlink()
    postmill("plan", data, tmp_path / "run")
    (data / INVENTED_MARK).write_text(mark)
    postmill("plan", data, tmp_path / "run")  # the same plan
    error = refused("plan", data, tmp_path / "run", "--no-raw")
    assert "it was not marked as invented, and now it is marked" in error.cause
