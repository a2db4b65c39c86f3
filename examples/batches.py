"""Batches of pictures and targets for torch, out of the post shards of a run.

    python examples/batches.py RUN

Posts without likes or without a picture that can be decoded are passed over. Shards hold posts in an order of their
own, so they are shuffled, and posts within some of them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import webdataset
from PIL import Image


def picture(image: Image.Image) -> torch.Tensor:
    """Three colours of 64 x 64 pixels, from 0 to 1."""
    small = image.convert("RGB").resize((64, 64))
    return torch.tensor(bytearray(small.tobytes()), dtype=torch.uint8).view(64, 64, 3).permute(2, 0, 1) / 255


def pairs(posts: Any) -> Iterator[tuple[torch.Tensor, float]]:
    for post in posts:
        if "0.jpg" in post and post["json"]["likes"] is not None:
            yield picture(post["0.jpg"]), math.log1p(post["json"]["likes"])


def main(run: Path) -> None:
    shards = sorted(map(str, (run / "posts").glob("posts-*.tar")))
    posts = webdataset.WebDataset(shards, shardshuffle=len(shards), seed=0).shuffle(1000)
    posts = posts.decode("pil", handler=webdataset.ignore_and_continue)
    loader = torch.utils.data.DataLoader(posts.compose(pairs), batch_size=32)
    for pictures, targets in loader:
        print(tuple(pictures.shape), f"log(1 + likes) from {targets.min():.1f} to {targets.max():.1f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
