"""The number formats in which models compute, a line each: where each may be used, and where it is fast."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from postmill.encode.options import Precision
from postmill.shards.runtime.devices import Device

if TYPE_CHECKING:
    import torch


class Kernels(Protocol):
    """What a module offers that computes layers instead of torch, such as :mod:`.speed.mkl`."""

    def check(self) -> None:
        """Have what it needs ready.

        Raises:
            PostmillError: It is not to be had.
        """

    def pack(self, network: Any) -> None:
        """Have ``network``, which lies on the device in its precision, compute by the module."""


@dataclass(frozen=True)
class NumberFormat:
    """A precision as the machine has it.

    Attributes:
        dtype: Name of torch's type of weights and activations.
        devices: Those that it is for.
        cpu_flags: The kernel's names for what may make a CPU faster in it than in float32, any of them; empty: nothing
            is needed.
        kernels: Full name of a module that offers :class:`Kernels`, imported where the precision is chosen; empty:
            torch computes everything.
    """

    dtype: str
    devices: tuple[Device, ...] = (Device.CPU, Device.CUDA)
    cpu_flags: tuple[str, ...] = ()
    kernels: str = ""

    @property
    def torch_dtype(self) -> torch.dtype:
        """The type itself."""
        import torch

        return cast("torch.dtype", getattr(torch, self.dtype))

    def load_kernels(self) -> Kernels | None:
        """Import the module of ``kernels``; None where torch computes everything."""
        return cast("Kernels", importlib.import_module(self.kernels)) if self.kernels else None


NUMBER_FORMATS: Mapping[str, NumberFormat] = {
    Precision.FLOAT32: NumberFormat("float32"),
    Precision.FLOAT16: NumberFormat("float16", cpu_flags=("amx_fp16",)),
    # By avx512_bf16 alone an AMD Zen 4 is faster in it, and an Intel Xeon slower: the flag says what to try.
    Precision.BFLOAT16: NumberFormat("bfloat16", cpu_flags=("amx_bf16", "avx512_bf16")),
    # Sums of linear layers are float16 too.
    Precision.FLOAT16_MKL: NumberFormat("float16", (Device.CPU,), ("avx512_fp16",), "postmill.encode.speed.mkl"),
}
AUTOMATIC: Mapping[str, Precision] = {Device.CPU: Precision.FLOAT32, Device.CUDA: Precision.FLOAT16}
"""What ``auto`` is, by device, unless a trial on the CPU finds better (:mod:`.trial`)."""
