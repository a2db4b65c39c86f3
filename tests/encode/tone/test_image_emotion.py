"""What pictures may evoke: CLIP's own probabilities of sentences, from the vectors that the image encoder makes."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from postmill.encode import models
from postmill.encode.device import Compute
from postmill.encode.encoders import image, image_emotion
from postmill.encode.encoders.image_emotion import PROMPTS, WORDS
from postmill.encode.options import Precision
from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings
from postmill.shards.indicators.indicator import Kind, Side, indicators_of
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.shards.runtime.progress import Silent

CPU = Compute(Device.CPU, 2)
SIZES = [(256, 320), (90, 401), (224, 224), (17, 9)]


def inputs_of(folder: Path, pictures: list[bytes], sentences: list[str]) -> dict[str, Any]:
    processor = transformers.CLIPImageProcessorPil.from_pretrained(folder)
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(sentences, padding=True, return_tensors="pt")
    images = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures]
    return {**tokens, **processor(images=images, return_tensors="pt")}


def told(folder: Path, pictures: list[bytes], prompts: dict[str, list[str]]) -> Any:
    model = models.transformers_model("image", str(folder))
    _, loaded = image_emotion.load(model, CPU, Silent(), prompts)
    assert loaded.scores is not None
    opened = [loaded.prepare(Image.open(io.BytesIO(picture)).convert("RGB")) for picture in pictures]
    return loaded.scores[1](image.unit_vectors(loaded.forward(np.stack(opened)).numpy()))


def test_one_sentence_a_label_equals_clips_own_probabilities(
    clip_with_words: Path, make_jpeg: Callable[..., bytes]
) -> None:
    pictures = [make_jpeg(n, size) for n, size in enumerate(SIZES)]
    prompts = {label: [sentences[0]] for label, sentences in PROMPTS.items()}
    network = transformers.CLIPModel.from_pretrained(clip_with_words).eval()
    with torch.inference_mode():
        inputs = inputs_of(clip_with_words, pictures, [sentence for (sentence,) in prompts.values()])
        expected = network(**inputs).logits_per_image.softmax(dim=-1).numpy()
    assert np.ptp(expected, axis=0).max() > 0.01  # the pictures are told apart
    np.testing.assert_allclose(told(clip_with_words, pictures, prompts), expected, atol=1e-5)


def test_several_sentences_count_by_the_mean_of_their_directions(
    clip_with_words: Path, make_jpeg: Callable[..., bytes]
) -> None:
    pictures = [make_jpeg(n, size) for n, size in enumerate(SIZES)]
    prompts = {label: list(sentences) for label, sentences in PROMPTS.items()}
    network = transformers.CLIPModel.from_pretrained(clip_with_words).eval()
    normalised = torch.nn.functional.normalize
    with torch.inference_mode():
        each = [sentence for sentences in prompts.values() for sentence in sentences]
        out = network(**inputs_of(clip_with_words, pictures, each))
        labels = normalised(out.text_embeds.view(len(prompts), -1, 24).mean(dim=1), dim=-1)
        expected = (network.logit_scale.exp() * out.image_embeds @ labels.T).softmax(dim=-1).numpy()
    np.testing.assert_allclose(told(clip_with_words, pictures, prompts), expected, atol=1e-5)


def test_a_post_has_the_mean_of_its_pictures_and_the_image_encoder_changes_nothing(
    make_posts: Callable[..., Run], make_jpeg: Callable[..., bytes], clip_with_words: Path
) -> None:
    pictures = [[make_jpeg(1)], [make_jpeg(2), make_jpeg(3)], [b"damaged"], [], [make_jpeg(4), b"damaged"]]
    options: dict[str, Any] = {"model_overrides": {"image": str(clip_with_words)}, "device": "cpu"}
    both = make_posts(pictures, caption=["x"] * 5)
    together = encode_run(both, encoders=["image", "image-emotion"], per_image=True, **options).encoders
    emotion = embeddings.read(both, together[1].encoder, 0)
    assert emotion.vectors is None and emotion.present.tolist() == [True, True, False, False, True]
    assert emotion.reasons.to_pylist()[2:4] == ["image_unreadable", "no_image"]
    table = emotion.scalars.to_pydict()
    assert list(table) == [*WORDS, *image.SCALARS]
    single = told(clip_with_words, [make_jpeg(n) for n in (1, 2, 3, 4)], {k: list(v) for k, v in PROMPTS.items()})
    for number, label in enumerate(WORDS):
        first, second, third, fourth = single[:, number].tolist()
        expected = [first, (second + third) / 2, None, None, fourth]
        assert table[label] == [None if e is None else pytest.approx(e, abs=1e-5) for e in expected]
    assert sum(table[label][1] for label in WORDS) == pytest.approx(1, abs=1e-5)
    assert table["images_encoded"] == [1, 2, 0, 0, 1] and table["images_left_out"] == [0, 0, 1, 0, 1]
    meant = indicators_of(together[1].encoder)
    assert [one.column for one in meant] == list(WORDS)
    assert {(one.side, one.kind, one.threshold) for one in meant} == {(Side.CONTENT, Kind.PROBABILITY, 0.5)}
    assert together[1].encoder.folder == "image-emotion.clip-with-words"
    alone = make_posts(pictures, caption=["x"] * 5)
    encode_run(alone, encoders=["image-emotion"], **options)
    encode_run(alone, encoders=["image"], per_image=True, **options)
    for folder in ("image.clip-with-words", "image-emotion.clip-with-words"):
        for one in (both.embeddings / folder).rglob("*"):
            if one.is_file():
                assert one.read_bytes() == (alone.embeddings / one.relative_to(both.embeddings)).read_bytes()


def test_pictures_are_encoded_once_for_both(
    make_posts: Callable[..., Run], make_jpeg: Callable[..., bytes], clip_with_words: Path
) -> None:
    run = make_posts([[make_jpeg(n)] for n in range(3)], caption=["x"] * 3)
    vectors, scores = image_emotion.load(models.transformers_model("image", str(clip_with_words)), CPU, Silent())
    seen: list[int] = []

    def counted(batch: Any) -> Any:
        seen.append(len(batch))
        return real(batch)

    real = vectors.forward
    loaded = [None, *(type(one)(one.prepare, counted, one.dimensions, one.scores) for one in (vectors, scores))]
    (by_number,) = image.encode_pictures(loaded, CPU, run, [(0, [1, 2])])
    assert sum(seen) == 3 and sorted(by_number) == [1, 2]
    (later,) = image.encode_pictures(loaded, CPU, run, [(0, [2])])  # that of vectors was done before
    assert sorted(later) == [2] and later[2].scalars == by_number[2].scalars


def test_what_has_no_words_is_refused(make_posts: Callable[..., Run], clip_folder: Path) -> None:
    run = make_posts([[b"x"]], caption=["x"])
    with pytest.raises(UsageError, match="knows no words") as caught:
        encode_run(run, encoders=["image-emotion"], models="light", device="cpu")
    assert "--model image=FOLDER" in str(caught.value.hint)
    with pytest.raises(PostmillError, match="a file of it is missing"):  # a CLIP without its tokenizer
        encode_run(run, encoders=["image-emotion"], model_overrides={"image": str(clip_folder)}, device="cpu")


def test_in_other_precisions_the_sentences_are_read_exactly(
    clip_with_words: Path, make_jpeg: Callable[..., bytes]
) -> None:
    """Only the pictures go through the network in the precision asked for."""
    model = models.transformers_model("image", str(clip_with_words))
    vectors = image.unit_vectors(np.random.default_rng(0).normal(size=(5, 24)).astype(np.float32))
    exact, rough = (
        image_emotion.load(model, Compute(Device.CPU, 1, precision), Silent())[1].scores
        for precision in (Precision.FLOAT32, Precision.BFLOAT16)
    )
    assert exact is not None and rough is not None
    np.testing.assert_array_equal(exact[1](vectors), rough[1](vectors))
