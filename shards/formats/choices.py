"""What is chosen of the formats by name. Nothing is loaded for it: help and completion must not wait for tables."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """The stages of ingest in the order in which they depend on each other."""

    METADATA = "metadata"
    WINDOWS = "windows"
    SPANNING = "spanning"


class Layout(StrEnum):
    """The layouts of other tools to which a run is exported."""

    CSV = "csv"
    CLIP_RETRIEVAL = "clip-retrieval"
    HUGGING_FACE = "hf"
