"""A sample is written whole or not at all, and the same arguments give the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from postmill.ingest.sample.write import write_sample
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.progress import Advance
from tests.commands import postmill, refused
from tests.ingest.sample.reading import files, unzipped


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from postmill.ingest.sample.write import write_sample;"
        "write_sample(Path(sys.argv[1]), 60, 5, 11, 1 << 16)"
    )
    root = Path(__file__).resolve().parents[3]
    for name, hash_seed in (("a", "1"), ("b", "2")):
        environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)}
        subprocess.run([sys.executable, "-c", program, tmp_path / name], check=True, env=environment, cwd=tmp_path)
    first = files(tmp_path / "a")
    assert first == files(tmp_path / "b")
    write_sample(tmp_path / "c", 60, 5, 12, 1 << 16)
    other = files(tmp_path / "c")
    assert all(other.get(name) != digest for name, digest in first.items())


@pytest.mark.parametrize(("posts", "influencers"), [(1, 1), (3, 3), (45, 2), (50, 50)])
def test_very_small_samples(tmp_path: Path, posts: int, influencers: int) -> None:
    (tmp_path / "data").mkdir()
    summary = write_sample(tmp_path / "data", posts, influencers, part_size=1 << 16)
    assert (summary.posts, summary.influencers) == (posts, influencers)
    assert (
        len(unzipped(tmp_path / "data" / "Post_metadata" / "posts_info.zip", tmp_path)) - 1
        == summary.counts["info_entries"]
    )
    assert {path.name for path in tmp_path.iterdir()} == {"data", "posts_info.zip"}


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({"posts": 0}, "0 posts"),
        ({"influencers": 0}, "0 influencers"),
        ({"posts": 5, "influencers": 6}, "cannot share"),
        ({"seed": -1}, "no seed"),
        ({"part_size": 1000}, "too small"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, arguments: dict[str, Any], cause: str) -> None:
    with pytest.raises(UsageError, match=cause) as caught:
        write_sample(tmp_path / "data", **arguments)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_there_is_not_touched(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "data"
    if kind == "folder":
        target.mkdir()
        (target / "notes.txt").write_text("mine")
    else:
        target.write_text("mine")
    before = files(tmp_path)
    with pytest.raises(UsageError, match=r"not empty|is a file"):
        write_sample(target, 5, 2)
    assert files(tmp_path) == before


class StopsAt:
    """Progress that fails on the way, as a full disk or an interrupt would."""

    def __init__(self, label: str) -> None:
        self.label = label

    @contextmanager
    def track(self, label: str, total: int | None, unit: str = "") -> Iterator[Advance]:
        def advance(n: int) -> None:
            if label == self.label:
                raise KeyboardInterrupt

        yield advance

    def note(self, message: str) -> None:
        """Say nothing."""


@pytest.mark.parametrize("label", ["metadata", "pictures"])
def test_an_interrupt_leaves_nothing(tmp_path: Path, label: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "data", 30, 3, progress=StopsAt(label))
    assert list(tmp_path.iterdir()) == []


def test_a_kill_leaves_nothing_that_looks_whole_and_the_next_call_removes_what_it_left(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from postmill.ingest.sample.write import write_sample;"
        "write_sample(Path(sys.argv[1]), 20_000, 20, part_size=1 << 16)"
    )
    target = tmp_path / "data"
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", program, target], env={"PYTHONPATH": str(root)}, cwd=tmp_path
    ) as child:
        while not list(tmp_path.glob("*/*/Post_metadata/*")):
            assert child.poll() is None
            time.sleep(0.02)
        child.kill()
    assert not target.exists()
    assert all(path.name.startswith(".") for path in tmp_path.iterdir())
    write_sample(target, 5, 2)
    assert (target / "truth.json").exists()
    assert list(tmp_path.iterdir()) == [target]


def test_data_without_an_effect_of_content_say_so(tmp_path: Path) -> None:
    assert postmill("sample", tmp_path / "data", "--posts", 60, "--influencers", 5, "--effect", "none") == 0
    truth = json.loads((tmp_path / "data/truth.json").read_text())
    assert truth["effect"] == "none"
    for shares in (truth["planned"]["shares"], truth["realised"]["shares"]):
        assert [shares[name] for name in ("text", "image", "slopes")] == [0, 0, 0]
        assert shares["account"] > 0.5 and shares["noise"] > 0.1
    assert "--seed 0 --effect none" in (tmp_path / "data/INVENTED.txt").read_text()
    error = refused("sample", tmp_path / "more", "--effect", "some")
    assert "planted" in f"{error.cause} {error.hint}"
