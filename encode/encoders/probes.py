"""Typical batches, invented, for a trial of the precision that a model is in: captions, and pictures of shapes.

Not the run's own: a trial then compares the same numbers wherever it is held, and before a post shard is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from postmill.encode.device import Compute, to_host
from postmill.encode.interface import EncoderSpec, Probe

Rows = Callable[[Iterable[tuple[Any, Sequence[str]]]], Iterator[tuple[Any, npt.NDArray[np.float32]]]]
"""What makes rows of the texts of post shards, each with what it is known by, as :func:`.batches.over_texts`."""

_SIZE = (320, 256)  # of a picture: a typical one of the dataset
_SHAPES = 80

TEXTS = (
    "slow sunday morning with fresh coffee, a warm croissant and the book that has been waiting since christmas",
    "New drop tomorrow at 10am!! Linen dresses, wide trousers and the softest knits, link in bio 🤍 #ootd #slowfashion",
    "Three days in Lisbon: yellow trams, tiled walls, far too many pastéis de nata. What should we not miss next time?",
    "leg day. again. 5x5 squats, lunges until nothing works any more, ten minutes on the bike 🔥💪 #fitness #gymlife",
    "Recipe: 200 g flour, 2 eggs, 120 g sugar, a pinch of salt; bake at 180 degrees for 25 minutes, let it cool down",
    "so grateful for everybody who came last night, we did not expect more than twenty people and you were two hundred",
    "Mein liebster Platz im Herbst: am See, wenn der Nebel noch auf dem Wasser liegt und niemand sonst wach ist 🍂",
    "anzeige | this serum has been on my shelf for six weeks now and my skin has honestly never felt as calm as today",
    "she said yes!!! 💍 under the lights of the old harbour, with shaking hands and the ring in the wrong pocket",
    "@friend and I painted the whole flat in one weekend; before and after on the next slides, forget the floor",
    "Nouvelle collection disponible dès demain, merci pour tous vos messages et votre patience ces dernières semaines",
    "throwback to the summer when we slept in the van for a month and woke up to the sea every single day #vanlife",
    "my son asked why the moon follows us home. i have no answer that is as good as the question was #motherhood",
    "worst service ever, two hours of waiting, cold food and not one word of excuse: never again, that is a promise",
    "Giveaway! Like this post, follow us both and tag two friends in the comments; we draw the winner on friday night",
    "rain, rain, rain",
)
"""About as many tokens as a batch on the CPU has."""


def of_texts(load: Callable[[], Rows], directions: bool) -> Probe:
    """Return the probe of a model of texts.

    Args:
        load: Loads what makes rows of texts.
        directions: As of :class:`.Probe`.
    """
    rows = load()

    def run() -> npt.NDArray[np.float32]:
        ((_, told),) = rows([(None, TEXTS)])
        return told

    return Probe(len(TEXTS), run, directions)


def with_pictures(spec: EncoderSpec, compute: Compute, size: int) -> EncoderSpec:
    """Return ``spec``, an encoder of pictures, with the probe of its model.

    That gives the model's vectors, or what it tells of them where it tells something.

    Args:
        spec: The encoder.
        compute: Where it runs.
        size: Pictures of a batch.
    """

    def probe() -> Probe:
        assert spec.load_image_model is not None, "an encoder of pictures"
        model = spec.load_image_model()
        images = [picture(number) for number in range(size)]

        def run() -> npt.NDArray[np.float32]:
            features = to_host(compute, model.forward(np.stack([model.prepare(image) for image in images])))
            if model.scores is None:
                return features
            return model.scores[1](features / np.linalg.norm(features, axis=1, keepdims=True))

        return Probe(size, run, directions=model.scores is None)

    return replace(spec, probe=probe)


def picture(number: int) -> Image.Image:
    """Return the invented picture ``number``: discs and boxes of all sizes, fewer of the large ones, before a sky."""
    random = np.random.default_rng(number)
    width, height = _SIZE
    top, bottom = random.integers(0, 256, (2, 3))
    sky = top + (bottom - top) * np.linspace(0, 1, height)[:, None, None]
    scene = Image.fromarray(np.broadcast_to(sky, (height, width, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(scene)
    for radius in np.minimum(4 / random.random(_SHAPES), 120):
        x, y = random.random(2) * (width, height)
        shape = draw.ellipse if random.random() < 0.7 else draw.rectangle
        shape((x - radius, y - radius, x + radius, y + radius), fill=tuple(random.integers(0, 256, 3).tolist()))
    return scene
