"""The dataset at its true size in all that the plan reads, with holes for the data that it does not.

Both archives have real ZIP64 end records and real central directories, entries in random order, on as many parts as
the dataset has; the parts are sparse files in which only the headers that are looked at are there. The mapping has as
many rows, repeats and carousels. :func:`write` returns what a plan of it has to count.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from postmill.ingest.zipformat.signatures import (  # noqa: E402
    DEFLATE,
    DIRECTORY_RECORD,
    END,
    END_SIGNATURE,
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    RECORD_SIGNATURE,
    SENTINEL16,
    SENTINEL32,
    SPLIT_MARKER,
    STORED,
    ZIP64_END,
    ZIP64_END_SIGNATURE,
    ZIP64_LOCATOR,
    ZIP64_LOCATOR_SIGNATURE,
)

ACCOUNTS = 33_889
POSTS = 10_060_900
REPEATS = 17_982
METADATA = 9_726_219
PICTURES = 12_933_406
UNMAPPED = 1_000  # entries of each archive that no row lists
CAROUSELS = 0.061
PART = 2 << 30
METADATA_PARTS, PICTURE_PARTS = 19, 95
_METADATA_BYTES, _PICTURE_BYTES = 4_000, 15_500  # of the data of an entry, on average

# What Info-ZIP puts into every record of its directory: "UT" (time) and "ux" (owner).
_EXTRA = struct.pack("<2sHBI", b"UT", 5, 3, 1561939200) + struct.pack("<2sHBBIBI", b"ux", 11, 1, 4, 0, 4, 0)
_MODIFIED = 0x4EE1 << 16  # 2019-07-01
_CHUNK = 1 << 17
_CATEGORIES = [
    *("fashion",) * 7,
    *("other",) * 3,
    *("travel", "family", "food") * 2,
    *("beauty", "interior", "fitness", "pet"),
]
_STEPS = 7  # of a part, behind which `plan` looks at a header
_NO_ENTRY = -1

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Expected:
    """What a plan of the dataset has to count."""

    mapping_rows: int
    mapped_posts: int
    planned_posts: int
    planned_images: int
    lost: int
    metadata_missing: int
    no_image: int
    image_missing: int
    unmapped_metadata: int
    unmapped_image: int
    duplicate_mapping_row: int


def write(folder: Path, scale: float = 1.0, seed: int = 0) -> Expected:
    """Write the dataset, or ``scale`` of it on as many parts, into ``folder``; return what a plan has to count."""
    rng = np.random.default_rng(seed)
    n = round(POSTS * scale)
    accounts = _accounts(rng)
    owner = np.sort(rng.choice(ACCOUNTS, n, p=_shares(rng)))
    # Ids rise with time; 19 digits, all different.
    post = 10**18 + rng.permutation(n) * 10**11 + rng.integers(0, 10**10, n)
    length = np.where(rng.random(n) < CAROUSELS, rng.integers(2, 11, n), 1)
    first = np.append(0, np.cumsum(length))
    picture = np.repeat(post, length) + np.arange(first[-1]) - np.repeat(first[:-1], length)

    metadata, pictures, unmapped = round(METADATA * scale), round(PICTURES * scale), round(UNMAPPED * scale)
    with_metadata = _choose(rng, n, metadata - unmapped)
    with_picture = _choose(rng, len(picture), min(pictures - unmapped, len(picture)))
    folder.mkdir(parents=True)
    (folder / "influencers.txt").write_text(
        "Username\tCategory\t#Followers\t#Followees\t#Posts\n"
        + "=" * 40
        + "\n"
        + "".join(f"{name}\t{_CATEGORIES[i % 20]}\t{1000 + i}\t{i}\t300\n" for i, name in enumerate(accounts))
    )
    repeats = round(REPEATS * scale)
    _write_mapping(folder / "JSON-Image_files_mapping.txt", accounts, owner, post, picture, first, repeats, rng)

    def info(i: int) -> bytes:
        return b"info/%s-%d.info" % (names[owner[i]], post[i]) if i >= 0 else b"info/nobody-%d.info" % (9 * 10**18 - i)

    def image(i: int) -> bytes:
        return b"image/%s-%d.jpg" % (names[of[i]], picture[i]) if i >= 0 else b"image/nobody-%d.jpg" % (9 * 10**18 - i)

    names, of = [name.encode() for name in accounts], np.repeat(owner, length)
    for stem, mask, parts, mean, name, method in (
        ("Post_metadata/posts_info", with_metadata, METADATA_PARTS, _METADATA_BYTES, info, DEFLATE),
        ("Post_images/posts_image", with_picture, PICTURE_PARTS, _PICTURE_BYTES, image, STORED),
    ):
        entries = np.concatenate([np.flatnonzero(mask), -1 - np.arange(unmapped)])
        _write_archive(folder / stem, rng.permutation(entries), name, parts, mean, method, rng)

    available = np.add.reduceat(with_picture.astype(np.int64), first[:-1])
    kept = with_metadata & (available > 0)
    return Expected(
        mapping_rows=n + repeats,
        mapped_posts=n,
        planned_posts=int(kept.sum()),
        planned_images=int(available[kept].sum()),
        lost=int((~kept).sum()),
        metadata_missing=int((~with_metadata).sum()),
        no_image=int((with_metadata & (available == 0)).sum()),
        image_missing=int((length - available)[kept].sum()),
        unmapped_metadata=unmapped,
        unmapped_image=unmapped,
        duplicate_mapping_row=repeats,
    )


def _accounts(rng: np.random.Generator) -> list[str]:
    """Return account names as the service allows them: letters, digits, underscores, and dots that stand alone."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789_"
    drawn = rng.integers(0, len(letters), (ACCOUNTS, 16))
    dots, lengths = rng.random(ACCOUNTS) < 0.2, rng.integers(6, 17, ACCOUNTS)
    return [
        "".join(letters[index] for index in row[:length]) + ("." if dot else "") + f"{i:x}"
        for i, (row, length, dot) in enumerate(zip(drawn.tolist(), lengths.tolist(), dots.tolist(), strict=True))
    ]


def _shares(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    weights = rng.lognormal(0.0, 1.0, ACCOUNTS)
    return weights / weights.sum()


def _choose(rng: np.random.Generator, n: int, count: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(n, dtype=np.bool_)
    mask[rng.choice(n, count, replace=False)] = True
    return mask


def _write_mapping(
    path: Path,
    accounts: list[str],
    owner: Ints,
    post: Ints,
    picture: Ints,
    first: Ints,
    repeats: int,
    rng: np.random.Generator,
) -> None:
    again = rng.choice(len(post), repeats, replace=False)
    rows = np.sort(np.concatenate([np.arange(len(post)), again]))
    with path.open("w", encoding="ascii") as file:
        file.write("influencer_name JSON_PostMetadata_file_name Image_file_name    \n")
        for first_row in range(0, len(rows), _CHUNK):
            chunk = rows[first_row : first_row + _CHUNK]
            lines = []
            for i, who, which in zip(chunk.tolist(), owner[chunk].tolist(), post[chunk].tolist(), strict=True):
                listed = "', '".join([f"{number}.jpg" for number in picture[first[i] : first[i + 1]].tolist()])
                lines.append(f"{accounts[who]}\t{which}.info\t['{listed}']\n")
            file.write("".join(lines))


def _write_archive(
    stem: Path,
    entries: Ints,
    name: Callable[[int], bytes],
    parts: int,
    mean: int,
    method: int,
    rng: np.random.Generator,
) -> None:
    """Write a set of PKWARE disks whose data are holes: ``parts`` of them, or as many as ``entries`` fill."""
    stem.parent.mkdir(parents=True)
    compressed = rng.integers(mean // 2, mean + mean // 2, len(entries))
    plain = compressed * 4 if method else compressed
    crc = rng.integers(0, 1 << 32, len(entries))
    lengths = np.fromiter((len(name(i)) for i in entries.tolist()), np.int64, len(entries))
    header = LOCAL_HEADER.size + lengths
    ends = np.cumsum(header + compressed)
    records = (
        int((DIRECTORY_RECORD.size + lengths + len(_EXTRA)).sum()) + ZIP64_END.size + ZIP64_LOCATOR.size + END.size
    )
    part_bytes = min(PART, -(-(int(ends[-1]) + records) // parts))
    disk, offset = np.empty(len(entries), np.int64), np.empty(len(entries), np.int64)
    first, number, spilled = 0, 0, 4  # bytes of the part that the one before has spilled into it; first, the marker
    while first < len(entries):
        start = ends[first] - (header[first] + compressed[first])
        # A header is not cut by a part, data are.
        data_starts = ends[first:] - compressed[first:] - start + spilled
        until = first + int(np.searchsorted(data_starts, part_bytes, side="right"))
        disk[first:until] = number
        offset[first:until] = ends[first:until] - (header[first:until] + compressed[first:until]) - start + spilled
        over = int(ends[until - 1] - start + spilled)
        size = part_bytes if over > part_bytes else over
        with _part(stem, number).open("wb") as file:
            if number == 0:
                file.write(SPLIT_MARKER)
            whole = size if first + len(data_starts) > until else min(over + records, part_bytes)
            for i in _looked_at(offset, first, until, whole):
                file.seek(int(offset[i]))
                raw = name(int(entries[i]))
                file.write(LOCAL_HEADER.pack(LOCAL_SIGNATURE, 20, 0, method, 0, 0, 0, 0, len(raw), 0) + raw)
            file.truncate(size)
        first = until
        if first < len(entries) or over > part_bytes:
            spilled, number = over - size, number + 1
        else:
            spilled = over
    _write_directory(
        stem, _records(entries, name, disk, offset, compressed, plain, crc, method), spilled, number, part_bytes
    )


def _looked_at(offset: Ints, first: int, until: int, part_bytes: int) -> list[int]:
    """Return the entries of a part, those from ``first`` to ``until``, whose headers `plan` may look at."""
    targets = part_bytes // _STEPS * np.arange(_STEPS)
    nearest = first + np.searchsorted(offset[first:until], targets)
    near = (nearest[:, None] + np.arange(-1, 2)).ravel()  # how long a part with the directory is, is known to a record
    return sorted({first, until - 1, *near[(near >= first) & (near < until)].tolist()})


def _records(
    entries: Ints,
    name: Callable[[int], bytes],
    disk: Ints,
    offset: Ints,
    compressed: Ints,
    plain: Ints,
    crc: Ints,
    method: int,
) -> Iterator[bytes]:
    pack, extra = DIRECTORY_RECORD.pack, _EXTRA
    columns = (entries, disk, offset, compressed, plain, crc)
    for first in range(0, len(entries), _CHUNK):
        for i, number, begin, packed, size, check in zip(
            *(column[first : first + _CHUNK].tolist() for column in columns), strict=True
        ):
            raw = name(i)
            position = (number, 0, 0o100644 << 16, begin)
            sizes = (check, packed, size, len(raw), len(extra), 0)
            yield pack(RECORD_SIGNATURE, 0x031E, 20, 0, method, _MODIFIED, *sizes, *position) + raw + extra


def _write_directory(stem: Path, records: Iterator[bytes], spilled: int, number: int, part_bytes: int) -> None:
    """Write the directory behind the last data, over as many parts as it needs, and the end records."""
    file = _part(stem, number).open("ab")
    file.truncate(spilled)
    written, start, size, count, on_disk = spilled, (number, spilled), 0, 0, 0
    buffered: list[bytes] = []
    for record in records:
        if written + len(record) + 200 > part_bytes:
            file.write(b"".join(buffered))
            buffered.clear()
            file.close()
            number, written, on_disk = number + 1, 0, 0
            file = _part(stem, number).open("wb")
        buffered.append(record)
        written, size, count, on_disk = written + len(record), size + len(record), count + 1, on_disk + 1
        if len(buffered) == _CHUNK:
            file.write(b"".join(buffered))
            buffered.clear()
    file.write(b"".join(buffered))
    file.write(ZIP64_END.pack(ZIP64_END_SIGNATURE, 44, 0x031E, 45, number, start[0], on_disk, count, size, start[1]))
    file.write(ZIP64_LOCATOR.pack(ZIP64_LOCATOR_SIGNATURE, number, written, number + 1))
    file.write(END.pack(END_SIGNATURE, number, start[0], SENTINEL16, SENTINEL16, SENTINEL32, SENTINEL32, 0))
    file.close()
    _part(stem, number).rename(stem.with_name(stem.name + ".zip"))


def _part(stem: Path, number: int) -> Path:
    return stem.with_name(f"{stem.name}.z{number + 1:02d}")
