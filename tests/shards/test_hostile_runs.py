"""Run folders as strangers, or a bad disk, hand them on: nothing hangs, nothing outside is touched, no traceback."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from postmill.shards.run import sealed
from postmill.shards.runtime.errors import PostmillError
from tests.commands import postmill, refused
from tests.shards.whole_runs import digests, discrepancies, replace

SECRET = "what no command may show"
DEEP = b"[" * 200_000 + b"]" * 200_000
Sabotage = Callable[[Path], Path | None]  # returns what verify names, if it gets so far

SHARD, NEW = "posts/posts-000000.json", "posts/posts-000009.json"
ENCODER, METRICS, PAGE = "embeddings/metadata/encoder.json", "models/followers/metrics.json", "report/index.json"


@pytest.fixture
def copies(pristine: Path, tmp_path: Path) -> Callable[[], Path]:
    """Makes copies of a whole run, each in a folder of its own, beside a file that is not the run's."""
    number = 0

    def make() -> Path:
        nonlocal number
        number += 1
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "secret.txt").write_text(SECRET)
        return Path(shutil.copytree(pristine, tmp_path / str(number) / "run", copy_function=os.link))

    return make


def resealed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    value = sealed.unseal(path.read_bytes())
    change(value)
    replace(path, sealed.json_bytes(sealed.seal(value)))
    return path


def pipe(name: str) -> Sabotage:
    def put(run: Path) -> Path:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)
        return run / name

    return put


def link(name: str, target: str) -> Sabotage:
    def put(run: Path) -> Path:
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(target)
        return run / name

    return put


def folder_in_place(name: str) -> Sabotage:
    def put(run: Path) -> Path:
        (run / name).unlink()
        (run / name).mkdir()
        return run / name

    return put


def content(name: str, data: bytes) -> Sabotage:
    def put(run: Path) -> Path:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        replace(run / name, data)
        return run / name

    return put


def restated(name: str, change: Callable[[dict[str, Any]], object]) -> Sabotage:
    return lambda run: resealed(run / name, change)


def names_a_file_outside(run: Path) -> Path:
    def change(value: dict[str, Any]) -> None:
        value["files"]["../../secret.txt"] = value["files"].pop("posts-000000.tar")

    return resealed(run / SHARD, change)


def is_made_from_outside(run: Path) -> Path:
    def change(value: dict[str, Any]) -> None:
        value["inputs"]["embeddings/../../secret"] = "0" * 64

    return resealed(run / "models/followers/manifest.json", change)


SABOTAGES: dict[str, Sabotage] = {
    "a pipe too many": pipe(NEW),
    "a pipe for a manifest": pipe(SHARD),
    "a pipe for a tar": pipe("posts/posts-000000.tar"),
    "a pipe for a list": pipe("posts/index.json"),
    "a pipe for an encoder": pipe(ENCODER),
    "a pipe for a page": pipe(PAGE),
    "a pipe for the run": pipe("run.json"),
    "zeros for a manifest": link(SHARD, "/dev/zero"),
    "zeros for a tar": link("posts/posts-000000.tar", "/dev/zero"),
    "zeros for records": link("posts/posts-000000.parquet", "/dev/zero"),
    "a link to itself": link(SHARD, "posts-000000.json"),
    "a link too many": link(NEW, "posts-000000.json"),
    "a link to a folder": link("models/other", "/"),
    "a folder for a manifest": folder_in_place(SHARD),
    "a folder for the plan's": folder_in_place("plan/plan.json"),
    "a folder for an encoder": folder_in_place(ENCODER),
    "a deep manifest": content(SHARD, DEEP),
    "a deep plan": content("plan/plan.json", DEEP),
    "a deep encoder": content(ENCODER, DEEP),
    "a deep run": content("run.json", DEEP),
    "counts that are text": restated(SHARD, lambda value: value.update(counts={"posts": "6"})),
    "no counts": restated(SHARD, lambda value: value.update(counts={})),
    "faults that are a list": restated(SHARD, lambda value: value.update(info={"faults": [1]})),
    "a plan without facts": restated("plan/plan.json", lambda value: value.update(info={})),
    "a file outside": names_a_file_outside,
    "an input outside": is_made_from_outside,
    "an encoder that is a command": restated(ENCODER, lambda value: value.update(encoder="metadata;touch PWNED;#")),
    "an encoder of numbers": restated(ENCODER, lambda value: value.update(model=5, preprocessing=[])),
}


@pytest.fixture(params=SABOTAGES)
def sabotage(request: pytest.FixtureRequest) -> Sabotage:
    return SABOTAGES[request.param]


def commands(run: Path) -> Iterator[tuple[object, ...]]:
    yield from ((word, run) for word in ("verify", "status", "faults", "insights", "report"))
    yield "status", run, "--json"
    yield "predict", run, run, "--model", "followers"
    yield "export", run, run.parent / "out", "--to", "csv"
    yield "ingest", run
    yield "encode", run, "--models", "light", "--encoder", "metadata", "--device", "cpu"
    yield "train", run, "--model", "followers"


def do(*words: object) -> PostmillError | None:
    """Run a command; return what is said where it is refused. Anything else that it raises is a traceback to a user."""
    try:
        postmill(*words)
    except PostmillError as error:
        return error
    except typer.Exit:
        pass
    return None


def test_no_command_hangs_ends_in_a_traceback_or_reads_what_is_outside(
    copies: Callable[[], Path], sabotage: Sabotage, capfd: pytest.CaptureFixture[str]
) -> None:
    for words in commands(Path("RUN")):
        run = copies()
        sabotage(run)
        secret = run.parent / "secret.txt"
        places = {Path("RUN"): run, Path("out"): run.parent / "out"}
        error = do(*(places.get(word, word) if isinstance(word, Path) else word for word in words))
        told = "".join(capfd.readouterr()) + ("" if error is None else f"{error} {error.hint}")
        assert SECRET not in told and "touch PWNED" not in told.replace("'metadata;touch PWNED;#'", "")
        assert secret.read_text() == SECRET and str(secret) not in told


def test_verify_names_it_and_goes_on(copies: Callable[[], Path], sabotage: Sabotage) -> None:
    run = copies()
    wrong = sabotage(run)
    later = run / "models" / "followers" / "card.md"
    replace(later, later.read_bytes() + b"\n")
    if wrong == run / "run.json":
        assert Path(str(refused("verify", run).place)) == wrong
        return
    found = [each.path for each in discrepancies(run)]
    assert found.count(wrong) == 1 if wrong is not None else True
    assert wrong == run / "models/followers/manifest.json" or later in found


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int], Callable[[bool], None]]:
    """Lets a file or a folder be there that cannot be read, as of another user or on a bad disk, until that is lifted.

    A real one would be read all the same by root, as whom tests may run.
    """
    opened, listdir, scandir = os.open, os.listdir, os.scandir
    lifted: list[bool] = []

    def forbid(path: Path, number: int) -> Callable[[bool], None]:
        def refuse(asked: object) -> None:
            if not lifted and str(asked) in (str(path), path.name):
                raise OSError(number, os.strerror(number), str(asked))

        def open_(asked: Any, *args: Any, **more: Any) -> int:
            refuse(asked)
            return opened(asked, *args, **more)

        def listdir_(asked: Any = ".") -> Any:
            refuse(asked)
            return listdir(asked)

        def scandir_(asked: Any = ".") -> Any:
            refuse(asked)
            return scandir(asked)

        monkeypatch.setattr(os, "open", open_)
        monkeypatch.setattr(os, "listdir", listdir_)
        monkeypatch.setattr(os, "scandir", scandir_)
        return lifted.append

    return forbid


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
@pytest.mark.parametrize(
    "name", ["posts/posts-000000.json", "models", "embeddings", "embeddings/metadata/encoder.json", "report"]
)
def test_what_cannot_be_read_is_named_with_no_advice_to_delete_it(
    folder: Path, forbidden: Callable[[Path, int], Callable[[bool], None]], name: str, number: int
) -> None:
    forbidden(folder / name, number)
    found = discrepancies(folder)
    assert [each.path for each in found if each.path == folder / name] == [folder / name]
    (named,) = (each for each in found if each.path == folder / name)
    assert "cannot be read" in named.what and "rm " not in named.remedy and "permissions" in named.remedy
    assert not any("rm " in each.remedy for each in found)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("models", ("report", "RUN")),
        ("models", ("predict", "RUN", "RUN", "--model", "followers")),
        ("models", ("status", "RUN")),
        ("embeddings", ("train", "RUN", "--model", "followers")),
        ("embeddings", ("export", "RUN", "OUT", "--to", "csv")),
        ("embeddings", ("status", "RUN")),
        ("posts", ("status", "RUN")),
        ("posts/posts-000000.json", ("report", "RUN")),
        ("posts/posts-000000.json", ("ingest", "RUN")),
        ("posts/posts-000000.json", ("faults", "RUN")),
        ("posts/posts-000000.json", ("status", "RUN")),
        ("run.json", ("verify", "RUN")),
        ("plan/plan.json", ("ingest", "RUN")),
    ],
)
def test_what_cannot_be_read_is_not_taken_for_absent(
    folder: Path,
    forbidden: Callable[[Path, int], Callable[[bool], None]],
    name: str,
    words: tuple[str, ...],
    number: int,
) -> None:
    before = digests(folder)
    lift = forbidden(folder / name, number)
    error = refused(*({"RUN": folder, "OUT": folder.parent / "out"}.get(word, word) for word in words))
    assert str(error.place) == str(folder / name) and "cannot be read" in error.cause
    lift(True)
    assert digests(folder) == before


def record(run: Path, name: str, **fields: Any) -> None:
    path = run / "logs" / "tasks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    start = {"event": "start", "attempt": "a", "time": 1.0, "host": "n1", **fields}
    path.write_text("".join(f"\n{json.dumps(line)}\n" for line in (start, {**start, "event": "end"})))


def test_records_of_tasks_are_read_as_the_words_of_strangers(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder.parent / "secret.txt").write_text(SECRET)
    record(folder, "windows-0-of-0.jsonl")
    record(folder, "windows-0-of-1.jsonl", code="y", restarts="z", log=str(folder.parent / "secret.txt"))
    record(folder, "spanning-0-of-1.jsonl", code=1, host="\x1b]0;title\x07 \u202e\x9b2J", log="/etc/passwd")
    (folder / "logs" / "tasks" / "train-0-of-1.jsonl").write_bytes(DEEP)
    for words in (("status", folder), ("status", folder, "--json")):
        assert do(*words) is None
        told = "".join(capfd.readouterr())
        assert SECRET not in told and "root:" not in told
        assert not {"\x1b]", "\x07", "\u202e", "\x9b"} & {*told, told[: told.find("]") + 1][-2:]}
        assert ("\x1b" not in told and "\\x1b]0;title" in told) or "\\u001b]0;title" in told


def test_a_pipe_among_the_records_of_tasks_is_named(folder: Path) -> None:
    pipe("logs/tasks/windows-0-of-1.jsonl")(folder)
    assert str(refused("status", folder).place).endswith("windows-0-of-1.jsonl")
