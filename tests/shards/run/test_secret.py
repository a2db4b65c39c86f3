"""The secret of a run: made once, readable by its owner alone, whole or not at all, and refused where it is not so."""

from __future__ import annotations

import hashlib
import hmac
import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from postmill.shards.run import pinned, publish, secret
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError
from tests.runs import new_run, plant_secret


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return new_run(tmp_path / "run")


def test_it_is_made_once_for_its_owner_alone(run: Run) -> None:
    before = os.umask(0)
    try:
        made = secret.of_run(run)
    finally:
        os.umask(before)
    path = run.folder / "secret" / "names.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_bytes() == made.key and len(made.key) == 32
    assert secret.of_run(run) == made
    assert not list(run.folder.rglob(".tmp-*"))


def test_two_runs_have_two(run: Run, tmp_path: Path) -> None:
    one, two = secret.of_run(run), secret.of_run(new_run(tmp_path / "other"))
    assert one.key != two.key and one.fingerprint != two.fingerprint


def test_workers_at_once_have_one(run: Run) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: secret.of_run(run).key, range(32)))
    assert len(set(made)) == 1


def test_who_comes_second_takes_the_first_ones(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    put_folder = publish.put_folder

    def beaten(made: Path, target: Path) -> bool:
        plant_secret(run.folder, b"f" * 32)
        return put_folder(made, target)

    monkeypatch.setattr(publish, "put_folder", beaten)
    assert secret.of_run(run).key == b"f" * 32


def test_where_the_folder_was_emptied_there_is_another(run: Run) -> None:
    made = secret.of_run(run)
    secret.path_of(run).unlink()
    assert secret.of_run(run).key != made.key


def test_its_digests_are_hmacs_that_tell_kinds_apart(run: Run) -> None:
    plant_secret(run.folder, b"k" * 32)
    of = secret.of_run(run)
    assert of.digest("post", "12") == hmac.new(b"k" * 32, b"post\x0012", hashlib.sha256).digest()
    assert of.digest("post", "12") != of.digest("account", "12")
    assert of.fingerprint == hmac.new(b"k" * 32, b"fingerprint\x00", hashlib.sha256).hexdigest()[:32]


def test_it_is_shown_nowhere(run: Run) -> None:
    made = secret.of_run(run)
    assert repr(made) == "Secret()" and made.key.hex() not in f"{made} {made!r}"


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_another_size_is_refused(run: Run, content: bytes) -> None:
    path = plant_secret(run.folder, content)
    with pytest.raises(PostmillError, match="not the 32 bytes") as caught:
        secret.of_run(run)
    assert caught.value.place == str(path) and f"rm -f -- {path}" in str(caught.value.hint)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_what_others_may_read_is_refused(run: Run, mode: int) -> None:
    path = plant_secret(run.folder)
    path.chmod(mode)
    with pytest.raises(PostmillError, match=rf"read by others \(mode {mode:04o}\)") as caught:
        secret.of_run(run)
    assert f"chmod 600 -- {path}" in str(caught.value.hint)
    path.chmod(0o600)
    assert secret.of_run(run).key == bytes(range(32))


def test_only_a_regular_file_is_read(run: Run, tmp_path: Path) -> None:
    path = plant_secret(run.folder)
    path.unlink()
    path.symlink_to(plant_secret(tmp_path / "elsewhere"))
    with pytest.raises(PostmillError, match="no regular file"):
        secret.of_run(run)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(PostmillError, match="no regular file"):
        secret.of_run(run)


def test_a_file_in_place_of_its_folder_is_refused(run: Run) -> None:
    (run.folder / "secret").write_bytes(b"")
    with pytest.raises(PostmillError):
        secret.of_run(run)


def test_a_copy_keeps_it(run: Run, tmp_path: Path) -> None:
    made = secret.of_run(run)
    shutil.copytree(run.folder, tmp_path / "copy")
    assert secret.of_run(Run(tmp_path / "copy", "", run.sources, run.options, run.locations)) == made


def test_a_folder_that_holds_it_alone_is_one_for_a_new_run(tmp_path: Path) -> None:
    plant_secret(tmp_path / "run")
    assert pinned.look(tmp_path / "run") is None
