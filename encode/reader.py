"""The pictures of a post shard, read front to back."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shards.errors import PostmillError
from shards.posts import shard_name
from shards.run import Run

_PICTURE = re.compile(r"(\d+)\.jpg")
_UNREAD = (".raw.json.gz",)


@dataclass(frozen=True)
class Picture:
    """One picture as it lies in the post shard: row of its post, place in the post, bytes of the file."""

    row: int
    place: int
    data: bytes


def pictures(run: Run, shard: int, keys: Sequence[str]) -> Iterator[Picture]:
    """Yield the pictures of post shard ``shard`` by row, then place.

    Args:
        run: The run.
        shard: Number of the post shard.
        keys: The keys that its Parquet file has, in order.

    Raises:
        PostmillError: The tar cannot be read, or its posts are not those of the Parquet file in the same order.
    """
    path = run.posts / f"{shard_name(shard)}.tar"
    row = -1
    for row, sample in enumerate(_samples(run, path)):
        key = sample["__key__"]
        if row >= len(keys) or key != keys[row]:
            wanted = f"{keys[row]!r}" if row < len(keys) else "no more"
            raise _damaged(run, path, f"post {row} of the tar is {key!r} where the Parquet beside it has {wanted}")
        places = sorted(
            (int(match[1]), name) for name in sample if (match := _PICTURE.fullmatch(name)) and match[1].isascii()
        )
        for place, name in places:
            yield Picture(row, place, sample[name])
    if row + 1 != len(keys):
        raise _damaged(run, path, f"the tar has {row + 1} posts where the Parquet beside it has {len(keys)}")


def _samples(run: Run, path: Path) -> Iterator[dict[str, Any]]:
    from webdataset import tariterators

    try:
        with path.open("rb") as file:
            # The stream is opened here because webdataset takes a path for a URL and expands braces in it.
            members = tariterators.tar_file_expander(
                [{"url": path.name, "stream": file}], select_files=lambda name: not name.endswith(_UNREAD)
            )
            yield from tariterators.group_by_keys(members)
    except (OSError, EOFError, tarfile.TarError, ValueError) as error:
        raise _damaged(run, path, f"cannot be read as a tar ({error.args[0] if error.args else error})") from error


def _damaged(run: Run, path: Path, cause: str) -> PostmillError:
    hint = f"find what is damaged with postmill verify {run.word}; delete the shard's .json and ingest again"
    return PostmillError(cause, place=path, hint=hint)
