"""What is not installed is named, with the command that brings it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from postmill.console import extras
from postmill.ingest.remote import stores
from postmill.ingest.sample.write import write_sample

ROOT = Path(__file__).resolve().parents[1]
WITHOUT = """
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {0} else self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(Without, sys.meta_path)
from postmill.console.start import main
sys.argv[1:] = {1}
main()
"""


def without(packages: list[str], *words: object) -> subprocess.CompletedProcess[str]:
    """What a command does where packages are not installed."""
    program = WITHOUT.format(packages, [str(word) for word in words])
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extras")
    write_sample(folder / "data", posts=30, influencers=4)
    for words in (["plan", folder / "data", folder / "run"], ["ingest", folder / "run"]):
        done = without(["torch", "aiohttp", "safetensors", "scipy"], *words)  # which these do not take
        assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.mark.parametrize(
    ("package", "words", "extra"),
    [
        ("torch", ["encode", "RUN", "--models", "light"], "encode"),
        ("scipy", ["train", "RUN"], "train"),
        ("huggingface_hub", ["encode", "RUN"], "encode"),
        ("jinja2", ["report", "RUN"], "train"),
        ("altair", ["report", "RUN", "--figures", "NEW"], "figures"),
        ("aiohttp", ["plan", "http://127.0.0.1:1", "NEW"], "http"),
        ("s3fs", ["plan", "s3://bucket/data", "NEW"], "s3"),
    ],
)
def test_a_missing_package_is_one_sentence(package: str, words: list[str], extra: str, run: Path) -> None:
    places = {"RUN": run, "NEW": run.parent / "new"}
    done = without([package], *(places.get(word, word) for word in words))
    assert done.returncode == 2, done.stderr
    assert "not installed" in done.stderr and f"pip install 'postmill[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr and not (run.parent / "new").exists()


def test_everything_at_once_is_refused_before_anything_is_read(run: Path) -> None:
    done = without(["scipy", "webdataset"], "run", run.parent / "data", run.parent / "new", "--models", "light")
    assert "scipy" in done.stderr and "'postmill[encode,train]'" in done.stderr
    assert not (run.parent / "new").exists()


def test_another_module_that_is_missing_is_a_mistake_of_ours(run: Path) -> None:
    done = without(["orjson"], "ingest", run)
    assert "Traceback" in done.stderr and "orjson" in done.stderr


def test_the_extras_are_those_of_the_package() -> None:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {"sentence_transformers": "sentence-transformers", "vl_convert": "vl-convert-python"}
    for extra, packages in extras._PACKAGES.items():
        for package in packages:
            assert any(line.startswith(names.get(package, package)) for line in stated[extra]), (extra, package)
    assert set(stores._EXTRAS.values()) <= set(stated)
