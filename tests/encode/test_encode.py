"""The stage: each post shard through each encoder once, the same bytes however often it is interrupted."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from postmill.encode.device import choose_device
from postmill.encode.options import ModelSet, usual
from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings, posts
from postmill.shards.formats.encoders import ENCODER_FILE, encoders_of
from postmill.shards.run import publish, sealed, temporary
from postmill.shards.run.folder import Run
from postmill.shards.runtime import processes
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.shards.runtime.pace import Contents
from postmill.shards.runtime.progress import Advance, Silent
from postmill.shards.state.tasks import Task

FOLDERS = [
    "text.all-MiniLM-L6-v2",
    "text-with-comments.all-MiniLM-L6-v2",
    "sentiment.vaderSentiment",
    "image.EfficientNet-Lite0",
    "metadata",
    "emotion.lexica",
    "emotion-comments.lexica",
]


class Spoken(Silent):
    """Progress that keeps what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.bars: list[tuple[str, int | None]] = []

    @contextmanager
    def track(
        self, label: str, total: int | None, unit: str = "", before: int = 0, contents: Contents | None = None
    ) -> Iterator[Advance]:
        if unit:
            self.bars.append((label, total))
        yield lambda n, held=0: None

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def run(make_run: Callable[..., Run], make_record: Callable[..., Any], make_jpeg: Callable[..., bytes]) -> Run:
    """Three shards of six posts, one of them without caption, one without a readable picture."""

    def post(n: int) -> tuple[Any, list[bytes]]:
        caption = None if n % 6 == 4 else f"caption {n} " * (n % 5 + 1)
        pictures = [b"damaged"] if n % 6 == 5 else [make_jpeg(n + position) for position in range(n % 2 + 1)]
        return make_record(f"k{n}", caption=caption, comments=None if n % 4 == 0 else f"nice {n}"), pictures

    return make_run([[post(n) for n in range(first, first + 6)] for first in (0, 6, 12)])


def encode(run: Run, **options: Any) -> Any:
    return encode_run(run, **{"models": "light", "device": "cpu", **options})


def contents(run: Run) -> dict[str, str]:
    """SHA-256 of every file below ``embeddings``."""
    files = [path for path in sorted(run.embeddings.rglob("*")) if path.is_file()]
    return {str(path.relative_to(run.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_encoder_fills_its_folder_and_a_second_call_does_nothing(run: Run) -> None:
    spoken = Spoken()
    first = encode(run, progress=spoken)
    assert [summary.encoder.folder for summary in first.encoders] == FOLDERS
    assert [(s.done, s.skipped, s.posts) for s in first.encoders] == [(3, 0, 18)] * 7
    assert [s.absent for s in first.encoders] == [3, 2, 2, 3, 0, 3, 5]
    assert first.waiting == 0
    assert spoken.bars == [(f"encode {name}", 3) for name in usual(ModelSet.LIGHT, text_only=False)]
    assert "image: EfficientNet-Lite0 stands in for openai/clip-vit-base-patch32" in spoken.notes
    assert sum("stands in for" in note for note in spoken.notes) == 6
    for summary in first.encoders:
        for number in range(3):
            shard = embeddings.read(run, summary.encoder, number)
            assert shard.keys.to_pylist() == posts.read_records(run, number, ["key"])["key"].to_pylist()
            assert (shard.vectors is None) == (summary.encoder.encoder in ("sentiment", "emotion", "emotion-comments"))
            if summary.encoder.encoder in ("text", "text-with-comments", "image"):
                assert shard.vectors is not None
                lengths = np.linalg.norm(shard.vectors.astype(np.float32), axis=1)
                np.testing.assert_allclose(lengths, shard.present.astype(float), atol=2e-3)
    before = contents(run)
    second = encode(run)
    assert [(s.done, s.skipped, s.posts, s.absent) for s in second.encoders] == [
        (0, 3, 18, s.absent) for s in first.encoders
    ]
    assert contents(run) == before


def test_only_what_is_missing_is_done_again_and_gives_the_same_bytes(run: Run) -> None:
    encode(run, workers=1)
    before = contents(run)
    assert len(before) == 3 * (3 * 4 + 3 * 2) + 7 + 3  # each shard has a picture that is none
    for folder in FOLDERS:
        (run.embeddings / folder / "posts-000001.json").unlink()
    (run.embeddings / "metadata" / "posts-000002.npy").write_bytes(b"short")
    dead = f"{processes.machine()}-9999999-1-deadbeef"  # of a process that there cannot be
    leftover = run.embeddings / "metadata" / f"{temporary.TEMPORARY}posts-000001.npy-{dead}"
    leftover.write_bytes(b"of a killed writer")
    again = encode(run, workers=3)
    assert [(s.done, s.skipped) for s in again.encoders] == [(1, 2)] * 4 + [(2, 1)] + [(1, 2)] * 2
    assert contents(run) == before


def test_a_failure_keeps_the_shards_before_it(run: Run) -> None:
    tar = run.posts / "posts-000001.tar"
    intact = tar.read_bytes()
    tar.write_bytes(intact[:2048] + bytes(len(intact) - 2048))  # the same length, so that it passes for done
    with pytest.raises(PostmillError, match="its bytes are not those that the manifest states"):
        encode(run, encoders=["image"])
    (encoder,) = encoders_of(run)
    assert [embeddings.is_done(run, encoder, shard) for shard in range(3)] == [True, False, False]
    assert not list(run.embeddings.rglob(f"{temporary.TEMPORARY}*"))
    tar.write_bytes(intact)
    (summary,) = encode(run, encoders=["image"]).encoders
    assert (summary.done, summary.skipped) == (2, 1)


def test_shards_that_ingest_has_not_finished_wait(run: Run) -> None:
    (run.posts / "posts-000001.json").unlink()
    spoken = Spoken()
    summary = encode(run, encoders=["metadata"], progress=spoken)
    assert (summary.waiting, summary.encoders[0].done) == (1, 2)
    assert "1 of 3 post shards are not finished by ingest and wait" in spoken.notes
    nothing = encode(run, encoders=["metadata"], task=Task(1, 3))
    assert (nothing.waiting, nothing.encoders[0].done) == (1, 0)


def test_tasks_share_the_shards(run: Run) -> None:
    done = [encode(run, encoders=["metadata"], task=Task(k, 4)).encoders[0].done for k in range(4)]
    assert sum(done) == 3
    assert encode(run, encoders=["metadata"]).encoders[0].skipped == 3


def test_embeddings_of_another_revision_are_refused(run: Run) -> None:
    encode(run, encoders=["text"])
    path = run.embeddings / FOLDERS[0] / ENCODER_FILE
    pinned = sealed.unseal(path.read_bytes())
    publish.put_sealed(path, {**pinned, "revision": "0.0.1"})
    with pytest.raises(UsageError, match=r"made with another revision: '0\.0\.1', and now it is '0\.1\.0'") as caught:
        encode(run, encoders=["metadata", "text"])
    assert "mv " in str(caught.value.hint)
    assert not (run.embeddings / "metadata").exists()  # refused before anything was begun


def test_a_name_given_twice_counts_once(run: Run) -> None:
    assert len(encode(run, encoders=["metadata", "metadata"]).encoders) == 1


def test_cuda_without_cuda_is_refused_and_auto_says_what_it_took(run: Run) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(UsageError, match="no CUDA device") as caught:
        encode(run, encoders=["text"], device="cuda")
    assert "--device cpu" in str(caught.value.hint)
    spoken = Spoken()
    assert choose_device("auto", 3, spoken).device == "cpu"
    assert spoken.notes == ["device: the CPU, 3 threads; CUDA was not found"]


def test_the_number_of_torch_threads_is_given_back(run: Run) -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        encode(run, encoders=["text"])
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_importing_the_stage_is_light() -> None:
    code = (
        "import postmill.encode.stage, sys; print(sorted({'torch', 'transformers', 'webdataset'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
