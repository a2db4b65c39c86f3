"""How a distribution of the dataset names its files, and where those of a folder lie.

Another distribution is one more line of :data:`LAYOUTS`. How the entries of its archives are named is said here too,
by :func:`metadata_entry` and :func:`picture_entry`, and once more for the joins, by the macros of that name in
``ingest/plan/sql/tables.sql``; a test holds them together.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from shlex import quote
from typing import Any

from postmill.ingest.remote.files import Forbidden, SizeUnknown
from postmill.ingest.source.file_tree import is_tree
from postmill.ingest.zipformat.part_names import parse_name
from postmill.ingest.zipformat.parts import measure
from postmill.shards.run.sources import NONE, Locations, Place, places_of
from postmill.shards.runtime.addresses import is_url, split
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.file_names import check_text

INFO_SUFFIX = ".info"
_LOOKED_AT = 1000  # files of a folder, to see what it is a folder of
_COMPRESSIONS = ("", ".gz", ".zst")  # of the text files, by the ending of their names


@dataclass(frozen=True)
class ArchiveFiles:
    """The split zip ``folder/stem.zip`` with its other parts; it may lie in the dataset's folder itself too.

    Unpacked, it is the folder ``files`` with files of one of ``suffixes``, or files below ``folder``.
    """

    folder: str
    stem: str
    files: str
    suffixes: tuple[str, ...]

    def is_found(self, root: Path, path: Path) -> bool:
        """Say whether ``path`` is what is found of it in the folder ``root``: a part, or the folder of its files."""
        part = path.parent in (root, root / self.folder) and path.name.startswith(f"{self.stem}.")
        return part or path in (root / self.folder, root / self.files)


@dataclass(frozen=True)
class DatasetLayout:
    """One distribution of the dataset: two archives, and two text files that may be compressed."""

    metadata: ArchiveFiles
    images: ArchiveFiles
    mapping: str
    influencers: str

    def names(self) -> dict[str, str]:
        """Return what a reader looks for, by source: for an archive its last part."""
        return {
            "metadata": f"{self.metadata.folder}/{self.metadata.stem}.zip",
            "images": f"{self.images.folder}/{self.images.stem}.zip",
            "mapping": self.mapping,
            "influencers": self.influencers,
        }

    def look(self, root: str) -> dict[str, str | None]:
        """Return where each source lies in the folder, or below the address, ``root``; None for one that does not."""
        archive, text = (_ask_archive, _ask_text) if is_url(root) else (_find_archive, _find_text)
        return {
            "metadata": archive(root, self.metadata),
            "images": archive(root, self.images),
            "mapping": text(root, self.mapping),
            "influencers": text(root, self.influencers),
        }

    def holds(self, root: Path, locations: Locations) -> bool:
        """Say whether all of ``locations`` are where this layout has them in the folder ``root``."""
        archives = [(locations.metadata, self.metadata)]
        archives += [] if locations.text_only else [(locations.images, self.images)]
        texts = [place for place in (locations.mapping, locations.influencers) if place != NONE]
        return all(Path(path).parent == root for path in texts) and all(
            isinstance(path, str) and files.is_found(root, Path(path)) for path, files in archives
        )


INSTAGRAM_INFLUENCERS = DatasetLayout(
    metadata=ArchiveFiles("Post_metadata", "posts_info", "info", (INFO_SUFFIX,)),
    images=ArchiveFiles("Post_images", "posts_image", "image", (".jpg", ".jpeg", ".png", ".webp")),
    mapping="JSON-Image_files_mapping.txt",
    influencers="influencers.txt",
)
"""The Instagram Influencer dataset of Kim et al. (WWW 2020), as its authors give it out."""

LAYOUTS = (INSTAGRAM_INFLUENCERS,)
"""The layouts that are known; a folder has that of which most is in it."""


def metadata_entry(influencer: str, post_id: str) -> str:
    """Return the file name of a post's entry in the metadata archive."""
    return f"{influencer}-{post_id}{INFO_SUFFIX}"


def picture_entry(influencer: str, picture: str) -> str:
    """Return the file name of the entry that the picture archive has for ``picture``, a name of the mapping."""
    return f"{influencer}-{picture}"


def discover(
    folder: str | None,
    metadata: Place | None = None,
    images: Place | None = None,
    mapping: str | None = None,
    influencers: str | None = None,
    known: Locations | None = None,
) -> Locations:
    """Find the sources in ``folder``, which has a dataset's layout; what is named on its own is taken as it is.

    Args:
        folder: A folder or an address, if one was named.
        metadata: The metadata archive, if it was named.
        images: Likewise of the picture archive; NONE for text alone.
        mapping: The mapping file, likewise; NONE to go by the names of the entries.
        influencers: The influencers file, likewise; NONE to do without.
        known: Where a run last saw its sources: what is neither named nor in ``folder`` is still there.

    Raises:
        UsageError: A source is neither named nor in its place.
        PostmillError: An address cannot be asked for.
    """
    layout, paths = LAYOUTS[0], dict[str, str | None]()
    if folder is not None:
        root = Path(folder)
        if not is_url(folder) and not root.is_dir():
            raise _no_folder(root)
        layout, paths = max(((each, each.look(folder)) for each in LAYOUTS), key=lambda pair: _count(pair[1]))
    named = {"metadata": metadata, "images": images, "mapping": mapping, "influencers": influencers}
    sources: dict[str, Any] = {name: path or paths.get(name) for name, path in named.items()}
    if known is not None and (folder is None or _count(paths)):  # a folder with nothing in it is another one
        sources = {name: path or asdict(known)[name] for name, path in sources.items()}
    missing = {name: layout.names()[name] for name, path in sources.items() if path is None}
    if missing:
        below = None if folder is None or is_url(folder) else Path(folder)
        raise UsageError(
            f"has no {', no '.join(f'--{name} ({place})' for name, place in missing.items())}",
            place=folder or "the command line",
            hint=_where_they_may_be(below, missing),
        )
    return Locations(**{name: path for name, path in sources.items() if path is not None})


def _no_folder(root: Path) -> UsageError:
    """Return what is said of a SOURCE that is no folder, with the nearest name where there is none of this one."""
    hint = "SOURCE is the folder with influencers.txt, the mapping file, Post_metadata and Post_images"
    if root.exists():
        return UsageError("is not a folder", place=root, hint=hint)
    beside = [path.name for path in root.parent.iterdir() if path.is_dir()] if root.parent.is_dir() else []
    near = difflib.get_close_matches(root.name, beside, 1)
    return UsageError(
        "does not exist", place=root, hint=f"did you mean {quote(str(root.with_name(near[0])))}?" if near else hint
    )


def root_of(locations: Locations) -> Path | None:
    """Return the folder in which :func:`discover` finds all of ``locations``; None: they lie apart, or at addresses."""
    if any(map(is_url, chain.from_iterable(map(places_of, asdict(locations).values())))):
        return None
    texts = [place for place in (locations.mapping, locations.influencers) if place != NONE]
    metadata = Path(places_of(locations.metadata)[0])
    roots = [Path(texts[0]).parent] if texts else [metadata.parent.parent, metadata.parent]
    return next((root for root in roots for layout in LAYOUTS if layout.holds(root, locations)), None)


def source_words(locations: Locations) -> str:
    """Return what names ``locations`` in a command: their folder, or else an option for each, without secrets."""
    root = root_of(locations)
    if root is None:
        places = asdict(locations.plain())
        return " ".join(f"--{name} {quote(place)}" for name in places for place in places_of(places[name]))
    return quote(str(root)) + "".join(f" --{name} {NONE}" for name, place in asdict(locations).items() if place == NONE)


def absolute(locations: Locations) -> Locations:
    """Return ``locations`` as they are to be found from any folder; addresses stay as they are.

    Raises:
        UsageError: A path is not UTF-8.
    """
    return locations.mapped(_absolute)


def _where_they_may_be(root: Path | None, missing: Mapping[str, str]) -> str:
    """Say what to do about the sources ``missing``, with their places below ``root``, by what is there instead."""
    hint = "SOURCE is the dataset's folder; or name each source that lies elsewhere with the option shown"
    if "images" in missing:
        hint += f"; for text alone: --images {NONE}"
    if "mapping" in missing:
        hint += f"; to go by the names of the files: --mapping {NONE}"
    if "influencers" in missing:
        hint += f"; to do without followers and categories: --influencers {NONE}"
    if root is None:
        return hint
    for name, place in missing.items():
        if (root / place).is_symlink():
            return f"{place} is a link to a file that is not here: fetch that, as `git annex get` and `dvc pull` do"
        stem = (root / place).with_suffix("")
        alike = sorted(path.name for path in stem.parent.glob(f"{stem.name}*") if path.is_file())
        if alike and place.endswith(".zip"):
            what = f"{alike[0]} to {alike[-1]}" if len(alike) > 1 else alike[0]
            return f"{hint}; if {what} are its parts, --{name} takes a pattern in quotes: --{name} {quote(f'{stem}*')}"
    return hint


def _count(paths: Mapping[str, str | None]) -> int:
    return sum(path is not None for path in paths.values())


def _absolute(path: str) -> str:
    if is_url(path) or path == NONE:
        return path
    # A link stays one: behind that of one part, the others may lie elsewhere.
    local = str(Path(path).absolute())
    check_text(local)
    return local


def _find_archive(root: str, files: ArchiveFiles) -> str | None:
    """Return any part of the archive, in its folder or in the root, or the folder of its files.

    From one part its siblings are found.
    """
    for folder in (Path(root, files.folder), Path(root)):
        found = sorted(path for path in folder.glob(f"{files.stem}.*") if path.is_file())
        if parts := [path for path in found if parse_name(path.name) is not None] or found:
            return str(next((path for path in parts if path.suffix in (".zip", ".zipx")), parts[-1]))
    unpacked = (folder for folder in (Path(root, files.folder), Path(root, files.files)) if is_tree(str(folder)))
    return next((str(folder) for folder in unpacked if _holds_files(folder, files.suffixes)), None)


def _holds_files(folder: Path, suffixes: tuple[str, ...]) -> bool:
    """Say whether one of the first files below ``folder`` has one of ``suffixes``."""
    names = (name for _, _, found in os.walk(folder) for name in found)
    return any(name.lower().endswith(suffixes) for name in islice(names, _LOOKED_AT))


def _find_text(root: str, name: str) -> str | None:
    paths = (Path(root, f"{name}{ending}") for ending in _COMPRESSIONS)
    return next((str(path) for path in paths if path.is_file()), None)


def _ask_archive(root: str, files: ArchiveFiles) -> str | None:
    """Return the address of the archive's last part below the address ``root``, where servers list no folders."""
    return _ask(root, [f"{files.folder}/{files.stem}.zip", f"{files.stem}.zip"])


def _ask_text(root: str, name: str) -> str | None:
    return _ask(root, [f"{name}{ending}" for ending in _COMPRESSIONS])


def _ask(root: str, names: Sequence[str]) -> str | None:
    query = split(root)[1]
    folder = root.removesuffix(query).rstrip("/")
    forbidden: Forbidden | None = None
    for address in (f"{folder}/{name}{query}" for name in names):
        try:
            if measure(address) is not None:
                return address
        except SizeUnknown:  # a text file is read all the same
            return address
        except Forbidden as error:  # as object stores say of what is not there
            forbidden = forbidden or error
    if forbidden is not None:
        raise forbidden
    return None
