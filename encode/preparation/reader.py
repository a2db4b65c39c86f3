"""The pictures of a post shard, read front to back."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from postmill.shards.formats import offsets, posts
from postmill.shards.formats.units import shard_name
from postmill.shards.run import checked, regular
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError

_PICTURE = re.compile(r"([0-9]{1,9})\.jpg")
_READ_BYTES = 1 << 20


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

    Where they lie is read from the index beside the tar, and the tar front to back, so that all of it is checked and a
    disk far away is asked for large pieces in order.

    Args:
        run: The run.
        shard: Number of the post shard.
        keys: The keys that its Parquet file has, in order.

    Raises:
        PostmillError: The tar or its index cannot be read, or its posts are not those of the Parquet file in the same
            order; or, after the last picture, its bytes were not those of the manifest, and nothing may be made of
            them.
    """
    path, state = run.posts / f"{shard_name(shard)}.tar", posts.tar_state(run, shard)
    if state.dropped:
        raise dropped(run, [shard])
    try:
        with regular.opened(path) as file:
            hashed = checked.HashedStream(file)
            yield from _pictures(run, path, io.BufferedReader(hashed, _READ_BYTES), _samples(run, shard, path, keys))
            if hashed.finish() != (state.bytes, state.blake3):
                raise _damaged(run, path, "its bytes are not those that the manifest states")
    except OSError as error:
        raise checked.unusable(path, error, _command(run)) from error


def dropped(run: Run, shards: Sequence[int]) -> PostmillError:
    """Return what is raised where the pictures of ``shards``, one at least, are asked for, and their tars let go."""
    more = f" and {len(shards) - 1:,} more" if len(shards) > 1 else ""
    return PostmillError(
        f"was dropped when every encoder asked for then had done it{more}: its pictures are in the archive alone",
        place=run.posts / f"{shard_name(shards[0])}.tar",
        hint=f"pack it again, then run the same command: {posts.restore_command(run)}",
    )


def _pictures(
    run: Run, path: Path, tar: io.BufferedReader, samples: Iterable[Sequence[offsets.Member]]
) -> Iterator[Picture]:
    position = 0
    for row, members in enumerate(samples):
        contents: dict[int, bytes] = {}
        for member in sorted(members, key=lambda member: member.offset):
            match = _PICTURE.fullmatch(member.name.partition(".")[2])
            if match is None:
                continue
            if member.offset < position or member.size < 0 or int(match[1]) in contents:
                raise _damaged(run, path, f"its index has {member.name!r} twice, or out of its place")
            tar.read(member.offset - position)
            contents[int(match[1])] = content = tar.read(member.size)
            if len(content) != member.size:
                raise _damaged(run, path, f"it ends before {member.name!r} does")
            position = member.offset + member.size
        for number in sorted(contents):
            yield Picture(row, number, contents[number])


def _samples(run: Run, shard: int, path: Path, keys: Sequence[str]) -> Iterator[list[offsets.Member]]:
    """Yield the members of each post, of which ``keys`` are to be the keys."""
    index = path.with_suffix(offsets.SUFFIX)
    content = checked.read(index, posts.index_state(run, shard), _command(run))
    row = -1
    try:
        for row, members in enumerate(offsets.parse_index(content.decode("ascii").splitlines())):
            key = members[0].key
            if row >= len(keys) or key != keys[row]:
                expected = f"{keys[row]!r}" if row < len(keys) else "no more"
                raise _damaged(
                    run, path, f"post {row} of the tar is {key!r} where the Parquet beside it has {expected}"
                )
            yield members
    except ValueError as error:
        raise _damaged(run, index, f"not to be read as an index of a tar ({error})") from error
    if row + 1 != len(keys):
        raise _damaged(run, path, f"the tar has {row + 1} posts where the Parquet beside it has {len(keys)}")


def _damaged(run: Run, path: Path, what: str) -> PostmillError:
    return checked.damaged(path, what, _command(run))


def _command(run: Run) -> str:
    return f"postmill ingest {run.word}"
