"""Batches there and results back, on a GPU that does all as late as it may: none is read or overwritten early."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers import BatchEncoding

from postmill.encode.device import Compute, leaving, to_device, to_host, tokens_to_device
from postmill.encode.gpu.card import Card
from postmill.encode.preparation.batches import TextModel, over_texts
from postmill.encode.preparation.stream import stream
from postmill.encode.preparation.tokens import Tokenized
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError
from tests.encode.gpu.lazy import LazyGpu, Stream

SIZES = (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9)


def on(gpu: LazyGpu) -> Compute:
    return Compute(Device.CUDA, 2, card=Card(gpu))


def doubled(gpu: LazyGpu, given: torch.Tensor) -> torch.Tensor:
    """What a model makes, when the GPU comes to it."""
    made = torch.full(given.shape, float("nan"))
    gpu.compute(lambda: made.copy_(given.float() * 2))
    return made


def batches() -> Iterator[npt.NDArray[np.uint8]]:
    for number, size in enumerate(SIZES):
        yield np.full((size, 2, 3), number, np.uint8)


def test_every_result_is_that_of_its_batch() -> None:
    gpu = LazyGpu()
    compute = on(gpu)
    results = stream(
        compute,
        batches(),
        lambda batch: batch,
        lambda batch: leaving(compute, doubled(gpu, to_device(compute, batch))),
        lambda result: to_host(compute, result),
    )
    for number, (size, result) in enumerate(zip(SIZES, results, strict=True)):
        np.testing.assert_array_equal(result, np.full((size, 2, 3), 2.0 * number, np.float32))
    assert len(gpu.streams) == 2  # one for copies beside the one that computes


def test_a_result_stays_what_it_is_when_its_memory_is_used_again() -> None:
    gpu = LazyGpu()
    compute = on(gpu)
    kept = [to_host(compute, leaving(compute, doubled(gpu, to_device(compute, batch)))) for batch in batches()]
    for number, result in enumerate(kept):
        assert (result == 2.0 * number).all()


def test_any_number_may_be_given_before_a_result_is_taken() -> None:
    gpu = LazyGpu()
    compute = on(gpu)
    waiting = [leaving(compute, doubled(gpu, to_device(compute, batch))) for batch in batches()]
    for number, result in enumerate(waiting):
        assert (to_host(compute, result) == 2.0 * number).all()


def test_a_batch_is_waited_for_and_not_the_one_behind_it() -> None:
    gpu = LazyGpu()
    compute = on(gpu)
    first, second = (leaving(compute, doubled(gpu, to_device(compute, batch))) for batch in (np.ones(4), np.ones(4)))
    to_host(compute, first)
    assert gpu.default.work and not second.done.query()  # the second is still in hand, and the first is here
    np.testing.assert_array_equal(to_host(compute, second), np.full(4, 2.0, np.float32))


def test_memory_is_pinned_a_few_times_and_used_again() -> None:
    gpu = LazyGpu()
    compute = on(gpu)
    for _ in range(50):
        to_host(compute, leaving(compute, doubled(gpu, to_device(compute, np.zeros((8, 100), np.float32)))))
    assert gpu.pinned_sizes == [4096, 4096, 4096]  # two for batches, one for results
    to_device(compute, np.zeros((80, 100), np.float32))
    assert gpu.pinned_sizes[3:] == [32768]


def test_what_the_copying_stream_owns_is_kept_for_the_computing_one() -> None:
    gpu = LazyGpu()
    compute = on(gpu)
    moved = tokens_to_device(compute, {"a": torch.ones(3), "b": torch.ones(2)})
    assert gpu.kept == [(moved[name].data_ptr(), gpu.default) for name in ("a", "b")]


@pytest.mark.parametrize("kind", [dict, BatchEncoding])
def test_tokens_keep_their_names_types_and_order(kind: Callable[[dict[str, Any]], Any]) -> None:
    odd = torch.tensor([[True, False, True]])  # three bytes, so that what follows must be aligned
    tokens = {
        "input_ids": torch.tensor([[7, 8], [9, 2**40]]),
        "flags": odd,
        "prompt": "none of a tensor",
        "mask": torch.ones(2, 3, dtype=torch.float16),
        "nothing": torch.zeros(0, 4),
        "turned": torch.arange(6).reshape(2, 3).T,
    }
    gpu = LazyGpu()
    compute = on(gpu)
    moved = tokens_to_device(compute, kind(dict(tokens)))
    assert list(moved) == list(tokens) and moved["prompt"] == "none of a tensor"
    leaving(compute, doubled(gpu, moved["input_ids"])).wait()
    for name in ("input_ids", "flags", "mask", "nothing", "turned"):
        assert moved[name] is not tokens[name] and moved[name].dtype == tokens[name].dtype  # type: ignore[attr-defined]
        assert torch.equal(moved[name], tokens[name])  # type: ignore[arg-type]
    on_cpu = tokens_to_device(Compute(Device.CPU, 1), kind(dict(tokens)))
    assert all(on_cpu[name] is tokens[name] for name in tokens)


def test_one_ring_serves_within_inference_mode_and_outside_it() -> None:
    gpu = LazyGpu()
    compute = on(gpu)
    for _ in range(3):
        with torch.inference_mode():
            inside = leaving(compute, doubled(gpu, to_device(compute, np.ones(4))))
        outside = leaving(compute, doubled(gpu, to_device(compute, np.ones(4))))
        assert [to_host(compute, each).sum() for each in (inside, outside)] == [8, 8]


def test_texts_come_back_in_their_order() -> None:
    gpu = LazyGpu()
    compute = on(gpu)

    def tokenize(texts: list[str]) -> Callable[[], Tokenized]:
        return lambda: Tokenized(
            np.array([len(text) * 4000 for text in texts], np.int64),
            lambda rows: {"input_ids": torch.tensor([[ord(texts[row][0])] for row in rows])},
        )

    def forward(tokens: Any) -> Any:
        return doubled(gpu, tokens_to_device(compute, tokens)["input_ids"])

    shards: list[tuple[int, Sequence[str | None]]] = [
        (0, ["a", "bb", "a"]),
        (1, []),
        (2, ["ccc", None, "d", "ee", "bb", None]),
        (3, [None]),
    ]
    for number, rows in over_texts(compute, TextModel(tokenize, forward, 1), shards):
        assert rows[:, 0].tolist() == [2.0 * ord(text[0]) if text else 0.0 for text in shards[number][1]]


def test_a_result_that_is_no_number_is_told_of_here_too() -> None:
    gpu = LazyGpu()
    compute = on(gpu)
    given = to_device(compute, np.full(3, np.inf, np.float32))
    with pytest.raises(PostmillError, match="not finite"):
        to_host(compute, leaving(compute, doubled(gpu, given)))


def test_arrays_of_a_plugin_and_the_cpu_are_left_as_they_are() -> None:
    array, tensor = np.ones(3, np.float32), torch.ones(3)
    assert leaving(on(LazyGpu()), array) is array
    assert leaving(Compute(Device.CPU, 1), tensor) is tensor
    assert to_device(Compute(Device.CPU, 1), array).data_ptr() == array.ctypes.data


def test_the_stream_of_the_model_is_the_one_in_use() -> None:
    gpu = LazyGpu()
    compute, other = on(gpu), Stream()
    with gpu.using(other):
        result = leaving(compute, doubled(gpu, to_device(compute, np.ones(2))))
    assert gpu.kept[0][1] is other and not gpu.default.work
    assert to_host(compute, result).tolist() == [2, 2]
