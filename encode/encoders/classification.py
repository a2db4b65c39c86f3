"""Models of the Hugging Face hub that classify texts: the probability of every label of every text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from postmill.encode.device import Compute, prepare_for_inference, tokens_to_device
from postmill.encode.encoders.labels import Activation, Labels
from postmill.encode.interface import MAX_CHARACTERS
from postmill.encode.model_files import SENTENCEPIECE_FILES, ModelFiles, all_read, check_tokenizer, loading
from postmill.encode.preparation.batches import TOKENS, TextModel, over_texts
from postmill.encode.preparation.tokens import Tokens, tokenizing
from postmill.encode.speed.quicken import quicken_distilbert
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Progress

Placeholders = Callable[[str], str]
ShardTexts = Iterable[tuple[Any, Sequence[str]]]  # what the caller knows a shard by, and its texts
Probabilities = Callable[[ShardTexts], Iterator[tuple[Any, npt.NDArray[np.float32]]]]
"""Gives for the texts of each shard, in their order, shape (texts, labels); it may read ahead."""

_LONGEST_KNOWN = 1_000_000  # tokens; a tokenizer that knows no limit states a number far above
_LONGEST = 512  # where neither tokenizer nor network states one
_MENTION, _LINK = re.compile(r"(?<!\S)@\S+"), re.compile(r"(?<!\S)http\S*")


def placeholders(text: str) -> str:
    """Return ``text`` with ``@user`` for each mention and ``http`` for each link, as models of tweets were trained.

    A word that begins with ``@`` and goes on is a mention, one that begins with ``http`` a link: the steps of the
    card of cardiffnlp/twitter-xlm-roberta-base-sentiment, but for words after a line break: it knows only blanks.
    """
    return _LINK.sub("http", _MENTION.sub("@user", text))


def preprocessing(model: ModelFiles, compute: Compute, labels: Labels, replaces: bool = False) -> Mapping[str, Any]:
    """Return the settings that change the numbers, for ``encoder.json``."""
    return {
        "truncation": "at the length the model was made for, as the pipeline with truncation=True",
        "characters": MAX_CHARACTERS,
        "tokens_of_a_batch": TOKENS * compute.batch_scale,
        "configuration_sha256": model.configuration_sha256,
        "labels": list(labels.names),
        "activation": str(labels.activation),
        **({"placeholders": "mentions as @user, links as http"} if replaces else {}),
    }


def load_probabilities(
    model: ModelFiles, compute: Compute, labels: Labels, progress: Progress, replace: Placeholders | None = None
) -> Probabilities:
    """Load a model; the function returned gives what the pipeline ``text-classification`` with ``top_k=None`` gives.

    Args:
        model: The model.
        compute: Where it runs.
        labels: What :func:`.labels.read_labels` read of it.
        progress: Told where the network is not made faster, or where nothing says how much of a text it reads.
        replace: What is done to a text before it is tokenized.

    Raises:
        PostmillError: The weights or the tokenizer cannot be used, or the labels are not the network's.
    """
    text_model = load_text_model(model, compute, labels, progress)

    def probabilities(shards: ShardTexts) -> Iterator[tuple[Any, npt.NDArray[np.float32]]]:
        if replace is None:
            return over_texts(compute, text_model, shards)
        replaced = ((context, [replace(text[:MAX_CHARACTERS]) for text in texts]) for context, texts in shards)
        return over_texts(compute, text_model, replaced)

    return probabilities


def load_text_model(model: ModelFiles, compute: Compute, labels: Labels, progress: Progress) -> TextModel:
    """Load network and tokenizer; arguments and errors are those of :func:`load_probabilities`."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DistilBertForSequenceClassification

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    _check_packages(model)
    with loading(model):
        tokenizer = AutoTokenizer.from_pretrained(model.folder, **options)
        network = all_read(
            AutoModelForSequenceClassification.from_pretrained(
                model.folder, weights_only=True, output_loading_info=True, **options
            )
        )
        known = dict(network.config.id2label)
        if [known.get(number) for number in range(network.config.num_labels)] != list(labels.stated):
            raise ValueError("the network has other labels than config.json")
        if tokenizer.pad_token_id is None:
            raise ValueError("its tokenizer has no token to fill batches with")
        check_tokenizer(tokenizer, getattr(network.config, "vocab_size", 0))
    prepare_for_inference(compute, network)
    if isinstance(network, DistilBertForSequenceClassification):
        quicken_distilbert(network.distilbert, progress)
    longest = _longest(model, tokenizer, network, progress)

    def reference(batch: list[str]) -> Tokens:
        return tokenizer(batch, truncation=True, max_length=longest, padding=True, return_tensors="pt")

    @torch.inference_mode()
    def forward(tokens: Tokens) -> Any:
        logits = network(**tokens_to_device(compute, tokens)).logits.float()
        match labels.activation:
            case Activation.SOFTMAX:
                return logits.softmax(dim=-1)
            case Activation.SIGMOID:
                return logits.sigmoid()
            case Activation.NONE:
                return logits

    return TextModel(tokenizing(tokenizer, longest, reference, progress), forward, len(labels.stated))


def _check_packages(model: ModelFiles) -> None:
    """Refuse a tokenizer that needs a package which is not installed, before transformers looks for another way."""
    pieces = [name for name in SENTENCEPIECE_FILES if (model.folder / name).is_file()]
    if pieces and not (model.folder / "tokenizer.json").is_file() and find_spec("sentencepiece") is None:
        raise PostmillError(
            f"the tokenizer of {model.name} needs the package sentencepiece, which is not installed",
            place=model.folder / pieces[0],
            hint="install it: pip install sentencepiece protobuf",
        )


def _longest(model: ModelFiles, tokenizer: Any, network: Any, progress: Progress) -> int:
    """Return how many tokens of a text are read: what both tokenizer and network are made for."""
    limits = [tokenizer.model_max_length]
    positions = getattr(network.config, "max_position_embeddings", None)
    if positions:
        # RoBERTa and its kin number positions from behind that of the padding: its 514 are for 512 tokens.
        padding = [
            module.padding_idx
            for name, module in network.named_modules()
            if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None
        ]
        limits.append(positions - padding[0] - 1 if padding else positions)
    known = [limit for limit in limits if 0 < limit < _LONGEST_KNOWN]
    if not known:
        progress.note(f"{model.name}: nothing says how much of a text it reads; the first {_LONGEST} tokens are")
    return min(known, default=_LONGEST)
