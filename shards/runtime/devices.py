"""Where models run, by name. Nothing is loaded for it: help and completion must not wait for torch."""

from __future__ import annotations

from enum import StrEnum


class Device(StrEnum):
    """What a user asks for; ``auto`` is a GPU where there is one, else the CPU."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
