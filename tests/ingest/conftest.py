"""A dataset in the real layout, made by the real zip."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

Rows = Sequence[tuple[str, str, Sequence[str]]]


def info(shortcode: str = "x", **fields: Any) -> bytes:
    """The bytes of a small `.info` file."""
    post = {
        "shortcode": shortcode,
        "taken_at_timestamp": 1_500_000_000,
        "edge_media_preview_like": {"count": 5},
        "edge_media_to_caption": {"edges": [{"node": {"text": f"caption of {shortcode}"}}]},
    }
    return json.dumps({**post, **fields}).encode()


def zip_up(folder: Path, archive: Path, files: Mapping[str, bytes], *options: str) -> None:
    """Write `files` in their order into `archive`, made by zip with `options`."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    archive.parent.mkdir(parents=True, exist_ok=True)
    names = "\n".join(files) + "\n"
    subprocess.run(["zip", "-q", *options, str(archive), "-@"], input=names, text=True, cwd=folder, check=True)


def write_mapping(path: Path, rows: Rows) -> None:
    header = "influencer_name JSON_PostMetadata_file_name Image_file_name    \n"
    path.write_text(header + "".join(f"{user}\t{post}.info\t{list(images)!r}\n" for user, post, images in rows))


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Path]:
    """Write a dataset: `infos` and `pictures` by file name, `rows` of the mapping, and options for zip."""

    def make(
        infos: Mapping[str, bytes],
        pictures: Mapping[str, bytes],
        rows: Rows,
        influencers: Sequence[str] = ("ann\tfood\t1000\t10\t5",),
        options: Sequence[str] = (),
    ) -> Path:
        root = tmp_path / "data"
        plain = tmp_path / "plain"
        zip_up(plain, root / "Post_metadata" / "posts_info.zip", {f"info/{n}": c for n, c in infos.items()}, *options)
        zip_up(
            plain, root / "Post_images" / "posts_image.zip", {f"image/{n}": c for n, c in pictures.items()}, *options
        )
        write_mapping(root / "JSON-Image_files_mapping.txt", rows)
        header = ["Username\tCategory\t#Followers\t#Followees\t#Posts", "=" * 60]
        (root / "influencers.txt").write_text("\n".join([*header, *influencers]) + "\n")
        return root

    return make


@pytest.fixture
def make_info() -> Callable[..., bytes]:
    return info
