"""A dataset behind an nginx that wants a token for each file, in lists: killed, expired, and gone on with."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from postmill.shards.run import folder as runs
from tests.commands import postmill, refused
from tests.integration.jobs import PROGRAM
from tests.integration.sources import servers
from tests.machine.needs import needs

pytestmark = needs("nginx")
FOLDERS = {"--metadata": "Post_metadata", "--images": "Post_images"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens") / "data"
    write_sample(folder, posts=200, influencers=8, part_size=200 << 10)
    return folder


@pytest.fixture(scope="module")
def expected(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    run = tmp_path_factory.mktemp("expected") / "run"
    assert postmill("plan", data, run, "--shard-size", "1") == 0 and postmill("ingest", run) == 0
    return tars(run)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def tars(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "posts").glob("*.tar")}


def files(data: Path) -> list[Path]:
    return sorted(path.relative_to(data) for path in data.rglob("*") if path.is_file())


def rules(data: Path, tokens: Path) -> str:
    """For each file a token of its own: there is a file in `tokens` of its number and that name."""
    return "\n".join(
        f'location = /{path} {{ limit_rate 800k; if (!-f "{tokens}/{number}-$arg_token") {{ return 403; }} }}'
        for number, path in enumerate(files(data))
    )


def valid(data: Path, tokens: Path, secret: str) -> None:
    """Let these tokens be right, and no others."""
    for path in tokens.iterdir():
        path.unlink()
    for number in range(len(files(data))):
        (tokens / f"{number}-{secret}{number}").touch()


def lists(data: Path, address: str, secret: str, folder: Path) -> list[object]:
    """Options that name lists with the tokens; each option twice, with a half of the parts."""
    folder.mkdir()
    paths = files(data)
    links = {path: f"{address}/{path}?token={secret}{number}" for number, path in enumerate(paths)}
    words: list[object] = []
    for option, name in FOLDERS.items():
        theirs = [path for path in paths if path.parent.name == name]
        for half in (0, 1):
            place = folder / f"{name}.{half}.links"
            place.write_text("".join(f"{path.name} {links[path]}\r\n" for path in theirs[half::2]), "utf-16")
            words += [option, place]
    for option, path in (("--mapping", "JSON-Image_files_mapping.txt"), ("--influencers", "influencers.txt")):
        words += [option, links[Path(path)]]
    return words


def test_a_token_for_each_part(data: Path, expected: Mapping[str, bytes], tmp_path: Path) -> None:
    run, said = tmp_path / "run", ""

    def started(*words: object) -> subprocess.Popen[str]:
        words = (*PROGRAM, *words)
        return subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def done(*words: object) -> str:
        process = started(*words)
        told, _ = process.communicate(timeout=300)
        assert process.returncode == 0, told
        return told

    tokens = tmp_path / "tokens"
    tokens.mkdir()
    valid(data, tokens, "0ldS3cret")
    with servers.nginx(data, tmp_path / "nginx", rules(data, tokens)) as address:
        words = lists(data, address, "0ldS3cret", tmp_path / "old links")
        said += done("plan", run, *words, "--shard-size", "1")
        process = started("ingest", run)
        while process.poll() is None and not [*run.glob("posts/*.tar")]:
            time.sleep(0.02)
        process.kill()
        said += process.communicate()[0]
        assert len(tars(run)) < len(expected)
        valid(data, tokens, "n3wS3cret")
        error = refused("ingest", run)
        said += f"{error} {error.hint}"
        assert f"postmill ingest {run} --images NEW_PLACE" in (error.hint or "")
        words = lists(data, address, "n3wS3cret", tmp_path / "new links")
        said += done("submit", run, "--dry-run", "--models", "light")
        said += done("ingest", run, *words[:8], "--workers", "2")
        said += done("plan", run)
    assert tars(run) == expected
    said += done("verify", run)
    images = runs.open_run(run).locations.images
    assert images == tuple(str(tmp_path / "new links" / f"Post_images.{half}.links") for half in (0, 1))
    written = b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())
    assert "S3cret" not in said and b"S3cret" not in written
