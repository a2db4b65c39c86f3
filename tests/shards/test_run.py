"""The pinned run folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shards import run as runs
from shards.errors import PostmillError, UsageError

SOURCES = {"images": {"parts": [["a.z01", 10], ["a.zip", 5]]}, "mapping": {"bytes": 7}}
OPTIONS = {"shard_bytes": 100, "raw": True}


def test_the_second_command_opens_what_the_first_pinned(tmp_path: Path) -> None:
    first = runs.create_or_check(tmp_path / "run", SOURCES, OPTIONS, {"images": "/a"})
    content = (tmp_path / "run" / "run.json").read_bytes()
    second = runs.create_or_check(tmp_path / "run", SOURCES, OPTIONS, {"images": "/a"})
    assert first == second == runs.open_run(tmp_path / "run")
    assert (tmp_path / "run" / "run.json").read_bytes() == content


def test_a_dataset_may_move(tmp_path: Path) -> None:
    first = runs.create_or_check(tmp_path / "run", SOURCES, OPTIONS, {"images": "/a"})
    moved = runs.create_or_check(tmp_path / "run", SOURCES, OPTIONS, {"images": "/b"})
    assert moved.fingerprint == first.fingerprint
    assert runs.open_run(tmp_path / "run").locations == {"images": "/b"}


def test_another_dataset_is_refused_with_the_field_named(tmp_path: Path) -> None:
    runs.create_or_check(tmp_path / "run", SOURCES, OPTIONS, {})
    other = {"images": {"parts": [["a.z01", 10], ["a.zip", 6]]}, "mapping": {"bytes": 7}}
    with pytest.raises(UsageError, match=r"sources\.images\.parts\[1\]\[1\]: 5, and now it is 6") as caught:
        runs.create_or_check(tmp_path / "run", other, OPTIONS, {})
    assert caught.value.hint is not None and "postmill run SOURCE NEW_RUN" in caught.value.hint


def test_other_options_are_refused(tmp_path: Path) -> None:
    runs.create_or_check(tmp_path / "run", SOURCES, OPTIONS, {})
    with pytest.raises(UsageError, match=r"options\.raw: True, and now it is False"):
        runs.create_or_check(tmp_path / "run", SOURCES, {**OPTIONS, "raw": False}, {})


def test_a_folder_with_other_things_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="neither empty nor a run folder"):
        runs.create_or_check(tmp_path, SOURCES, OPTIONS, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        runs.create_or_check(tmp_path / "run", SOURCES, OPTIONS, {})


def test_no_run_here(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run\.json"):
        runs.open_run(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}'])
def test_a_damaged_run_json_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(PostmillError) as caught:
        runs.open_run(tmp_path)
    assert caught.value.hint is not None and "new run folder" in caught.value.hint


def test_a_run_of_another_version_is_refused(tmp_path: Path) -> None:
    runs.create_or_check(tmp_path, SOURCES, OPTIONS, {})
    value = json.loads((tmp_path / "run.json").read_bytes())
    (tmp_path / "run.json").write_text(json.dumps({**value, "version": "0.0.1"}))
    with pytest.raises(UsageError, match=r"postmill 0\.0\.1") as caught:
        runs.open_run(tmp_path)
    assert caught.value.hint is not None and "pip install postmill==0.0.1" in caught.value.hint
