"""Addresses that take a signature or a password: read, found again, and never written or said with it."""

from __future__ import annotations

import base64
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from postmill.ingest.source import credentials
from postmill.shards.run import folder as runs
from tests.commands import paste, postmill, refused
from tests.web import serving

SECRET = "s3cr3tTOKEN"
MAPPING, INFLUENCERS = "JSON-Image_files_mapping.txt", "influencers.txt"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secret") / "data"
    write_sample(folder, posts=60, influencers=5, seed=3, part_size=64 << 10)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def signatures() -> set[str]:
    """Those that the server takes."""
    return {SECRET}


@pytest.fixture
def signed(data: Path, signatures: set[str]) -> Iterator[str]:
    with serving(data, lambda path, query, _: 200 if query.removeprefix("sig=") in signatures else 403) as host:
        yield host


def words_of(host: str, secret: str, user: str = "") -> list[str]:
    """The sources below `host` as options, each signed."""
    places = {
        "--metadata": "Post_metadata/posts_info.zip",
        "--images": "Post_images/posts_image.zip",
        "--mapping": MAPPING,
        "--influencers": INFLUENCERS,
    }
    return [word for option, path in places.items() for word in (option, f"http://{user}{host}/{path}{secret}")]


def written(run: Path) -> bytes:
    return b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())


def test_a_signature_is_read_with_and_written_nowhere_in_the_run(
    signed: str, tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    assert postmill("plan", run, *words_of(signed, f"?sig={SECRET}")) == 0
    assert postmill("ingest", run) == 0
    said = capfd.readouterr()
    assert SECRET.encode() not in written(run) and SECRET not in said.out + said.err + caplog.text
    assert [name for name, _ in runs.open_run(run).sources.images.parts][-1] == "posts_image.zip"
    (kept,) = (home / credentials.FOLDER).iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_a_run_is_found_again_with_another_signature_and_below_an_address(
    signed: str, signatures: set[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    postmill("plan", run, *words_of(signed, f"?sig={SECRET}"))
    before = written(run)
    signatures.clear()
    signatures.add("fresh")
    assert postmill("plan", f"http://{signed}?sig=fresh", run) == 0
    assert written(run) == before
    assert postmill("ingest", run) == 0


def test_what_has_expired_is_asked_for_with_the_command_that_gives_it(
    signed: str, signatures: set[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    postmill("plan", run, *words_of(signed, f"?sig={SECRET}"))
    signatures.clear()
    signatures.add("fresh")
    error = refused("ingest", run)
    assert "may not be read" in error.cause and SECRET not in f"{error} {error.hint}"
    # One archive at a time, as each is missed; the texts are not needed any more, and nobody asks for them.
    assert paste(error, {"NEW_ADDRESS": f"http://{signed}/Post_metadata/posts_info.zip?sig=fresh"}) == 0
    error = refused("ingest", run)
    assert paste(error, {"NEW_ADDRESS": f"http://{signed}/Post_images/posts_image.zip?sig=fresh"}) == 0
    assert postmill("ingest", run) == 0


def test_a_new_signature_that_is_wrong_is_refused(signed: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    postmill("plan", run, *words_of(signed, f"?sig={SECRET}"))
    error = refused("plan", run, "--images", f"http://{signed}/Post_images/posts_image.zip?sig=wrong{SECRET}")
    assert SECRET not in f"{error} {error.hint}" and "posts_image.zip" in str(error)


def test_a_password_stands_in_no_file_and_no_message(data: Path, tmp_path: Path) -> None:
    right = "Basic " + base64.b64encode(f"bob:{SECRET}".encode()).decode()
    run = tmp_path / "run"
    with serving(data, lambda path, query, authorization: 200 if authorization == right else 401) as host:
        assert postmill("plan", run, *words_of(host, "", f"bob:{SECRET}@")) == 0
        assert postmill("ingest", run) == 0
        (run / "posts" / "posts-000000.json").unlink()
        shutil.rmtree(Path.home() / credentials.FOLDER)  # as on a machine that has another home
        error = refused("ingest", run)
    assert SECRET.encode() not in written(run) and SECRET not in f"{error} {error.hint}"


def test_a_netrc_is_enough(data: Path, tmp_path: Path, home: Path) -> None:
    right = "Basic " + base64.b64encode(f"bob:{SECRET}".encode()).decode()
    run = tmp_path / "run"
    (home / ".netrc").write_text(f"machine 127.0.0.1 login bob password {SECRET}\n")
    (home / ".netrc").chmod(0o600)
    with serving(data, lambda path, query, authorization: 200 if authorization == right else 401) as host:
        assert postmill("plan", run, *words_of(host, "")) == 0
        assert postmill("ingest", run) == 0
    assert not (home / credentials.FOLDER).exists()


def test_no_home_is_no_hindrance_and_is_told(
    signed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    caplog.set_level("INFO")
    run = tmp_path / "run"
    assert postmill("plan", run, *words_of(signed, f"?sig={SECRET}")) == 0
    assert "is not kept" in caplog.text and SECRET not in caplog.text
    assert "may not be read" in refused("ingest", run).cause


def test_what_was_typed_is_not_repeated_with_its_secret(signed: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "postmill.cli", "plan", tmp_path / "run", *words_of(signed, "?sig=wrong" + SECRET)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode != 0 and "error:" in done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_a_traceback_does_not_show_it_either(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from postmill.ingest.source import layout\n"
        "from postmill.console.start import main\n"
        "sys.argv[1:] = ['plan', f'http://bob:{sys.argv[1]}@host/a?sig={sys.argv[1]}', 'RUN']\n"
        "def mistake(source, *_, **__): raise RuntimeError(source)\n"
        "layout.discover = mistake\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program, SECRET], capture_output=True, text=True, cwd=tmp_path)
    assert "Traceback" in done.stderr and "RuntimeError: http://host/a" in done.stderr
    assert SECRET not in done.stdout + done.stderr
