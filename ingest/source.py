"""Where a dataset's four sources lie, and what tells them from another dataset's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.naming import folder_of
from ingest.parts import lay_out_holes, measure
from ingest.space import AddressSpace, is_url
from shards.errors import PostmillError, UsageError
from shards.plan import ARCHIVES
from shards.run import Run

MAPPING_NAME = "JSON-Image_files_mapping.txt"
INFLUENCERS_NAME = "influencers.txt"
_COMPRESSED = ("", ".gz", ".zst")
_PROBE = 1 << 20


@dataclass(frozen=True)
class Source:
    """The four sources of a dataset: any part of each archive, and the paths of the two text files."""

    metadata: str
    images: str
    mapping: str
    influencers: str


def discover(
    folder: str | None,
    metadata: str | None = None,
    images: str | None = None,
    mapping: str | None = None,
    influencers: str | None = None,
) -> Source:
    """Find the sources in ``folder``, which has the dataset's layout; what is named on its own is taken as it is.

    Raises:
        UsageError: A source is neither named nor found in its place.
    """
    if folder is not None:
        root = Path(folder)
        if not root.is_dir():
            raise UsageError(
                "is not a folder" if root.exists() else "does not exist",
                place=folder,
                hint="SOURCE is the folder with influencers.txt, the mapping file, Post_metadata and Post_images",
            )
        metadata = metadata or _archive(root, "Post_metadata", "posts_info")
        images = images or _archive(root, "Post_images", "posts_image")
        mapping = mapping or _text(root, MAPPING_NAME)
        influencers = influencers or _text(root, INFLUENCERS_NAME)
    wanted = {
        "metadata": (metadata, "Post_metadata/posts_info.zip"),
        "images": (images, "Post_images/posts_image.zip"),
        "mapping": (mapping, MAPPING_NAME),
        "influencers": (influencers, INFLUENCERS_NAME),
    }
    missing = [f"--{name} ({place})" for name, (value, place) in wanted.items() if value is None]
    if missing or metadata is None or images is None or mapping is None or influencers is None:
        raise UsageError(
            f"has no {', no '.join(missing)}",
            place=folder or "the command line",
            hint="SOURCE is the dataset's folder; or name each source that lies elsewhere with the option shown",
        )
    return Source(metadata, images, mapping, influencers)


def fingerprints(source: Source, metadata: AddressSpace, images: AddressSpace) -> dict[str, Any]:
    """Return what pins the sources: the parts' names and sizes, and hashes of what differs between datasets.

    An archive is hashed at its end, where its central directory states the CRC-32 of every entry; a text file at
    both ends. Nothing is read whole.
    """
    return {
        "metadata": _archive_fingerprint(metadata),
        "images": _archive_fingerprint(images),
        "mapping": _text_fingerprint(source.mapping),
        "influencers": _text_fingerprint(source.influencers),
    }


def open_archive(run: Run, archive: int, first: int, last: int) -> AddressSpace:
    """Open the metadata or the picture archive (METADATA or IMAGES) where the run last saw it, as it was planned.

    Only the parts from ``first`` to ``last`` are looked at and may be read: the others need not be there (any more).

    Raises:
        PostmillError: One of these parts is missing, or is not the one that the run was planned with.
    """
    pinned = run.sources[ARCHIVES[archive]]["parts"]
    place = run.locations[ARCHIVES[archive]]
    folder = f"{place}/" if not is_url(place) and Path(place).is_dir() else folder_of(place)
    paths = [f"{folder}{name}" for name, _ in pinned]
    sizes = {path: size for path, (_, size) in zip(paths, pinned, strict=True) if size is not None}
    space = AddressSpace(lay_out_holes(paths, sizes))
    for part in space.parts[first : last + 1]:
        size = None if part.missing else part.size
        held = measure(part.path)
        if held != size:
            raise PostmillError(
                f"{'is missing' if held is None else f'has {held:,} bytes'}; the run was planned with {part.name}"
                f" {'missing' if size is None else f'of {size:,} bytes'}",
                place=part.path,
                hint="restore the part, or plan the changed archive in a new run folder",
            )
    return space


def _archive_fingerprint(space: AddressSpace) -> dict[str, Any]:
    start, end = space.stretches()[-1]
    length = min(_PROBE, end - start)
    tail = space.read(end - length, length)
    return {
        "parts": [[part.name, None if part.missing else part.size] for part in space.parts],
        "end_sha256": hashlib.sha256(tail).hexdigest(),
    }


def _text_fingerprint(path: str) -> dict[str, Any]:
    import fsspec  # here, for only a plan needs it: it is slow to load

    try:
        with fsspec.open(path, "rb") as file:
            head = file.read(_PROBE)
            size = file.seek(0, 2)
            file.seek(max(size - _PROBE, 0))
            return {"bytes": size, "ends_sha256": hashlib.sha256(head + file.read(_PROBE)).hexdigest()}
    except OSError as error:
        raise PostmillError(
            f"cannot be read: {error.strerror or error}", place=path, hint="check the path and its permissions"
        ) from error


def _archive(root: Path, folder: str, stem: str) -> str | None:
    """Return any part of the archive ``stem``, in its folder or in the root; its siblings are found from it."""
    for place in (root / folder, root):
        found = sorted(path for path in place.glob(f"{stem}.*") if path.is_file())
        if found:
            return str(next((path for path in found if path.suffix in (".zip", ".zipx")), found[-1]))
    return None


def _text(root: Path, name: str) -> str | None:
    return next((str(root / f"{name}{end}") for end in _COMPRESSED if (root / f"{name}{end}").is_file()), None)
