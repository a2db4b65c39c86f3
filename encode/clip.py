"""CLIP, the paper's image model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from encode import models, quicken
from encode.device import Compute, place, put
from encode.encoders import ImageModel
from encode.models import Source
from shards.errors import PostmillError

Prepare = Callable[[Image.Image], npt.NDArray[np.uint8]]


def preprocessing(compute: Compute) -> Mapping[str, Any]:
    """Return the settings that change the numbers, for ``encoder.json``."""
    resize = "PIL's" if compute.precision == "float32" else "torch's antialiased, within 2 of 255 of PIL's"
    return {
        "processor": f"as preprocessor_config.json sets it; resizing is {resize}",
        "features": "get_image_features, scaled to length 1",
    }


def dimensions(folder: Path) -> int:
    """Return the length of the vectors that the CLIP model in ``folder`` makes.

    Raises:
        PostmillError: The folder does not describe such a model.
    """
    try:
        return int(json.loads((folder / "config.json").read_bytes())["projection_dim"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PostmillError(
            f"cannot be read as a CLIP model ({type(error).__name__}: {error})",
            place=folder,
            hint="name the folder that holds config.json and preprocessor_config.json",
        ) from error


def load(source: Source, compute: Compute) -> ImageModel:
    """Load the network.

    Raises:
        PostmillError: The weights or the processor's settings cannot be used.
    """
    import torch
    from transformers import CLIPImageProcessorPil, CLIPModel

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with models.loading(source):
        # The processor that works on PIL's own pixels, as the paper's did: torchvision resizes to other numbers.
        processor = CLIPImageProcessorPil.from_pretrained(source.folder, **options)
        network = CLIPModel.from_pretrained(source.folder, weights_only=True, **options)
    del network.text_model
    quicken.first_token_of_clip(network.vision_model)
    quicken.activation_of_clip(network.vision_model)
    quicken.patches_of_clip(network.vision_model)
    place(compute, network)
    scale = processor.rescale_factor if processor.do_rescale else 1.0
    normal = bool(processor.do_normalize)
    mean, deviation = (
        torch.tensor(values if normal else [blank] * 3, dtype=torch.float32, device=compute.device).view(3, 1, 1)
        for values, blank in ((processor.image_mean, 0.0), (processor.image_std, 1.0))
    )
    side = int(network.config.vision_config.image_size)

    @torch.inference_mode()
    def forward(batch: npt.NDArray[np.uint8]) -> Any:
        if batch.shape[2:] != (side, side):
            raise PostmillError(
                f"the processor makes {batch.shape[3]} x {batch.shape[2]} pixels, the model takes {side} x {side}",
                place=source.folder,
                hint="let preprocessor_config.json and config.json be of the same model",
            )
        # As bytes to the device, a quarter of the way; normalised there, in float32 whatever the network's precision.
        pixels = (put(compute, batch).float() * scale - mean) / deviation
        return network.get_image_features(pixels.to(compute.dtype)).pooler_output

    return ImageModel(preparation(processor, compute), forward, int(network.config.projection_dim))


def preparation(processor: Any, compute: Compute) -> Prepare:
    """Return what ``processor`` does to a picture up to the last step on bytes: shape (3, height, width)."""
    if not _usual(processor):
        return _processed(processor)
    exact = compute.precision == "float32"
    return (exact_prepare if exact else fast_prepare)(processor.size["shortest_edge"], processor.crop_size["height"])


def _processed(processor: Any) -> Prepare:
    def prepare(image: Image.Image) -> npt.NDArray[np.uint8]:
        made = processor(images=image, do_rescale=False, do_normalize=False, return_tensors="np")
        pixels: npt.NDArray[np.uint8] = made["pixel_values"][0]
        return pixels

    return prepare


def exact_prepare(short: int, crop: int) -> Prepare:
    """Return the steps of CLIP's usual processor without its way there and back through arrays: the same bytes.

    Args:
        short: Pixels of the short side after resizing.
        crop: Pixels of the middle square that is kept; at most ``short``.
    """

    def prepare(image: Image.Image) -> npt.NDArray[np.uint8]:
        width, height = _resized(image, short)
        top, left = (height - crop) // 2, (width - crop) // 2
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
        return pixels[top : top + crop, left : left + crop].transpose(2, 0, 1)

    return prepare


def _resized(image: Image.Image, short: int) -> tuple[int, int]:
    """Return width and height that make the short side ``short``."""
    longer = int(short * max(image.size) / min(image.size))
    return (longer, short) if image.height <= image.width else (short, longer)


def fast_prepare(short: int, crop: int) -> Prepare:
    """Return the same by torch's antialiased bicubic: a third of the time, and bytes that differ from PIL's by 2
    at most.

    Args:
        short: Pixels of the short side after resizing.
        crop: Pixels of the middle square that is kept; at most ``short``.
    """
    import torch
    from torch.nn.functional import interpolate

    def prepare(image: Image.Image) -> npt.NDArray[np.uint8]:
        width, height = _resized(image, short)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).unsqueeze(0)
        resized = interpolate(pixels, size=(height, width), mode="bicubic", antialias=True, align_corners=False)[0]
        top, left = (height - crop) // 2, (width - crop) // 2
        kept: npt.NDArray[np.uint8] = resized[:, top : top + crop, left : left + crop].numpy()
        return kept

    return prepare


def _usual(processor: Any) -> bool:
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
