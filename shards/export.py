"""A run's posts and embeddings in the layouts of other tools: CSV, clip-retrieval, Hugging Face datasets.

An export is a copy: it is read by others, and no command of postmill reads it. docs/encoders.md says what each holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shards import embeddings, export_layouts, plan, posts, publish, temporary
from shards.embeddings import EmbeddingShard, Encoder
from shards.errors import PostmillError, UsageError
from shards.export_layouts import Piece
from shards.progress import Progress, Silent
from shards.run import Run

Writer = Callable[[Path, Sequence[Encoder], Iterator[Piece], int], None]
LAYOUTS: Mapping[str, Writer] = {
    "csv": export_layouts.csv,
    "clip-retrieval": export_layouts.clip_retrieval,
    "hf": export_layouts.hugging_face,
}
_ALIGNED = "clip-retrieval"  # rows of its files are joined by their number, so a row needs every vector


@dataclass(frozen=True)
class Exported:
    """What was written: posts, posts left out because a vector of theirs is absent, and the encoders' folders."""

    posts: int
    left_out: int
    encoders: tuple[str, ...]


def export(
    run: Run, layout: str, folder: Path, encoders: Sequence[str] | None = None, progress: Progress | None = None
) -> Exported:
    """Write the run's posts and embeddings to ``folder`` as ``layout`` has them, whole or not at all.

    Args:
        run: A run whose post shards are done and encoded.
        layout: One of :data:`LAYOUTS`.
        folder: A new or empty folder.
        encoders: Names of folders below ``embeddings``; None: all, and for clip-retrieval image and text.
        progress: Told of every shard, and of posts left out.

    Raises:
        UsageError: The layout or an encoder is unknown, or the folder holds something.
        PostmillError: Something is not done or damaged, or the disk is full.
    """
    says = Silent() if progress is None else progress
    if layout not in LAYOUTS:
        raise UsageError(f"{layout!r} is no layout", place="--to", hint=f"known are: {', '.join(LAYOUTS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("is there and not empty", place=folder, hint="name a new or an empty folder")
    chosen = _chosen(run, layout, encoders)
    shards = plan.manifest(run).counts["shards"]
    counts = {"posts": 0, "left_out": 0}
    with publish.writing(folder), temporary.scratch(folder.parent) as scratch:
        made = scratch / "export"
        made.mkdir()
        with says.track(f"export {layout}", shards, "shards") as advance:
            pieces = _pieces(run, chosen, shards, layout == _ALIGNED, counts, advance)
            LAYOUTS[layout](made, chosen, pieces, shards)
        made.rename(folder)
    if counts["left_out"]:
        says.note(f"{counts['left_out']} posts lack a picture or text that could be encoded, and are left out")
    return Exported(counts["posts"], counts["left_out"], tuple(encoder.folder for encoder in chosen))


def _chosen(run: Run, layout: str, wanted: Sequence[str] | None) -> list[Encoder]:
    held = {encoder.folder: encoder for encoder in embeddings.encoders(run)}
    for name in wanted or ():
        if name not in held:
            known = ", ".join(held) or f"none yet: postmill encode {run.word}"
            raise UsageError(f"{name!r} is no folder of embeddings", place="--encoders", hint=f"there are: {known}")
    chosen = [held[name] for name in dict.fromkeys(wanted)] if wanted else list(held.values())
    if layout != _ALIGNED:
        return chosen
    chosen = [encoder for encoder in chosen if encoder.encoder in export_layouts.CLIP_FOLDERS]
    for kind in export_layouts.CLIP_FOLDERS:
        same = [encoder.folder for encoder in chosen if encoder.encoder == kind]
        if len(same) > 1:
            raise UsageError(
                f"there are embeddings of {kind} by several models",
                place="--encoders",
                hint=f"choose: {', '.join(same)}",
            )
    if not chosen:
        raise PostmillError(
            "there are neither image nor text embeddings",
            place=run.embeddings,
            hint=f"make some: postmill encode {run.word} --encoders image,text",
        )
    return chosen


def _pieces(
    run: Run,
    chosen: Sequence[Encoder],
    shards: int,
    aligned: bool,
    counts: dict[str, int],
    advance: Callable[[int], None],
) -> Iterator[Piece]:
    for shard in range(shards):
        records = posts.read_records(run, shard)
        held: list[EmbeddingShard] = [embeddings.read(run, encoder, shard) for encoder in chosen]
        keep = np.ones(records.num_rows, dtype=bool)
        for each in held if aligned else ():
            keep &= each.present
        vectors = [_kept(each.vectors, keep) for each in held]
        scalars = [_with_presence(each).filter(pa.array(keep)) for each in held]
        counts["posts"] += int(keep.sum())
        counts["left_out"] += int((~keep).sum())
        yield Piece(shard, records.filter(pa.array(keep)), vectors, scalars)
        advance(1)


def _kept(vectors: npt.NDArray[np.generic] | None, keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.generic] | None:
    return None if vectors is None else np.asarray(vectors)[keep]


def _with_presence(held: EmbeddingShard) -> pa.Table:
    return held.scalars.append_column("present", pa.array(held.present)).append_column("reason", held.reasons)
