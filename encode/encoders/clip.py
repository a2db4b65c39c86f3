"""CLIP, the paper's image model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from postmill.encode.device import Compute, prepare_for_inference, to_device
from postmill.encode.interface import ImageModel
from postmill.encode.model_files import ModelFiles, loading, read_json, reading_configuration
from postmill.encode.options import Precision
from postmill.encode.speed.quicken import quicken_clip
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Progress

Prepare = Callable[[Image.Image], npt.NDArray[np.uint8]]
_LONGEST = 16_384  # pixels of a resized picture's longer side; of a thinner one the middle alone is resized
_SUPPORT = 2  # of the bicubic filter, in pixels of the coarser of both pictures


def preprocessing(compute: Compute) -> Mapping[str, Any]:
    """Return the settings that change the numbers, for ``encoder.json``."""
    resize = "PIL's" if compute.precision == Precision.FLOAT32 else "torch's antialiased, within 2 of 255 of PIL's"
    return {
        "processor": f"as preprocessor_config.json sets it; resizing is {resize}",
        "features": "get_image_features, scaled to length 1",
    }


def clip_dimensions(folder: Path) -> int:
    """Return the length of the vectors that the CLIP model in ``folder`` makes.

    Raises:
        PostmillError: The folder does not describe such a model.
    """
    with reading_configuration(folder, "CLIP", "config.json and preprocessor_config.json"):
        return int(read_json(folder / "config.json")["projection_dim"])


def load_image_model(
    model: ModelFiles, compute: Compute, progress: Progress, read: Callable[[Any], None] | None = None
) -> ImageModel:
    """Load the network.

    Args:
        model: A CLIP model with its processor.
        compute: Where it runs.
        progress: Told where the network is not made faster.
        read: Given the whole network, in float32 on the CPU, before the part that reads texts is let go.

    Raises:
        PostmillError: The weights or the processor's settings cannot be used.
    """
    import torch
    from transformers import CLIPImageProcessorPil, CLIPModel

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with loading(model):
        # The processor that works on PIL's own pixels, as the paper's did: torchvision resizes to other numbers.
        processor = CLIPImageProcessorPil.from_pretrained(model.folder, **options)
        network = CLIPModel.from_pretrained(model.folder, weights_only=True, **options)
        if read is not None:
            read(network.eval())
    del network.text_model
    quicken_clip(network.vision_model, progress)
    prepare_for_inference(compute, network)
    scale = processor.rescale_factor if processor.do_rescale else 1.0
    normalises = bool(processor.do_normalize)
    mean, std = (
        torch.tensor(values if normalises else [neutral] * 3, dtype=torch.float32, device=compute.device).view(3, 1, 1)
        for values, neutral in ((processor.image_mean, 0.0), (processor.image_std, 1.0))
    )
    side = int(network.config.vision_config.image_size)

    @torch.inference_mode()
    def forward(batch: npt.NDArray[np.uint8]) -> Any:
        if batch.shape[2:] != (side, side):
            raise PostmillError(
                f"the processor makes {batch.shape[3]} x {batch.shape[2]} pixels, the model takes {side} x {side}",
                place=model.folder,
                hint="let preprocessor_config.json and config.json be of the same model",
            )
        # Moved as bytes, a quarter of the size; normalised on the device, in float32 whatever the network computes in.
        pixels = (to_device(compute, batch).float() * scale - mean) / std
        return network.get_image_features(pixels.to(compute.dtype)).pooler_output

    return ImageModel(preparation(processor, compute), forward, int(network.config.projection_dim))


def preparation(processor: Any, compute: Compute) -> Prepare:
    """Return what ``processor`` does to a picture up to the last step on bytes: shape (3, height, width)."""
    if not _is_standard(processor):
        return _by_processor(processor)
    exact = compute.precision == Precision.FLOAT32
    return (exact_prepare if exact else fast_prepare)(processor.size["shortest_edge"], processor.crop_size["height"])


def _by_processor(processor: Any) -> Prepare:
    by_side = dict(processor.size or {}).get("shortest_edge") if processor.do_resize else None

    def prepare(image: Image.Image) -> npt.NDArray[np.uint8]:
        if by_side:
            image = _shortened(image, by_side)
        inputs = processor(images=image, do_rescale=False, do_normalize=False, return_tensors="np")
        pixels: npt.NDArray[np.uint8] = inputs["pixel_values"][0]
        return pixels

    return prepare


def _shortened(image: Image.Image, short: int) -> Image.Image:
    """Return the middle of ``image``, as long as its short side may be resized to ``short``; mostly all of it."""
    longest = max(min(image.size) * _LONGEST // short, 1)
    width, height = min(image.width, longest), min(image.height, longest)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image if image.size == (width, height) else image.crop((left, top, left + width, top + height))


def exact_prepare(short: int, crop: int) -> Prepare:
    """Return the steps of CLIP's standard processor without its way through arrays and back: the same bytes.

    Args:
        short: Pixels of the short side after resizing.
        crop: Pixels of the middle square that is kept; at most ``short``.
    """

    def prepare(image: Image.Image) -> npt.NDArray[np.uint8]:
        width, height = _resized_size(image, short)
        if max(width, height) > _LONGEST:
            return _middle(image, width, height, crop)
        top, left = (height - crop) // 2, (width - crop) // 2
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
        return pixels[top : top + crop, left : left + crop].transpose(2, 0, 1)

    return prepare


def _resized_size(image: Image.Image, short: int) -> tuple[int, int]:
    """Return width and height that make the short side ``short``."""
    longer = int(short * max(image.size) / min(image.size))
    return (longer, short) if image.height <= image.width else (short, longer)


def _middle(image: Image.Image, width: int, height: int, crop: int) -> npt.NDArray[np.uint8]:
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
    return np.asarray(part.resize((crop, crop), Image.Resampling.BICUBIC, box=box)).transpose(2, 0, 1)


def fast_prepare(short: int, crop: int) -> Prepare:
    """Return the same steps by torch's antialiased bicubic: a third of the time, bytes within 2 of PIL's.

    Args:
        short: Pixels of the short side after resizing.
        crop: Pixels of the middle square that is kept; at most ``short``.
    """
    import torch
    from torch.nn.functional import interpolate

    def prepare(image: Image.Image) -> npt.NDArray[np.uint8]:
        width, height = _resized_size(image, short)
        if max(width, height) > _LONGEST:
            return _middle(image, width, height, crop)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).unsqueeze(0)
        resized = interpolate(pixels, size=(height, width), mode="bicubic", antialias=True, align_corners=False)[0]
        top, left = (height - crop) // 2, (width - crop) // 2
        square: npt.NDArray[np.uint8] = resized[:, top : top + crop, left : left + crop].numpy()
        return square

    return prepare


def _is_standard(processor: Any) -> bool:
    """Say whether ``processor`` does what :func:`exact_prepare` does; another one is left to do it itself."""
    size, crop = dict(processor.size or {}), dict(processor.crop_size or {})
    side = crop.get("height")
    return (
        bool(processor.do_resize and processor.do_center_crop)
        and processor.resample == Image.Resampling.BICUBIC
        and size == {"shortest_edge": size.get("shortest_edge")}
        and crop == {"height": side, "width": side}
        and bool(side)
        and side <= size["shortest_edge"]
    )
