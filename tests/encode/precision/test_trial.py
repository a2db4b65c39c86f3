"""What a trial takes: the fastest precision that keeps the numbers, and float32 where that is not worth it."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from postmill.encode import trial
from postmill.encode.device import Compute, choose_device, worth_a_trial
from postmill.encode.encoders import clip, probes
from postmill.encode.interface import EncoderSpec
from postmill.encode.options import ModelSet, Precision
from postmill.encode.request import find_models
from postmill.encode.speed import mkl, quicken
from postmill.encode.stage import encode_run
from postmill.encode.trial import LARGEST_DIFFERENCE, settled
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Silent
from tests.encode.precision.conftest import QUICK, SAPPHIRE_RAPIDS, ZEN_3, ZEN_4, Encode, Heard

FLOAT32, BFLOAT16, FLOAT16, MKL = (
    Precision.FLOAT32,
    Precision.BFLOAT16,
    Precision.FLOAT16,
    Precision.FLOAT16_MKL,
)
RATE = r"\d+\.\d a second"


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (ZEN_3, []),
        (ZEN_4, [BFLOAT16]),
        ("amx_bf16", [BFLOAT16]),
        ("avx512_fp16", [MKL]),
        (f"{SAPPHIRE_RAPIDS} amx_fp16", [FLOAT16, BFLOAT16, MKL]),
    ],
)
def test_what_is_tried_is_what_the_cpu_may_be_fast_in(cpu: Any, flags: str, found: list[Precision]) -> None:
    cpu(flags)
    assert worth_a_trial() == found
    for precision in (FLOAT16, BFLOAT16, MKL):
        heard = Heard()
        choose_device(Device.CPU, 1, heard, precision)
        assert len(heard.notes) == (precision not in found)  # nothing is called slow that may be fast
    if flags == ZEN_3:
        choose_device(Device.CPU, 1, heard, BFLOAT16)
        assert "this CPU has no amx_bf16 or avx512_bf16, so transformers are slower in bfloat16" in heard.notes[-1]


def test_what_is_not_installed_is_not_tried(cpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> Any:
        raise PackageNotFoundError

    cpu(SAPPHIRE_RAPIDS)
    monkeypatch.setattr(mkl, "files", absent)
    mkl._library.cache_clear()
    assert worth_a_trial() == [BFLOAT16]
    monkeypatch.undo()


def test_a_cpu_without_anything_of_the_kind_holds_no_trial(cpu: Any, no_trial: Any, encode: Encode) -> None:
    cpu(ZEN_3)
    no_trial()
    assert encode("image", "text")[:2] == ({"image": "float32", "text": "float32"}, [])


def test_a_real_trial_says_what_it_saw_and_takes_what_keeps_the_numbers(cpu: Any, encode: Encode, run: Run) -> None:
    cpu(SAPPHIRE_RAPIDS)
    taken, said, _ = encode("image", "text", "text-with-comments", "sentiment")
    assert [note.partition(":")[0] for note in said] == [
        "precision of image",
        "precision of text, text-with-comments",
        "precision of sentiment",
    ]
    for note, name in zip(said, ("image", "text", "sentiment"), strict=True):
        assert re.fullmatch(rf".*: {taken[name]}, {RATE} in a trial where .*float32.*|.*: float32, {RATE} .*", note)
        kept = re.findall(r"(cosine|difference) ([\d.]+)", note)
        assert len(kept) == 2, note  # of bfloat16 and float16-mkl
        assert all(float(value) > 0.99 if word == "cosine" else float(value) < 0.05 for word, value in kept)
    assert taken["text"] == taken["text-with-comments"]
    assert {encoder.encoder: encoder.precision for encoder in encoders_of(run)} == taken


def test_the_fastest_is_taken_in_turns(cpu: Any, timed: Any, encode: Encode) -> None:
    cpu(ZEN_4)
    order = timed(QUICK)
    taken, said, _ = encode("text")
    assert taken == {"text": "bfloat16"}
    (note,) = said
    assert re.fullmatch(
        r"precision of text: bfloat16, 16\.0 a second in a trial where float32 does 8\.0 \(cosine 0\.999\d\d\)", note
    )
    # Two turns each, in which the first batch is slow everywhere and not timed; the others take ten seconds.
    assert order == ([FLOAT32] * 2 + [BFLOAT16] * 3) * 2
    cpu(SAPPHIRE_RAPIDS)
    timed({**QUICK, MKL: 0.5})
    taken, said, _ = encode("image")
    assert taken == {"image": "float16-mkl"}
    assert re.search(r"float16-mkl, 16\.0 a .* does 4\.0 \(cosine .*\) and bfloat16 does 8\.0 \(cosine", said[0])


def loading(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Precision, int]]:
    """Return what is filled as CLIP is loaded: its precision, and how many before of which a part is still there."""
    loads: list[tuple[Precision, int]] = []
    before: list[list[weakref.ref[Any]]] = []
    real = clip.prepare_for_inference

    def prepare(compute: Compute, network: Any) -> None:
        loads.append((compute.precision, sum(any(part() is not None for part in parts) for parts in before)))
        before.append([weakref.ref(part) for part in network.modules()])
        real(compute, network)

    monkeypatch.setattr(clip, "prepare_for_inference", prepare)
    return loads


@pytest.mark.parametrize("seconds", [1.8, 2.0, 5.0])
def test_float32_stays_where_little_is_gained(cpu: Any, timed: Any, encode: Encode, seconds: float) -> None:
    cpu(ZEN_4)
    timed({FLOAT32: 2.0, BFLOAT16: seconds})
    taken, said, _ = encode("text")
    assert taken == {"text": "float32"}
    rate = f"{16 / seconds:.1f}"
    assert said[0].startswith(
        f"precision of text: float32, 8.0 a second in a trial where bfloat16 does {rate} (cosine 0.999"
    )


def shifted(by: float) -> Callable[[Any], Any]:
    return lambda numbers: numbers + np.float32(by) * np.sign(numbers.mean(axis=1, keepdims=True) - numbers)


def fail(error: Exception) -> Callable[[Any], Any]:
    def raising(_: Any) -> Any:
        raise error

    return raising


@pytest.mark.parametrize(
    ("encoder", "spoil", "said_of_it"),
    [
        ("image", lambda vectors: np.roll(vectors, 1, axis=1), r"cosine -?0\.\d+"),
        ("sentiment", shifted(0.02), r"difference 0\.0[23]\d+"),
        (
            "text",
            fail(RuntimeError('"some_layer" not implemented for this type\nat line 3')),
            '"some_layer" not imp.*e',
        ),
        ("text", fail(PostmillError("the model's result holds numbers that are not finite")), ".*not finite"),
    ],
)
def test_what_loses_the_numbers_is_not_taken(
    cpu: Any, timed: Any, encode: Encode, encoder: str, spoil: Any, said_of_it: str
) -> None:
    cpu(ZEN_4)
    timed(QUICK, {BFLOAT16: spoil})
    taken, (note,), _ = encode(encoder)
    assert taken == {encoder: "float32"}
    assert re.search(rf": float32, [48]\.0 a .* where bfloat16 does not keep its numbers \({said_of_it}\)$", note), note


def test_what_is_slower_and_keeps_them_is_taken_instead(cpu: Any, timed: Any, encode: Encode) -> None:
    cpu(SAPPHIRE_RAPIDS)
    timed(QUICK, {BFLOAT16: lambda vectors: -vectors})
    taken, (note,), _ = encode("text")
    assert taken == {"text": "float16-mkl"}
    assert re.search(r"\(cosine [01]\.\d+\) and bfloat16 does not keep its numbers \(cosine -[01]\.\d+\)$", note), note


def test_encoders_of_one_model_have_one_trial_in_which_the_numbers_of_both_count(
    cpu: Any, timed: Any, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = loading(monkeypatch)
    cpu(ZEN_4)
    timed(
        QUICK,
        {BFLOAT16: lambda numbers: shifted(2 * LARGEST_DIFFERENCE)(numbers) if numbers.shape[1] == 8 else numbers},
    )
    taken, said, _ = encode("image", "image-emotion")
    assert taken == {"image": "float32", "image-emotion": "float32"}
    assert re.search(r"of image, image-emotion: float32, .* \(cosine 0\.99\d+, difference 0\.02\d+\)$", said[0])
    # What does not keep the numbers has one turn; then what was taken is loaded.
    assert [precision for precision, _ in loads] == [FLOAT32, BFLOAT16, FLOAT32]


def test_one_model_is_in_memory_at_a_time(
    cpu: Any, timed: Any, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = loading(monkeypatch)
    cpu(ZEN_4)
    timed(QUICK)
    gc.disable()  # what a run collects by chance does not count
    try:
        assert encode("image")[0] == {"image": "bfloat16"}
    finally:
        gc.enable()
    assert loads == [(FLOAT32, 0), (BFLOAT16, 0), (FLOAT32, 0), (BFLOAT16, 0), (BFLOAT16, 0)]


def test_what_two_loads_of_a_model_say_is_said_once(
    cpu: Any, timed: Any, run: Run, mpnet_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quicken, "version", lambda _: "9.0")
    cpu(ZEN_4)
    timed(QUICK)
    heard = Heard()
    encode_run(run, encoders=["text"], model_overrides={"text": str(mpnet_folder)}, device="cpu", progress=heard)
    assert sum(note.startswith("MPNet: transformers 9.0 is not one of") for note in heard.notes) == 1


def test_the_packaged_models_hold_none(cpu: Any, no_trial: Any, encode: Encode) -> None:
    cpu(SAPPHIRE_RAPIDS)
    no_trial()
    taken, said, _ = encode("text", "image", models="light", model_overrides={})
    assert (taken, said) == ({"text": "float32", "image": "float32"}, [])


def test_none_is_held_where_nothing_is_encoded(
    cpu: Any, no_trial: Any, encode: Encode, run: Run, mpnet_folder: Any
) -> None:
    cpu(SAPPHIRE_RAPIDS)
    no_trial()
    (found,) = find_models(["text"], ModelSet.PAPER, {"text": str(mpnet_folder)}, Device.CPU)
    assert found.precision == "float32"
    (run.posts / "posts-000000.json").unlink()
    _, said, done = encode("text")
    assert (said, done.waiting, list(run.embeddings.glob("*"))) == ([], 1, [])


def test_none_is_held_for_a_gpu(cpu: Any, no_trial: Any, run: Run, encode: Encode) -> None:
    cpu(SAPPHIRE_RAPIDS)
    pinned = encode("metadata")[2].encoders[0].encoder
    no_trial()

    def make(_: Compute) -> Any:
        raise AssertionError("it is as it is")

    compute = Compute(Device.CUDA, 1, FLOAT16)
    spec = EncoderSpec(pinned, None, compute, probe=lambda: make(compute), variants=make)
    assert settled(run, [spec], Silent(), tries=True) == [spec]


def test_what_is_tried_with_is_structured_and_the_same_everywhere() -> None:
    pictures = [np.asarray(probes.picture(n)).astype(float) for n in range(8)]
    assert all(np.array_equal(np.asarray(probes.picture(n)), picture) for n, picture in enumerate(pictures))
    for n, picture in enumerate(pictures):
        assert picture.shape == (256, 320, 3) and picture.std() > 20
        assert np.abs(np.diff(picture, axis=1)).mean() < picture.std() / 3  # neighbours are alike: no noise
        assert all(np.abs(picture - other).mean() > 20 for other in pictures[:n])
    assert len(set(probes.TEXTS)) == len(probes.TEXTS) == 16
    assert trial.LEAST_COSINE == 0.999
