"""CLIP, the paper's image model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from postmill.encode.device import Compute, prepare_for_inference, to_device
from postmill.encode.interface import ImageModel
from postmill.encode.model_files import ModelFiles, all_read, loading, read_json, reading_configuration
from postmill.encode.options import Precision
from postmill.encode.preparation.pixels import Processor, ShortSide, by_processor, other_size, read_processor
from postmill.encode.speed.quicken import quicken_clip
from postmill.shards.runtime.progress import Progress

Prepare = Callable[[Image.Image], npt.NDArray[np.uint8]]


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

    with loading(model):
        processor = read_processor(model.folder)
        network = _network(model.folder, whole=read is not None)
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
    side = int(network.vision_model.config.image_size)

    @torch.inference_mode()
    def forward(batch: npt.NDArray[np.uint8]) -> Any:
        # Moved as bytes, a quarter of the size; normalised on the device, in float32 whatever the network computes in.
        pixels = (to_device(compute, batch).float() * scale - mean) / std
        # What get_image_features of a whole CLIPModel computes.
        return network.visual_projection(network.vision_model(pixels.to(compute.dtype)).pooler_output)

    # A standard one is known by its numbers; another is read anew by whoever prepares pictures.
    prepare = preparation(processor, compute)
    if not isinstance(prepare, ShortSide):
        prepare = Processor(str(model.folder), side)
    elif prepare.crop != side:
        raise other_size(str(model.folder), prepare.crop, prepare.crop, side)
    return ImageModel(prepare, forward, network.visual_projection.out_features)


def _network(folder: Path, *, whole: bool) -> Any:
    """Load a ``CLIPModel``, or its vision part alone, of which no page of the other part is read."""
    from transformers import CLIPConfig, CLIPModel, CLIPVisionModelWithProjection

    class Vision(CLIPVisionModelWithProjection):  # type: ignore[misc]
        # The rest of a whole model's file is not told of as unexpected.
        _keys_to_ignore_on_load_unexpected = (r"^text_", r"^logit_scale$")

    config = CLIPConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if not whole:
        # The length that counts is the whole model's own: the part's is what it would have by itself.
        config.vision_config.projection_dim = config.projection_dim
    return all_read(
        (CLIPModel if whole else Vision).from_pretrained(
            folder,
            config=config if whole else config.vision_config,
            weights_only=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    )


def preparation(processor: Any, compute: Compute) -> Prepare:
    """Return what ``processor`` does to a picture up to the last step on bytes: shape (3, height, width)."""
    if not _is_standard(processor):
        return by_processor(processor)
    exact = compute.precision == Precision.FLOAT32
    return (exact_prepare if exact else fast_prepare)(processor.size["shortest_edge"], processor.crop_size["height"])


def exact_prepare(short: int, crop: int) -> ShortSide:
    """Return the steps of CLIP's standard processor, the same bytes."""
    return ShortSide(short, crop, exact=True)


def fast_prepare(short: int, crop: int) -> ShortSide:
    """Return the same steps by torch's antialiased bicubic: a third of the time, bytes within 2 of PIL's."""
    return ShortSide(short, crop, exact=False)


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
