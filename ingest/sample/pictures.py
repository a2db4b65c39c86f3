"""The pictures of sample data: small drawn scenes whose look tells their planted quality.

A good picture is warm, bright, crisp and has many shapes; a poor one is cool, dark, soft, grainy and empty. Each
of these follows the quality with a scatter of its own, so that no single one gives it away, but an image encoder can
read it. The motif comes from the category and bears on nothing.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw

SHORT_SIDE = 256  # px, as in the dataset

_MOTIFS = {
    "travel": "horizon",
    "interior": "room",
    "food": "plate",
    "pet": "face",
    "other": "room",
    "fitness": "horizon",
}
_SCATTER = 0.45  # of each trait of a picture, in standard deviations of the quality
_GRAIN_SIDE = 768

Colour = tuple[int, int, int]


def picture_size(width: int, height: int) -> tuple[int, int]:
    """Return width and height in px of the picture that the dataset keeps of an original of that size."""
    short = min(width, height)
    return round(SHORT_SIDE * width / short), round(SHORT_SIDE * height / short)


def picture(
    seed: tuple[int, ...], quality: float, category: str, size: tuple[int, int], edit: str | None = None
) -> bytes:
    """Return a baseline JPEG, mostly of 8 to 20 kB.

    Args:
        seed: Numbers that name the picture: the same ones draw the same scene.
        quality: The planted quality, in standard deviations.
        category: Of the influencer; decides the motif.
        size: Width and height in px.
        edit: None, ``reencoded`` or ``cropped``: the same scene again, nearly.
    """
    scene = _scene(np.random.default_rng(seed), quality, _MOTIFS.get(category, "figure"), size)
    if edit == "cropped":
        width, height = size
        scene = scene.resize(size, Image.Resampling.BICUBIC, box=(0.01 * width, 0.015 * height, width, 0.995 * height))
    buffer = io.BytesIO()
    scene.save(buffer, "JPEG", quality=82 if edit is None else 76)
    return buffer.getvalue()


def _scene(rng: np.random.Generator, quality: float, motif: str, size: tuple[int, int]) -> Image.Image:
    width, height = size
    warm, bright, crisp, busy = np.tanh(0.7 * (quality + _SCATTER * rng.normal(size=4)))
    colours = _colours(rng, warm, bright)
    # Low-resolution blotches, enlarged smoothly, give a background with depth for next to nothing.
    blotches = np.array(colours[:20], dtype=np.uint8).reshape(5, 4, 3)
    scene = Image.fromarray(blotches).resize(size, Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(scene)
    shapes = round(9 + 7 * busy)
    kinds, radii = rng.integers(0, 4, shapes).tolist(), rng.integers(8, 44, shapes).tolist()
    centres = (rng.random((shapes, 2)) * size).astype(np.int64).tolist()
    for kind, r, (x, y), colour in zip(kinds, radii, centres, colours[20:], strict=False):
        _shape(draw, kind, x, y, r, colour)
    _motif(rng, draw, motif, size, colours[-3:])
    if crisp < 0:  # out of focus: what half the resolution cannot hold is gone
        shrink = 1.0 - 0.65 * crisp
        small = scene.resize((int(width / shrink), int(height / shrink)), Image.Resampling.NEAREST)
        scene = small.resize(size, Image.Resampling.BILINEAR)
    left, top = (int(rng.integers(0, _GRAIN_SIDE - side)) for side in size)
    grain = _grain(round(5 - 3 * crisp)).crop((left, top, left + width, top + height))
    return ImageChops.add(scene, grain, offset=-128)


def _colours(rng: np.random.Generator, warm: float, bright: float) -> list[Colour]:
    """Return 40 colours around reds and yellows where ``warm`` is 1, around blues where it is -1, greys between."""
    light = 128 + 62 * bright + 38 * rng.normal(size=40)
    tint = 48 * warm + 14 * rng.normal(size=40)
    values = np.stack([light + tint, light + 0.25 * tint + 12 * rng.normal(size=40), light - tint], axis=1)
    return [(red, green, blue) for red, green, blue in np.clip(values, 4, 251).astype(np.uint8).tolist()]


def _shape(draw: ImageDraw.ImageDraw, kind: int, x: int, y: int, r: int, colour: Colour) -> None:
    if kind == 0:
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    elif kind == 1:
        draw.rectangle((x - r, y - r // 2, x + r, y + r // 2), fill=colour)
    elif kind == 2:
        draw.polygon(((x, y - r), (x + r, y + r), (x - r, y + r // 2)), fill=colour)
    else:
        draw.line((x - 2 * r, y - r, x + 2 * r, y + r), fill=colour, width=3 + r // 8)


def _motif(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, motif: str, size: tuple[int, int], colours: list[Colour]
) -> None:
    """Draw the thing that the picture is of, a little off the middle."""
    width, height = size
    x, y = (int(side * rng.uniform(0.38, 0.62)) for side in size)
    r = int(min(size) * rng.uniform(0.16, 0.26))
    one, two, three = colours
    if motif == "horizon":
        draw.rectangle((0, y + r // 2, width, height), fill=one)
        draw.polygon(((x - 2 * r, y + r // 2), (x, y - r), (x + r, y + r // 2)), fill=two)
        draw.ellipse((x + r // 2, y - 2 * r, x + 3 * r // 2, y - r), fill=three)
    elif motif == "room":
        draw.rectangle((0, y + r, width, height), fill=one)
        draw.rectangle((x - r, y - r, x + r, y + r), fill=two, outline=three, width=5)
        draw.line((x, y - r, x, y + r), fill=three, width=4)
    elif motif == "plate":
        draw.ellipse((x - 2 * r, y - 2 * r, x + 2 * r, y + 2 * r), fill=one, outline=three, width=6)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=two)
        draw.pieslice((x - r, y - r, x + r, y + r), 0, 110, fill=three)
    elif motif == "face":
        draw.polygon(((x - r, y), (x - r, y - 2 * r), (x, y - r)), fill=two)
        draw.polygon(((x + r, y), (x + r, y - 2 * r), (x, y - r)), fill=two)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=one)
        for side in (-1, 1):
            draw.ellipse((x + side * r // 2 - 6, y - 8, x + side * r // 2 + 6, y + 4), fill=three)
    else:
        draw.ellipse((x - r // 2, y - 2 * r, x + r // 2, y - r), fill=one)
        draw.polygon(((x - r // 2, y - r), (x + r // 2, y - r), (x + r, y + 2 * r), (x - r, y + 2 * r)), fill=two)
        draw.line((x - r, y - r // 2, x + r, y + r // 2), fill=three, width=8)


@lru_cache(maxsize=32)
def _grain(strength: int) -> Image.Image:
    """Return a square of grey noise around 128, drawn once for each strength (a standard deviation of 0 to 255)."""
    noise = np.random.default_rng(strength).normal(128, strength, (_GRAIN_SIDE, _GRAIN_SIDE))
    grey = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
    return Image.merge("RGB", (grey, grey, grey))
