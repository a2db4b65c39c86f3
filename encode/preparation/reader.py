"""The pictures of a post shard, read front to back."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postmill.shards.formats import posts
from postmill.shards.formats.units import shard_name
from postmill.shards.run import checked, regular
from postmill.shards.run.folder import Run
from postmill.shards.run.manifests import FileState
from postmill.shards.runtime.errors import PostmillError

_PICTURE = re.compile(r"(\d+)\.jpg")
_UNREAD = (".raw.json.gz",)


@dataclass(frozen=True)
class Picture:
    """One picture as it lies in the post shard.

    Attributes:
        row: Row of its post.
        position: n of ``KEY.n.jpg``.
        data: Bytes of the file.
    """

    row: int
    position: int
    data: bytes


def read_pictures(run: Run, shard: int, keys: Sequence[str]) -> Iterator[Picture]:
    """Yield the pictures of post shard ``shard`` by row, then position.

    Args:
        run: The run.
        shard: Number of the post shard.
        keys: The keys that its Parquet file has, in order.

    Raises:
        PostmillError: The tar cannot be read, or its posts are not those of the Parquet file in the same order; or,
            after the last picture, its bytes were not those of the manifest, and nothing may be made of them.
    """
    path, state = run.posts / f"{shard_name(shard)}.tar", posts.tar_state(run, shard)
    if state.dropped:
        raise dropped(run, [shard])
    row = -1
    for row, sample in enumerate(_samples(run, path, state)):
        key = sample["__key__"]
        if row >= len(keys) or key != keys[row]:
            expected = f"{keys[row]!r}" if row < len(keys) else "no more"
            raise _damaged(run, path, f"post {row} of the tar is {key!r} where the Parquet beside it has {expected}")
        members = sorted(
            (int(match[1]), name) for name in sample if (match := _PICTURE.fullmatch(name)) and match[1].isascii()
        )
        for position, name in members:
            yield Picture(row, position, sample[name])
    if row + 1 != len(keys):
        raise _damaged(run, path, f"the tar has {row + 1} posts where the Parquet beside it has {len(keys)}")


def dropped(run: Run, shards: Sequence[int]) -> PostmillError:
    """Return what is raised where the pictures of ``shards``, one at least, are asked for, and their tars let go."""
    more = f" and {len(shards) - 1:,} more" if len(shards) > 1 else ""
    return PostmillError(
        f"was dropped when every encoder asked for then had done it{more}: its pictures are in the archive alone",
        place=run.posts / f"{shard_name(shards[0])}.tar",
        hint=f"pack it again, then run the same command: {posts.restore_command(run)}",
    )


def _samples(run: Run, path: Path, state: FileState) -> Iterator[dict[str, Any]]:
    from webdataset import tariterators

    try:
        with regular.opened(path) as file:
            stream = checked.HashedStream(file)
            # The stream is opened here because webdataset takes a path for a URL and expands braces in it.
            members = tariterators.tar_file_expander(
                [{"url": path.name, "stream": stream}], select_files=lambda name: not name.endswith(_UNREAD)
            )
            yield from tariterators.group_by_keys(members)
            if stream.finish() != (state.bytes, state.blake3):
                raise _damaged(run, path, "its bytes are not those that the manifest states")
    except (EOFError, tarfile.TarError, ValueError) as error:
        raise _damaged(run, path, f"not to be read as a tar ({error.args[0] if error.args else error})") from error
    except OSError as error:
        raise checked.unusable(path, error, _command(run)) from error


def _damaged(run: Run, path: Path, what: str) -> PostmillError:
    return checked.damaged(path, what, _command(run))


def _command(run: Run) -> str:
    return f"postmill ingest {run.word}"
