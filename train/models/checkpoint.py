"""What keeps a long training from being lost: finished pieces and the state of the one in hand, beside the model.

They are files of the model's folder, published like all others, and gone when the model is done. Only what took long
is kept: the rest is done again in less time than it takes to write and flush it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from postmill.shards.formats import models
from postmill.shards.run.folder import Run
from postmill.train.data.arrays import Arrays
from postmill.train.models.problem import Fit

INTERVAL_S = 60.0
"""Time between two looks at a training in hand that are kept."""

LONG_S = 10.0
"""A finished piece of work is kept if it took longer."""

_DETAILS = (
    "place"  # in the header of a checkpoint: the progress of a training in hand, or the details of a finished one
)


@dataclass(frozen=True)
class State:
    """The state of a training in hand: arrays by name, and how far it is, as JSON has it."""

    arrays: Arrays
    progress: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of one model with one set of settings; those of other settings are as good as none.

    Args:
        run: The run.
        name: Name of the model's folder.
        settings: Fingerprint of its settings.
        interval: Seconds between two checkpoints of a training in hand.
        long: Seconds after which a finished piece is worth keeping.
    """

    def __init__(
        self, run: Run, name: str, settings: str, interval: float | None = None, long: float | None = None
    ) -> None:
        self._run, self._name, self._settings = run, name, settings
        self._interval = INTERVAL_S if interval is None else interval
        self._long = LONG_S if long is None else long
        self._last = time.monotonic()

    def due(self) -> bool:
        """Say whether it is time to keep the state of the training in hand."""
        return time.monotonic() - self._last >= self._interval

    def keep(self, key: str, state: State) -> None:
        """Keep the state of the training ``key``, in place of an earlier one."""
        self._write(key, state.arrays, state.progress)
        self._last = time.monotonic()

    def resume(self, key: str) -> State | None:
        """Return the state of the training ``key``, or None where there is none that is whole."""
        kept = self._read(key)
        return None if kept is None else State(*kept)

    def finished(self, key: str, make: Callable[[], Fit]) -> Fit:
        """Return the finished piece ``key`` if it was kept, else ``make`` it, and keep it if that took long."""
        done = f"{key}.done"
        kept = self._read(done)
        if kept is not None:
            return Fit(*kept)
        started = time.monotonic()
        fitted = make()
        if time.monotonic() - started >= self._long:
            self._write(done, fitted.weights, fitted.details)
            models.drop_checkpoints(self._run, self._name, f"{key}.", keep=done)
        return fitted

    def clear(self) -> None:
        """Remove all checkpoints of the model."""
        models.drop_checkpoints(self._run, self._name, "")

    def _write(self, key: str, arrays: Arrays, details: Mapping[str, Any]) -> None:
        contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
        content = safetensors.numpy.save(contiguous, metadata={_DETAILS: json.dumps(details, allow_nan=False)})
        models.write_checkpoint(self._run, self._name, key, self._settings, content)

    def _read(self, key: str) -> tuple[Arrays, Mapping[str, Any]] | None:
        path = models.checkpoint(self._run, self._name, key, self._settings)
        if path is None:
            return None
        with safetensors.safe_open(path, framework="numpy") as file:
            details = json.loads(file.metadata()[_DETAILS])
            return {name: file.get_tensor(name) for name in file.keys()}, details  # noqa: SIM118
