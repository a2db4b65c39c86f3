"""Pictures are prepared by other processes: the same pixels, and nobody waits for one that is gone."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from PIL import Image

from postmill.encode.absence import Absence
from postmill.encode.preparation import preparers
from postmill.encode.preparation.picture import MAX_PIXELS, NotAPicture, open_picture
from postmill.encode.preparation.pixels import (
    MiddleSquare,
    Preparation,
    Processor,
    ShortSide,
    by_processor,
    from_json,
    read_processor,
    to_json,
)
from postmill.encode.preparation.preparers import preparing
from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Silent

ROOT = Path(__file__).parents[3]
SIZES = [(256, 320), (320, 256), (1080, 600), (20_000, 1), (1, 30_000), (17, 9)]
WAYS: list[Preparation] = [ShortSide(224, 224, True), ShortSide(232, 224, False), MiddleSquare(224, 0.875)]
LIGHT: dict[str, Any] = {"encoders": ["image"], "models": "light", "device": "cpu"}
ENCODE = """
import sys
from pathlib import Path
from postmill.encode.stage import encode_run
from postmill.shards.run.folder import open_run
encode_run(open_run(Path(sys.argv[1])), encoders=["image"], models="light", device="cpu", workers=2)
"""


def relatives(pid: int) -> list[tuple[int, int]]:
    """The processes that prepare pictures for ``pid``: number and parent of each, the one that forked them first."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rpartition(") ")[2].split()[1])
            state = (folder / "stat").read_text().rpartition(") ")[2].split()[0]
        except (OSError, IndexError):  # it has just ended
            continue
        if preparers.preparer.__name__.encode() in words and state != "Z":
            found.append((int(folder.name), parent))
    mothers = [(number, parent) for number, parent in found if parent == pid]
    return [*mothers, *(one for one in found if one[1] in [number for number, _ in mothers])]


def here(way: Callable[[Image.Image], Any], contents: Sequence[bytes]) -> list[Any]:
    """What this process makes of those that can be decoded."""
    made = []
    for content in contents:
        try:
            made.append(way(open_picture(content)))
        except NotAPicture:
            continue
    return made


def test_pixels_and_reasons_are_those_that_this_process_makes(make_jpeg: Callable[..., bytes]) -> None:
    intact = [make_jpeg(n, size) for n, size in enumerate(SIZES)]
    contents = [b"", *intact[:3], b"<html>", *intact[3:], intact[0][:3000]]
    with preparing(2, len(contents), dict(enumerate(WAYS)), Silent()) as prepare:
        for wanted in ([0, 1, 2], [2], [1, 0]):
            reasons, pixels = prepare(contents, wanted)
            assert [*pixels] == wanted
            for number in wanted:
                np.testing.assert_array_equal(pixels[number], here(WAYS[number], contents))
            assert (reasons[0], reasons[4], reasons[-1]) == (
                Absence.IMAGE_EMPTY,
                Absence.IMAGE_UNREADABLE,
                Absence.IMAGE_DAMAGED,
            )
            assert list(reasons).count(None) == len(intact)
        assert prepare([b""], [0]) == ([Absence.IMAGE_EMPTY], {})  # and nothing of what was there before
        np.testing.assert_array_equal(prepare(intact[:1], [0])[1][0], here(WAYS[0], intact[:1]))


def test_an_unusual_processor_is_read_by_the_processes_too(make_jpeg: Callable[..., bytes], tmp_path: Path) -> None:
    transformers.CLIPImageProcessorPil(resample=Image.Resampling.LANCZOS).save_pretrained(tmp_path)
    contents = [make_jpeg(n, size) for n, size in enumerate(SIZES[:4])]
    with preparing(1, 4, {0: Processor(str(tmp_path), 224)}, Silent()) as prepare:
        made = prepare(contents, [0])[1][0]
    np.testing.assert_array_equal(made, here(by_processor(read_processor(tmp_path)), contents))
    with (
        preparing(1, 4, {0: Processor(str(tmp_path), 192)}, Silent()) as prepare,
        pytest.raises(PostmillError, match="makes 224 x 224 pixels, the model takes 192 x 192") as caught,
    ):
        prepare(contents, [0])
    assert caught.value.place == str(tmp_path) and caught.value.hint is not None


@pytest.mark.parametrize("way", [*WAYS, Processor("/models/some", 224)], ids=lambda way: type(way).__name__)
def test_a_preparation_is_told_in_json(way: Preparation) -> None:
    assert from_json(json.loads(json.dumps(to_json(way)))) == way


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_largest_picture_takes_no_more_than_200_mb(kind: str) -> None:
    largest = Image.new("RGBA" if kind != "JPEG" else "RGB", (4000, MAX_PIXELS // 4000), (90, 120, 8))
    out = io.BytesIO()
    largest.save(out, kind, **({"progressive": True, "subsampling": 0} if kind == "JPEG" else {}))
    small = io.BytesIO()
    largest.resize((64, 64)).save(small, kind)

    def most(pid: int) -> int:
        (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) << 10

    with preparing(1, 1, {0: ShortSide(224, 224, False)}, Silent()) as prepare:
        prepare([small.getvalue()], [0])
        _, (worker, _) = relatives(os.getpid())
        before = most(worker)
        reasons, _ = prepare([out.getvalue()], [0])
        assert reasons == [None] and most(worker) - before < 200_000_000


class Killer(Silent):
    """Progress that kills one of the processes when the first shard is done."""

    def track(self, *_: Any, **__: Any) -> Any:
        from contextlib import nullcontext

        return nullcontext(self.advance)

    def advance(self, *_: int) -> None:
        processes = relatives(os.getpid())
        if len(processes) > 1:
            os.kill(processes[1][0], signal.SIGKILL)


@pytest.fixture
def run(make_run: Callable[..., Run], make_record: Callable[..., Any], make_jpeg: Callable[..., bytes]) -> Run:
    """Twelve shards of sixteen pictures."""
    return make_run([[(make_record(f"k{n}"), [make_jpeg(n + i) for i in range(16)])] for n in range(12)])


def test_a_process_that_was_killed_ends_in_one_message_and_the_next_call_goes_on(run: Run) -> None:
    with pytest.raises(PostmillError, match="a process that decodes pictures was killed") as caught:
        encode_run(run, **LIGHT, workers=2, progress=Killer())
    assert caught.value.hint is not None and "run the same command again" in caught.value.hint
    assert relatives(os.getpid()) == []
    (encoder,) = encoders_of(run)
    done = [embeddings.is_done(run, encoder, shard) for shard in range(12)]
    assert done[0] and not done[-1] and not any(done[done.index(False) :])
    (summary,) = encode_run(run, **LIGHT, workers=2).encoders
    assert (summary.skipped, summary.done) == (sum(done), 12 - sum(done))


def test_they_end_with_the_process_that_they_work_for(run: Run) -> None:
    process = subprocess.Popen([sys.executable, "-c", ENCODE, str(run.folder)], cwd=ROOT)
    while process.poll() is None and len(found := relatives(process.pid)) < 3:
        time.sleep(0.01)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    limit = time.monotonic() + 60
    while (left := [number for number, _ in found if Path(f"/proc/{number}").exists()]) and time.monotonic() < limit:
        time.sleep(0.05)
    assert left == []


def test_a_shard_damaged_in_the_middle_loses_nothing_of_the_others(run: Run) -> None:
    tar = run.posts / "posts-000005.tar"
    intact = tar.read_bytes()
    middle = len(intact) // 2
    tar.write_bytes(intact[:middle] + bytes([intact[middle] ^ 1]) + intact[middle + 1 :])
    with pytest.raises(PostmillError, match="is damaged: its bytes are not those") as caught:
        encode_run(run, **LIGHT, workers=2)
    assert caught.value.place == str(tar)
    (encoder,) = encoders_of(run)
    assert [embeddings.is_done(run, encoder, shard) for shard in range(12)] == [True] * 5 + [False] * 7
    tar.write_bytes(intact)
    assert encode_run(run, **LIGHT, workers=2).encoders[0].done == 7


def test_what_is_in_dev_shm_does_not_matter(run: Run) -> None:
    """A tmpfs of one page in its place, full, for this command alone."""
    script = 'mount -t tmpfs -o size=4k none /dev/shm && head -c 4096 /dev/zero > /dev/shm/full && exec "$@"'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mounts of one's own here")
    done = subprocess.run([*command, sys.executable, "-c", ENCODE, str(run.folder)], cwd=ROOT, check=False)
    (encoder,) = encoders_of(run)
    assert done.returncode == 0 and all(embeddings.is_done(run, encoder, shard) for shard in range(12))


def test_processes_that_cannot_be_started_are_told_of(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socketpair", none_left)
    with pytest.raises(PostmillError, match="cannot be started: Too many open files") as caught:
        encode_run(run, **LIGHT)
    assert caught.value.hint is not None
