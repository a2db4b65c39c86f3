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

from postmill.shards.formats import embeddings, export_layouts, plan, posts
from postmill.shards.formats.choices import Layout
from postmill.shards.formats.embeddings import EmbeddingShard
from postmill.shards.formats.encoders import Encoder, encoders_of, models_option
from postmill.shards.formats.export_layouts import ExportedShard
from postmill.shards.run import cards, output, publish
from postmill.shards.run.folder import Run
from postmill.shards.run.sources import INVENTED_MARK, INVENTED_SENTENCE
from postmill.shards.runtime.errors import PostmillError, UsageError, unknown
from postmill.shards.runtime.progress import Progress, Silent

Writer = Callable[[Path, Sequence[Encoder], Iterator[ExportedShard], int], None]
WRITERS: Mapping[Layout, Writer] = {
    Layout.CSV: export_layouts.csv,
    Layout.CLIP_RETRIEVAL: export_layouts.clip_retrieval,
    Layout.HUGGING_FACE: export_layouts.hugging_face,
}
_REAL_SENTENCE = "Real people's posts, for those who have them by the terms of their source; not to be redistributed."
_ALIGNED = Layout.CLIP_RETRIEVAL  # rows of its files are joined by their number, so a row needs every vector


@dataclass(frozen=True)
class Exported:
    """What was written: posts, posts left out because a vector of theirs is absent, and the encoders' folders."""

    posts: int
    left_out: int
    encoders: tuple[str, ...]


@dataclass
class _Tally:
    """Posts that were written so far, and posts that were left out."""

    posts: int = 0
    left_out: int = 0


def export(
    run: Run, layout: Layout, folder: Path, encoders: Sequence[str] = (), progress: Progress | None = None
) -> Exported:
    """Write the run's posts and embeddings to ``folder`` as ``layout`` has them, whole or not at all.

    Args:
        run: A run whose post shards are done and encoded.
        layout: Whose layout.
        folder: A new or empty folder.
        encoders: Names of folders below ``embeddings``; none: all, and for clip-retrieval image and text.
        progress: Told of every shard, and of posts left out.

    Raises:
        UsageError: An encoder is unknown, or the folder holds something.
        PostmillError: Something is not done or damaged, or the disk is full.
    """
    progress = progress or Silent()
    output.check_folder(folder)
    chosen = _encoders(run, layout, encoders)
    shards = plan.counts(run).shards
    tally = _Tally()
    with output.folder(folder) as written, progress.track(f"export {layout}", shards, "shards") as advance:
        exported = _exported_shards(run, chosen, shards, layout is _ALIGNED, tally, advance)
        WRITERS[layout](written, chosen, exported, shards)
        if layout is Layout.HUGGING_FACE:
            card = export_layouts.hugging_face_card(_card(run, progress), chosen)
            publish.put_bytes(written / export_layouts.CARD_FILE, card)
        if run.invented:
            publish.put_bytes(written / INVENTED_MARK, f"{INVENTED_SENTENCE}\n".encode())
    if tally.left_out:
        progress.note(f"{tally.left_out:,} posts lack a picture or text that could be encoded, and are left out")
    return Exported(tally.posts, tally.left_out, tuple(encoder.folder for encoder in chosen))


def _card(run: Run, progress: Progress) -> str:
    """Return what is said of the data: the card that the report has of them, or no more than is known without it."""
    card = cards.read_data_card(run)
    if card is not None:
        return card
    progress.note(f"the card is a short one, for the run has none of its data yet: postmill report {run.word}")
    whose = INVENTED_SENTENCE if run.invented else _REAL_SENTENCE
    return f"{cards.front_matter({'tags': ['postmill']})}\n# Posts and embeddings\n\n{whose}\n"


def _encoders(run: Run, layout: Layout, names: Sequence[str]) -> list[Encoder]:
    """Return the encoders to export: those of the folders ``names``, or all that the layout has a place for."""
    by_folder = {encoder.folder: encoder for encoder in encoders_of(run)}
    for name in names:
        if name not in by_folder:
            raise unknown(name, by_folder, place="--encoder", what="the folders below embeddings")
    chosen = [by_folder[name] for name in dict.fromkeys(names)] if names else list(by_folder.values())
    if layout is not _ALIGNED:
        return chosen
    chosen = [encoder for encoder in chosen if encoder.encoder in export_layouts.CLIP_FOLDERS]
    for kind in export_layouts.CLIP_FOLDERS:
        same = [encoder.folder for encoder in chosen if encoder.encoder == kind]
        if len(same) > 1:
            raise UsageError(
                f"there are embeddings of {kind} by several models",
                place="--encoder",
                hint=f"choose: {', '.join(same)}",
            )
    if not chosen:
        of_set = models_option(encoders_of(run))
        raise PostmillError(
            "there are neither image nor text embeddings",
            place=run.embeddings,
            hint=f"make some: postmill encode {run.word} --encoder image --encoder text{of_set}",
        )
    return chosen


def _exported_shards(
    run: Run, encoders: Sequence[Encoder], shards: int, aligned: bool, tally: _Tally, advance: Callable[[int], None]
) -> Iterator[ExportedShard]:
    for shard in range(shards):
        records = posts.read_records(run, shard)
        embedded: list[EmbeddingShard] = [embeddings.read(run, encoder, shard) for encoder in encoders]
        keep = np.ones(records.num_rows, dtype=bool)
        for rows in embedded if aligned else ():
            keep &= rows.present
        vectors = [_kept(rows.vectors, keep) for rows in embedded]
        scalars = [_with_presence(rows).filter(pa.array(keep)) for rows in embedded]
        tally.posts += int(keep.sum())
        tally.left_out += int((~keep).sum())
        yield ExportedShard(shard, records.filter(pa.array(keep)), vectors, scalars)
        advance(1)


def _kept(vectors: npt.NDArray[np.generic] | None, keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.generic] | None:
    return None if vectors is None else np.asarray(vectors)[keep]


def _with_presence(rows: EmbeddingShard) -> pa.Table:
    return rows.scalars.append_column("present", pa.array(rows.present)).append_column("reason", rows.reasons)
