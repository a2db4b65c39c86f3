"""The study's recipe is the study's: weights equal those of a plain loop in torch, step by step, and a post is shown as
it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import UsageError
from postmill.train.data.arrays import Arrays, Matrix, Rows
from postmill.train.data.modality import Modality, in_memory
from postmill.train.models import ladder, paper, pools, recipes, registry
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Problem
from postmill.train.options import RecipeName
from postmill.train.predict import predict
from postmill.train.report import study
from postmill.train.stage import train_run

MakeRun = Callable[..., Run]
POSTS, SEED = 200, 3
TRAIN = np.arange(0, POSTS, 5).repeat(4) + np.tile(np.arange(4), POSTS // 5)  # four fifths
CONTEXT = TrainingContext(recipes.paper())
TEXT, IMAGE = 24, 16


def embedding(name: str, width: int, random: np.random.Generator, absent: float = 0.0) -> Modality:
    values = random.normal(size=(POSTS, width)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return replace(in_memory(name, (), values, random.random(POSTS) >= absent, before_publication=True), width=width)


@pytest.fixture(scope="module")
def modalities() -> dict[str, Modality]:
    random = np.random.default_rng(0)
    everyone = np.ones(POSTS, dtype=bool)
    signed = random.uniform(-1, 1, size=(POSTS, 2)).astype(np.float32)
    sentiment = np.column_stack([signed[:, 0], np.ones(POSTS), signed[:, 1], np.ones(POSTS)]).astype(np.float32)
    names = ("caption_sentiment", "has_caption_sentiment", "comments_sentiment", "has_comments_sentiment")
    columns = ("log_followers", *paper.NUMBERS, "hour_sin", "is_video_missing")
    numbers = random.integers(0, 1_080, size=(POSTS, len(columns))).astype(np.float32)
    return {
        "text": embedding("text", TEXT, random),
        "image": embedding("image", IMAGE, random, absent=0.2),
        "sentiment": in_memory("sentiment", names, sentiment, everyone, before_publication=True),
        "metadata": in_memory("metadata", columns, numbers, everyone, before_publication=True),
    }


def problem(modalities: Mapping[str, Modality], name: str) -> Problem:
    shown = {part: modalities[part] for part in registry.rung(name, RecipeName.PAPER).modalities}
    target = np.random.default_rng(1).normal(6, 1.5, size=len(TRAIN))
    return Problem(shown, TRAIN, target, np.arange(len(TRAIN)), SEED)


def as_studied(modalities: Mapping[str, Modality]) -> dict[str, Matrix]:
    """What the study has of every post, written down anew."""
    rows = np.arange(POSTS)
    sentiment, metadata = modalities["sentiment"].take(rows), modalities["metadata"].take(rows)
    place = modalities["metadata"].columns.index
    labels = [part for column in (0, 2) for part in (np.sign(sentiment[:, column]), np.abs(sentiment[:, column]))]
    return {
        "text": modalities["text"].take(rows),
        "image": modalities["image"].take(rows),
        "sentiment": np.column_stack(labels),
        "metadata": np.column_stack([metadata[:, place(name)] for name in paper.NUMBERS]),
    }


class Plain(nn.Module):
    """The network of the paper as one would write it: two layers, and a vector for what is absent."""

    def __init__(self, weights: Arrays, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.absent = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(weights[f"parts.{name}.absent"])) for name in widths}
        )
        self.layers = nn.Sequential(nn.Linear(sum(widths.values()), 256), nn.ReLU(), nn.Linear(256, 1))
        state = {"0": "hidden", "2": "head"}
        self.layers.load_state_dict(
            {
                f"{at}.{of}": torch.tensor(weights[f"{name}.{of}"])
                for at, name in state.items()
                for of in ("weight", "bias")
            }
        )

    def forward(self, shown: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor]) -> torch.Tensor:
        parts = [torch.where(present[name][:, None], shown[name], self.absent[name]) for name in shown]
        output: torch.Tensor = self.layers(torch.cat(parts, dim=1))[:, 0]
        return output


def plain_loop(start: Arrays, modalities: Mapping[str, Modality], shown: Mapping[str, Matrix], target: Any) -> Plain:
    """Three epochs of Adam at 1e-4 on batches of 64 and the mean squared error, in the product's order of posts."""
    network = Plain(start, {name: values.shape[1] for name, values in shown.items()})
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, fused=False, foreach=False)
    y = torch.tensor(target, dtype=torch.float32)
    steps = 0
    for epoch in (1, 2, 3):
        for batch in pools.mixed(len(TRAIN), 64, SEED, epoch, 0):
            rows: Rows = TRAIN[batch]
            vectors = {name: torch.tensor(values[rows], dtype=torch.float32) for name, values in shown.items()}
            present = {name: torch.tensor(modalities[name].present[rows]) for name in shown}
            loss = ((network(vectors, present) - y[batch]) ** 2).mean()
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            steps += 1
    assert steps == study.steps(POSTS) == 9
    return network


@pytest.mark.parametrize("name", ["text-mlp", "image-mlp", "fusion"])
def test_the_weights_are_those_of_a_plain_loop(modalities: dict[str, Modality], name: str) -> None:
    of = problem(modalities, name)
    untrained = TrainingContext(replace(recipes.paper(), epochs=0))
    start, fitted = ladder.fit(name, of, untrained).weights, ladder.fit(name, of, CONTEXT)
    shown = {part: values for part, values in as_studied(modalities).items() if part in of.modalities}
    plain = plain_loop(start, modalities, shown, of.target)
    state = plain.layers.state_dict()
    for ours, theirs in {"hidden.weight": "0.weight", "hidden.bias": "0.bias", "head.weight": "2.weight"}.items():
        moved = np.abs(fitted.weights[ours] - start[ours]).max()
        assert moved > 5e-4  # nine steps of at most 1e-4 or so
        np.testing.assert_allclose(fitted.weights[ours], state[theirs].numpy(), atol=2e-6)
    rows = np.setdiff1d(np.arange(POSTS), TRAIN)
    scores = ladder.apply(name, fitted.weights, of.modalities, rows, CONTEXT)
    with torch.no_grad():
        expected = plain(
            {part: torch.tensor(values[rows], dtype=torch.float32) for part, values in shown.items()},
            {part: torch.tensor(modalities[part].present[rows]) for part in shown},
        )
    np.testing.assert_allclose(scores.predicted, expected.numpy(), rtol=1e-3, atol=1e-3)
    assert scores.low is None and scores.high is None


def test_standardised_is_the_same_loop_on_a_standardised_target_and_standardised_numbers(
    modalities: dict[str, Modality],
) -> None:
    name = "fusion-standardised"
    of = problem(modalities, name)
    untrained = TrainingContext(replace(recipes.paper(), epochs=0))
    start, fitted = ladder.fit(name, of, untrained).weights, ladder.fit(name, of, CONTEXT)
    shown = as_studied(modalities)
    for part in ("sentiment", "metadata"):
        learnt = shown[part][TRAIN].astype(np.float64)
        shown[part] = (shown[part] - learnt.mean(axis=0)) / learnt.std(axis=0)
    mean, std = of.target.mean(), of.target.std()
    plain = plain_loop(start, modalities, shown, (of.target - mean) / std)
    np.testing.assert_allclose(fitted.weights["hidden.weight"], plain.layers[0].weight.detach().numpy(), atol=5e-6)
    rows = np.setdiff1d(np.arange(POSTS), TRAIN)
    with torch.no_grad():
        expected = plain(
            {part: torch.tensor(values[rows], dtype=torch.float32) for part, values in shown.items()},
            {part: torch.tensor(modalities[part].present[rows]) for part in shown},
        )
    scores = ladder.apply(name, fitted.weights, of.modalities, rows, CONTEXT)
    np.testing.assert_allclose(scores.predicted, expected.numpy() * std + mean, atol=1e-3)


def test_a_post_is_shown_as_the_study_has_it(modalities: dict[str, Modality]) -> None:
    shown = paper.studied(modalities)
    assert shown["sentiment"].columns == (
        *("caption_label", "caption_confidence"),
        *("comments_label", "comments_confidence"),
    )
    assert shown["metadata"].columns == paper.NUMBERS
    for part, values in as_studied(modalities).items():
        np.testing.assert_array_equal(shown[part].take(np.arange(POSTS)), values.astype(np.float32))


def test_metadata_without_the_studys_numbers_are_refused(modalities: dict[str, Modality]) -> None:
    other = in_memory(
        "metadata", ("x",), np.zeros((POSTS, 1), np.float32), np.ones(POSTS, bool), before_publication=True
    )
    with pytest.raises(UsageError, match="has none of the study's numbers: caption_characters"):
        paper.studied({"metadata": other})


def test_the_raw_target_is_not_moved_and_the_standardised_one_starts_at_its_mean(
    modalities: dict[str, Modality],
) -> None:
    rows = np.setdiff1d(np.arange(POSTS), TRAIN)
    for name, near in (("text-mlp", 0.0), ("text-mlp-standardised", 6.0)):
        of = problem(modalities, name)
        scores = ladder.apply(name, ladder.fit(name, of, CONTEXT).weights, of.modalities, rows, CONTEXT)
        assert abs(scores.predicted.mean() - near) < 0.5  # of a target of 6 it has not begun to learn in nine steps


def test_a_trained_model_of_the_study_scores_new_posts(planted_run: MakeRun) -> None:
    run = planted_run(posts=80, accounts=20, text=0.5, no_image=0.2)
    train_run(run, names=["fusion", "fusion-standardised"], recipe="paper", split_names=("random",), seeds=1)
    for name in ("paper-fusion", "paper-fusion-standardised"):
        table = predict(run, name, run.folder)
        assert table.num_rows == 80 and np.isfinite(table["predicted"].to_numpy()).all()
        assert set(table["target"].to_pylist()) == {"log(1 + likes + comments)"}
