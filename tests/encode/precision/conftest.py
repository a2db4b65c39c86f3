"""Machines of other CPUs, and trials by a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from postmill.encode import device, trial
from postmill.encode.interface import EncoderSpec, Probe
from postmill.encode.options import Precision
from postmill.encode.stage import encode_run
from postmill.encode.summary import EncodeSummary
from postmill.shards.run.folder import Run
from postmill.shards.runtime.progress import Silent

ZEN_4, SAPPHIRE_RAPIDS, ZEN_3 = "avx2 avx512f avx512_bf16", "avx512_bf16 avx512_fp16 amx_bf16", "fpu avx2"
QUICK = {Precision.FLOAT32: 2.0, Precision.BFLOAT16: 1.0, Precision.FLOAT16_MKL: 1.5}
"""Seconds of a batch on an invented machine."""

Spoil = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    @property
    def of_precisions(self) -> list[str]:
        return [note for note in self.notes if note.startswith("precision")]


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Have the machine be one whose kernel names these flags of its CPU."""

    def set_flags(flags: str) -> None:
        facts = tmp_path / "cpuinfo"
        facts.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: none\n")
        monkeypatch.setattr(device, "_CPU_FACTS", facts)

    return set_flags


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Precision]]:
    """Have a batch take so many seconds by the trial's clock, in each precision, and give what ``spoilt`` makes of it.

    Returns the precisions of the batches, as they are run.
    """
    real = trial._probes

    def set_times(seconds: Mapping[Precision, float], spoilt: Mapping[Precision, Spoil] | None = None) -> Any:
        now, order = [0.0], []

        def with_times(specs: Sequence[EncoderSpec]) -> list[Probe]:
            assert specs[0].compute is not None
            precision = specs[0].compute.precision

            def run(probe: Probe) -> npt.NDArray[np.float32]:
                order.append(precision)
                now[0] += seconds[precision]
                return (spoilt or {}).get(precision, lambda numbers: numbers)(probe.run())

            return [replace(probe, run=lambda probe=probe: run(probe)) for probe in real(specs)]

        monkeypatch.setattr(trial, "_probes", with_times)
        monkeypatch.setattr(trial, "_clock", lambda: now[0])
        return order

    return set_times


@pytest.fixture
def no_trial(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have a trial fail the test, from now on."""

    def forbid() -> None:
        def held(*_: Any) -> Any:
            raise AssertionError("a trial was held")

        monkeypatch.setattr(trial, "_trial", held)

    return forbid


@pytest.fixture
def run(make_posts: Callable[..., Run], make_jpeg: Callable[..., bytes]) -> Run:
    """One post shard of five posts with captions, comments and pictures."""
    captions = [f"bread and coffee {n} " * (n + 1) for n in range(5)]
    return make_posts([[make_jpeg(n)] for n in range(5)], caption=captions, comments=[f"nice {n}" for n in range(5)])


Encode = Callable[..., tuple[dict[str, str], list[str], EncodeSummary]]


@pytest.fixture
def encode(run: Run, clip_with_words: Path, mpnet_folder: Path, distilbert_folder: Path) -> Encode:
    """Encode the run with small models; returns the precisions by encoder, what was said of them, and the summary."""
    models = {"image": str(clip_with_words), "text": str(mpnet_folder), "sentiment": str(distilbert_folder)}

    def with_encoders(*names: str, **options: Any) -> tuple[dict[str, str], list[str], EncodeSummary]:
        heard = Heard()
        usual = {"model_overrides": models, "device": "cpu", "workers": 1}
        done = encode_run(run, encoders=names, **{**usual, **options}, progress=heard)
        return {each.encoder.encoder: each.encoder.precision for each in done.encoders}, heard.of_precisions, done

    return with_encoders
