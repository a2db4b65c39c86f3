"""Where models run, and how data gets there and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from postmill.encode.gpu import visible
from postmill.encode.gpu.card import Arriving, Card
from postmill.encode.options import Precision
from postmill.encode.precisions import AUTOMATIC, NUMBER_FORMATS, NumberFormat
from postmill.shards.runtime.cores import cores
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError, UsageError, unknown
from postmill.shards.runtime.progress import Progress

if TYPE_CHECKING:
    import torch

_CPU_FACTS = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Compute:
    """A device, and what is to be used of it.

    Attributes:
        device: CPU or CUDA.
        workers: Threads that decode pictures and, on the CPU, run the model, a batch each.
        precision: Number format of the model's weights and activations; not ``auto``.
        card: On CUDA, what moves data there and back and measures how long it computes.
    """

    device: Device
    workers: int
    precision: Precision = Precision.FLOAT32
    card: Card = field(default_factory=Card, repr=False, compare=False)

    @property
    def batch_scale(self) -> int:
        """How many of the CPU's batches make one of this device's."""
        return 32 if self.device == Device.CUDA else 1

    @property
    def dtype(self) -> torch.dtype:
        """The precision as torch has it."""
        return NUMBER_FORMATS[self.precision].torch_dtype


def choose_device(
    device: Device, workers: int | None, progress: Progress, precision: Precision = Precision.AUTO
) -> Compute:
    """Resolve ``device`` and ``precision``, and say which device was taken where it was left open.

    Args:
        device: What the user asked for.
        workers: Number of threads; None: as many as this process has cores.
        progress: Told what ``auto`` took, and of a precision that this CPU is slow in.
        precision: What the user asked for; ``auto`` is float32 on the CPU, from which a trial may go on
            (:mod:`.trial`), and float16 on CUDA.

    Raises:
        UsageError: ``cuda`` was asked for and there is none, or the precision is not for the device.
        PostmillError: The precision needs a package that is not installed.
    """
    import torch

    has_cuda = torch.cuda.is_available()
    if device == Device.CUDA and not has_cuda:
        raise UsageError(
            "there is no CUDA device that torch can use here",
            place="--device cuda",
            hint="check nvidia-smi and that torch was installed with CUDA, or give --device cpu",
        )
    chosen = Device.CUDA if has_cuda and device != Device.CPU else Device.CPU
    threads = workers or cores()
    if device == Device.AUTO:
        name = visible.told() if has_cuda else f"the CPU, {threads} threads; CUDA was not found"
        progress.note(f"device: {name}")
    check_device(chosen, precision)
    compute = Compute(chosen, threads)
    return in_precision(compute, AUTOMATIC[chosen] if precision == Precision.AUTO else Precision(precision), progress)


def in_precision(compute: Compute, precision: Precision, progress: Progress) -> Compute:
    """Return ``compute`` in ``precision``, which is for its device, with what it needs ready.

    Args:
        compute: A device.
        precision: The number format; not ``auto``.
        progress: Told where this CPU is slow in it.

    Raises:
        PostmillError: The precision needs a package that is not installed.
    """
    number_format = NUMBER_FORMATS[precision]
    kernels = number_format.load_kernels()
    if kernels is not None:
        kernels.check()
    flags = number_format.cpu_flags
    if compute.device == Device.CPU and flags and _cpu_flags().isdisjoint(flags):
        progress.note(
            f"precision: this CPU has no {' or '.join(flags)}, so transformers are slower in {precision} "
            "than in float32"
        )
    return replace(compute, precision=precision)


def worth_a_trial() -> list[Precision]:
    """Return the precisions in which this CPU may be faster than in float32, and for which all that they need is here.

    Whether it is faster depends on the CPU, the model and the libraries.
    """
    flags = _cpu_flags()
    return [
        Precision(name)
        for name, number_format in NUMBER_FORMATS.items()
        if Device.CPU in number_format.devices
        and not flags.isdisjoint(number_format.cpu_flags)
        and _is_ready(number_format)
    ]


def _is_ready(number_format: NumberFormat) -> bool:
    try:
        kernels = number_format.load_kernels()
        if kernels is not None:
            kernels.check()
    except PostmillError:  # which is said where it is asked for by name
        return False
    return True


def check_device(device: Device, precision: Precision) -> None:
    """Refuse names that are unknown, or do not go together; nothing is loaded for it.

    Raises:
        UsageError: They are or do not.
    """
    options: tuple[tuple[str, str, type[StrEnum]], ...] = (
        ("--device", device, Device),
        ("--precision", precision, Precision),
    )
    for option, name, known in options:
        if name not in list(known):
            raise unknown(name, known, place=option)
    if device == Device.CUDA and precision != Precision.AUTO and Device.CUDA not in NUMBER_FORMATS[precision].devices:
        raise UsageError(
            f"{precision} is for the CPU",
            place="--precision",
            hint=f"give {AUTOMATIC[Device.CUDA]} for a GPU, or keep to the CPU: --device cpu; of postmill submit, "
            "--gres ''",
        )


def prepare_for_inference(compute: Compute, network: Any) -> None:
    """Bring ``network`` to the device and its precision."""
    network.to(device=compute.device, dtype=compute.dtype).eval()
    kernels = NUMBER_FORMATS[compute.precision].load_kernels()
    if kernels is not None:
        kernels.pack(network)


def to_device(compute: Compute, batch: npt.NDArray[Any]) -> torch.Tensor:
    """Return ``batch`` on the device; on CUDA the copy may still be under way, and the model waits for it."""
    import torch

    tensor = torch.from_numpy(batch)
    return compute.card.upload([tensor])[0] if compute.device == Device.CUDA else tensor


def tokens_to_device(compute: Compute, tokens: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a tokenizer made of a batch with its tensors on the device, as :func:`to_device` moves them."""
    import torch

    moved = dict(tokens)
    if compute.device == Device.CUDA:
        names = [name for name, part in moved.items() if isinstance(part, torch.Tensor)]
        moved.update(zip(names, compute.card.upload([moved[name] for name in names]), strict=True))
    return moved


def leaving(compute: Compute, result: Any) -> Any:
    """Have what a model makes begin its way to the CPU, before the device is given more; :func:`to_host` waits for it.

    Args:
        compute: Where the model runs.
        result: A tensor, which may still be computed, or an array, which stays as it is.
    """
    if compute.device != Device.CUDA:
        return result
    if isinstance(result, np.ndarray):
        compute.card.busy.end()
        return result
    return compute.card.download(result)


def to_host(compute: Compute, result: Any) -> npt.NDArray[np.float32]:
    """Wait for what a model made, an array, a tensor or what is :func:`leaving`, and return it as float32 on the CPU.

    Raises:
        PostmillError: It holds a number that is not finite.
    """
    if isinstance(result, Arriving):
        result = result.wait()
    numbers: npt.NDArray[np.float32] = result if isinstance(result, np.ndarray) else result.float().cpu().numpy()
    if not _all_finite(numbers):
        exact = compute.precision == Precision.FLOAT32
        raise PostmillError(
            f"the model's result in {compute.precision} holds numbers that are not finite",
            hint="its weights are damaged: download it anew" if exact else "give --precision float32, or bfloat16",
        )
    return numbers


def _all_finite(numbers: npt.NDArray[np.float32]) -> bool:
    """Say whether all are: only then their sum is finite, which takes a tenth of the time of looking at each."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = numbers.sum()
    return bool(np.isfinite(total) or np.isfinite(numbers).all())  # finite ones may sum to more than there is


@contextmanager
def single_threaded(compute: Compute) -> Iterator[None]:
    """Have each torch operation on the CPU run on one thread while the block runs.

    Sums are then added up in the same order however many cores there are. The cores are kept busy by
    :func:`.stream.stream`, with a batch for each, which is as fast for models of this size.
    """
    import torch

    threads = torch.get_num_threads()
    if compute.device == Device.CPU:
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
