"""The same bytes on any number of cores: the whole ladder, and so many posts that two threads learn from them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from threadpoolctl import threadpool_info

from postmill.shards.run.folder import Run
from postmill.train.data import algebra
from postmill.train.data.modality import Block, Modality, in_memory
from postmill.train.models.registry import names
from tests.train.conftest import Planted, encoder, plant_run, write_embeddings

POSTS, WIDE = 130, 256  # wide enough for the libraries to divide a factorisation among cores
CORES = sorted(os.sched_getaffinity(0))
several_cores = pytest.mark.skipif(len(CORES) < 2, reason="there is one core alone")

TRAIN = "import sys; from postmill.console.start import main; sys.argv[0] = 'postmill'; main()"

MANY_POSTS = """
import hashlib
from dataclasses import replace
import numpy as np
from postmill.train.data import algebra, history
from postmill.train.models import ladder, recipes, registry, trees
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Problem
from tests.train.models.test_same_bytes import embedded, numbers

random, posts = np.random.default_rng(0), 21_000
shown = {
    "text": embedded("text", random.normal(size=(posts, 48))),
    "metadata": numbers("metadata", registry.FOLLOWERS, random.normal(10, 1, size=(posts, 2))),
    "history": numbers("history", history.COLUMNS, random.normal(size=(posts, len(history.COLUMNS)))),
}
groups = random.integers(1_000, size=posts).astype(np.uint64)
target = shown["text"].blocks[0].values[:, 0] + random.normal(size=posts)
recipe = replace(recipes.postmill(posts), epochs=1)
assert recipe.threads == 2
trees.ROUNDS = 5
with algebra.single_core():
    for name in ("boosting", "text-mlp"):
        problem = Problem(shown, np.arange(posts), target, groups, 0)
        context = TrainingContext(recipe)
        fitted = ladder.fit(name, problem, context)
        scores = ladder.apply(name, fitted.weights, shown, np.arange(posts), context)
        for value in (*(fitted.weights[key] for key in sorted(fitted.weights)), scores.predicted):
            print(name, value.shape, hashlib.sha256(np.ascontiguousarray(value)).hexdigest())
"""


def embedded(name: str, vectors: np.ndarray) -> Modality:
    """A modality of vectors in memory, of posts that all have it."""
    count, width = vectors.shape
    starts, present = np.array([0, count]), np.ones(count, dtype=bool)
    block = Block(vectors.astype(np.float16))
    return Modality(name, encoder(name, width), (), width, (block,), starts, present, True)


def numbers(name: str, columns: Sequence[str], values: np.ndarray) -> Modality:
    """A modality of named numbers, of posts that all have it."""
    everyone = np.ones(len(values), dtype=bool)
    return in_memory(name, tuple(columns), values.astype(np.float32), everyone, before_publication=True)


def python(code: str, *words: str, cores: list[int], threads: int) -> str:
    """Run Python on some of the cores, with the libraries told how many threads to take; return what it prints."""
    named = (f"{library}_NUM_THREADS" for library in ("OMP", "OPENBLAS", "MKL"))
    environment = {**os.environ, **dict.fromkeys(named, str(threads))}
    command = ["taskset", "-c", ",".join(map(str, cores)), sys.executable, "-c", code, *words]
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=1_800)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(run: Path) -> Iterator[tuple[str, str]]:
    for folder in ("models", "report"):
        for path in sorted(path for path in (run / folder).rglob("*") if path.is_file()):
            yield str(path.relative_to(run)), hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def wide_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = plant_run(tmp_path_factory.mktemp("cores") / "run", Planted(accounts=26, posts=POSTS, shards=1, image=0.5))
    shutil.rmtree(run.embeddings / "image.tiny-image")
    vectors = np.random.default_rng(3).normal(size=(POSTS, WIDE))
    write_embeddings(run, encoder("image", WIDE), vectors, np.ones(POSTS, dtype=bool))
    return run


@pytest.fixture(scope="module")
def trained(wide_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[int], int], Mapping[str, str]]:
    """Train every model of the ladder on a copy and make the page; return the SHA-256 of each file of both."""

    def train(cores: list[int], threads: int) -> dict[str, str]:
        copy = tmp_path_factory.mktemp("copy") / "run"
        shutil.copytree(wide_run.folder, copy)
        models = [word for name in names() for word in ("--model", name)]
        words = ("train", str(copy), *models, "--seeds", "1", "--split", "influencer")
        python(TRAIN, *words, cores=cores, threads=threads)
        python(TRAIN, "report", str(copy), cores=cores, threads=threads)
        return dict(files(copy))

    return train


@several_cores
def test_the_whole_ladder_and_its_page_are_the_same_on_one_core_and_on_two(
    trained: Callable[[list[int], int], Mapping[str, str]],
) -> None:
    on_two = trained(CORES[:2], 2)
    assert len([name for name in on_two if name.endswith("model.safetensors")]) == len(names())
    assert {"report/index.html", "report/results.md"} <= on_two.keys()
    assert trained(CORES[:1], 1) == on_two


@several_cores
def test_many_posts_which_take_two_threads_give_the_same_on_one_core() -> None:
    on_two = python(MANY_POSTS, cores=CORES[:2], threads=2)
    assert "boosting" in on_two and "text-mlp" in on_two
    assert python(MANY_POSTS, cores=CORES[:1], threads=1) == on_two


@several_cores
def test_the_columns_of_trees_would_differ_without_it() -> None:
    """Lest the tests above hold because nothing in them is large enough to be divided.

    Where the libraries divide it so that other sums come out depends on the processor: one of two sizes does.
    """
    code = f"""
import contextlib, hashlib, sys, numpy as np
from postmill.train.data import algebra, components
from tests.train.models.test_same_bytes import embedded
for posts, wide in (({POSTS}, {WIDE}), (3001, 701)):
    vectors = np.random.default_rng(3).normal(size=(posts, wide))
    rows, shown = np.arange(posts), {{"image": embedded("image", vectors)}}
    with algebra.single_core() if sys.argv[1] == "fixed" else contextlib.nullcontext():
        mean, axes = components.principal_components(shown["image"], rows)
        columns = components.table({{"image.mean": mean, "image.axes": axes}}, shown, rows)
    print(hashlib.sha256(columns.tobytes()).hexdigest())
"""
    free = {python(code, "free", cores=CORES[:2], threads=threads) for threads in (1, 2)}
    fixed = {python(code, "fixed", cores=CORES[:2], threads=threads) for threads in (1, 2)}
    assert (len(free), len(fixed)) == (2, 1)


def test_the_libraries_get_their_threads_back() -> None:
    assert scipy.linalg and torch  # both libraries are loaded
    before = [pool["num_threads"] for pool in threadpool_info()]
    with algebra.single_core():
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
    assert [pool["num_threads"] for pool in threadpool_info()] == before
