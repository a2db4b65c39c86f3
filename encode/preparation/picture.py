"""From the bytes of a picture to pixels, with every way in which that can fail given a name."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image, UnidentifiedImageError

from postmill.encode.absence import Absence

FORMATS = ("JPEG", "PNG", "WEBP")  # a file's name may lie, but no decoder of a rarer format is ever run
MAX_PIXELS = 10_000_000  # decoded in less than 200 MB, even as a WebP; the largest that the service kept has a seventh
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)


class NotAPicture(Exception):
    """A picture that is left out, with one of :class:`Absence` as its reason."""

    def __init__(self, reason: Absence) -> None:
        self.reason = reason
        super().__init__(reason)


def open_picture(data: bytes) -> Image.Image:
    """Decode a JPEG, PNG or WebP to RGB.

    The size that the header states is checked before anything is decoded, and a JPEG is decoded at full size: at a
    half or a quarter of it the vectors move (cosine 0.96 to 0.999 on photographs of 1080 pixels). The orientation
    noted in EXIF is not applied, as in the CLIP processor that the paper used. Grey of 16 bits becomes grey of 8, where
    Pillow would make nearly all of it white.

    Args:
        data: The file.

    Raises:
        NotAPicture: It is none, is damaged or cut short, or states more than :data:`MAX_PIXELS`.
    """
    if not data:
        raise NotAPicture(Absence.IMAGE_EMPTY)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise NotAPicture(Absence.IMAGE_UNREADABLE) from error
    except Image.DecompressionBombError as error:
        raise NotAPicture(Absence.IMAGE_TOO_LARGE) from error
    except _DAMAGE as error:
        raise NotAPicture(Absence.IMAGE_DAMAGED) from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise NotAPicture(Absence.IMAGE_TOO_LARGE)
        try:
            image.load()
            if image.mode == "RGB" and image.format != "WEBP":  # which would keep its decoder, twice the picture's size
                return image
            return (_of_8_bits(image) if image.mode.startswith("I") else image).convert("RGB")
        except Image.DecompressionBombError as error:
            raise NotAPicture(Absence.IMAGE_TOO_LARGE) from error
        except _DAMAGE as error:
            raise NotAPicture(Absence.IMAGE_DAMAGED) from error


def decode(contents: Iterable[bytes], keep: Callable[[Image.Image], None]) -> list[Absence | None]:
    """Give each picture that can be decoded, one after the other, to ``keep``.

    Returns:
        For each of ``contents`` why it is left out; None of one that is not.
    """
    reasons: list[Absence | None] = []
    for content in contents:
        try:
            image = open_picture(content)
        except NotAPicture as error:
            reasons.append(error.reason)
        else:
            reasons.append(None)
            keep(image)
    return reasons


def _of_8_bits(grey: Image.Image) -> Image.Image:
    """Return a picture of 16 bits a pixel, grey, with the same tones in 8 bits."""
    return Image.fromarray((np.asarray(grey).clip(0, 0xFFFF) // 257).astype(np.uint8))
