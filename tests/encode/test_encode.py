"""The stage as a whole, with the packaged models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from encode.encode import encode_run
from shards import embeddings
from shards.run import Run


def test_every_encoder_fills_its_folder(
    make_run: Callable[..., Run], make_record: Callable[..., Any], make_jpeg: Callable[..., bytes]
) -> None:
    run = make_run(
        [[(make_record(f"k{n}", caption=f"caption {n}"), [make_jpeg(n)]) for n in range(5)] for _ in range(1)]
    )
    summary = encode_run(run, models="light", device="cpu")
    assert [s.encoder.folder for s in summary.encoders] == [
        "text.all-MiniLM-L6-v2",
        "text-with-comments.all-MiniLM-L6-v2",
        "sentiment.vaderSentiment",
        "image.EfficientNet-Lite0",
        "metadata",
    ]
    for s in summary.encoders:
        shard = embeddings.read(run, s.encoder, 0)
        assert shard.present.all()
        if shard.vectors is not None and s.encoder.encoder != "metadata":
            np.testing.assert_allclose(np.linalg.norm(shard.vectors.astype(np.float32), axis=1), 1, atol=2e-3)
