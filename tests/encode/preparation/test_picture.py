"""Pictures are hostile until decoded: each way of failing has its name, and nothing else comes out."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from postmill.encode.absence import ABSENCE_MEANING, Absence
from postmill.encode.preparation.picture import MAX_PIXELS, NotAPicture, open_picture


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def stating(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it has ``width`` times ``height`` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def reason(data: bytes) -> Absence:
    with pytest.raises(NotAPicture) as caught:
        open_picture(data)
    return caught.value.reason


def test_each_failure_has_its_reason(make_jpeg: Callable[..., bytes]) -> None:
    intact = make_jpeg(1)
    assert reason(b"") is Absence.IMAGE_EMPTY
    assert reason(bytes(5000)) is Absence.IMAGE_UNREADABLE
    assert reason(b"<html>not found</html>") is Absence.IMAGE_UNREADABLE
    assert reason(encoded(Image.new("RGB", (9, 9)), "BMP")) is Absence.IMAGE_UNREADABLE
    assert reason(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n") is Absence.IMAGE_UNREADABLE
    for length in (300, len(intact) // 2, len(intact) - 40):
        assert reason(intact[:length]) in (Absence.IMAGE_DAMAGED, Absence.IMAGE_UNREADABLE)
    assert reason(intact[: len(intact) // 2]) is Absence.IMAGE_DAMAGED
    assert set(ABSENCE_MEANING) == set(Absence)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_size_is_checked_before_anything_is_decoded(make_jpeg: Callable[..., bytes]) -> None:
    assert reason(stating(MAX_PIXELS // 1000 + 1, 1000)) is Absence.IMAGE_TOO_LARGE
    assert reason(stating(60_000, 60_000)) is Absence.IMAGE_TOO_LARGE
    jpeg = bytearray(make_jpeg(1))
    header = jpeg.index(b"\xff\xc0")
    jpeg[header + 5 : header + 9] = struct.pack(">HH", 65_000, 65_000)
    assert reason(bytes(jpeg)) is Absence.IMAGE_TOO_LARGE
    assert reason(stating(100, 100)) is Absence.IMAGE_DAMAGED  # small enough, and then the data are missing


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P", "RGBA", "1", "LA", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = Image.new(mode, (12, 8))
    data = encoded(image, "JPEG" if mode in ("RGB", "L", "CMYK") else "PNG")
    picture = open_picture(data)
    assert (picture.mode, picture.size) == ("RGB", (12, 8))


def test_grey_of_16_bits_keeps_its_tones() -> None:
    tones = np.linspace(0, 0xFFFF, 64 * 64).reshape(64, 64).astype(np.uint16)
    pixels = np.asarray(open_picture(encoded(Image.fromarray(tones), "PNG")))
    assert pixels.shape == (64, 64, 3)
    assert np.abs(pixels[..., 0] - tones / 257).max() <= 1


def test_orientation_stays_as_stored(make_jpeg: Callable[..., bytes]) -> None:
    image = Image.open(io.BytesIO(make_jpeg(3, (32, 64))))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    turned = open_picture(encoded(image, "JPEG", exif=exif, quality=90))
    assert turned.size == (32, 64)
    np.testing.assert_array_equal(turned, open_picture(encoded(image, "JPEG", quality=90)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_changed_bytes_give_a_picture_or_a_reason(kind: str, make_jpeg: Callable[..., bytes]) -> None:
    intact = encoded(Image.open(io.BytesIO(make_jpeg(2, (40, 30)))), kind)
    rng = random.Random(kind)
    outcomes = set()
    for _ in range(300):
        data = bytearray(intact)
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        del data[rng.randint(len(data) // 2, len(data) * 3) :]
        try:
            outcomes.add(open_picture(bytes(data)).mode)
        except NotAPicture as error:
            outcomes.add(error.reason)
    assert Absence.IMAGE_DAMAGED in outcomes
    assert kind == "PNG" or "RGB" in outcomes  # a PNG checks itself: no change goes unseen
