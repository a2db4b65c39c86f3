"""The paper's architectures at full size, against the paper's way through the libraries, in each number format.

The weights are random: what is compared is the computation, and nothing in the code knows the difference.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import transformers
from PIL import Image

from encode import clip, efficientnet, image, models, sentiment, text
from encode.device import Compute, steady
from encode.encoders import Recipe, Rows, Settings
from encode.image import unit
from ingest.archive import Archive
from shards.run import Run
from tests.encode.conftest import VOCABULARY

CAPTIONS = [
    "fresh bread this morning #bread",
    "🔥🔥🔥 amazing 😍",
    "nicht auf Englisch, und etwas länger als die anderen, damit aufgefüllt wird",
    "x",
    "東京の朝",
    "good " * 700,  # longer than any of the models reads
]
COMMENTS = ["looks great\nrecipe please", "worst day ever", "ok", "so good " * 30, "❤️", "first"]
SIZES = [(256, 320), (320, 256), (256, 256), (90, 401), (224, 224), (17, 9), (1080, 607)]
COSINE = {"float16": 0.9999, "bfloat16": 0.999, "float16-mkl": 0.9999}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A gigabyte of weights, not left behind."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture(scope="module")
def mpnet(folder: Path) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    torch.manual_seed(1)
    words = ["<s>", "<pad>", "</s>", *VOCABULARY.read_text(encoding="utf-8").splitlines(), "<mask>"]
    transformers.MPNetModel(transformers.MPNetConfig(vocab_size=len(words))).save_pretrained(folder / "bare")
    tokenizer = transformers.MPNetTokenizer({word: n for n, word in enumerate(words)}, model_max_length=512)
    tokenizer.save_pretrained(folder / "bare")
    first = Transformer(str(folder / "bare"))
    first.max_seq_length = 384
    SentenceTransformer(modules=[first, Pooling(768), Normalize()], device="cpu").save(str(folder / "mpnet"))
    return folder / "mpnet"


@pytest.fixture(scope="module")
def distilbert(folder: Path) -> Path:
    torch.manual_seed(2)
    labels = {0: "NEGATIVE", 1: "POSITIVE"}
    config = transformers.DistilBertConfig(id2label=labels, label2id={name: n for n, name in labels.items()})
    network = transformers.DistilBertForSequenceClassification(config)
    tokenizer = transformers.DistilBertTokenizer(str(VOCABULARY), model_max_length=512)
    with torch.no_grad():  # so that the scores are not all near a half, and on both sides of it
        network.classifier.weight *= 10
        network.classifier.bias -= network.eval()(
            **tokenizer(CAPTIONS[:5], padding=True, return_tensors="pt")
        ).logits.mean(0)
    network.save_pretrained(folder / "distilbert")
    tokenizer.save_pretrained(folder / "distilbert")
    return folder / "distilbert"


@pytest.fixture(scope="module")
def clip_b32(folder: Path) -> Path:
    torch.manual_seed(3)
    unused = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, vocab_size=100)
    transformers.CLIPModel(transformers.CLIPConfig(text_config=unused)).save_pretrained(folder / "clip")
    transformers.CLIPImageProcessorPil().save_pretrained(folder / "clip")
    return folder / "clip"


def rows(run: Run, overrides: Mapping[str, str], make: Callable[[Settings], Recipe], precision: str) -> Rows:
    """What the stage would write, before vectors are stored as float16."""
    compute = Compute("cpu", 2, precision)
    recipe = make(Settings("paper", overrides, lambda: compute))
    assert recipe.encoder.precision == precision
    with steady(compute):
        if recipe.load_image_model is not None:
            (found,) = image.encode([recipe.load_image_model()], compute, run, [(0, [0])])
            return found[0]
        assert recipe.load is not None
        (one,) = recipe.load()(run, [0])
    return one


def cosines(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray((unit(found) * unit(expected)).sum(axis=1))


@pytest.mark.parametrize("encoder", ["text", "text-with-comments"])
def test_text_equals_sentence_transformers(make_posts: Callable[..., Run], mpnet: Path, encoder: str) -> None:
    from sentence_transformers import SentenceTransformer

    run = make_posts(caption=CAPTIONS, comments=COMMENTS)
    together = [f"{caption} {comments}" for caption, comments in zip(CAPTIONS, COMMENTS, strict=True)]
    texts = CAPTIONS if encoder == "text" else together
    expected = SentenceTransformer(str(mpnet), device="cpu").encode(texts, show_progress_bar=False)
    assert cosines(expected[1:], expected[:-1]).max() < 0.99  # the texts are told apart

    def found(precision: str) -> npt.NDArray[Any]:
        vectors = rows(run, {"text": str(mpnet)}, lambda s: text.recipes(s, [encoder])[0], precision).vectors
        assert vectors is not None and vectors.shape == (len(texts), 768)
        return vectors

    np.testing.assert_allclose(found("float32"), expected, atol=1e-5)
    for precision, least in COSINE.items():
        assert cosines(found(precision), expected).min() >= least


def test_sentiment_equals_the_pipeline(make_posts: Callable[..., Run], distilbert: Path) -> None:
    run = make_posts(caption=CAPTIONS, comments=COMMENTS)
    pipeline = transformers.pipeline("sentiment-analysis", model=str(distilbert), device="cpu")
    # One text at a time, truncated as the tokenizer does.
    expected = [pipeline(each, truncation=True)[0] for each in (*CAPTIONS, *COMMENTS)]
    assert {one["label"] for one in expected} == {"NEGATIVE", "POSITIVE"}

    def found(precision: str) -> tuple[list[str], npt.NDArray[Any]]:
        columns = rows(run, {"sentiment": str(distilbert)}, sentiment.recipe, precision).scalars
        labels = [*columns["caption_label"].to_pylist(), *columns["comments_label"].to_pylist()]
        return labels, np.array([*columns["caption_score"].to_pylist(), *columns["comments_score"].to_pylist()])

    labels, scores = found("float32")
    assert labels == [one["label"] for one in expected]
    np.testing.assert_allclose(scores, [one["score"] for one in expected], atol=1e-5)

    def both(labels: list[str], scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        positive = np.where(np.array(labels) == "POSITIVE", scores, 1 - scores)
        return np.stack([positive, 1 - positive], axis=1)

    reference = both([one["label"] for one in expected], np.array([one["score"] for one in expected]))
    for precision, least in COSINE.items():
        assert cosines(both(*found(precision)), reference).min() >= least


def clip_reference(folder: Path, pictures: list[bytes]) -> npt.NDArray[Any]:
    processor = transformers.CLIPImageProcessorPil.from_pretrained(folder)
    network = transformers.CLIPModel.from_pretrained(folder).eval()
    inputs = processor(images=[Image.open(io.BytesIO(picture)) for picture in pictures], return_tensors="pt")
    with torch.inference_mode():
        features = network.get_image_features(**inputs).pooler_output
    return torch.nn.functional.normalize(features, dim=-1).numpy()


def test_image_equals_clip_processor_and_features(
    make_posts: Callable[..., Run], make_jpeg: Callable[..., bytes], clip_b32: Path
) -> None:
    pictures = [make_jpeg(n, size) for n, size in enumerate(SIZES)]
    run = make_posts([[picture] for picture in pictures])
    expected = clip_reference(clip_b32, pictures)
    assert (expected @ expected.T).min() < 0.95  # the pictures are told apart

    def found(precision: str) -> npt.NDArray[Any]:
        vectors = rows(run, {"image": str(clip_b32)}, image.recipe, precision).vectors
        assert vectors is not None and vectors.shape == (len(pictures), 512)
        return vectors

    np.testing.assert_allclose(found("float32"), expected, atol=1e-5)
    for precision, least in COSINE.items():
        assert cosines(found(precision), expected).min() >= least


def test_fast_resizing_on_photographs(shared: Path, clip_b32: Path) -> None:
    """Through random CLIP, and through weights that were trained: those tell pictures apart much better."""
    with Archive.open(shared / "real-posts" / "Post_images" / "posts_image.zip", salvage=True) as archive:
        names = [entry for entry in archive.entries() if entry.name.endswith(".jpg") and entry.size][:30:3]
        photographs = [archive.read(entry) for entry in names]
    exact, fast = clip.exact_prepare(224, 224), clip.fast_prepare(224, 224)
    opened = [Image.open(io.BytesIO(each)).convert("RGB") for each in photographs]
    pixels = [np.stack([prepare(picture) for picture in opened]) for prepare in (exact, fast)]
    assert np.abs(pixels[0].astype(int) - pixels[1]).max() <= 2
    compute = Compute("cpu", 2)
    reference = clip_reference(clip_b32, photographs)
    network = clip.load(models.transformers_model("image", str(clip_b32)), compute)
    np.testing.assert_allclose(unit(network.forward(pixels[0]).numpy()), reference, atol=1e-5)
    assert cosines(network.forward(pixels[1]).numpy(), reference).min() >= 0.999
    trained = efficientnet.load(efficientnet.source(), compute)
    features = [trained.forward(np.ascontiguousarray(each.transpose(0, 2, 3, 1))).numpy() for each in pixels]
    assert cosines(features[1], features[0]).min() >= 0.999


def test_resizing_of_every_shape(make_jpeg: Callable[..., bytes]) -> None:
    processor = transformers.CLIPImageProcessorPil()
    exact, fast = (clip.preparation(processor, Compute("cpu", 1, precision)) for precision in ("float32", "float16"))
    for n, size in enumerate(SIZES):
        picture = Image.open(io.BytesIO(make_jpeg(n, size)))
        made = processor(images=picture, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
        np.testing.assert_array_equal(exact(picture), made, str(size))
        assert np.abs(made.astype(int) - fast(picture)).max() <= 2, size


@pytest.mark.parametrize("options", [{"resample": Image.Resampling.LANCZOS}, {"do_center_crop": False}])
def test_an_unusual_processor_is_left_to_do_it_itself(make_jpeg: Callable[..., bytes], options: dict[str, Any]) -> None:
    processor = transformers.CLIPImageProcessorPil(**options)
    picture = Image.open(io.BytesIO(make_jpeg(0, (320, 256))))
    made = processor(images=picture, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
    for precision in ("float32", "float16"):
        np.testing.assert_array_equal(clip.preparation(processor, Compute("cpu", 1, precision))(picture), made)
