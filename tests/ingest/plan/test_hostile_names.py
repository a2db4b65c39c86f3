"""Entries whose names no reader may follow: told, left out, and in place of no entry with a good name."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import pytest

from tests.commands import postmill
from tests.datasets import info, write_mapping
from tests.ingest.test_text_only import members, told

PICTURE = b"\xff\xd8 a picture"
HOSTILE = {
    "from the root": "/{folder}/{name}",
    "upwards": "../{folder}/{name}",
    "upwards within": "{folder}/../../{folder}/{name}",
    "of a drive": "C:\\{folder}\\{name}",
    "of a share": "\\\\host\\{folder}\\{name}",
    "with a line end": "{folder}\n/{name}",
}


def write(path: Path, names: list[str], contents: list[bytes]) -> None:
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in zip(names, contents, strict=True):
            entry = zipfile.ZipInfo("x")
            entry.filename = name
            archive.writestr(entry, content)


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_twin_with_a_hostile_name_does_not_count(tmp_path: Path, hostile: str, last: bool) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    for path, folder, name, content in (
        ("Post_metadata/posts_info.zip", "info", "ann-1.info", info("good")),
        ("Post_images/posts_image.zip", "image", "ann-1.jpg", PICTURE),
    ):
        entries = [(f"{folder}/{name}", content), (HOSTILE[hostile].format(folder=folder, name=name), b"{}")]
        names, contents = zip(*(entries if last else reversed(entries)), strict=True)
        write(data / path, list(names), list(contents))
    write_mapping(data / "JSON-Image_files_mapping.txt", [("ann", "1", ["1.jpg"])])
    assert postmill("plan", data, run, "--influencers", "none") == 0 and postmill("ingest", run) == 0
    (post,) = members(run).values()
    assert post["0.jpg"] == PICTURE and b"caption of good" in post["json"]
    faults = Counter((fault["reason"], fault["post_lost"]) for fault in told(run))
    assert faults[("name_hostile", False)] == 2 and not any(lost for _, lost in faults)
    assert postmill("verify", run) == 0
