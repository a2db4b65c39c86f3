"""What only a GPU can show; left out where there is none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from postmill.encode.device import Compute, leaving, to_device, to_host, tokens_to_device
from postmill.encode.gpu import visible
from postmill.encode.preparation.stream import stream
from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.progress import Silent

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
_SIZES = tuple(64 + 37 * n % 200 for n in range(60))


class Told(Silent):
    """Progress that keeps notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def batches() -> Iterator[npt.NDArray[np.uint8]]:
    for number, size in enumerate(_SIZES):
        yield np.full((size, 3, 224, 224), number, np.uint8)


def slowly_doubled(given: torch.Tensor) -> torch.Tensor:
    """Work enough for the next batch to be given before this one is computed."""
    weights = torch.eye(2048, device="cuda")
    for _ in range(20):
        weights = weights @ torch.eye(2048, device="cuda")
    return given.float().mean(dim=(1, 2, 3)).unsqueeze(1) * 2 * weights[0, 0]


def test_every_result_is_that_of_its_batch() -> None:
    compute = Compute(Device.CUDA, 4)
    with compute.card.busy.measured() as share:
        results = list(
            stream(
                compute,
                batches(),
                lambda batch: batch,
                lambda batch: leaving(compute, slowly_doubled(to_device(compute, batch))),
                lambda result: to_host(compute, result),
            )
        )
    for number, (size, result) in enumerate(zip(_SIZES, results, strict=True)):
        np.testing.assert_allclose(result, np.full((size, 1), 2.0 * number, np.float32), rtol=1e-4)
    assert 0 < share.busy <= share.wall


def test_tokens_of_every_type_arrive() -> None:
    compute = Compute(Device.CUDA, 1)
    tokens = {"ids": torch.arange(12).reshape(3, 4), "flags": torch.tensor([True]), "half": torch.ones(5).half()}
    moved = tokens_to_device(compute, {**tokens, "prompt": "a"})
    torch.cuda.synchronize()
    assert moved["prompt"] == "a"
    for name, tensor in tokens.items():
        assert moved[name].is_cuda and torch.equal(moved[name].cpu(), tensor)


@pytest.mark.parametrize("encoder", ["text", "image"])
def test_the_vectors_are_those_of_the_cpu_and_the_share_is_told(
    make_posts: Callable[..., Run], make_jpeg: Callable[..., bytes], encoder: str
) -> None:
    run = make_posts([[make_jpeg(n)] for n in range(40)], caption=[f"caption {n} " * (n % 7 + 1) for n in range(40)])
    options: dict[str, Any] = {"encoders": [encoder], "models": "light", "precision": "float32"}
    vectors = []
    for device in ("cpu", "cuda"):
        told = Told()
        encode_run(run, **options, device=device, progress=told)
        (made,) = encoders_of(run)
        shard = embeddings.read(run, made, 0)
        assert shard.vectors is not None
        vectors.append(shard.vectors.astype(np.float32))
        (run.embeddings / made.folder).rename(run.folder / device)
    assert ((vectors[0] * vectors[1]).sum(axis=1) > 0.999).all()
    assert [note for note in told.notes if note.startswith(f"encode {encoder}: ") and "computed" in note]


def test_to_list_cards_makes_no_context() -> None:
    program = "import torch; from postmill.encode.gpu import visible; print(len(visible.own().names), "
    program += "torch.cuda.is_initialized())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(visible.own().names)), "False"]
