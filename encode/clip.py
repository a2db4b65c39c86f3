"""CLIP, the paper's image model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from encode import models
from encode.device import Compute
from encode.models import Source
from encode.picture import open_picture
from shards.errors import PostmillError

BATCH = 8
PREPROCESSING = {
    "processor": "CLIPImageProcessorPil, as preprocessor_config.json sets it",
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


def load(source: Source, compute: Compute) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """Load the network; return what :class:`encode.image.ImageModel` needs: open, prepare and forward.

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
    dtype = torch.float16 if compute.device == "cuda" else torch.float32
    network.to(device=compute.device, dtype=dtype).eval()

    def prepare(image: Image.Image) -> npt.NDArray[np.float32]:
        pixels: npt.NDArray[np.float32] = processor(images=image, return_tensors="np")["pixel_values"][0]
        return pixels

    @torch.inference_mode()
    def forward(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        pixels = torch.from_numpy(batch).to(device=compute.device, dtype=dtype)
        features: npt.NDArray[np.float32] = network.get_image_features(pixels).pooler_output.float().cpu().numpy()
        return features

    return open_picture, prepare, forward
