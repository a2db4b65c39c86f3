"""The share of the time that a GPU computes: what overlaps counts once, what it waits for does not count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from postmill.encode import stage
from postmill.encode.device import Compute, leaving, to_device, to_host
from postmill.encode.gpu.busy import Busy, Share
from postmill.encode.gpu.card import Card
from postmill.encode.gpu.driver import Driver
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.progress import Silent
from tests.encode.gpu.lazy import LazyGpu


class Told(Silent):
    """Progress that keeps notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


class Timed:
    """An event that is recorded at a time that the test sets."""

    def __init__(self, clock: Clocked) -> None:
        self.clock = clock

    def record(self, stream: Any) -> None:
        self.at = self.clock.milliseconds

    def synchronize(self) -> None:
        pass

    def query(self) -> bool:
        return True

    def elapsed_time(self, later: Timed) -> float:
        return later.at - self.at


class Clocked(Driver):
    """A GPU and a clock that stand where the test sets them."""

    milliseconds = 0.0

    def current(self) -> Any:
        return None

    def event(self, timed: bool = False) -> Any:
        assert timed
        return Timed(self)

    def seconds(self) -> float:
        return self.milliseconds / 1000


@pytest.fixture
def gpu() -> Clocked:
    return Clocked()


@pytest.fixture
def busy(gpu: Clocked) -> Busy:
    return Busy(gpu, gpu.seconds)


def compute(busy: Busy, gpu: Clocked, start: float, end: float) -> None:
    gpu.milliseconds = start
    busy.begin()
    gpu.milliseconds = end
    busy.end()


def test_stretches_are_added_up(busy: Busy, gpu: Clocked) -> None:
    with busy.measured() as share:
        compute(busy, gpu, 100, 300)
        busy.settle()
        compute(busy, gpu, 500, 600)
        gpu.milliseconds = 1000
    assert share == Share(pytest.approx(0.3), pytest.approx(1.0))
    assert share.told() == "computed 30 % of 1.0 s and waited for the rest"


@pytest.mark.parametrize(
    ("stretches", "seconds"),
    [
        ([(0, 400), (300, 600)], 0.6),  # the common hundred counts once
        ([(0, 400), (100, 200), (350, 500)], 0.5),  # one within another
        ([(0, 400), (400, 500)], 0.5),
        ([(200, 300), (200, 300)], 0.1),
        ([(0, 0)], 0.0),
    ],
)
def test_what_overlaps_counts_once(
    busy: Busy, gpu: Clocked, stretches: list[tuple[float, float]], seconds: float
) -> None:
    with busy.measured() as share:
        for stretch in stretches:
            compute(busy, gpu, *stretch)
        gpu.milliseconds = 1000
    assert share.busy == pytest.approx(seconds)


def test_a_beginning_ends_what_was_begun_and_an_end_without_one_is_nothing(busy: Busy, gpu: Clocked) -> None:
    with busy.measured() as share:
        busy.end()
        busy.begin()
        gpu.milliseconds = 100
        busy.begin()
        gpu.milliseconds = 150
        busy.end()
        busy.end()
        gpu.milliseconds = 200
    assert share.busy == pytest.approx(0.15)


def test_a_pass_without_work_says_nothing(busy: Busy) -> None:
    told = Told()
    with busy.told("encode image", told):
        pass
    assert told.notes == []


def test_a_pass_that_fails_says_nothing_and_is_not_counted_with_the_next(busy: Busy, gpu: Clocked) -> None:
    told = Told()
    with pytest.raises(ValueError, match="damaged"), busy.told("encode image", told):
        compute(busy, gpu, 0, 700)
        busy.begin()
        raise ValueError("damaged")
    assert told.notes == []
    gpu.milliseconds = 1000
    with busy.told("encode image", told):
        compute(busy, gpu, 1100, 1300)
        gpu.milliseconds = 2000
    assert told.notes == ["encode image: the GPU computed 20 % of 1.0 s and waited for the rest"]


def test_of_a_pass_that_comes_again_the_sum_is_said_when_it_has_doubled(
    busy: Busy, gpu: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    told = Told()
    for second in range(9):
        with busy.told("encode text", told):
            compute(busy, gpu, 1000 * second, 1000 * second + 500)
            gpu.milliseconds = 1000 * (second + 1)
    of = "encode text: GPU 3 computed 50 % of {}.0 s and waited for the rest"
    assert told.notes == [of.format(seconds) for seconds in (1, 2, 4, 8)]


def test_what_a_batch_waits_for_its_copy_does_not_count_as_computing() -> None:
    """Copies of 30 ms either way, batches of 10: those of results are behind them, the first there before them all."""
    gpu = LazyGpu(copy_ms=30.0)
    card = Card(gpu)
    on_card = Compute(Device.CUDA, 1, card=card)
    card.busy._clock = lambda: gpu.default.now / 1000
    with card.busy.measured() as share:
        waiting: list[Any] = []
        for _ in range(6):
            moved = to_device(on_card, np.ones(4, np.float32))
            gpu.compute(lambda: None, 10.0)
            waiting.append(leaving(on_card, moved))
            if len(waiting) > 1:
                to_host(on_card, waiting.pop(0))
        to_host(on_card, waiting.pop())
    assert share == Share(pytest.approx(0.06), pytest.approx(0.03 + 6 * 0.04))


def test_copies_run_beside_what_is_computed() -> None:
    """Copies of 30 ms, batches of 30: but for the first copy and the results' the GPU computes all the time."""
    gpu = LazyGpu(copy_ms=30.0)
    on_card = Compute(Device.CUDA, 1, card=Card(gpu))
    for _ in range(6):
        to_device(on_card, np.ones(4, np.float32))
        gpu.compute(lambda: None, 30.0)
    over = gpu.event()
    over.record(gpu.default)
    over.synchronize()
    assert gpu.default.now == 30 + 6 * 30


def test_a_batch_of_two_models_counts_without_what_the_second_waits_for() -> None:
    gpu = LazyGpu(copy_ms=100.0)
    card = Card(gpu)
    on_card = Compute(Device.CUDA, 1, card=card)
    with card.busy.measured() as share:
        results = []
        for _ in range(2):
            moved = to_device(on_card, np.ones(4, np.float32))
            gpu.compute(lambda: None, 10.0)
            results.append(leaving(on_card, moved))
        moved = to_device(on_card, np.ones(4, np.float32))
        gpu.compute(lambda: None, 10.0)
        to_device(on_card, np.ones(4, np.float32))  # ahead of the end of what was given before
        gpu.compute(lambda: None, 5.0)
    assert share.busy == pytest.approx(0.035)


def test_the_stage_tells_of_each_pass(monkeypatch: pytest.MonkeyPatch, make_posts: Callable[..., Any]) -> None:
    """On a GPU that is none: the encoder of texts, its network left on the CPU, computes through a card."""
    gpu = LazyGpu()
    monkeypatch.setattr("postmill.encode.device.prepare_for_inference", lambda compute, network: network.eval())
    on_card = Compute(Device.CUDA, 1, card=Card(gpu))

    def loaded(*_: Any) -> Any:
        from postmill.encode.preparation.batches import TextModel
        from postmill.encode.preparation.tokens import Tokenized

        def tokenize(texts: list[str]) -> Callable[[], Tokenized]:
            import torch

            ones = np.ones(len(texts), np.int64)
            return lambda: Tokenized(ones, lambda rows: {"input_ids": torch.ones(len(rows), 384)})

        def forward(tokens: Any) -> Any:
            from postmill.encode.device import tokens_to_device

            moved = tokens_to_device(on_card, tokens)["input_ids"]
            gpu.compute(lambda: None, 5.0)
            return moved

        return TextModel(tokenize, forward, 384)

    monkeypatch.setattr(stage, "choose_device", lambda *_: on_card)
    monkeypatch.setattr("postmill.encode.encoders.text.load_text_model", loaded)
    told = Told()
    run = make_posts(caption=["bread", "cake"])
    (summary,) = stage.encoding(run, encoders=["text"], models="light", progress=told)([0])  # type: ignore[arg-type]
    assert summary.done == 1
    (note,) = [note for note in told.notes if "computed" in note]
    assert note.startswith("encode text: the GPU computed ") and note.endswith(" s and waited for the rest")


def test_nothing_of_a_gpu_is_touched_before_there_is_work() -> None:
    class Untouchable(Driver):
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

    def events() -> Iterator[str]:
        card = Card(Untouchable())
        with card.busy.told("encode text", Silent()):
            card.busy.end()
            yield "done"

    assert list(events()) == ["done"]
