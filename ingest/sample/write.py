"""Writes a small dataset in the real layout, with known truth planted and the dataset's own faults in it.

The layout is that of the Instagram Influencer dataset (Kim et al., WWW 2020): two split zips, the mapping file and
the list of influencers. ``truth.json``, ``truth.parquet`` and the mark of invented data lie beside it and are no part
of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from postmill.ingest.sample.accounts import Accounts
from postmill.ingest.sample.effect import Effect
from postmill.ingest.sample.effects import CONTENT, DRIFT_SHARE, FOLLOWER_SHARE, INTERCEPT, SHARES, VARIANCE
from postmill.ingest.sample.faults import FAULTS
from postmill.ingest.sample.infos import info_bytes
from postmill.ingest.sample.pictures import picture, picture_size
from postmill.ingest.sample.truth import TRUTH_VERSION, Truth, draw_truth, realised
from postmill.ingest.sample.zipwriter import NewEntry, WrittenZip, write_zip
from postmill.ingest.source import invented
from postmill.ingest.source.influencers import HEADER
from postmill.ingest.source.layout import INSTAGRAM_INFLUENCERS, ArchiveFiles, metadata_entry, picture_entry
from postmill.ingest.zipformat.signatures import DEFLATE, STORED
from postmill.shards.run import output
from postmill.shards.run.sources import INVENTED_MARK
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.progress import Advance, Progress, Silent

PART_SIZE = 2 << 20
SMALLEST_PART = 64 << 10  # 65,536 bytes, the least that APPNOTE, chapter 8, allows
_LAYOUT = INSTAGRAM_INFLUENCERS
_MAPPING_HEADER = "influencer_name JSON_PostMetadata_file_name Image_file_name    \n"
_INFLUENCERS_HEADER = f"{HEADER}\n{'=' * 60}\n"
_BATCH_ROWS = 1024  # of the truth, as Python objects at a time
_QUALITY_WITHIN_POST = 0.3  # how far the later pictures of a carousel scatter around the planted quality


@dataclass(frozen=True)
class SampleSummary:
    """What was written.

    Attributes:
        folder: Where it lies.
        posts: Posts in the truth table; ``counts`` says how many are mapped, have a ``.info``, and so on.
        influencers: Accounts with posts.
        metadata_parts: Files of the split zip of ``.info`` entries.
        image_parts: Files of the split zip of pictures.
        size: Bytes of both archives.
        counts: As in ``truth.json``.
        shares: Of the variance of ``y``, as drawn.
    """

    folder: Path
    posts: int
    influencers: int
    metadata_parts: int
    image_parts: int
    size: int
    counts: Mapping[str, int]
    shares: Mapping[str, float]

    @property
    def told(self) -> str:
        """How much it is, in words."""
        return (
            f"{self.posts:,} posts of {self.influencers:,} accounts, {self.metadata_parts:,} metadata parts and "
            f"{self.image_parts:,} picture parts, {self.size / 1e6:,.1f} MB"
        )


def write_sample(
    folder: Path,
    posts: int = 2000,
    influencers: int = 60,
    seed: int = 0,
    part_size: int = PART_SIZE,
    progress: Progress | None = None,
    effect: Effect = Effect.PLANTED,
) -> SampleSummary:
    """Write a sample dataset into ``folder``: the same arguments, the same bytes.

    The work is done in a hidden folder beside it, which gets its name at the very end: a killed command leaves
    nothing that looks whole. Bytes are the same for the same versions of NumPy, Pillow and libdeflate.

    Args:
        folder: New, or empty.
        posts: Posts to invent, a few of them faulty.
        influencers: Accounts that share them, very unevenly.
        seed: 0 or more.
        part_size: Most bytes in a part of the picture archive; the metadata's are an eighth of it (at least 64 KiB), as
            metadata is far smaller and is to have several parts too.
        progress: Where to say how far it is.
        effect: Whether content bears on engagement; everything else is planted either way.

    Raises:
        UsageError: The folder is not empty, a part is smaller than the format allows, or the numbers do not fit.
        PostmillError: The disk is full, or the folder cannot be written; nothing is left.
    """
    if part_size < SMALLEST_PART:
        hint = f"give {SMALLEST_PART} or more"
        raise UsageError(f"a part of {part_size} bytes is too small", place="--part-size", hint=hint)
    output.check_folder(folder)
    truth = draw_truth(posts, influencers, seed, effect)
    with output.folder(folder) as work:
        return _write_files(work, folder, truth, seed, part_size, progress or Silent(), effect)


def _write_files(
    work: Path, folder: Path, truth: Truth, seed: int, part_size: int, progress: Progress, effect: Effect
) -> SampleSummary:
    counts = _planted_counts(truth)
    (work / _LAYOUT.influencers).write_text(_INFLUENCERS_HEADER + "".join(_influencer_rows(truth.accounts)), "ascii")
    with (work / _LAYOUT.mapping).open("w", encoding="ascii") as file:
        file.write(_MAPPING_HEADER)
        file.writelines(_mapping_rows(truth.table))
    with progress.track("metadata", counts["info_entries"], "entries") as advance:
        entries = _info_entries(truth, seed, advance)
        metadata = _write_archive(work, _LAYOUT.metadata, entries, max(part_size // 8, SMALLEST_PART))
    with progress.track("pictures", counts["image_entries"], "entries") as advance:
        images = _write_archive(work, _LAYOUT.images, _image_entries(truth, seed, advance), part_size)
    drawn = realised(truth.table)
    pq.write_table(truth.table, work / "truth.parquet", compression="zstd")
    statement = {
        "version": TRUTH_VERSION,
        "seed": seed,
        "posts": truth.table.num_rows,
        "influencers": counts["influencers"],
        "target": "log1p(likes + comments)",
        "coefficients": truth.coefficients,
        "effect": effect.value,
        "planned": _planned(effect),
        "realised": drawn,
        "counts": counts,
        "parts": {"metadata": len(metadata.parts), "images": len(images.parts)},
    }
    (work / "truth.json").write_text(json.dumps(statement, indent=1) + "\n")
    command = f"postmill sample FOLDER --posts {truth.table.num_rows} --influencers {counts['influencers']}"
    command += f" --seed {seed}" + (f" --effect {effect}" if effect is not Effect.PLANTED else "")
    (work / INVENTED_MARK).write_text(invented.mark_text(command), "ascii")
    return SampleSummary(
        folder=folder,
        posts=truth.table.num_rows,
        influencers=counts["influencers"],
        metadata_parts=len(metadata.parts),
        image_parts=len(images.parts),
        size=metadata.size + images.size,
        counts=counts,
        shares=drawn["shares"],
    )


def _planned(effect: Effect) -> dict[str, Any]:
    """Return the variance of ``y`` as planned and the shares of its parts, of that of a sample with all effects."""
    shares = {name: 0.0 if effect is Effect.NONE and name in CONTENT else share for name, share in SHARES.items()}
    of_account = {"follower_share": FOLLOWER_SHARE, "drift_share": DRIFT_SHARE}
    return {"intercept": INTERCEPT, "variance": VARIANCE, "shares": shares, **of_account}


def _write_archive(work: Path, files: ArchiveFiles, entries: Iterator[NewEntry], part_size: int) -> WrittenZip:
    (work / files.folder).mkdir()
    return write_zip(work / files.folder / f"{files.stem}.zip", entries, part_size=part_size)


def _planted_counts(truth: Truth) -> dict[str, int]:
    """Return what stands in the files, and each planted fault: the sums that a reader must come to."""
    table = truth.table
    faults = dict.fromkeys(FAULTS, 0)
    for value in pc.value_counts(table.column("fault").drop_null()).to_pylist():
        faults[value["values"]] = value["counts"]
    posts = table.num_rows
    mapped = posts - faults["unmapped_info"]
    return {
        "influencers": int((truth.accounts.posts > 0).sum()),
        "listed_influencers": len(truth.accounts.names),
        "category_typos": sum(a != b for a, b in zip(truth.accounts.labels, truth.accounts.categories, strict=True)),
        "mapped_posts": mapped,
        "mapping_rows": mapped + faults["repeated_row"],
        "info_entries": posts - faults["missing_info"],
        "image_entries": int(pc.sum(table.column("image_count")).as_py()) - faults["missing_picture"],
        "carousels": int(pc.sum(pc.greater(table.column("image_count"), 1)).as_py()),
        "near_duplicates": posts - table.column("near_duplicate").null_count,
        "campaigns": pc.count_distinct(table.column("campaign")).as_py(),
        "campaign_posts": posts - table.column("campaign").null_count,
        "empty_captions": table.column("mood").null_count,
        "second_language": int(pc.sum(pc.equal(table.column("language"), "es")).as_py()),
        **faults,
    }


def _influencer_rows(accounts: Accounts) -> Iterator[str]:
    numbers = zip(accounts.followers, accounts.followees, accounts.listed_posts, strict=True)
    for name, label, (followers, followees, listed) in zip(accounts.names, accounts.labels, numbers, strict=True):
        yield f"{name}\t{label}\t{followers}\t{followees}\t{listed}\n"


def _mapping_rows(table: pa.Table) -> Iterator[str]:
    for row in _batched_rows(table.select(["influencer", "post_id", "images", "fault"])):
        if row["fault"] == "unmapped_info":
            continue
        line = f"{row['influencer']}\t{row['post_id']}.info\t{[f'{image}.jpg' for image in row['images']]}\n"
        yield line * 2 if row["fault"] == "repeated_row" else line


def _info_entries(truth: Truth, seed: int, advance: Advance) -> Iterator[NewEntry]:
    """Yield the folder and then the metadata in an order that means nothing, as a file system lists a folder."""
    account = {name: index for index, name in enumerate(truth.accounts.names)}
    yield NewEntry("info/")
    order = np.random.default_rng((seed, 1)).permutation(truth.table.num_rows)
    for row in _batched_rows(truth.table, order):
        if row["fault"] == "missing_info":
            continue
        name = f"info/{metadata_entry(row['influencer'], row['post_id'])}"
        yield NewEntry(name, info_bytes(seed, row, account[row["influencer"]], truth.accounts), DEFLATE)
        advance(1)


def _image_entries(truth: Truth, seed: int, advance: Advance) -> Iterator[NewEntry]:
    """Yield the folder and then the pictures, in another such order, so that carousels lie scattered."""
    yield NewEntry("image/")
    counts = truth.table.column("image_count").to_numpy()
    post = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(post)) - (np.cumsum(counts) - counts)[post]
    order = np.random.default_rng((seed, 2)).permutation(len(post))
    for row, k in zip(_batched_rows(truth.table, post[order]), number[order].tolist(), strict=True):
        if row["fault"] == "missing_picture" and k == row["image_count"] - 1:
            continue
        name = f"image/{picture_entry(row['influencer'], row['images'][k] + '.jpg')}"
        yield NewEntry(name, _picture(seed, row, k), STORED)
        advance(1)


def _picture(seed: int, row: Mapping[str, Any], k: int) -> bytes:
    source = (seed, 3, row["source"], k)
    quality = row["image_quality"]
    if k > 0:
        quality += _QUALITY_WITHIN_POST * np.random.default_rng((*source, 1)).normal()
    copied = row["source"] != row["group"]  # for a campaign, from another account
    edit = row["near_duplicate"] or ("reencoded" if copied else None)
    return picture(source, quality, row["category"], picture_size(row["width"], row["height"]), edit)


def _batched_rows(
    table: pa.Table, order: np.ndarray[Any, np.dtype[np.int64]] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the rows, a batch of Python objects at a time, in the given order of row numbers."""
    for start in range(0, table.num_rows if order is None else len(order), _BATCH_ROWS):
        stop = start + _BATCH_ROWS
        batch = table.slice(start, _BATCH_ROWS) if order is None else table.take(pa.array(order[start:stop]))
        yield from batch.to_pylist()
