"""A precision is one line of the registry: what it needs is loaded when it is chosen, and not before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from postmill.encode import device, precisions
from postmill.encode.device import Compute, check_device, choose_device, prepare_for_inference
from postmill.encode.options import Precision
from postmill.encode.precisions import AUTOMATIC, NUMBER_FORMATS, NumberFormat
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.progress import Silent

ROOT = Path(__file__).parents[3]


def test_every_precision_but_auto_has_a_line() -> None:
    assert set(NUMBER_FORMATS) == set(Precision) - {Precision.AUTO}
    assert set(AUTOMATIC) == set(Device) - {Device.AUTO}
    for number_format in NUMBER_FORMATS.values():
        assert number_format.torch_dtype.is_floating_point
        kernels = number_format.load_kernels()
        assert kernels is None or (callable(kernels.check) and callable(kernels.pack))


@pytest.mark.parametrize("chosen", list(AUTOMATIC))
def test_what_auto_is_may_be_used_there(chosen: Device) -> None:
    check_device(chosen, AUTOMATIC[chosen])


def test_a_line_and_a_module_are_all_that_a_precision_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    kernels = ModuleType("invented_kernels")
    kernels.check = lambda: calls.append("check")  # type: ignore[attr-defined]
    kernels.pack = calls.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "invented_kernels", kernels)
    line = NumberFormat("bfloat16", (Device.CPU,), ("invented_flag",), "invented_kernels")
    monkeypatch.setitem(precisions.NUMBER_FORMATS, Precision.FLOAT16, line)  # type: ignore[arg-type]
    monkeypatch.setattr(device, "_cpu_flags", lambda: frozenset({"invented_flag"}))
    compute = choose_device(Device.CPU, 1, Silent(), Precision.FLOAT16)
    assert compute == Compute(Device.CPU, 1, Precision.FLOAT16) and compute.dtype == torch.bfloat16
    layer = torch.nn.Linear(2, 2)
    prepare_for_inference(compute, layer)
    assert layer.weight.dtype == torch.bfloat16
    assert calls == ["check", layer]
    with pytest.raises(UsageError, match="float16 is for the CPU"):
        check_device(Device.CUDA, Precision.FLOAT16)


def test_mkl_is_not_imported_unless_it_is_chosen() -> None:
    code = (
        "import sys; from postmill.encode.device import choose_device;"
        "from postmill.shards.runtime.progress import Silent; choose_device('cpu', 1, Silent(), 'bfloat16');"
        "print('postmill.encode.speed.mkl' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_what_is_pinned_is_plain_text() -> None:
    """Words of an enum look otherwise in a message, and a reader of encoder.json knows nothing of them."""
    from postmill.encode.encoders import metadata

    pinned = metadata.spec().encoder
    assert type(pinned.encoder) is type(pinned.precision) is type(pinned.models) is str
