"""An encoder of another package: the example of the documentation, run as it stands."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from postmill.encode.preparation import picture
from postmill.encode.request import check
from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings
from postmill.shards.run import parquet
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.shards.runtime.progress import Silent

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "encoders.md"


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def install(folder: Path, points: str) -> None:
    """Lay out what pip would: the module, and the entry points of its package."""
    blocks = dict(re.findall(r"```(python|toml)\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)[:2])
    assert points or "[project.entry-points" in blocks["toml"]
    (folder / "colours.py").write_text(blocks["python"], encoding="utf-8")
    info = folder / "colours-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: colours\nVersion: 1.0\n")
    named = points or blocks["toml"].splitlines()[1].replace('"', "")
    (info / "entry_points.txt").write_text(f"[postmill.encoders]\n{named}\n")


@pytest.fixture
def run(make_posts: Callable[..., Run], make_jpeg: Callable[..., bytes]) -> Run:
    return make_posts([[make_jpeg(1), make_jpeg(2)], [b"no picture"], [make_jpeg(3)]])


def test_the_example_is_short_and_works(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_jpeg: Callable[..., bytes]
) -> None:
    install(tmp_path, "")
    assert len((tmp_path / "colours.py").read_text().strip().splitlines()) <= 30
    monkeypatch.syspath_prepend(str(tmp_path))
    opened: list[bytes] = []
    real = picture.open_picture
    monkeypatch.setattr(picture, "open_picture", lambda data: opened.append(data) or real(data))
    told = Notes()
    done = encode_run(run, encoders=["image", "colours"], models="light", device="cpu", progress=told)
    assert any("threads of one process, which is slower" in note for note in told.notes)
    assert [summary.encoder.folder for summary in done.encoders] == ["image.EfficientNet-Lite0", "colours.mean-rgb"]
    assert len(opened) == 4  # once for both encoders
    shard = embeddings.read(run, done.encoders[1].encoder, 0)
    assert shard.present.tolist() == [True, False, True] and shard.reasons[1].as_py() == "image_unreadable"
    assert shard.vectors is not None
    mean = np.asarray(real(make_jpeg(3)).resize((8, 8)), dtype=np.float32).mean(axis=(0, 1))
    np.testing.assert_allclose(shard.vectors[2], mean / np.linalg.norm(mean), atol=1e-3)
    # The bytes of one do not depend on the other: each alone gives the same.
    before = {path: path.read_bytes() for path in run.embeddings.rglob("posts-*")}
    for path in before:
        path.unlink()
    for name in ("colours", "image"):
        encode_run(run, encoders=[name], models="light", device="cpu")
    assert {path: path.read_bytes() for path in run.embeddings.rglob("posts-*")} == before


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("image = colours:spec", "'image', which is taken"),
        ("Colours.x = colours:spec", "which is not of lower-case letters"),
        ("colours = colours:nothing", "cannot be imported"),
        ("shades = colours:spec", "must return a postmill.encode.interface.EncoderSpec for an encoder of that name"),
    ],
)
def test_a_package_that_does_it_wrong_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, points: str, message: str
) -> None:
    install(tmp_path, points)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PostmillError, match=re.escape(message)):
        encode_run(run, encoders=[points.partition(" ")[0]], models="light", device="cpu")


def test_an_unknown_encoder_is_refused_with_those_that_are_installed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError) as caught:
        check(["shapes"], "light", {}, "cpu")
    assert "comments, colours" in caught.value.cause


def test_every_picture_is_kept_where_asked(run: Run, make_jpeg: Callable[..., bytes]) -> None:
    options: dict[str, Any] = dict(encoders=["image"], models="light", device="cpu")
    (summary,) = encode_run(run, per_image=True, **options).encoders
    folder = run.embeddings / summary.encoder.folder
    table = parquet.read(folder / "images" / "000000.parquet").to_pydict()
    assert (table["row"], table["image"]) == ([0, 0, 1, 2], [0, 1, 0, 0])
    assert table["key"] == ["post0", "post0", "post1", "post2"]
    assert table["reason"] == [None, None, "image_unreadable", None]
    assert table["present"] == [True, True, False, True]
    vectors = np.load(folder / "images" / "000000.npy").astype(np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 0, 1], atol=2e-3)
    mean = vectors[:2].mean(axis=0)
    post_vectors = embeddings.read(run, summary.encoder, 0).vectors
    assert post_vectors is not None
    np.testing.assert_allclose(post_vectors[0], mean / np.linalg.norm(mean), atol=1e-3)
    with pytest.raises(UsageError, match="made with another preprocessing"):
        encode_run(run, per_image=False, **options)
