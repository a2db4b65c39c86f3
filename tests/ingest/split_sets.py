"""One tree of files in archives of every kind, each made from its line here; and the same kinds by another writer.

The names are those of the sets in :data:`.archives.GIVEN`, which are further inputs wherever they lie.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest

from postmill.ingest.zipformat.parts import find_parts
from tests.ingest.appnote import Form, Member, write_parts
from tests.ingest.archives import GIVEN

PART = 3000  # bytes


@dataclass(frozen=True)
class Kind:
    """How a set is written and what its parts are called."""

    form: Form
    names: Callable[[int, int], str]  # of a part's number and the number of parts, what follows the set's name
    changes: dict[str, object] = field(default_factory=dict)  # of each member
    files: str = "tree"  # or "crowd"


def disk_names(number: int, count: int) -> str:
    return ".zip" if number == count - 1 else f".z{number + 1:02d}"


def slice_names(number: int, count: int) -> str:
    return f".zip.{number + 1:03d}"


def numbers_from_0(number: int, count: int) -> str:
    return f".z{number:02d}"


def no_suffix(number: int, count: int) -> str:
    return ""


_DISKS = Form((PART,), disks=True, kept_whole=True, marker=b"PK\7\x08")
_SLICES = Form((PART,))
_ZIP64 = {"zip64": frozenset({"size", "packed", "offset", "disk"}), "local_zip64": True}

KINDS = {
    "pk-basic": Kind(_DISKS, disk_names),
    "pk-straddle": Kind(replace(_DISKS, kept_whole=False), disk_names),
    "pk-nomarker": Kind(replace(_DISKS, marker=b""), disk_names),
    "pk-zip64": Kind(replace(_DISKS, zip64="all"), disk_names, _ZIP64),
    "pk-zip64-eocd-earlier": Kind(
        replace(_DISKS, zip64="all", breaks=frozenset({"zip64 end", "locator"})), disk_names, _ZIP64
    ),
    "pk-eocd-alone": Kind(replace(_DISKS, breaks=frozenset({"end"})), disk_names),
    "pk-bit3": Kind(_DISKS, disk_names, {"descriptor": "signed narrow"}),
    "pk-bit3-nosig": Kind(_DISKS, disk_names, {"descriptor": "narrow"}),
    "pk-bit3-zip64": Kind(replace(_DISKS, zip64="all"), disk_names, {**_ZIP64, "descriptor": "signed wide"}),
    "pk-z00": Kind(_DISKS, numbers_from_0),
    "raw-split": Kind(_SLICES, slice_names),
    "raw-z00": Kind(_SLICES, numbers_from_0),
    "whole.zip": Kind(Form(), no_suffix),
    "single-PK00-marker.zip": Kind(Form(marker=b"PK00"), no_suffix),
    # As commons-compress writes: descriptors, and parts that end within a header.
    "cc-writer": Kind(
        Form((1 << 16,), disks=True, late=True, marker=b"PK\7\x08"),
        disk_names,
        {"descriptor": "signed narrow"},
        "crowd",
    ),
}
OF_TREE = [name for name, kind in KINDS.items() if kind.files == "tree"]
SPLIT = [name for name in KINDS if not name.endswith(".zip")]


@dataclass(frozen=True)
class SplitSet:
    """An archive of the tree: built here, or given."""

    name: str
    given: bool = False

    def put(self, folder: Path) -> list[Path]:
        """Put it into ``folder``, where it may be changed; return its parts in order."""
        folder.mkdir()
        if self.given:
            for part in find_parts(GIVEN / "generated" / self.name):
                (folder / part.name).write_bytes(Path(part.path).read_bytes())
        else:
            parts = _built(self.name)
            for number, content in enumerate(parts):
                (folder / f"{self.name}{KINDS[self.name].names(number, len(parts))}").write_bytes(content)
        return [Path(part.path) for part in find_parts(folder)]

    def contents(self) -> dict[str, tuple[int, str]]:
        """Length and SHA-256 of each file; of a given ``cc-writer`` nobody wrote them down."""
        if self.given:
            members = json.loads((GIVEN / "generated" / "members.json").read_text())
            return {name: (length, digest) for name, (length, digest) in members.items()}
        return {member.name: digest_of(member.plain) for member in _FILES[KINDS[self.name].files]()}


def digest_of(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()


def sets(names: Sequence[str]) -> list[object]:
    """Parameters of a test: each set as built, and as given if it lies there."""
    everything = [SplitSet(name) for name in names]
    everything += [SplitSet(name, given=True) for name in names if (GIVEN / "generated" / name).exists()]
    return [pytest.param(split_set, id=f"{split_set.name}{'-given' * split_set.given}") for split_set in everything]


@cache
def tree() -> tuple[Member, ...]:
    """Files of up to 700 bytes, a few empty, one longer than three parts; half stored, half deflated."""
    rng = random.Random(12)
    members = []
    for number in range(123):
        size = 0 if number % 40 == 7 else 4 * PART if number == 60 else rng.randint(1, 500)
        plain = rng.randbytes(size) if number % 3 else b"#bread " * (size // 7 + 1)
        ending = "日" if number == 100 else rng.randrange(1 << 40)
        members.append(Member(f"img/{number:04d}-{ending}.jpg", plain, 8 * (number % 2)))
    return tuple(members)


@cache
def crowd() -> tuple[Member, ...]:
    """3,000 small files, all deflated."""
    rng = random.Random(13)
    return tuple(Member(f"img/{number:05d}.jpg", rng.randbytes(rng.randint(50, 250)), 8) for number in range(3000))


_FILES: dict[str, Callable[[], tuple[Member, ...]]] = {"tree": tree, "crowd": crowd}


@cache
def _built(name: str) -> list[bytes]:
    kind = KINDS[name]
    return write_parts([replace(member, **kind.changes) for member in _FILES[kind.files]()], kind.form)  # type: ignore[arg-type]
