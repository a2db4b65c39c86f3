"""What a stranger gets: one import name, a public door, types, and programs of their own that disturb nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import postmill

ROOT = Path(__file__).resolve().parents[1]
EXPORTED = [
    "Archive",
    "Entry",
    "EntryFault",
    "Part",
    "PartError",
    "PostmillError",
    "Reason",
    "Run",
    "UsageError",
    "open_run",
]
HOSTILE = "raise SystemExit('a program of the user was imported')\n"
SCRIPT = """
from pathlib import Path

import postmill


def sizes(parts: str) -> dict[str, int]:
    with postmill.Archive.open(parts) as archive:
        return {entry.name: entry.size for entry in archive.entries() if entry.fault is None}


def shards_of(folder: Path) -> Path:
    run: postmill.Run = postmill.open_run(folder)
    return run.posts


WRONG = """


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # From a copy of what is tracked: setuptools writes build folders beside what it builds.
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    for name in filter(None, files.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            copy = folder / "source" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, folder / "source"]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment: the wheel, and the libraries of this one without its editable postmill."""
    folder = tmp_path_factory.mktemp("clean") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    program = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", program, "install", "--quiet", "--no-deps", "--no-compile", wheel],
        check=True,
        capture_output=True,
    )
    (site,) = (folder / "lib").glob("python*/site-packages")
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (site / "libraries.pth").write_text("\n".join(libraries) + "\n")  # the .pth files in there are not followed
    return folder


def test_the_public_door_has_these_members_and_no_others() -> None:
    assert sorted(postmill.__all__) == EXPORTED == sorted(postmill._HOMES)
    for name in EXPORTED:
        assert getattr(postmill, name).__module__ == postmill._HOMES[name]
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        postmill.nonsense  # noqa: B018


def test_importing_it_loads_nothing_of_it() -> None:
    program = "import sys, postmill; print([name for name in sys.modules if name.startswith('postmill.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_wheel_claims_one_name_and_carries_what_it_reads(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (top_level,) = (name for name in names if name.endswith("top_level.txt"))
        assert archive.read(top_level).decode().split() == ["postmill"]
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"postmill"}
    assert "postmill/py.typed" in names
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    folders = ("console/", "encode/", "ingest/", "jobs/", "shards/", "train/")
    read = {name for name in tracked if name.startswith(folders) and (ROOT / name).is_file()}
    assert {f"postmill/{name}" for name in read} <= set(names)


def test_users_programs_of_our_names_disturb_nothing(installed: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for name in ("train.py", "jobs/__init__.py", "shards.py", "cli.py", "ingest.py", "encode.py", "console.py"):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(HOSTILE)
    environment = {**os.environ, "PYTHONPATH": str(work), "NO_COLOR": "1", "COLUMNS": "200"}

    def postmill(*words: object) -> subprocess.CompletedProcess[str]:
        command = [str(installed / "bin" / "postmill"), *map(str, words)]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done

    def postmill_says(*words: object) -> str:
        return postmill(*words).stdout

    assert postmill_says("--version").strip() == "0.1.0"
    postmill_says("sample", "data", "--posts", 60, "--influencers", 12)
    postmill_says("plan", "data", "run")
    postmill_says("ingest", "run", "--workers", 2)
    postmill_says("encode", "run", "--models", "light", "--encoder", "metadata")
    assert "#SBATCH" in postmill_says("submit", "run", "--encoder", "metadata", "--dry-run")
    postmill_says("train", "run", "--model", "history", "--split", "random", "--seeds", 1)
    assert "report: run/report/index.html" in postmill_says("report", "run")
    assert "nothing is missing" in postmill("submit", "run", "--encoder", "metadata", "--dry-run").stderr
    assert "metadata" in postmill_says("status", "run")
    assert "every byte" in postmill_says("verify", "run")


def test_a_users_script_is_checked_against_its_types(installed: Path, tmp_path: Path) -> None:
    def mypy(name: str, text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / name).write_text(text)
        command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]
        command += ["--python-executable", str(installed / "bin" / "python"), name]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    good = mypy("good.py", SCRIPT + 'sizes("a.zip")\n')
    assert good.returncode == 0, good.stdout
    bad = mypy("bad.py", SCRIPT + "shards_of(3)\n")
    assert bad.returncode == 1 and 'expected "Path"' in bad.stdout
