"""The records and pictures of a post shard against the plan: whose they are, and what the archive said they hold."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import deflate
import pyarrow.compute as pc

from postmill.shards.formats import offsets, plan
from postmill.shards.formats.spool import PLAIN_FILE
from postmill.shards.run.folder import Run

_PLANNED = ("influencer", "post_id", "category", "followers", "followees", "influencer_posts")

Row = Mapping[str, Any]  # of a table, by the names of its columns


def is_as_planned(record: Row, planned: Row) -> bool:
    """Say whether a record is of the account that the plan says, and has its pictures, there or missing."""
    if any(record[name] != planned[name] for name in _PLANNED):
        return False
    return sorted([*record["images"], *record["missing_images"]]) == sorted(planned["images"])


def other_pictures(
    run: Run, shard: int, tar: Path, index: Path, records: Iterable[Row], planned: Mapping[str, Row]
) -> Iterator[tuple[Path, str]]:
    """Yield the first picture of a window's post shard that is not the one whose checksum the plan has.

    Those of a spanning shard come from many windows, whose entries would all have to be read for it.

    Args:
        run: The run.
        shard: The post shard.
        tar: Its tar, and
        index: the index of it, which fit each other and the records.
        records: In the order of the tar.
        planned: The rows of the plan's posts by key.
    """
    window = next(each.window for each in plan.shards(run) if each.shard == shard)
    if window is None:
        return
    entries = plan.entries(run, plan.IMAGES, window)
    entries = entries.filter(pc.equal(entries["shard"], shard))
    places = zip(entries["row"].to_pylist(), entries["image"].to_pylist(), strict=True)
    if PLAIN_FILE in entries["method"].unique().to_pylist():  # nothing states their checksums
        return
    checksums = dict(zip(places, entries["crc32"].to_pylist(), strict=True))
    fd = os.open(tar, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for sample, record in zip(offsets.read_index(index), records, strict=True):
            row = planned[record["key"]]
            if len({*row["images"]}) < len(row["images"]):
                continue  # which of two of one name is missing, the record does not say
            for number, name in enumerate(record["images"]):
                member = sample[1 + number]
                stated = checksums.get((row["row"], row["images"].index(name)))
                if stated != deflate.crc32(os.pread(fd, member.size, member.offset)):
                    yield tar, f"{member.name} is not the picture whose checksum the plan has"
                    return
    finally:
        os.close(fd)
