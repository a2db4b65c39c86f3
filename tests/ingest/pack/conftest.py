"""A dataset for more than one test of stages."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.ingest.pack.packing import Dataset, Info


@pytest.fixture
def carousels(make_dataset: Dataset, make_info: Info) -> tuple[Path, dict[str, bytes]]:
    """Sixty posts, a third of them carousels scattered over an archive of several parts."""
    noise = random.Random(1)
    rows: list[tuple[str, str, list[str]]] = []
    pictures: dict[str, bytes] = {}
    for n in range(60):
        images = [f"{n}_{i}.jpg" for i in range(3 if n % 3 == 0 else 1)]
        rows.append(("ann", str(n), images))
        pictures.update({f"ann-{image}": noise.randbytes(noise.randrange(2000, 9000)) for image in images})
    shuffled = list(pictures.items())
    noise.shuffle(shuffled)
    infos = {f"ann-{n}.info": make_info(str(n)) for n in noise.sample(range(60), 60)}
    root = make_dataset(infos, dict(shuffled), rows, options=["-s", "64k"])
    assert len(list((root / "Post_images").iterdir())) > 5
    return root, pictures
