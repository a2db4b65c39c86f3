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
from PIL import Image, ImageDraw

from benchmarks.models import clip_folder, mpnet_folder
from postmill.encode import models
from postmill.encode.device import Compute, single_threaded
from postmill.encode.encoders import clip, efficientnet, emotion, image, sentiment, text
from postmill.encode.encoders.image import unit_vectors
from postmill.encode.interface import EncodedShard, EncoderSpec, EncodeSettings
from postmill.encode.options import EncoderName, ModelSet, Precision
from postmill.ingest.archive.reader import Archive
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.progress import Silent
from tests.datasets import SHARED
from tests.encode.conftest import VOCABULARY
from tests.encode.tone.classifiers import GO_EMOTIONS, by_pipeline, byte_tokenizer

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
COSINE = {Precision.FLOAT16: 0.9999, Precision.BFLOAT16: 0.999, Precision.FLOAT16_MKL: 0.9999}
EITHER_WAY = (Precision.FLOAT32, Precision.FLOAT16)  # of resizing: PIL's, and torch's
GIVEN = SHARED / "real-posts" / "Post_images" / "posts_image.zip"  # true photographs, where they are to be had


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A gigabyte of weights, not left behind."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture(scope="module")
def mpnet(folder: Path) -> Path:
    return mpnet_folder(folder)


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
    return clip_folder(folder)


def encoded(
    run: Run, overrides: Mapping[str, str], make_spec: Callable[[EncodeSettings], EncoderSpec], precision: Precision
) -> EncodedShard:
    """What the stage would write, before vectors are stored as float16."""
    compute = Compute(Device.CPU, 2, precision)
    spec = make_spec(EncodeSettings(ModelSet.PAPER, overrides, lambda: compute))
    assert spec.encoder.precision == precision
    with single_threaded(compute):
        if spec.load_image_model is not None:
            (by_number,) = image.encode_pictures([spec.load_image_model()], compute, run, [(0, [0])])
            return by_number[0]
        assert spec.load is not None
        (shard,) = spec.load()(run, [0])
    return shard


def cosines(vectors: npt.NDArray[Any], expected: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray((unit_vectors(vectors) * unit_vectors(expected)).sum(axis=1))


@pytest.mark.parametrize("encoder", ["text", "text-with-comments"])
def test_text_equals_sentence_transformers(make_posts: Callable[..., Run], mpnet: Path, encoder: str) -> None:
    from sentence_transformers import SentenceTransformer

    run = make_posts(caption=CAPTIONS, comments=COMMENTS)
    together = [f"{caption} {comments}" for caption, comments in zip(CAPTIONS, COMMENTS, strict=True)]
    texts = CAPTIONS if encoder == "text" else together
    expected = SentenceTransformer(str(mpnet), device="cpu").encode(texts, show_progress_bar=False)
    assert cosines(expected[1:], expected[:-1]).max() < 0.99  # the texts are told apart

    def computed(precision: Precision) -> npt.NDArray[Any]:
        vectors = encoded(run, {"text": str(mpnet)}, lambda s: text.specs(s, [encoder])[0], precision).vectors
        assert vectors is not None and vectors.shape == (len(texts), 768)
        return vectors

    np.testing.assert_allclose(computed(Precision.FLOAT32), expected, atol=1e-5)
    for precision, least in COSINE.items():
        assert cosines(computed(precision), expected).min() >= least


def test_sentiment_equals_the_pipeline(make_posts: Callable[..., Run], distilbert: Path) -> None:
    run = make_posts(caption=CAPTIONS, comments=COMMENTS)
    pipeline = transformers.pipeline("sentiment-analysis", model=str(distilbert), device="cpu")
    # One text at a time, truncated as the tokenizer does.
    expected = [pipeline(words, truncation=True)[0] for words in (*CAPTIONS, *COMMENTS)]
    assert {result["label"] for result in expected} == {"NEGATIVE", "POSITIVE"}

    def computed(precision: Precision) -> tuple[list[str], npt.NDArray[Any]]:
        columns = encoded(run, {"sentiment": str(distilbert)}, sentiment.spec, precision).scalars
        labels = [*columns["caption_label"].to_pylist(), *columns["comments_label"].to_pylist()]
        return labels, np.array([*columns["caption_score"].to_pylist(), *columns["comments_score"].to_pylist()])

    labels, scores = computed(Precision.FLOAT32)
    assert labels == [result["label"] for result in expected]
    np.testing.assert_allclose(scores, [result["score"] for result in expected], atol=1e-5)

    def both(labels: list[str], scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        positive = np.where(np.array(labels) == "POSITIVE", scores, 1 - scores)
        return np.stack([positive, 1 - positive], axis=1)

    reference = both([result["label"] for result in expected], np.array([result["score"] for result in expected]))
    for precision, least in COSINE.items():
        assert cosines(both(*computed(precision)), reference).min() >= least


@pytest.fixture(scope="module")
def go_emotions(folder: Path) -> Path:
    """The size of RoBERTa-base but for its vocabulary, which is one token a byte: the rest of it is a table of rows."""
    torch.manual_seed(4)
    config = transformers.RobertaConfig(
        vocab_size=261, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5,
        id2label=dict(enumerate(GO_EMOTIONS)), problem_type="multi_label_classification",
    )  # fmt: skip
    network = transformers.RobertaForSequenceClassification(config)
    with torch.no_grad():  # so that the numbers are not all near a half
        network.classifier.out_proj.weight *= 20
    network.save_pretrained(folder / "go-emotions")
    byte_tokenizer(512).save_pretrained(folder / "go-emotions")
    return folder / "go-emotions"


def test_every_label_of_emotions_equals_the_pipeline(make_posts: Callable[..., Run], go_emotions: Path) -> None:
    run = make_posts(caption=CAPTIONS, comments=COMMENTS)
    expected = np.array([[said[label] for label in GO_EMOTIONS] for said in by_pipeline(go_emotions, CAPTIONS)])
    assert np.ptp(expected, axis=0).max() > 0.05  # the texts are told apart

    def spec(settings: EncodeSettings) -> EncoderSpec:
        return emotion.specs(settings, [EncoderName.EMOTION])[0]

    columns = encoded(run, {"emotion": str(go_emotions)}, spec, Precision.FLOAT32).scalars
    np.testing.assert_allclose(np.array([columns[label].to_pylist() for label in GO_EMOTIONS]).T, expected, atol=1e-5)


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

    def computed(precision: Precision) -> npt.NDArray[Any]:
        vectors = encoded(run, {"image": str(clip_b32)}, image.spec, precision).vectors
        assert vectors is not None and vectors.shape == (len(pictures), 512)
        return vectors

    np.testing.assert_allclose(computed(Precision.FLOAT32), expected, atol=1e-5)
    for precision, least in COSINE.items():
        assert cosines(computed(precision), expected).min() >= least


def invented_photograph(seed: int) -> bytes:
    """A JPEG of 1,080 pixels across with the statistics of a photograph.

    Overlapping discs of all sizes (the "dead leaves" of Lee, Mumford and Huang, 2001) give its edges, and noise whose
    amplitude falls with the frequency its textures.
    """
    rng = np.random.default_rng(seed)
    width, height = 1080, (1350, 1080, 566)[seed % 3]
    scene = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(scene)
    for radius in np.minimum(8 / rng.random(1500), 500):
        x, y = rng.random(2) * (width, height)
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(box, fill=tuple(rng.integers(0, 256, 3).tolist()))
    frequency = np.hypot(*np.meshgrid(np.fft.rfftfreq(width), np.fft.fftfreq(height)))
    spectrum = np.fft.rfft2(rng.normal(size=(height, width))) / np.maximum(frequency, 1 / width)
    texture = np.fft.irfft2(spectrum, (height, width))
    pixels = np.asarray(scene) + (25 * texture / texture.std())[:, :, None]
    photograph = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(photograph, "JPEG", quality=85)
    return photograph.getvalue()


def given_photographs() -> list[bytes]:
    with Archive.open(GIVEN, salvage=True) as archive:
        entries = [entry for entry in archive.entries() if entry.name.endswith(".jpg") and entry.size][:30:3]
        return [archive.read(entry) for entry in entries]


@pytest.mark.parametrize("origin", ["invented", *(["given"] if GIVEN.is_file() else [])])
def test_fast_resizing_on_photographs(origin: str, clip_b32: Path) -> None:
    """Through random CLIP, and through weights that were trained: those tell pictures apart much better."""
    photographs = given_photographs() if origin == "given" else [invented_photograph(seed) for seed in range(9)]
    exact, fast = clip.exact_prepare(224, 224), clip.fast_prepare(224, 224)
    opened = [Image.open(io.BytesIO(photograph)).convert("RGB") for photograph in photographs]
    pixels = [np.stack([prepare(picture) for picture in opened]) for prepare in (exact, fast)]
    assert np.abs(pixels[0].astype(int) - pixels[1]).max() <= 2
    compute = Compute(Device.CPU, 2)
    reference = clip_reference(clip_b32, photographs)
    network = clip.load_image_model(models.transformers_model("image", str(clip_b32)), compute, Silent())
    np.testing.assert_allclose(unit_vectors(network.forward(pixels[0]).numpy()), reference, atol=1e-5)
    assert cosines(network.forward(pixels[1]).numpy(), reference).min() >= 0.999
    trained = efficientnet.load_image_model(efficientnet.packaged_efficientnet(), compute)
    features = [trained.forward(np.ascontiguousarray(batch.transpose(0, 2, 3, 1))).numpy() for batch in pixels]
    assert cosines(features[1], features[0]).min() >= 0.999


def test_resizing_of_every_shape(make_jpeg: Callable[..., bytes]) -> None:
    processor = transformers.CLIPImageProcessorPil()
    exact, fast = (clip.preparation(processor, Compute(Device.CPU, 1, precision)) for precision in EITHER_WAY)
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
    for precision in EITHER_WAY:
        np.testing.assert_array_equal(clip.preparation(processor, Compute(Device.CPU, 1, precision))(picture), made)
