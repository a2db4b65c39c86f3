"""Every label of every model has the number that transformers' pipeline gives it, in a column that can be trusted."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import transformers

from postmill.encode import models
from postmill.encode.device import Compute
from postmill.encode.encoders import classification
from postmill.encode.encoders.labels import MAX_LABELS, Activation, column_names, read_labels
from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings
from postmill.shards.indicators.indicator import Kind, Side, indicators_of
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.shards.runtime.progress import Silent
from tests.encode.tone.classifiers import GO_EMOTIONS, TEXTS, by_pipeline, classifier, forget, roberta

CPU = Compute(Device.CPU, 2)
MULTI_LABEL = "multi_label_classification"


def computed(folder: Path, texts: list[str]) -> npt.NDArray[Any]:
    model = models.transformers_model("sentiment", str(folder))
    load = classification.load_probabilities(model, CPU, read_labels(folder), Silent())
    ((_, numbers),) = load([(None, texts)])
    return numbers


@pytest.mark.parametrize(
    ("labels", "problem", "activation"),
    [
        (("anger", "fear", "joy", "sadness"), None, Activation.SOFTMAX),
        (("anger", "fear", "joy"), "single_label_classification", Activation.SOFTMAX),
        (GO_EMOTIONS, MULTI_LABEL, Activation.SIGMOID),
        (("toxic",), None, Activation.SIGMOID),
        (("valence", "arousal"), "regression", Activation.NONE),
    ],
    ids=["several", "several, said", "multi-label", "one", "regression"],
)
@pytest.mark.parametrize("make", [classifier, roberta])
def test_equals_the_pipeline_in_every_label(
    tmp_path: Path, make: Callable[..., Path], labels: tuple[str, ...], problem: str | None, activation: Activation
) -> None:
    folder = make(tmp_path / "model", labels, problem)
    assert read_labels(folder).activation == activation
    expected = by_pipeline(folder, TEXTS)
    numbers = computed(folder, TEXTS)
    np.testing.assert_allclose(numbers, [[said[label] for label in labels] for said in expected], atol=1e-5)
    assert np.ptp(numbers, axis=0).min() > 1e-3  # the texts are told apart


def test_a_model_whose_tokenizer_states_no_length_reads_what_its_network_can(tmp_path: Path) -> None:
    stated = roberta(tmp_path / "stated", ("joy", "fear"), MULTI_LABEL)
    silent = roberta(tmp_path / "silent", ("joy", "fear"), MULTI_LABEL, stated=False)
    assert transformers.AutoTokenizer.from_pretrained(silent).model_max_length > 10**6
    np.testing.assert_array_equal(computed(silent, TEXTS), computed(stated, TEXTS))


def test_words_of_tweets_are_replaced_as_on_the_card() -> None:
    def of_the_card(text: str) -> str:
        words = []
        for word in text.split(" "):
            word = "@user" if word.startswith("@") and len(word) > 1 else word
            words.append("http" if word.startswith("http") else word)
        return " ".join(words)

    for text in ("Hi @anna, see https://x.y/z now", "@ a@b.c  @@ http", "", " @me ", "shttp://x (@you)"):
        assert classification.placeholders(text) == of_the_card(text)
    assert classification.placeholders("line\n@friend\thttps://x") == "line\n@user\thttp"


def write_config(folder: Path, **values: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "distilbert", **values}))
    return folder


def test_names_become_columns_and_stay_what_people_read(tmp_path: Path) -> None:
    names = ["Joy & Love", "joy/love", "JOY_LOVE!", "喜び", "Fröhlich\u202e", "label", "  ", "a\x00b\nc", "x" * 100]
    labels = read_labels(write_config(tmp_path, id2label=dict(enumerate(names))), ("label", "score"))
    assert labels.columns == (
        *("joy_love", "joy_love_2", "joy_love_3", "label_3", "frohlich", "label_2", "label_6", "a_b_c", "x" * 40),
    )
    assert labels.names == (*names[:4], "Fröhlich", "label", "label 6", "a b c", "x" * 100)
    assert labels.stated == tuple(names)
    meant = labels.indicators("caption_", Side.CONTENT)
    assert (meant[0].column, meant[0].label) == ("caption_joy_love", "Joy & Love")
    assert len(set(column_names(["a"] * 300, ["a", "a_2"]))) == 300


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"id2label": {"0": 1}}, "does not give a text"),
        ({"id2label": {"0": None}}, "does not give a text"),
        ({"id2label": {"0": "a", "2": "b"}}, "does not give a text"),
        ({"id2label": ["joy"]}, "no JSON object"),
        ({"id2label": {}}, "0 labels"),
        ({"id2label": {str(n): f"l{n}" for n in range(10_000)}}, "10,000 labels"),
        ({"num_labels": 10**9}, "labels"),
        ({"num_labels": "2"}, "no number"),
        ({"id2label": {"0": "joy", "1": "Joy\u200b"}}, "two labels are called 'joy'"),
        ({"id2label": {"0": "x" * 101}}, "101 characters"),
        ({"id2label": {"0": "a"}, "problem_type": "guess"}, "problem_type"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path: Path, values: dict[str, Any], why: str) -> None:
    with pytest.raises(PostmillError, match=why):
        read_labels(write_config(tmp_path, **values))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[]", '{"id2label": ', " " * (5 << 20)], ids=["deep", "list", "cut", "long"]
)
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(PostmillError, match="cannot be read as a text-classification model"):
        read_labels(tmp_path)


def test_unnamed_labels_are_those_of_transformers(tmp_path: Path) -> None:
    assert read_labels(write_config(tmp_path)).stated == ("LABEL_0", "LABEL_1")
    assert read_labels(write_config(tmp_path, num_labels=3)).stated == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert len(GO_EMOTIONS) <= MAX_LABELS


def test_thresholds_are_those_of_the_folder(tmp_path: Path) -> None:
    folder = write_config(tmp_path, id2label={0: "joy", 1: "fear"}, problem_type=MULTI_LABEL)
    assert read_labels(folder).thresholds == (0.5, 0.5)
    (folder / "thresholds.json").write_text('{"fear": 0.3}')
    assert read_labels(folder).thresholds == (0.5, 0.3)
    for wrong in ('{"rage": 0.3}', '{"joy": 2}', '{"joy": true}', '{"joy": NaN}', '{"joy": "0.3"}', "[0.5, 0.3]"):
        (folder / "thresholds.json").write_text(wrong)
        with pytest.raises(PostmillError, match=r"thresholds\.json"):
            read_labels(folder)


def test_sentiment_of_another_model_keeps_every_label(make_posts: Callable[..., Run], tmp_path: Path) -> None:
    folder = classifier(tmp_path / "some-emotions", ("joy", "fear", "anger"), MULTI_LABEL)
    (folder / "thresholds.json").write_text('{"fear": 0.25}')
    run = make_posts(caption=["lovely", None, "\u2800"], comments=["awful", "ok", None])
    (summary,) = encode_run(
        run, encoders=["sentiment"], model_overrides={"sentiment": str(folder)}, device="cpu"
    ).encoders
    table = embeddings.read(run, summary.encoder, 0).scalars.to_pydict()
    columns = ("label", "score", "joy", "fear", "anger")
    assert list(table) == [f"{field}_{column}" for field in ("caption", "comments") for column in columns]
    said = by_pipeline(folder, ["lovely", "awful", "ok"])
    for field, row, expected in (("caption", 0, said[0]), ("comments", 0, said[1]), ("comments", 1, said[2])):
        for label, number in expected.items():
            assert table[f"{field}_{label}"][row] == pytest.approx(number, abs=1e-5)
        assert table[f"{field}_label"][row] == max(expected, key=expected.__getitem__)
        assert table[f"{field}_score"][row] == pytest.approx(max(expected.values()), abs=1e-5)
    assert table["caption_joy"][1:] == [None, None]
    meant = indicators_of(summary.encoder)
    assert [(one.column, one.side, one.kind, one.threshold) for one in meant[1:4]] == [
        ("caption_fear", Side.CONTENT, Kind.PROBABILITY, 0.25),
        ("caption_anger", Side.CONTENT, Kind.PROBABILITY, 0.5),
        ("comments_joy", Side.RESPONSE, Kind.PROBABILITY, 0.5),
    ]
    assert summary.encoder.available_before_publication is False


def test_numbers_on_no_known_scale_are_kept_and_described_as_nothing(
    make_posts: Callable[..., Run], tmp_path: Path
) -> None:
    notes: list[str] = []

    class Notes(Silent):
        def note(self, message: str) -> None:
            notes.append(message)

    folder = classifier(tmp_path / "some-scale", ("valence",), "regression")
    (summary,) = encode_run(
        make_posts(caption=["x"]),
        encoders=["sentiment"],
        model_overrides={"sentiment": str(folder)},
        device="cpu",
        progress=Notes(),
    ).encoders
    assert indicators_of(summary.encoder) == ()
    assert any("on no known scale" in note for note in notes)


def test_multilingual_sentiment_reads_tweets_and_has_no_packaged_model(
    make_posts: Callable[..., Run], tmp_path: Path
) -> None:
    name = "sentiment-multilingual"
    run = make_posts(caption=["hola @anna https://x.y", "hola @ben http://z"], comments=[None, "ok"])
    with pytest.raises(UsageError, match="packaged models have none") as caught:
        encode_run(run, encoders=[name], models="light", device="cpu")
    assert f"--model {name}=FOLDER" in str(caught.value.hint)
    folder = classifier(tmp_path / "tweets", ("negative", "neutral", "positive"))
    (summary,) = encode_run(run, encoders=[name], models="light", model_overrides={name: str(folder)}).encoders
    assert summary.encoder.folder == f"{name}.tweets" and summary.encoder.stand_in_for == ""
    assert summary.encoder.preprocessing["placeholders"] == "mentions as @user, links as http"
    table = embeddings.read(run, summary.encoder, 0).scalars.to_pydict()
    (said,) = by_pipeline(folder, ["hola @user http"])
    for label, number in said.items():
        assert table[f"caption_{label}"] == pytest.approx([number] * 2, abs=1e-5)
    assert {one.label for one in indicators_of(summary.encoder)} == {"negative", "neutral", "positive"}


def test_a_network_with_other_labels_than_its_configuration_is_refused(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "model", ("joy", "fear"))
    labels = read_labels(folder)
    forget(folder / "config.json", "id2label")
    model = models.transformers_model("sentiment", str(folder))
    with pytest.raises(PostmillError, match="other labels"):
        classification.load_probabilities(model, CPU, labels, Silent())


def test_a_tokenizer_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    folder = roberta(tmp_path / "model", ("joy", "fear"))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(PostmillError, match="a file of it is missing"):
        computed(folder, TEXTS)
    (folder / "sentencepiece.bpe.model").write_bytes(b"pieces")
    if importlib.util.find_spec("sentencepiece") is None:
        with pytest.raises(PostmillError, match="package sentencepiece") as caught:
            computed(folder, TEXTS)
        assert "pip install sentencepiece" in str(caught.value.hint)
