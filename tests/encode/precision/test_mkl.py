"""Linear layers in half precision by MKL: the same numbers up to its rounding, whatever the shape and the threads."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from postmill.encode import device
from postmill.encode.device import Compute, choose_device, prepare_for_inference, to_host
from postmill.encode.options import Precision
from postmill.encode.speed import mkl
from postmill.encode.stage import encode_run
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.shards.runtime.progress import Silent

MKL = Precision.FLOAT16_MKL


def linear(inputs: int, outputs: int, bias: bool = True) -> torch.nn.Linear:
    torch.manual_seed(inputs + outputs)
    return torch.nn.Linear(inputs, outputs, bias=bias)


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@torch.inference_mode()
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(400, 768, 3072), (3, 50, 768, 768), (1, 7, 5), (1, 1, 1), (0, 4, 8), (2, 0, 4, 8)])
def test_a_product_is_that_of_float32(shape: tuple[int, ...], bias: bool) -> None:
    *outer, inputs, outputs = shape
    layer = linear(inputs, outputs, bias)
    states = torch.randn(*outer, inputs)
    expected = layer(states)
    prepare_for_inference(Compute(Device.CPU, 1, MKL), layer)
    result = layer(states.half())
    assert result.dtype == torch.float16 and result.shape == expected.shape
    assert float((result.float() - expected).norm()) <= 0.005 * float(expected.norm())


@torch.inference_mode()
def test_states_may_lie_anyhow() -> None:
    layer = linear(64, 32)
    states = torch.randn(10, 64, 6).half()
    expected = layer(states.float().transpose(1, 2))
    prepare_for_inference(Compute(Device.CPU, 1, MKL), layer)
    for lying in (states.transpose(1, 2), states.transpose(1, 2).contiguous()):
        torch.testing.assert_close(layer(lying).float(), expected, atol=0.01, rtol=0.01)
    torch.testing.assert_close(layer(states.transpose(1, 2)[:, :1]).float(), expected[:, :1], atol=0.01, rtol=0.01)


def test_threads_share_a_layer() -> None:
    layer = linear(256, 512)
    prepare_for_inference(Compute(Device.CPU, 1, MKL), layer)
    inputs = [torch.randn(50, 256).half() for _ in range(40)]

    @torch.inference_mode()
    def forward(states: torch.Tensor) -> torch.Tensor:
        return layer(states)

    expected = [forward(states) for states in inputs]
    with ThreadPoolExecutor(4) as pool:
        for result, alone in zip(pool.map(forward, inputs), expected, strict=True):
            assert torch.equal(result, alone)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(_: str) -> Any:
        raise PackageNotFoundError

    monkeypatch.setattr(mkl, "files", absent)
    mkl._library.cache_clear()
    with pytest.raises(PostmillError, match="needs the package mkl") as failure:
        choose_device(Device.CPU, 1, Silent(), MKL)
    assert failure.value.hint is not None and "postmill[mkl]" in failure.value.hint

    class Broken:
        name = "libmkl_rt.so.3"

        def locate(self) -> Path:
            return tmp_path / self.name

    (tmp_path / Broken.name).write_bytes(b"no library")
    monkeypatch.setattr(mkl, "files", lambda _: [Broken()])
    with pytest.raises(PostmillError, match="cannot be loaded"):
        choose_device(Device.CPU, 1, Silent(), MKL)
    monkeypatch.undo()
    assert choose_device(Device.CPU, 1, Silent(), MKL).precision == MKL


def test_a_cpu_that_is_slow_in_it_is_said_and_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, notes in ((frozenset({"avx512_fp16"}), 0), (frozenset({"avx2"}), 1)):
        heard = Heard()
        monkeypatch.setattr(device, "_cpu_flags", lambda flags=flags: flags)
        choose_device(Device.CPU, 1, heard, MKL)
        assert len(heard.notes) == notes, heard.notes
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(UsageError, match="is for the CPU"):
        choose_device(Device.CUDA, 1, Silent(), MKL)


def test_numbers_that_are_not_finite_end_it() -> None:
    assert to_host(Compute(Device.CPU, 1), torch.ones(2, 3).half()).dtype == np.float32
    for precision, hint in (("float16", "--precision float32"), ("float32", "damaged")):
        with pytest.raises(PostmillError, match="not finite") as failure:
            to_host(Compute(Device.CPU, 1, precision), torch.tensor([[1.0, float("nan")]]))
        assert failure.value.hint is not None and hint in failure.value.hint


@pytest.mark.filterwarnings("error")
def test_one_of_many_numbers_that_is_not_finite_is_found_and_large_ones_are_none() -> None:
    compute = Compute(Device.CPU, 1)
    numbers = np.full((30, 768), np.float32(3e38))  # of which two sum to more than a float32 holds
    numbers[1::2] *= -1
    assert to_host(compute, numbers) is numbers
    assert to_host(compute, np.abs(numbers)).min() > 0
    assert to_host(compute, numbers[:0]).shape == (0, 768)
    for spoilt in ([np.nan], [np.inf], [-np.inf], [np.inf, -np.inf]):
        some = np.zeros((30, 768), np.float32)
        some[-1, -len(spoilt) :] = spoilt
        with pytest.raises(PostmillError, match="not finite"):
            to_host(compute, some)


def test_embeddings_of_one_precision_are_not_added_to_another(
    make_posts: Callable[..., Run], make_jpeg: Callable[..., bytes], clip_folder: Path
) -> None:
    run = make_posts([[make_jpeg(1)], [make_jpeg(2)]])
    options: dict[str, Any] = dict(encoders=["image"], model_overrides={"image": str(clip_folder)}, device="cpu")
    done = encode_run(run, precision=MKL, **options)
    assert done.encoders[0].encoder.precision == MKL
    with pytest.raises(UsageError, match="another precision: 'float16-mkl', and now it is 'float32'"):
        encode_run(run, precision=Precision.FLOAT32, **options)
    assert encode_run(run, **options).encoders[0].skipped == 1  # auto goes on with what was begun


def test_a_processor_of_another_model_is_refused(
    make_posts: Callable[..., Run], make_jpeg: Callable[..., bytes], clip_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(clip_folder, folder)
    transformers.CLIPImageProcessorPil(crop_size=192).save_pretrained(folder)
    run = make_posts([[make_jpeg(1)]])
    with pytest.raises(PostmillError, match="the processor makes 192 x 192 pixels, the model takes 224 x 224"):
        encode_run(run, encoders=["image"], model_overrides={"image": str(folder)}, device="cpu")
