"""The dataset at its true size in all that the plan reads, with holes for the data that it does not.

Both archives have real ZIP64 end records and real central directories, entries in random order, on as many parts as
the dataset has; the parts are sparse files in which only the headers that are looked at are there. The mapping has as
many rows, repeats and carousels. :func:`write` returns what a plan of it has to count.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

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

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_EOCD64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_EOCD = struct.Struct("<4s4H2IH")
# What Info-ZIP puts into every record of its directory: "UT" (time) and "ux" (owner).
_EXTRA = struct.pack("<2sHBI", b"UT", 5, 3, 1561939200) + struct.pack("<2sHBBIBI", b"ux", 11, 1, 4, 0, 4, 0)
_CHUNK = 1 << 17
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
    with_metadata = _some(rng, n, metadata - unmapped)
    with_picture = _some(rng, len(picture), min(pictures - unmapped, len(picture)))
    folder.mkdir(parents=True)
    (folder / "influencers.txt").write_text(
        "Username\tCategory\t#Followers\t#Followees\t#Posts\n"
        + "=" * 40
        + "\n"
        + "".join(f"{name}\tfashion\t{1000 + i}\t{i}\t300\n" for i, name in enumerate(accounts))
    )
    repeats = round(REPEATS * scale)
    _write_mapping(folder / "JSON-Image_files_mapping.txt", accounts, owner, post, picture, first, repeats, rng)

    def info(i: int) -> bytes:
        return b"info/%s-%d.info" % (names[owner[i]], post[i]) if i >= 0 else b"info/nobody-%d.info" % (9 * 10**18 - i)

    def image(i: int) -> bytes:
        return b"image/%s-%d.jpg" % (names[of[i]], picture[i]) if i >= 0 else b"image/nobody-%d.jpg" % (9 * 10**18 - i)

    names, of = [name.encode() for name in accounts], np.repeat(owner, length)
    for stem, there, parts, mean, name, method in (
        ("Post_metadata/posts_info", with_metadata, METADATA_PARTS, _METADATA_BYTES, info, 8),
        ("Post_images/posts_image", with_picture, PICTURE_PARTS, _PICTURE_BYTES, image, 0),
    ):
        entries = np.concatenate([np.flatnonzero(there), -1 - np.arange(unmapped)])
        _write_archive(folder / stem, rng.permutation(entries), name, parts, mean, method, rng)

    found = np.add.reduceat(with_picture.astype(np.int64), first[:-1])
    kept = with_metadata & (found > 0)
    return Expected(
        mapping_rows=n + repeats,
        mapped_posts=n,
        planned_posts=int(kept.sum()),
        planned_images=int(found[kept].sum()),
        lost=int((~kept).sum()),
        metadata_missing=int((~with_metadata).sum()),
        no_image=int((with_metadata & (found == 0)).sum()),
        image_missing=int((length - found)[kept].sum()),
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
        "".join(letters[at] for at in row[:length]) + ("." if dot else "") + f"{i:x}"
        for i, (row, length, dot) in enumerate(zip(drawn.tolist(), lengths.tolist(), dots.tolist(), strict=True))
    ]


def _shares(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    weights = rng.lognormal(0.0, 1.0, ACCOUNTS)
    return weights / weights.sum()


def _some(rng: np.random.Generator, n: int, wanted: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(n, dtype=np.bool_)
    mask[rng.choice(n, wanted, replace=False)] = True
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
        for at in range(0, len(rows), _CHUNK):
            chunk = rows[at : at + _CHUNK]
            lines = []
            for i, who, which in zip(chunk.tolist(), owner[chunk].tolist(), post[chunk].tolist(), strict=True):
                listed = "', '".join([f"{each}.jpg" for each in picture[first[i] : first[i + 1]].tolist()])
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
    header = 30 + lengths
    ends = np.cumsum(header + compressed)
    records = int((46 + lengths + len(_EXTRA)).sum()) + _EOCD64.size + _LOCATOR64.size + _EOCD.size
    part_bytes = min(PART, -(-(int(ends[-1]) + records) // parts))
    disk, offset = np.empty(len(entries), np.int64), np.empty(len(entries), np.int64)
    at, number, spilled = 0, 0, 4  # bytes of the part that the one before has spilled into it; first, the marker
    while at < len(entries):
        start = ends[at] - (header[at] + compressed[at])
        # A header is not cut by a part, data are.
        until = at + int(np.searchsorted(ends[at:] - compressed[at:] - start + spilled, part_bytes, side="right"))
        disk[at:until] = number
        offset[at:until] = ends[at:until] - (header[at:until] + compressed[at:until]) - start + spilled
        over = int(ends[until - 1] - start + spilled)
        size = part_bytes if over > part_bytes else over
        with _part(stem, number).open("wb") as file:
            if number == 0:
                file.write(b"PK\x07\x08")
            for i in sorted({at, until - 1}):
                file.seek(int(offset[i]))
                raw = name(int(entries[i]))
                file.write(_LOCAL.pack(b"PK\x03\x04", 20, 0, method, 0, 0, 0, 0, 0, len(raw), 0) + raw)
            file.truncate(size)
        at = until
        if at < len(entries) or over > part_bytes:
            spilled, number = over - size, number + 1
        else:
            spilled = over
    _write_directory(
        stem, _records(entries, name, disk, offset, compressed, plain, crc, method), spilled, number, part_bytes
    )


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
    pack, extra = _CENTRAL.pack, _EXTRA
    columns = (entries, disk, offset, compressed, plain, crc)
    for at in range(0, len(entries), _CHUNK):
        for i, number, begin, packed, size, check in zip(
            *(column[at : at + _CHUNK].tolist() for column in columns), strict=True
        ):
            raw = name(i)
            place = (number, 0, 0o100644 << 16, begin)
            sizes = (check, packed, size, len(raw), len(extra), 0)
            yield pack(b"PK\x01\x02", 0x031E, 20, 0, method, 0, 0x4EE1, *sizes, *place) + raw + extra


def _write_directory(stem: Path, records: Iterator[bytes], spilled: int, number: int, part_bytes: int) -> None:
    """Write the directory behind the last data, over as many parts as it needs, and the end records."""
    file = _part(stem, number).open("ab")
    file.truncate(spilled)
    here, start, size, count, on_disk = spilled, (number, spilled), 0, 0, 0
    buffered: list[bytes] = []
    for record in records:
        if here + len(record) + 200 > part_bytes:
            file.write(b"".join(buffered))
            buffered.clear()
            file.close()
            number, here, on_disk = number + 1, 0, 0
            file = _part(stem, number).open("wb")
        buffered.append(record)
        here, size, count, on_disk = here + len(record), size + len(record), count + 1, on_disk + 1
        if len(buffered) == _CHUNK:
            file.write(b"".join(buffered))
            buffered.clear()
    file.write(b"".join(buffered))
    file.write(_EOCD64.pack(b"PK\x06\x06", 44, 0x031E, 45, number, start[0], on_disk, count, size, start[1]))
    file.write(_LOCATOR64.pack(b"PK\x06\x07", number, here, number + 1))
    file.write(_EOCD.pack(b"PK\x05\x06", number, start[0], 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))
    file.close()
    _part(stem, number).rename(stem.with_name(stem.name + ".zip"))


def _part(stem: Path, number: int) -> Path:
    return stem.with_name(f"{stem.name}.z{number + 1:02d}")
