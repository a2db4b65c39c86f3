"""The emotions that a picture may evoke in who looks at it: CLIP, asked which of some sentences goes with the picture.

The eight are those of Mikels et al. (Emotional category data on images from the International Affective Picture System,
Behavior Research Methods 37, 2005). Nothing is read from faces, and nothing is said of who is in the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from postmill.encode.device import Compute
from postmill.encode.encoders import clip
from postmill.encode.interface import EncoderSpec, ImageModel
from postmill.encode.model_files import ModelFiles, check_tokenizer, loading
from postmill.encode.models import PAPER_MODELS
from postmill.encode.options import EncoderName
from postmill.shards.indicators.indicator import INDICATORS, Indicator, Kind, Side, described
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.progress import Progress

WORDS: Mapping[str, Sequence[str]] = {
    "amusement": ("amusement", "fun"),
    "awe": ("awe", "wonder"),
    "contentment": ("contentment", "calm"),
    "excitement": ("excitement", "thrill"),
    "anger": ("anger", "outrage"),
    "disgust": ("disgust", "revulsion"),
    "fear": ("fear", "dread"),
    "sadness": ("sadness", "sorrow"),
}
"""The labels, in the order of the columns, and the words that stand for each in the sentences."""

TEMPLATES = (
    "a photo that evokes {}",
    "a picture that makes people feel {}",
    "an image that fills the viewer with {}",
    "a photo of something that causes {}",
    "people who see this picture feel {}",
)
PROMPTS: Mapping[str, Sequence[str]] = {
    label: tuple(template.format(word) for template in TEMPLATES for word in words) for label, words in WORDS.items()
}
"""The sentences of each label."""

THRESHOLD = 0.5  # of one label among eight: more than all others together

Scores = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


def no_words() -> UsageError:
    """Return what is raised where the model of pictures is one that knows no words."""
    name, usual = EncoderName.IMAGE, PAPER_MODELS[EncoderName.IMAGE].name
    return UsageError(
        f"the packaged model of pictures knows no words, which the encoder {EncoderName.IMAGE_EMOTION} asks it for",
        place="--models light",
        hint=f"where there is a network: hf download {usual} --local-dir FOLDER, then give --model {name}=FOLDER here",
    )


def spec(
    model: ModelFiles,
    compute: Compute,
    preprocessing: Mapping[str, Any],
    scalars: Sequence[str],
    load_image_model: Callable[[], ImageModel],
) -> EncoderSpec:
    """Return the encoder that tells the emotions which pictures may evoke.

    Args:
        model: A CLIP model with its processor and its tokenizer.
        compute: Where it runs.
        preprocessing: What is done to pictures, as the image encoder does it.
        scalars: The columns that every encoder of pictures has.
        load_image_model: Returns the model of :func:`load` that tells scores.
    """
    meant = [Indicator(label, label, Side.CONTENT, Kind.PROBABILITY, threshold=THRESHOLD) for label in WORDS]
    encoder = replace(model, stand_in_for="").pin(
        EncoderName.IMAGE_EMOTION,
        precision=compute.precision,
        scalars=(*WORDS, *scalars),
        available_before_publication=True,
        preprocessing={
            **preprocessing,
            "post": "mean of the pictures' probabilities",
            "per_image": False,
            "speaks_of": "the emotion that a picture may evoke in who looks at it",
            "prompts": {label: list(prompts) for label, prompts in PROMPTS.items()},
            "label": "mean of its prompts' unit vectors, scaled to length 1",
            "probability": "softmax over the labels of the model's own exp(logit_scale) times the cosines",
            "configuration_sha256": model.configuration_sha256,
            INDICATORS: described(meant),
        },
    )
    return EncoderSpec(encoder, None, compute, load_image_model=load_image_model)


def load(
    model: ModelFiles, compute: Compute, progress: Progress, prompts: Mapping[str, Sequence[str]] = PROMPTS
) -> tuple[ImageModel, ImageModel]:
    """Load CLIP once: the model that makes vectors of pictures, and the same one telling a probability of each label.

    Args:
        model: A CLIP model with its processor and its tokenizer.
        compute: Where it runs.
        progress: Told where the network is not made faster.
        prompts: Sentences of each label.

    Raises:
        PostmillError: Weights, processor or tokenizer cannot be used.
    """
    found: list[Scores] = []
    pictures = clip.load_image_model(
        model, compute, progress, lambda network: found.append(_scores(model, network, prompts))
    )
    return pictures, replace(pictures, scores=(tuple(prompts), found[0]))


def _scores(model: ModelFiles, network: Any, prompts: Mapping[str, Sequence[str]]) -> Scores:
    """Return what makes probabilities of unit vectors of pictures, shape (N, D), to (N, labels)."""
    import torch
    from transformers import AutoTokenizer

    with loading(model):
        tokenizer = AutoTokenizer.from_pretrained(model.folder, local_files_only=True, trust_remote_code=False)
        check_tokenizer(tokenizer, network.config.text_config.vocab_size)
        longest = network.config.text_config.max_position_embeddings
        labels = []
        with torch.inference_mode():
            for sentences in prompts.values():
                tokens = tokenizer(
                    list(sentences), padding=True, truncation=True, max_length=longest, return_tensors="pt"
                )
                vectors = network.get_text_features(**tokens).pooler_output
                mean = torch.nn.functional.normalize(vectors, dim=-1).mean(dim=0)
                labels.append(torch.nn.functional.normalize(mean, dim=-1))
            scale = float(network.logit_scale.exp())
        directions = torch.stack(labels).numpy().T
        if not np.isfinite(directions).all() or not np.isfinite(scale):
            raise ValueError("its vectors of words hold numbers that are not finite")

    def scores(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        logits = scale * (vectors @ directions)
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        told: npt.NDArray[np.float32] = raised / raised.sum(axis=1, keepdims=True)
        return told

    return scores
