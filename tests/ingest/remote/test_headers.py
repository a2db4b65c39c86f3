"""Headers from a file: they go to the servers of the addresses, and stand nowhere."""

from __future__ import annotations

import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from postmill.ingest.remote import files, headers
from postmill.ingest.sample.write import write_sample
from postmill.shards.runtime.errors import UsageError
from tests.commands import refused
from tests.secrets import assert_hidden
from tests.web import Request, Trouble, serving

TOKEN, PASSWORD, SIGNATURE = "t0kenPLANTED", "passwPLANTED", "signPLANTED"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    yield folder
    headers.use(None)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "headers.txt"
    path.write_text(f"# of the archive\n\nAuthorization: Bearer {TOKEN}\nX-Study: engagement\n")
    path.chmod(0o600)
    return path


def only_with_token(request: Request) -> Trouble | None:
    return None if request.headers.get("Authorization") == f"Bearer {TOKEN}" else Trouble(401)


def test_a_dataset_behind_a_token_is_read_and_the_token_is_written_nowhere(
    tmp_path: Path, home: Path, token: Path
) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    write_sample(data, posts=60, influencers=5, seed=3, part_size=64 << 10)
    said = []

    def type_in(*words: object) -> int:
        command = [sys.executable, "-m", "postmill.cli", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        said.append(done.stdout + done.stderr)
        return done.returncode

    with serving(data, happens=only_with_token) as host:
        address = f"http://bob:{PASSWORD}@{host}?sig={SIGNATURE}"
        assert type_in("plan", address, run) == 1
        assert "401 Unauthorized" in said[-1] and "--header-file" in said[-1]
        assert type_in("plan", address, run, "--header-file", token) == 0
        assert type_in("ingest", run, "--workers", "2") == 0, said[-1]  # other processes, which were told nothing
        assert type_in("submit", run, "--dry-run") == 0, said[-1]
        token.unlink()
        (run / "posts" / "posts-000000.json").unlink()
        assert type_in("ingest", run) == 1 and "cannot be read" in said[-1] and "401 Unauthorized" in said[-1]
        assert type_in("status", run) == 0
        moved = tmp_path / "moved.txt"
        moved.write_text(f"Authorization: Bearer {TOKEN}\n")
        moved.chmod(0o600)
        assert type_in("ingest", run, "--header-file", moved, "--workers", "2") == 0, said[-1]
    assert_hidden([TOKEN], run, home, *said)
    assert_hidden([PASSWORD, SIGNATURE], run, *said)


def test_a_server_that_redirects_elsewhere_does_not_pass_them_on(tmp_path: Path, token: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    seen: list[Request] = []
    with serving(tmp_path, happens=lambda request: seen.append(request)) as other:  # type: ignore[func-returns-value]
        to = Trouble(302, {"Location": f"http://{other}/a"})
        with serving(tmp_path, happens=lambda request: only_with_token(request) or to) as host:
            headers.use(token)
            assert files.size(f"http://{host}/a") == 7
    assert [(request.headers.get("Authorization"), request.headers.get("X-Study")) for request in seen] == [
        (None, None)
    ]


def test_one_that_redirects_within_gets_them_again(tmp_path: Path, token: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    moved = lambda request: Trouble(302, {"Location": "/a"}) if request.path == "/b" else only_with_token(request)  # noqa: E731
    with serving(tmp_path, happens=moved) as host:
        headers.use(token)
        assert files.size(f"http://{host}/b") == 7


def test_they_go_before_what_a_netrc_has(tmp_path: Path, home: Path, token: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (home / ".netrc").write_text("machine 127.0.0.1 login bob password s3cr3t\n")
    with serving(tmp_path, happens=only_with_token) as host:
        headers.use(token)
        assert files.size(f"http://bob:s3cr3t@{host}/a") == 7


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_read_is_refused(token: Path, mode: int) -> None:
    token.chmod(mode)
    with pytest.raises(UsageError, match="others than you") as caught:
        headers.use(token)
    assert caught.value.hint is not None
    subprocess.run(shlex.split(caught.value.hint), check=True)
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    headers.use(token)
    assert headers.in_force()["X-Study"] == "engagement"


@pytest.mark.parametrize("line", ["Authorization", "Bad Name: x", "A: b\x00c", ": x", "Range: bytes=0-1", "Host: x"])
def test_a_line_that_is_no_header_is_refused_and_not_shown(token: Path, line: str) -> None:
    token.write_text(f"X-Study: a\n{line}{TOKEN}\n" if ":" not in line else f"X-Study: a\n{line}\n")
    with pytest.raises(UsageError) as caught:
        headers.use(token)
    assert TOKEN not in str(caught.value) and ("line 2" in str(caught.value) or "line 2" in (caught.value.hint or ""))


def test_a_file_that_is_not_there_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    error = refused("plan", "http://127.0.0.1:1", tmp_path / "run", "--header-file", tmp_path / "none")
    assert "cannot be read" in error.cause and not (tmp_path / "run").exists()
    assert list((tmp_path / "home").iterdir()) == []
