"""What goes to a place of the user's own is there whole or not at all, and what a kill left goes with the next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from postmill.shards.run import output
from postmill.shards.runtime.errors import PostmillError, UsageError
from tests.integration.kills import resize, small_disk


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_replaces_what_was_there_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")
    path.chmod(0o600)
    with output.file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert everything(tmp_path) == {"a.csv": b"new"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "a.csv").symlink_to(tmp_path / "data" / "a.csv")
    with output.file(tmp_path / "a.csv") as file:
        file.write(b"new")
    assert (tmp_path / "a.csv").is_symlink() and everything(tmp_path / "data") == {"a.csv": b"new"}


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_exception_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")
    with pytest.raises(error), output.file(path) as file:
        file.write(b"half")
        raise error
    with pytest.raises(error), output.folder(tmp_path / "new") as folder:
        (folder / "half").touch()
        raise error
    assert everything(tmp_path) == {"a.csv": b"old"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.csv"]


def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as mounted:
        if not mounted:
            pytest.skip("mounting a small tmpfs needs root")
        disk = tmp_path / "disk"
        (disk / "a.csv").write_bytes(b"old")
        resize(disk, 64 << 10)
        with pytest.raises(PostmillError, match="No space left"), output.file(disk / "a.csv") as file:
            file.write(bytes(200_000))
        with pytest.raises(PostmillError, match="No space left"), output.folder(disk / "new") as folder:
            (folder / "data").write_bytes(bytes(200_000))
        assert everything(disk) == {"a.csv": b"old"}


def test_a_folder_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "above" / "new"
    with output.folder(target) as folder:
        (folder / "below").mkdir()
        (folder / "below" / "a").write_bytes(b"x")
        assert not target.exists()
    assert everything(tmp_path) == {"above/new/below/a": b"x"}
    assert [path.name for path in target.parent.iterdir()] == ["new"]


PROGRAM = """
import sys, time; from pathlib import Path; from postmill.shards.run import output
with output.file(Path(sys.argv[1]) / "a.csv") as file, output.folder(Path(sys.argv[1]) / "new") as folder:
    file.write(b"half"); (folder / "half").touch(); print("ready", flush=True); time.sleep(60)
"""


@pytest.mark.parametrize("following", ["file", "folder"])
def test_what_a_killed_command_left_the_next_one_removes(tmp_path: Path, following: str) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, tmp_path], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        os.kill(child.pid, signal.SIGKILL)
    (tmp_path / ".tmp-notes").touch()  # another program's
    assert len(list(tmp_path.iterdir())) == 3
    if following == "file":
        with output.file(tmp_path / "b.csv"):
            pass
    else:
        with output.folder(tmp_path / "b.csv"):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tmp-notes", "b.csv"]


def test_a_folder_that_holds_only_what_a_killed_command_left_is_empty(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, tmp_path], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        with pytest.raises(UsageError, match="not empty"):
            output.check_folder(tmp_path)
        child.kill()
    output.check_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.xlsx", "does not end in .csv or .parquet"),
        ("a", "does not end in .csv or .parquet"),
        ("no/such/a.csv", "does not exist"),
        ("file/a.csv", "is a file, not a folder"),
        ("folder.csv", "is a folder"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=words) as caught:
        output.check_file(tmp_path / name, (".csv", ".parquet"), "--output")
    assert caught.value.hint


def test_the_hint_for_a_missing_folder_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "it's new" / "a.csv"
    with pytest.raises(UsageError) as caught:
        output.check_file(path, (".csv",), "--output")
    assert caught.value.hint is not None
    subprocess.run(["sh", "-c", caught.value.hint.removeprefix("make it: ")], check=True)
    output.check_file(path, (".csv",), "--output")


def test_a_suffix_in_capitals_says_the_same(tmp_path: Path) -> None:
    output.check_file(tmp_path / "A.CSV", (".csv",), "--output")


def test_the_folder_one_is_in_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="the folder you are in") as caught, output.folder(Path()):
        pass
    assert caught.value.hint is not None and "such as new" in caught.value.hint


def test_a_mounted_disk_is_refused(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as mounted:
        if not mounted:
            pytest.skip("mounting a small tmpfs needs root")
        with pytest.raises(UsageError, match="a mounted disk"), output.folder(tmp_path / "disk"):
            pass
