"""Where models run, and in which number format."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from encode import mkl
from shards.errors import PostmillError, UsageError
from shards.progress import Progress

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda")
MKL = "float16-mkl"  # float16, with linear layers by MKL
PRECISIONS = ("auto", "float32", "float16", "bfloat16", MKL)
AUTO_PRECISION = {"cpu": "float32", "cuda": "float16"}
# What makes a CPU faster in these than in float32.
_FASTER_WITH = {"float16": "amx_fp16", "bfloat16": "amx_bf16", MKL: "avx512_fp16"}
_CPU_FACTS = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Compute:
    """A device.

    Attributes:
        device: ``cpu`` or ``cuda``.
        workers: Threads that decode pictures and, on the CPU, run the model, a batch each.
        precision: Number format of the model's weights and activations: ``float32``, ``float16``, ``bfloat16``, or
            ``float16-mkl``, where the sums of linear layers are float16 too (:mod:`encode.mkl`).
    """

    device: str
    workers: int
    precision: str = "float32"

    @property
    def batch_scale(self) -> int:
        """How many of the CPU's batches make one of this device's."""
        return 32 if self.device == "cuda" else 1

    @property
    def dtype(self) -> torch.dtype:
        """The precision as torch has it."""
        import torch

        return torch.float16 if self.precision == MKL else getattr(torch, self.precision)


def choose(device: str, workers: int | None, progress: Progress, precision: str = "auto") -> Compute:
    """Resolve ``device`` (one of :data:`DEVICES`) and say which was taken where it was left open.

    Args:
        device: What the user asked for.
        workers: Number of threads; None: as many as this process has cores.
        progress: Told what ``auto`` took, and of a precision that this CPU is slow in.
        precision: One of :data:`PRECISIONS`; ``auto`` is float32 on the CPU and float16 on CUDA, whatever the machine.

    Raises:
        UsageError: ``cuda`` was asked for and there is none, or the precision is not for the device.
        PostmillError: The precision needs a package that is not installed.
    """
    import torch

    found = torch.cuda.is_available()
    if device == "cuda" and not found:
        raise UsageError(
            "there is no CUDA device that torch can use here",
            place="--device cuda",
            hint="check nvidia-smi and that torch was installed with CUDA, or give --device cpu",
        )
    taken = "cuda" if found and device != "cpu" else "cpu"
    threads = workers or len(os.sched_getaffinity(0))
    if device == "auto":
        what = torch.cuda.get_device_name() if taken == "cuda" else f"the CPU, {threads} threads; CUDA was not found"
        progress.note(f"device: {what}")
    compute = Compute(taken, threads, AUTO_PRECISION[taken] if precision == "auto" else precision)
    check(taken, precision)
    if precision == MKL:
        mkl.check()
    needed = _FASTER_WITH.get(compute.precision)
    if taken == "cpu" and needed is not None and needed not in _cpu_flags():
        progress.note(
            f"precision: this CPU has no {needed}, so transformers are slower in {compute.precision} than in float32"
        )
    return compute


def check(device: str, precision: str) -> None:
    """Refuse names that are unknown, or do not go together.

    Raises:
        UsageError: They are or do not.
    """
    for place, name, known in (("--device", device, DEVICES), ("--precision", precision, PRECISIONS)):
        if name not in known:
            raise UsageError(f"{name!r} is not known", place=place, hint=f"known are: {', '.join(known)}")
    if device == "cuda" and precision == MKL:
        raise UsageError(
            f"{MKL} is for the CPU",
            place="--precision",
            hint="give float16 for a GPU, or keep to the CPU: --device cpu; of postmill submit, --gres ''",
        )


def place(compute: Compute, network: Any) -> None:
    """Bring ``network`` to the device and its precision, for inference."""
    network.to(device=compute.device, dtype=compute.dtype).eval()
    if compute.precision == MKL:
        mkl.pack(network)


def put(compute: Compute, batch: npt.NDArray[Any]) -> torch.Tensor:
    """Return ``batch`` on the device; on CUDA the copy may still be under way, and the model waits for it."""
    import torch

    tensor = torch.from_numpy(batch)
    return tensor.pin_memory().to(compute.device, non_blocking=True) if compute.device == "cuda" else tensor


def fetch(compute: Compute, result: Any) -> npt.NDArray[np.float32]:
    """Wait for what a model made, an array or a tensor, and return it as float32 on the CPU.

    Raises:
        PostmillError: It holds a number that is not finite.
    """
    found: npt.NDArray[np.float32] = result if isinstance(result, np.ndarray) else result.float().cpu().numpy()
    if not np.isfinite(found).all():
        exact = compute.precision == "float32"
        raise PostmillError(
            f"the model's result in {compute.precision} holds numbers that are not finite",
            hint="its weights are damaged: download it anew" if exact else "give --precision float32, or bfloat16",
        )
    return found


@contextmanager
def steady(compute: Compute) -> Iterator[None]:
    """Have each torch operation run on one thread while the block runs.

    Sums are then added up in the same order however many cores there are. The cores are kept busy by
    :func:`encode.stream.stream`, with a batch for each, which is as fast for models of this size.
    """
    import torch

    threads = torch.get_num_threads()
    if compute.device == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _cpu_flags() -> frozenset[str]:
    """Return what the kernel says this CPU can do; nothing where it does not say."""
    try:
        lines = _CPU_FACTS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2] for line in lines if line.startswith("flags")), "").split())
