"""Models of text classification at a small size, with random weights, saved as folders that load like the real ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from tests.encode.conftest import VOCABULARY, random_weights

GO_EMOTIONS = (
    *("admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire"),
    *("disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy"),
    *("love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral"),
)
TEXTS = [
    "I love this so much!",
    "worst day ever, I hate it",
    "a photo of a table",
    "🔥🔥🔥 amazing 😍",
    "nicht auf Englisch",
    "good " * 700,
    "x",
    "\n#ootd\n@friend",
    "東京の朝",
    " ",
    "",
]


def classifier(folder: Path, labels: Sequence[str], problem: str | None = None, seed: int = 5) -> Path:
    """A DistilBERT of two layers that tells ``labels``."""
    config = transformers.DistilBertConfig(
        dim=32, hidden_dim=64, n_layers=2, n_heads=2, id2label=dict(enumerate(labels)), problem_type=problem
    )
    random_weights(transformers.DistilBertForSequenceClassification(config), seed).save_pretrained(folder)
    transformers.DistilBertTokenizer(str(VOCABULARY), model_max_length=512).save_pretrained(folder)
    return folder


def roberta(folder: Path, labels: Sequence[str], problem: str | None = None, *, stated: bool = True) -> Path:
    """A RoBERTa of two layers and 64 tokens, which number their positions from 2 on.

    ``stated``: whether its tokenizer says how much it reads, which those of several models on the hub do not.
    """
    config = transformers.RobertaConfig(
        **{"vocab_size": 300, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2},
        **{"num_attention_heads": 2, "max_position_embeddings": 66, "type_vocab_size": 1},
        id2label=dict(enumerate(labels)),
        problem_type=problem,
    )
    random_weights(transformers.RobertaForSequenceClassification(config), 6).save_pretrained(folder)
    byte_tokenizer(64 if stated else None).save_pretrained(folder)
    if not stated:
        forget(folder / "tokenizer_config.json", "model_max_length")
    return folder


def byte_tokenizer(longest: int | None) -> Any:
    """RoBERTa's tokenizer with a token for each byte and no merges."""
    from tokenizers.pre_tokenizers import ByteLevel

    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet())]
    vocabulary = {word: number for number, word in enumerate(words)}
    limit = {} if longest is None else {"model_max_length": longest}
    return transformers.RobertaTokenizer(vocab=vocabulary, merges=[], **limit)


def forget(path: Path, name: str) -> None:
    """Take ``name`` out of a JSON file."""
    value = json.loads(path.read_text())
    value.pop(name, None)
    path.write_text(json.dumps(value))


def by_pipeline(folder: Path, texts: Sequence[str]) -> list[dict[str, float]]:
    """What transformers' own pipeline says of each text, one at a time: every label and its number."""
    pipeline = transformers.pipeline("text-classification", model=str(folder), device="cpu", top_k=None)
    with torch.inference_mode():
        said = [pipeline([text], truncation=True)[0] for text in texts]
    return [{entry["label"]: entry["score"] for entry in entries} for entries in said]
