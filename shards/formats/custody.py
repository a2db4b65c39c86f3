"""The chain of custody: what models and pages state that they were made from, and what is there now of it.

A model knows its post shards only by their hash, so its manifest says which they were: more may have come since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from postmill.shards.formats import models
from postmill.shards.formats.units import shard_name
from postmill.shards.run import manifests
from postmill.shards.run.folder import Run
from postmill.shards.run.publish import Unit
from postmill.shards.run.sealed import canonical_hash

POSTS_INPUT, RECORDS_INPUT = "posts", "records"
"""Among the inputs: all files of the post shards, and their records alone."""

INSIGHTS = "insights"
"""The unit of the tables of tone, and its name among the inputs."""

RECORDS = (".parquet",)
"""The files of a post shard that a model is made from."""

EMBEDDINGS = (".parquet", ".npy")
"""The files of an embedding shard that a model is made from."""

_SHARDS = "shards"  # in the info: first and last number of each row of post shards without a gap


def contents(folder: Path, shards: Sequence[int], suffixes: Sequence[str] = ()) -> str:
    """Return a hash over what the units of ``shards`` in ``folder`` hold, as their manifests state it.

    Args:
        folder: Of post shards or of embedding shards.
        shards: Their numbers.
        suffixes: Of the files that count; all files where there are none.

    Raises:
        PostmillError: A manifest cannot be read.
    """
    hashes: list[Any] = []
    for name in map(shard_name, shards):
        manifest = manifests.read(folder, name)
        if manifest is not None and not suffixes:
            hashes.append(manifests.contents_hash(manifest))
            continue
        files = {} if manifest is None else manifest.files
        hashes.append([files[name + suffix].blake3 for suffix in suffixes if name + suffix in files])
    return canonical_hash(hashes)


def embeddings_input(folder: str) -> str:
    """Return the name among the inputs of what the encoder made whose folder is called ``folder``."""
    return f"embeddings/{folder}"


def model_input(name: str) -> str:
    """Return the name among the inputs of model ``name``."""
    return f"models/{name}"


def put_shards(unit: Unit, shards: Sequence[int]) -> None:
    """State in the manifest of ``unit`` which post shards it was made from, ascending."""
    rows: list[list[int]] = []
    for shard in shards:
        if rows and rows[-1][1] == shard - 1:
            rows[-1][1] = shard
        else:
            rows.append([shard, shard])
    unit.info[_SHARDS] = rows


def shards_of(info: Mapping[str, Any], planned: int) -> tuple[int, ...] | None:
    """Return the numbers of the post shards that a unit was made from, None where its ``info`` does not say so.

    Args:
        info: Of its manifest.
        planned: How many post shards there are.
    """
    stated = info.get(_SHARDS)
    if not isinstance(stated, list):
        return None
    shards: list[int] = []
    for ends in stated:
        match ends:
            case [int(first), int(last)] if (shards[-1] if shards else -1) < first <= last < planned:
                shards.extend(range(first, last + 1))
            case _:
                return None
    return tuple(shards)


def now(run: Run, stated: Mapping[str, str], shards: Sequence[int]) -> Iterator[tuple[str, str | None]]:
    """Yield the name of each stated input of a model or a page, and a hash of what is there now; None where it is gone.

    Raises:
        PostmillError: A manifest cannot be read.
    """
    for name in stated:
        kind, _, folder = name.partition("/")
        if name in (POSTS_INPUT, RECORDS_INPUT):
            yield name, contents(run.posts, shards, RECORDS if name == RECORDS_INPUT else ())
        elif name == INSIGHTS:
            told = manifests.read(run.insights, INSIGHTS)
            yield name, None if told is None else manifests.contents_hash(told)
        elif kind == "embeddings":
            units = (manifests.read(run.embeddings / folder, shard_name(shard)) for shard in shards)
            whole = all(unit is not None for unit in units)
            yield name, contents(run.embeddings / folder, shards, EMBEDDINGS) if whole else None
        else:
            model = manifests.read(run.models / folder, models.MANIFEST) if kind == "models" else None
            yield name, None if model is None else manifests.contents_hash(model)
