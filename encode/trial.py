"""The precision of a model where none is named: the one that its folder was begun in, or what a trial finds.

On the CPU ``auto`` is float32, whose numbers are the paper's, unless another precision is worth it. Whether one is
depends on the machine as much as on the model: with avx512_bf16 bfloat16 is twice as fast as float32 on one make of
CPU, and slower on another. So where the CPU has what may make one faster, a typical batch goes through the model in
each, in turns, and the fastest is taken of those that give as good as the same numbers. A CPU that has nothing of the
kind holds no trial.

What was begun goes on in its precision, on whichever machine. Of tasks that decide at once the first to pin decides for
all: :func:`settled` is asked again where what is pinned is not what was decided.

The packaged models hold no trial. They are small, a demonstration's numbers should be the same on every machine, and
bfloat16 costs EfficientNet-Lite0 as much as is allowed (cosine 0.9991).
"""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from postmill.encode.device import Compute, in_precision, single_threaded, worth_a_trial
from postmill.encode.interface import EncoderSpec, Probe, with_variants
from postmill.encode.options import Precision
from postmill.encode.precisions import NUMBER_FORMATS
from postmill.shards.formats import encoders
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Progress

LEAST_COSINE = 0.999
"""Of an item's vector with that in float32: what every precision is tested to keep."""
LARGEST_DIFFERENCE = 0.01
"""Between numbers that count each by itself and those in float32, as a share of the largest where that is above 1.

Stricter than the cosine: two probabilities at even odds may move by 0.022 until it falls below 0.999. A vector goes
into a model that weighs hundreds of numbers together; a probability is read, in hundredths.
"""
LEAST_GAIN = 1.15  # exact numbers are worth more than what a busy machine may feign
_TURNS = 2
_ROUNDS = 3  # of a turn
_BUDGET_S = 10.0  # of all rounds for one model; the first of a turn is done anyway

_clock = time.perf_counter


@dataclass(frozen=True)
class _Turn:
    """What a model made of typical batches.

    Attributes:
        told: Whether the numbers of an item are a vector of which the direction counts, and the numbers; by probe.
        rate: Items a second of the first probe, in its best round.
    """

    told: Sequence[tuple[bool, npt.NDArray[np.float32]]]
    rate: float


@dataclass(frozen=True)
class _Tried:
    """What a trial saw of a precision other than float32.

    Attributes:
        kept: How well it keeps the numbers of float32, in words; or why it gives none.
        rate: Items a second; 0 where that is not well enough.
    """

    kept: str
    rate: float = 0.0


def settled(run: Run, specs: Sequence[EncoderSpec], progress: Progress, *, tries: bool) -> list[EncoderSpec]:
    """Return ``specs`` in the precisions that they are to be in; one that is as it was, is the same object.

    Args:
        run: The run: what is pinned in it is taken, unless it was made with something else that is different too.
        specs: Encoders in what ``auto`` is without a trial, or as this function returned them.
        progress: Told of what is taken.
        tries: Whether a trial is held where nothing is pinned.

    Raises:
        PostmillError: What is pinned is damaged, or needs a package that is not installed; or a model cannot be used.
    """
    made: dict[str, EncoderSpec] = {}
    for variants in dict.fromkeys(spec.variants for spec in specs):
        group = [spec for spec in specs if spec.variants is variants]
        if variants is not None and group[0].compute is not None and group[0].compute.device == Device.CPU:
            begun = [encoders.begun_in(run, spec.encoder) for spec in group]
            if any(begun):
                group = _as_begun(run, group, begun, progress)
            elif tries:
                group = _tried(group, progress)
        made.update((spec.encoder.encoder, spec) for spec in group)
    return [made[spec.encoder.encoder] for spec in specs]


def _as_begun(run: Run, group: Sequence[EncoderSpec], begun: Sequence[str], progress: Progress) -> list[EncoderSpec]:
    """Return ``group``, which share a model, each in the precision it was begun in, and the new ones in another's."""
    others = next(filter(None, begun))
    result = list(group)
    for name in dict.fromkeys(own or others for own in begun):
        numbers = [n for n, own in enumerate(begun) if (own or others) == name]
        if name not in NUMBER_FORMATS or all(_precision(group[n]) == name for n in numbers):
            continue
        variants = _in(group, Precision(name))
        numbers = [n for n in numbers if encoders.is_as_begun(run, variants[n].encoder)]
        if numbers:
            in_precision(_compute(group[0]), Precision(name), progress)
            folder = group[begun.index(name)].encoder.folder
            progress.note(f"precision of {_names([group[n] for n in numbers])}: {name}, in which {folder} was begun")
        for n in numbers:
            result[n] = variants[n]
    return result


def _tried(group: list[EncoderSpec], progress: Progress) -> list[EncoderSpec]:
    """Return ``group``, which share a model, in the best precision; as it is where there is nothing to try."""
    precisions = [precision for precision in worth_a_trial() if precision != _precision(group[0])]
    if not precisions or any(spec.probe is None for spec in group):
        return group
    label = f"precision of {_names(group)}: trying float32, {', '.join(precisions)}"
    with progress.track(label, None), single_threaded(_compute(group[0])):
        rate, tried = _trial(group, precisions)
    _give_memory_back()
    best = max(tried, key=lambda precision: tried[precision].rate)
    gains = tried[best].rate >= LEAST_GAIN * rate
    progress.note(_told(_names(group), rate, tried, best if gains else None))
    return _in(group, best) if gains else group


def _trial(group: Sequence[EncoderSpec], precisions: Sequence[Precision]) -> tuple[float, dict[Precision, _Tried]]:
    """Return how many items a second ``group`` does in float32, and what is seen of it in ``precisions``.

    They take turns, for a machine that others use changes its pace within seconds. A model is loaded anew for each turn
    and let go after it, so that a trial takes no more memory than encoding does.
    """
    rate = 0.0
    tried: dict[Precision, _Tried] = {}
    seconds = _BUDGET_S / (_TURNS * (1 + len(precisions)))
    for _ in range(_TURNS):
        exact = _turn(_in(group, Precision.FLOAT32), seconds)
        rate = max(rate, exact.rate)
        for precision in [each for each in precisions if each not in tried or tried[each].rate]:
            seen = _seen(_in(group, precision), exact, seconds)
            tried[precision] = max(tried.get(precision, seen), seen, key=lambda turn: turn.rate)
        if not any(seen.rate for seen in tried.values()):
            break
    return rate, tried


def _seen(specs: Sequence[EncoderSpec], exact: _Turn, seconds: float) -> _Tried:
    """Return what is seen of a precision other than float32 in its turn."""
    try:
        turn = _turn(specs, seconds)
    # RuntimeError: torch's, of a layer that it does not compute in this precision
    except (PostmillError, RuntimeError) as error:
        return _Tried(str(error).partition("\n")[0])
    kept, good = _kept(turn, exact)
    return _Tried(kept, turn.rate if good else 0.0)


def _turn(specs: Sequence[EncoderSpec], seconds: float) -> _Turn:
    """Load a model, which ``specs`` share, send a batch through it again and again, and let it go.

    Args:
        specs: Encoders of which nothing is loaded.
        seconds: How long it is timed. Two batches go through anyway, of which the first is slow and not timed.
    """
    _give_memory_back()
    probes = _probes(specs)
    told = [(probe.directions, probe.run()) for probe in probes]
    best = float("inf")
    began = _clock()
    for rounds in range(1, _ROUNDS + 1):
        started = _clock()
        probes[0].run()
        best = min(best, _clock() - started)
        if (_clock() - began) * (rounds + 1) / rounds > seconds:  # another round would not end in time
            break
    return _Turn(told, probes[0].items / max(best, 1e-9))


def _probes(specs: Sequence[EncoderSpec]) -> list[Probe]:
    """Return the probes of encoders that share a model; those that share a probe too have one."""
    return [probe() for probe in dict.fromkeys(spec.probe for spec in specs) if probe is not None]


def _kept(turn: _Turn, exact: _Turn) -> tuple[str, bool]:
    """Return how well ``turn`` keeps the numbers of float32, and whether that is well enough: the worst counts."""
    told, good = [], True
    for (directions, ours), (_, theirs) in zip(turn.told, exact.told, strict=True):
        if directions:
            lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
            cosine = float(((ours * theirs).sum(axis=1) / np.maximum(lengths, np.finfo(np.float32).tiny)).min())
            told.append(f"cosine {cosine:.5f}")
            good = good and cosine >= LEAST_COSINE
        else:
            difference = float(np.abs(ours - theirs).max() / max(1.0, float(np.abs(theirs).max())))
            told.append(f"difference {difference:.4f}")
            good = good and difference <= LARGEST_DIFFERENCE
    return ", ".join(told), good


def _give_memory_back() -> None:
    """Give what is left of models that were let go back to the operating system.

    Their parts refer to one another in circles, and glibc keeps what was freed of the size that it has seen freed.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim is not None:
        trim(0)


def _told(names: str, rate: float, tried: Mapping[Precision, _Tried], taken: Precision | None) -> str:
    """Return the line that says what a trial saw, and what was taken: ``taken``, or else float32."""

    def does(precision: Precision) -> str:
        seen = tried[precision]
        if seen.rate:
            return f"{precision} does {seen.rate:.1f} ({seen.kept})"
        return f"{precision} does not keep its numbers ({seen.kept})"

    if taken is None:
        return f"precision of {names}: float32, {rate:.1f} a second in a trial where {' and '.join(map(does, tried))}"
    own = tried[taken]
    others = "".join(f" and {does(precision)}" for precision in tried if precision != taken)
    does_best = f"{taken}, {own.rate:.1f} a second in a trial where float32 does {rate:.1f} ({own.kept})"
    return f"precision of {names}: {does_best}{others}"


def _in(group: Sequence[EncoderSpec], precision: Precision) -> list[EncoderSpec]:
    """Return the encoders of ``group``, which share a model, in ``precision``."""
    variants = group[0].variants
    assert variants is not None, "only such are settled"
    made = with_variants(variants, replace(_compute(group[0]), precision=precision))
    by_name = {spec.encoder.encoder: spec for spec in made}
    return [by_name[spec.encoder.encoder] for spec in group]


def _compute(spec: EncoderSpec) -> Compute:
    assert spec.compute is not None, "only such are settled"
    return spec.compute


def _precision(spec: EncoderSpec) -> Precision:
    return _compute(spec).precision


def _names(specs: Sequence[EncoderSpec]) -> str:
    return ", ".join(spec.encoder.encoder for spec in specs)
