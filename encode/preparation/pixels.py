"""From a decoded picture to the pixels that a model takes.

Each way is a few plain settings, so that another process can be told of it in JSON and does the very same.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from postmill.shards.runtime.errors import PostmillError

Pixels = npt.NDArray[np.uint8]
_LONGEST = 16_384  # pixels of a resized picture's longer side; of a thinner one the middle alone is resized
_SUPPORT = 2  # of the bicubic filter, in pixels of the coarser of both pictures


@dataclass(frozen=True)
class ShortSide:
    """CLIP's standard processor up to its last step on bytes, without its way through arrays and back: the same bytes.

    Attributes:
        short: Pixels of the short side after resizing.
        crop: Pixels of the middle square that is kept; at most ``short``.
        exact: Resized by PIL, as the processor does it; else by torch's antialiased bicubic: a third of the time, bytes
            within 2 of PIL's.
    """

    short: int
    crop: int
    exact: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """Colours, height, width."""
        return 3, self.crop, self.crop

    def load(self) -> None:
        """Import what it needs."""
        if not self.exact:
            _interpolate()

    def __call__(self, image: Image.Image) -> Pixels:
        """Return the pixels of an RGB picture."""
        longer = int(self.short * max(image.size) / min(image.size))
        width, height = (longer, self.short) if image.height <= image.width else (self.short, longer)
        if longer > _LONGEST:
            return _middle(image, width, height, self.crop)
        top, left = (height - self.crop) // 2, (width - self.crop) // 2
        bottom, right = top + self.crop, left + self.crop
        if self.exact:
            resized = image.resize((width, height), Image.Resampling.BICUBIC)
            return _by_colour(resized.crop((left, top, right, bottom)))
        import torch

        whole = torch.from_numpy(np.array(image)).permute(2, 0, 1).unsqueeze(0)
        tensor = _interpolate()(whole, size=(height, width), mode="bicubic", antialias=True, align_corners=False)[0]
        pixels: Pixels = tensor[:, top:bottom, left:right].numpy()
        return pixels


@dataclass(frozen=True)
class MiddleSquare:
    """The middle square of a picture, at one size.

    Attributes:
        side: Pixels of the square.
        share: Its side before resizing, of the picture's short side.
    """

    side: int
    share: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, colours."""
        return self.side, self.side, 3

    def load(self) -> None:
        """Import what it needs."""

    def __call__(self, image: Image.Image) -> Pixels:
        """Return the pixels of an RGB picture."""
        side = self.share * min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
        return np.asarray(image.resize((self.side, self.side), Image.Resampling.BICUBIC, box=box))


@dataclass(frozen=True)
class Processor:
    """Any image processor of transformers, up to its last step on bytes.

    Attributes:
        folder: The model's folder.
        side: Pixels of the square that the model takes.
    """

    folder: str
    side: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Colours, height, width."""
        return 3, self.side, self.side

    def load(self) -> None:
        """Import what it needs, and read the processor's settings."""
        _of_processor(self.folder)

    def __call__(self, image: Image.Image) -> Pixels:
        """Return the pixels of an RGB picture.

        Raises:
            PostmillError: The processor makes pictures of another size.
        """
        pixels = _of_processor(self.folder)(image)
        if pixels.shape != self.shape:
            raise other_size(self.folder, pixels.shape[2], pixels.shape[1], self.side)
        return pixels


Preparation = ShortSide | MiddleSquare | Processor
_WAYS: Mapping[str, Callable[..., Preparation]] = {way.__name__: way for way in (ShortSide, MiddleSquare, Processor)}


def to_json(preparation: Preparation) -> dict[str, Any]:
    """Return what :func:`from_json` takes."""
    return {"way": type(preparation).__name__, **asdict(preparation)}


def from_json(value: Mapping[str, Any]) -> Preparation:
    """Return the preparation that another process was told of."""
    settings = dict(value)
    return _WAYS[settings.pop("way")](**settings)


def read_processor(folder: Path) -> Any:
    """Return the image processor of the model in ``folder``, the one that works on PIL's own pixels.

    It is what the paper used; torchvision, in the other one, resizes to other numbers.

    Raises:
        OSError, ValueError: It cannot be read.
    """
    from transformers import CLIPImageProcessorPil

    return CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def by_processor(processor: Any) -> Callable[[Image.Image], Pixels]:
    """Return what an image processor of transformers makes of a picture, up to the last step on bytes."""
    by_side = dict(processor.size or {}).get("shortest_edge") if processor.do_resize else None

    def prepare(image: Image.Image) -> Pixels:
        part = _shortened(image, by_side) if by_side else image
        inputs = processor(images=part, do_rescale=False, do_normalize=False, return_tensors="np")
        pixels: Pixels = inputs["pixel_values"][0]
        return pixels

    return prepare


@functools.cache
def _of_processor(folder: str) -> Callable[[Image.Image], Pixels]:
    return by_processor(read_processor(Path(folder)))


def other_size(folder: str, width: int, height: int, side: int) -> PostmillError:
    """Return what is raised where a model takes squares of ``side`` pixels, and its processor makes others."""
    return PostmillError(
        f"the processor makes {width} x {height} pixels, the model takes {side} x {side}",
        place=folder,
        hint="let preprocessor_config.json and config.json be of the same model",
    )


@functools.cache
def _interpolate() -> Callable[..., Any]:
    from torch.nn.functional import interpolate

    return interpolate


def _shortened(image: Image.Image, short: int) -> Image.Image:
    """Return the middle of ``image``, as long as its short side may be resized to ``short``; mostly all of it."""
    longest = max(min(image.size) * _LONGEST // short, 1)
    width, height = min(image.width, longest), min(image.height, longest)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image if image.size == (width, height) else image.crop((left, top, left + width, top + height))


def _by_colour(image: Image.Image) -> Pixels:
    """Return the pixels of an RGB picture, shape (3, height, width).

    Each colour is taken out of Pillow's memory by itself: half the time of an array that is turned round.
    """
    pixels = np.empty((3, image.height, image.width), np.uint8)
    for colour, plane in zip("RGB", pixels, strict=True):
        plane[:] = np.frombuffer(image.tobytes("raw", colour), np.uint8).reshape(plane.shape)
    return pixels


def _middle(image: Image.Image, width: int, height: int, crop: int) -> Pixels:
    """Return the middle square of ``image`` resized to ``width`` x ``height``, without the gigabytes beside it.

    A picture of one pixel's height and 65,000 of width is a few kilobytes, and resized it is ten gigabytes.
    """
    ranges = []  # along x and y: from where to where the square reaches, and what the filter sees of it, in pixels
    for pixels, resized in zip(image.size, (width, height), strict=True):
        scale, first = pixels / resized, (resized - crop) // 2
        low, high = first * scale, min((first + crop) * scale, pixels)
        margin = math.ceil(_SUPPORT * max(scale, 1.0)) + 1
        ranges.append((low, high, max(math.floor(low) - margin, 0), min(math.ceil(high) + margin, pixels)))
    (left, right, x, x_end), (top, bottom, y, y_end) = ranges
    box = (left - x, top - y, right - x, bottom - y)
    part = image.crop((x, y, x_end, y_end))
    return _by_colour(part.resize((crop, crop), Image.Resampling.BICUBIC, box=box))
