"""`postmill inspect FOLDER`: what it holds, what of it is not right, and a command that works when pasted."""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from postmill.cli import app
from postmill.ingest.sample.write import write_sample
from tests.commands import postmill
from tests.ingest.collected import files, put

Spoil = Callable[[Path], object]
LIGHT = ["--models", "light"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inspected") / "data"
    write_sample(folder, posts=100, influencers=6, part_size=64 << 10)
    return folder


@pytest.fixture
def data(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(sample, tmp_path / "my data"))


def inspected(place: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, list[str]]:
    """The exit code, what is shown, and the words of the command that it ends with."""
    capsys.readouterr()
    code = int(app(["inspect", str(place)], standalone_mode=False) or 0)
    shown = capsys.readouterr().out
    last = shown.strip().splitlines()[-1]
    return code, shown, shlex.split(last.removeprefix("next: ")) if last.startswith("next: ") else []


def pasted(words: list[str]) -> int:
    """Type it; of everything at once only the beginning, which takes no training."""
    assert words[0] == "postmill"
    if words[1] == "run":
        assert words[-2:] == LIGHT
        words = ["postmill", "plan", *words[2:-2]]
    return postmill(*words[1:])


def test_a_whole_dataset_and_the_command_as_it_stands(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown, words = inspected(data, capsys)
    assert code == 0 and words == ["postmill", "run", str(data), "run", *LIGHT]
    for name in ("metadata", "images", "mapping", "influencers"):
        assert name in shown
    assert pasted(words) == 0
    assert inspected(data, capsys)[2][3] == "run-2"
    code, shown, words = inspected("run", capsys)
    assert (code, words) == (0, ["postmill", "status", "run"]) and postmill(*words[1:]) == 0


def without(name: str) -> Spoil:
    return lambda data: (data / name).unlink()


def cut(name: str, size: int) -> Spoil:
    return lambda data: (data / name).write_bytes((data / name).read_bytes()[:size])


def as_page(name: str) -> Spoil:
    return lambda data: (data / name).write_bytes(b"<!DOCTYPE html><title>Quota exceeded</title>" + b" " * 2000)


def as_pointer(name: str) -> Spoil:
    content = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 61440\n"
    return lambda data: (data / name).write_bytes(content)


def fetching(name: str) -> Spoil:
    return lambda data: (data / name).rename(data / f"{name}.crdownload")


SPOILT: tuple[tuple[Spoil, str], ...] = (
    (without("Post_images/posts_image.z03"), "1: posts_image.z03"),
    (cut("Post_images/posts_image.z04", 20_000), "posts_image.z04 has 20,000 bytes, where others have"),
    (cut("Post_images/posts_image.z04", 0), "posts_image.z04 is empty"),
    (as_page("Post_images/posts_image.z05"), "is a web page"),
    (as_pointer("Post_images/posts_image.z06"), "git lfs pull"),
    (fetching("Post_images/posts_image.z02"), "posts_image.z02 is being fetched, as posts_image.z02.crdownload"),
    (without("Post_metadata/posts_info.z01"), "1: posts_info.z01"),
)


@pytest.mark.parametrize("number", range(len(SPOILT)))
def test_parts_that_are_missing_or_wrong_are_named(data: Path, capsys: pytest.CaptureFixture[str], number: int) -> None:
    spoil, said = SPOILT[number]
    spoil(data)
    code, shown, words = inspected(data, capsys)
    assert code == 3 and said in " ".join(shown.split())
    assert words == ["postmill", "plan", str(data), "run", "--await-parts"]


def test_what_is_missing_or_wrong_may_come_later(sample: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for spoil, _ in SPOILT:
        spoil(data)
    assert pasted(inspected(data, capsys)[2]) == 0
    assert postmill("ingest", "run") == 0
    for folder in ("Post_images", "Post_metadata"):
        shutil.copytree(sample / folder, data / folder, dirs_exist_ok=True)
    assert postmill("ingest", "run") == 0
    assert postmill("verify", "run", "--complete") == 0


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("influencers.txt", "--influencers"),
        ("JSON-Image_files_mapping.txt", "--mapping"),
        ("Post_images", "--images"),
    ],
)
def test_what_is_not_there_and_need_not_be(
    data: Path, capsys: pytest.CaptureFixture[str], name: str, option: str
) -> None:
    shutil.rmtree(data / name) if (data / name).is_dir() else (data / name).unlink()
    code, _, words = inspected(data, capsys)
    assert code == 0 and words == ["postmill", "run", str(data), "run", option, "none", *LIGHT]
    assert pasted(words) == 0


def test_pictures_whose_directory_is_not_there_leave_the_text(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "Post_images" / "posts_image.zip").unlink()
    code, shown, words = inspected(data, capsys)
    assert code == 3 and "on its last part, posts_image.zip, which is not here" in " ".join(shown.split())
    assert words == ["postmill", "run", str(data), "run", "--images", "none", *LIGHT]
    assert pasted(words) == 0
    (data / "Post_metadata" / "posts_info.zip").unlink()
    assert inspected(data, capsys)[2] == []


def test_text_files_are_told_by_what_is_in_them(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (data / "influencers.txt").read_bytes()
    (data / "influencers.txt").unlink()
    (data / "influencers.txt.gz").write_bytes(gzip.compress(text))
    mapping = (data / "JSON-Image_files_mapping.txt").read_text()
    (data / "JSON-Image_files_mapping.txt").write_text(mapping, "utf-16")
    (data / "smallMappings.csv").write_text("\n".join(mapping.splitlines()[:5]) + "\n")
    (data / "notes.txt").write_text("to do\n")
    _, shown, words = inspected(data, capsys)
    shown = " ".join(shown.split())
    assert "influencers.txt.gz: 7 rows, gzip" in shown
    assert "UTF-16-LE" in shown and "smallMappings.csv: 4 rows, UTF-8" in shown and "notes.txt" not in shown
    assert pasted(words) == 0
    (data / "influencers.txt.gz").write_bytes(b"<html>Sign in</html>")
    code, shown, _ = inspected(data, capsys)
    assert code == 3 and "is a web page" in shown


def test_files_of_instaloader(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "insta", files(5))
    code, shown, words = inspected("insta", capsys)
    assert code == 0 and "files of instaloader" in shown and words == ["postmill", "run", "insta", "run", *LIGHT]
    assert pasted(words) == 0


def test_unpacked_folders_further_down(sample: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("Post_metadata", "Post_images"):
        (archive,) = (sample / folder).glob("*.zip")
        shutil.rmtree(data / folder)
        subprocess.run(["7z", "x", "-y", f"-o{data}", str(archive)], check=True, stdout=subprocess.DEVNULL)
    above = data.parent / "Downloads"
    above.mkdir()
    data.rename(above / "data")
    code, shown, words = inspected(above, capsys)
    assert code == 0 and "files in" in shown and words == ["postmill", "run", str(above), "run", *LIGHT]
    assert pasted(words) == 0


def test_a_zip_of_the_parts_is_said_with_what_unpacks_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    above = data.parent / "Downloads"
    above.mkdir()
    subprocess.run(["zip", "-qr0", str(above.resolve() / "drive-download.zip"), "."], cwd=data, check=True)
    _, shown, words = inspected(above, capsys)
    assert words == [] and "packed once more" in shown
    command = shlex.split(shown[shown.index("unzip -n") :].strip())
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (above / "drive-download.zip").unlink()
    assert inspected(above, capsys)[2] == ["postmill", "run", str(above), "run", *LIGHT]


def test_of_two_datasets_none_is_chosen(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    above = data.parent / "Downloads"
    for name in ("one", "two"):
        shutil.copytree(data, above / name)
    _, shown, words = inspected(above, capsys)
    assert words == [] and "in several folders" in shown


def test_empty_folders_and_those_of_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    code, _, words = inspected("empty", capsys)
    assert code == 0 and words == ["postmill", "sample", "empty"] and postmill(*words[1:]) == 0
    put(tmp_path / "other", {"thesis.tex": b"x", "a.zip": b"no zip", "b/data.2019": b"x"})
    _, shown, words = inspected("other", capsys)
    assert words == [] and "nothing of it is a dataset's" in shown


def test_for_programs(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "Post_images" / "posts_image.z03").unlink()
    capsys.readouterr()
    assert app(["inspect", str(data), "--json"], standalone_mode=False) == 3
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    (images,) = [archive for archive in told["archives"] if archive["source"] == "images"]
    assert images["missing"] == ["posts_image.z03"]
    assert told["command"].endswith("--await-parts")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A server that lists folders, as the one of Python does."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_address_that_is_listed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(data) as address:
        for place in (address, f"{address}/"):
            code, shown, words = inspected(place, capsys)
            assert code == 0 and "posts_image.z01 to posts_image.zip" in " ".join(shown.split())
            assert words == ["postmill", "run", place, "run", *LIGHT]
        (data / "Post_images" / "posts_image.z03").unlink()
        code, shown, words = inspected(address, capsys)
        assert code == 3 and "1: posts_image.z03" in shown and words[-1] == "--await-parts"
