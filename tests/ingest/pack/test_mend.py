"""Damage is not truth: what a copy lacks is named, waits, and is there as soon as the right bytes are."""

from __future__ import annotations

import hashlib
import random
import shlex
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from postmill.ingest.pack import second_look
from postmill.ingest.pack.mend import waiting
from postmill.ingest.pack.stages import ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.sample.write import write_sample
from postmill.ingest.source.layout import discover
from postmill.shards.formats import plan
from postmill.shards.run.folder import Run, open_run
from postmill.shards.run.options import Options
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.state import status, verify
from tests.commands import postmill
from tests.web import serving

PICTURES, METADATA = "Post_images/posts_image.z02", "Post_metadata/posts_info.z01"
Damage = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mend") / "data"
    write_sample(folder, posts=120, influencers=12, part_size=1 << 19)
    assert (folder / PICTURES).exists() and (folder / METADATA).exists()
    return folder


@pytest.fixture(scope="module")
def undisturbed(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    run = planned(sample, tmp_path_factory.mktemp("undisturbed"))
    list(ingest(run))
    return digests(run)


def planned(source: Path, folder: Path) -> Run:
    run, _ = make_plan(discover(str(source)), folder / "run", Options(shard_bytes=1 << 18))
    return run


def digests(run: Run) -> dict[str, str]:
    """The SHA-256 of everything that ingest makes."""
    paths = [path for folder in (run.spool, run.posts) for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(run.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def zeros(content: bytes) -> bytes:
    return content[: len(content) // 2] + bytes(len(content) - len(content) // 2)


def noise(content: bytes) -> bytes:
    return random.Random(1).randbytes(len(content))


def a_bit(content: bytes) -> bytes:
    flipped = bytearray(content)
    flipped[len(content) // 3] ^= 1
    return bytes(flipped)


def a_block(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 0xFF for byte in content[middle : middle + 4096]) + content[middle + 4096 :]


def cut(content: bytes) -> bytes:
    return content[: len(content) * 3 // 5]


def a_page(_: bytes) -> bytes:
    return b"<!DOCTYPE html><html><head><title>Quota exceeded</title></head></html>"


def a_pointer(content: bytes) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize {len(content)}\n".encode()


@pytest.mark.parametrize("part", [PICTURES, METADATA])
@pytest.mark.parametrize("damage", [zeros, noise, a_bit, a_block, cut, a_page, a_pointer])
def test_a_part_that_goes_bad_after_the_plan_is_named_and_the_same_command_mends_the_run(
    sample: Path, undisturbed: dict[str, str], tmp_path: Path, part: str, damage: Damage
) -> None:
    source = tmp_path / "data"
    source.mkdir()
    for path in sample.rglob("*"):  # all but the part that is spoilt are linked
        place = source / path.relative_to(sample)
        place.mkdir() if path.is_dir() else place.hardlink_to(path)
    run = planned(source, tmp_path)
    whole = (source / part).read_bytes()
    (source / part).unlink()
    (source / part).write_bytes(damage(whole))
    named = set()
    try:
        list(ingest(run))
        named = set(waiting(run).parts)
        lost = sum(shard.posts for shard in plan.shards(run)) - status.read(run).posts - status.read(run).waiting
        assert waiting(run).posts == status.read(run).waiting > 0
        (found,) = verify.verify(run)
        assert found.unfinished and found.remedy == f"postmill ingest {run.folder}"
        assert lost == status.read(run).lost - plan.counts(run).lost
    except PostmillError as error:
        named = {Path(str(error.place)).name}
    assert Path(part).name in named
    assert digests(run) != undisturbed
    (source / part).unlink()
    (source / part).write_bytes(whole)
    list(ingest(run))
    assert digests(run) == undisturbed
    assert list(verify.verify(run)) == [] and waiting(run).posts == 0


def test_what_does_not_wait_is_not_done_again(sample: Path, tmp_path: Path) -> None:
    source = tmp_path / "data"
    source.mkdir()
    for path in sample.rglob("*"):
        place = source / path.relative_to(sample)
        place.mkdir() if path.is_dir() else place.hardlink_to(path)
    run = planned(source, tmp_path)
    whole = (source / PICTURES).read_bytes()
    (source / PICTURES).unlink()
    (source / PICTURES).write_bytes(a_bit(whole))
    list(ingest(run))
    done = [summary.done for summary in ingest(run)]
    assert sum(done) == 0  # the bytes are as they were seen
    (source / PICTURES).write_bytes(whole)
    redone = sum(summary.done for summary in ingest(run, mending=True))
    assert 1 <= redone <= 2  # the window, and the shard of a carousel
    assert sum(summary.done for summary in ingest(run)) == 0


def test_a_second_read_that_is_right_is_believed(
    sample: Path, undisturbed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection or a cache that gives a wrong byte once: the part on the disk is whole when it is read again."""
    source = tmp_path / "data"
    source.mkdir()
    for path in sample.rglob("*"):
        place = source / path.relative_to(sample)
        place.mkdir() if path.is_dir() else place.hardlink_to(path)
    run = planned(source, tmp_path)
    whole = (source / PICTURES).read_bytes()
    (source / PICTURES).unlink()
    (source / PICTURES).write_bytes(a_block(whole))
    asked = []
    look = second_look.look_again

    def mended_meanwhile(*arguments: object) -> object:
        asked.append(arguments)
        (source / PICTURES).write_bytes(whole)
        return look(*arguments)  # type: ignore[arg-type]

    for module in ("first_pass", "post_shard"):
        monkeypatch.setattr(f"postmill.ingest.pack.{module}.look_again", mended_meanwhile)
    list(ingest(run))
    assert asked and digests(run) == undisturbed


@pytest.mark.parametrize("part", [PICTURES, METADATA])
def test_a_block_of_one_range_that_comes_wrong_once_leaves_no_trace(
    sample: Path, undisturbed: dict[str, str], tmp_path: Path, part: str
) -> None:
    spoilt: list[int] = []
    lock = threading.Lock()

    def sends(path: str, content: bytes) -> bytes:
        with lock:
            if not armed.is_set() or spoilt or path.lstrip("/") != part or len(content) < 1 << 13:
                return content
            spoilt.append(len(content))
        return a_block(content)

    armed = threading.Event()
    with serving(sample, sends=sends) as address:
        run, _ = make_plan(discover(f"http://{address}"), tmp_path / "run", Options(shard_bytes=1 << 18))
        armed.set()
        list(ingest(run))
    assert len(spoilt) == 1
    assert waiting(run).posts == 0 and list(verify.verify(run)) == []
    assert digests(run) == undisturbed


@pytest.mark.parametrize("part", [PICTURES, METADATA])
@pytest.mark.parametrize("missing", [True, False])
def test_what_a_salvaged_run_did_without_is_told_when_it_has_come_with_a_command_that_takes_it_in(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str, missing: bool
) -> None:
    source, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(sample, source)
    whole = (source / part).read_bytes()
    (source / part).unlink()
    if not missing:
        (source / part).write_bytes(cut(whole))
    with pytest.raises(PostmillError, match=Path(part).stem):
        postmill("plan", source, run, "--shard-size", "1")
    assert postmill("plan", source, run, "--shard-size", "1", "--salvage") == 0
    with suppress(PostmillError):  # fewer than half of the posts
        postmill("ingest", run)
    assert "more is there" not in capsys.readouterr().out
    (source / part).write_bytes(whole)
    with suppress(PostmillError):
        postmill("mend", run)
    printed = capsys.readouterr().out
    assert f"{Path(part).name} has {len(whole):,} bytes" in printed and "postmill mend" not in printed
    command = next(line for line in printed.splitlines() if "more is there" in line).partition(": postmill ")[2]
    words = shlex.split(command)
    assert postmill(*words) == 0 and postmill("ingest", words[2]) == 0
    right, _ = make_plan(discover(str(sample)), tmp_path / "right", Options(shard_bytes=1 << 20))
    list(ingest(right))
    assert digests(open_run(Path(words[2]))) == digests(right)


def test_a_bit_of_any_answer_of_a_server_that_comes_wrong_once_is_named_or_leaves_no_trace(
    sample: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    asked: list[str] = []
    spoilt: set[str] = set()
    turn, number = threading.Lock(), 0

    def sends(path: str, content: bytes) -> bytes:
        with turn:
            asked.append(path)
            if len(asked) != number:
                return content
        spoilt.add(path)
        return a_bit(content)

    def call(folder: Path) -> Run:
        run, _ = make_plan(discover(f"http://{address}"), folder, Options(shard_bytes=1 << 18))
        list(ingest(run))
        return run

    with serving(sample, sends=sends) as address:
        assert digests(call(tmp_path / "whole")) == undisturbed
        refused = 0
        for number in sorted(random.Random(7).sample(range(1, len(asked) + 1), 8)):
            asked.clear()
            folder = tmp_path / str(number)
            try:
                run = call(folder)
            except PostmillError as error:
                refused += 1
                assert "http://" in str(error.place) and error.hint
                run = call(folder)
            assert digests(run) == undisturbed, number
        assert spoilt and refused


def test_the_command_that_takes_in_what_has_come_names_addresses_one_by_one(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(sample, source)
    (source / PICTURES).unlink()
    with serving(source) as address:
        assert postmill("plan", f"http://{address}", run, "--salvage") == 0
        with suppress(PostmillError):
            postmill("ingest", run)
        shutil.copyfile(sample / PICTURES, source / PICTURES)
        capsys.readouterr()
        with suppress(PostmillError):
            postmill("mend", run)
        printed = capsys.readouterr().out
        words = shlex.split(printed[printed.index("postmill plan ") :].splitlines()[0])[1:]
        assert postmill(*words) == 0
        assert postmill("ingest", f"{run}-whole") == 0
    assert status.read(open_run(Path(f"{run}-whole"))).posts > status.read(open_run(run)).posts
