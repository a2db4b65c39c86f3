"""The paper's way to encode: transformers and sentence-transformers as their documentation uses them.

Each function returns how many texts or pictures there are, and what encodes them all, once a call.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from postmill.encode.encoders import text
from postmill.encode.options import EncoderName
from postmill.encode.preparation.reader import read_pictures
from postmill.shards.formats import posts
from postmill.shards.formats.blank import is_blank
from postmill.shards.run.folder import Run

Work = Callable[[], object]


def items_of(run: Run, shard: int, name: EncoderName) -> int:
    """Return how many pictures or texts the encoder ``name`` has to encode in a shard."""
    records = posts.read_records(run, shard)
    return sum(map(len, records["images"].to_pylist())) if name == EncoderName.IMAGE else len(texts_in(records, name))


def texts_in(records: Any, name: EncoderName) -> list[str]:
    """Return the texts that the encoder ``name`` has to encode, in the order of the table."""
    captions, comments = records["caption"].to_pylist(), records["comments"].to_pylist()
    if name == EncoderName.TEXT_WITH_COMMENTS:
        return [joined for pair in zip(captions, comments, strict=True) if (joined := text.with_comments(*pair))]
    texts = captions if name in (EncoderName.TEXT, EncoderName.EMOTION) else captions + comments
    return [words for words in texts if not is_blank(words)]


def texts_of(run: Run, chosen: list[int], name: EncoderName) -> list[str]:
    """Return the texts of all chosen shards."""
    return [words for shard in chosen for words in texts_in(posts.read_records(run, shard), name)]


def papers_classification(
    run: Run, chosen: list[int], folder: Path, name: EncoderName, options: Any, _: Path
) -> tuple[int, Work]:
    """Return how many texts there are, and the pipeline, one at a time: of emotions with every label."""
    import transformers

    every_label = {"top_k": None} if name == EncoderName.EMOTION else {}
    pipeline = transformers.pipeline(
        "text-classification", model=str(folder), device=str(options.device), **every_label
    )
    texts = texts_of(run, chosen, name)
    for words in texts[:5]:
        pipeline(words, truncation=True)
    return len(texts), lambda: [pipeline(words, truncation=True) for words in texts]


def papers_text(
    run: Run, chosen: list[int], folder: Path, name: EncoderName, options: Any, _: Path
) -> tuple[int, Work]:
    """Return how many texts there are, and SentenceTransformer.encode."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device=str(options.device))
    texts = texts_of(run, chosen, name)
    model.encode(texts[:32], show_progress_bar=False)
    return len(texts), lambda: model.encode(texts, show_progress_bar=False)


def papers_image(
    run: Run, chosen: list[int], folder: Path, name: EncoderName, options: Any, extracted: Path
) -> tuple[int, Work]:
    """Return how many pictures there are, and CLIP on files in ``extracted`` through a DataLoader."""
    import torch
    import transformers
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    processor = transformers.CLIPImageProcessorPil.from_pretrained(folder)
    network = transformers.CLIPModel.from_pretrained(folder).to(options.device).eval()
    paths: list[Path] = []
    for shard in chosen:
        for picture in read_pictures(run, shard, posts.read_records(run, shard, ["key"])["key"].to_pylist()):
            paths.append(extracted / f"{len(paths)}.jpg")
            paths[-1].write_bytes(picture.data)

    class Files(Dataset[Any]):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, index: int) -> Any:
            picture = Image.open(paths[index]).convert("RGB")
            return processor(images=picture, return_tensors="pt")["pixel_values"][0]

    workers = os.cpu_count() if options.loader_workers is None else options.loader_workers

    @torch.inference_mode()
    def encode_files() -> None:
        for batch in DataLoader(Files(), batch_size=32, num_workers=workers or 0):
            features = network.get_image_features(batch.to(options.device)).pooler_output
            torch.nn.functional.normalize(features, dim=-1).cpu().numpy()

    with torch.inference_mode():
        network.get_image_features(torch.zeros(8, 3, 224, 224, device=str(options.device)))
    return len(paths), encode_files
