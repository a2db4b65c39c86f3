"""One epoch of fusion over 1, 3 and 10 million posts of 768 + 512 half-precision numbers, streamed from disk.

    python benchmarks/train_scale.py FOLDER [--millions 1,3,10] [--keep]

It makes the embedding shards in FOLDER (26 GB for 10 million posts): ten shards of 100,000 posts of random numbers,
copied, not linked, so that the disk and the page cache meet as many bytes as with real ones. Every measure runs in a
process of its own; its highest resident memory is what Linux states. Shards are removed at the end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from blake3 import blake3

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from postmill.shards.formats.encoders import Encoder
from postmill.shards.run import checked
from postmill.shards.run.manifests import FileState
from postmill.train.data.modality import Block, Modality
from postmill.train.models import loop, pools, recipes
from postmill.train.models.determinism import deterministic
from postmill.train.models.learners import TrainingContext
from postmill.train.models.loop import Examples
from postmill.train.models.networks import Fusion, Spec

SHARD, UNIQUE = 100_000, 10
WIDTHS = {"text": 768, "image": 512}
ACCOUNTS = 30_000
WARM = 3_000_000  # posts whose 7.7 GB a page cache of 16 GB keeps
PAIRS = 3


def make(folder: Path, posts: int) -> None:
    """Write the shards of ``posts`` posts that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(posts // SHARD):
        for name, width in WIDTHS.items():
            path = folder / f"{name}-{number:03d}.npy"
            if path.exists():
                continue
            if number < UNIQUE:
                random = np.random.default_rng((number, width))
                np.save(path, random.standard_normal((SHARD, width), dtype=np.float32).astype(np.float16))
            else:
                shutil.copyfile(folder / f"{name}-{number % UNIQUE:03d}.npy", path)


def modalities(folder: Path, posts: int) -> dict[str, Modality]:
    """Open the shards of the first ``posts`` posts, memory-mapped."""
    opened = {}
    for name, width in WIDTHS.items():
        blocks = tuple(Block.of_file(folder / f"{name}-{n:03d}.npy") for n in range(posts // SHARD))
        starts = np.arange(len(blocks) + 1, dtype=np.int64) * SHARD
        encoder = Encoder(name, "light", name, "1", "", "", width, "float16", (), (), True, "", {})
        opened[name] = Modality(name, encoder, (), width, blocks, starts, np.ones(posts, dtype=bool), True)
    return opened


def epoch(folder: Path, posts: int, in_memory: bool) -> dict[str, Any]:
    """Train one epoch and return seconds, seconds spent before the first step (to hold all), and memory."""
    shown = modalities(folder, posts)
    random = np.random.default_rng(0)
    target, groups = random.normal(size=posts), random.integers(ACCOUNTS, size=posts)
    recipe = replace(recipes.postmill(posts), epochs=1, patience=None, threads=2)
    spent = 0.0
    if in_memory:
        pools.IN_MEMORY = posts  # the same loop reads a table of this many rows into memory as a whole
        hold = pools.hold

        def timed(*arguments: Any) -> pools.Pool:
            nonlocal spent
            started = time.monotonic()
            pool = hold(*arguments)
            spent += time.monotonic() - started
            return pool

        pools.hold = timed
    with deterministic(0, recipe.threads):
        specs = tuple(Spec(n, w, True, torch.zeros(w), torch.ones(w)) for n, w in WIDTHS.items())
        network = Fusion(specs, "concatenation", recipe.token, recipe.hidden, recipe.dropout, recipe.modality_dropout)
        started = time.monotonic()
        loop.train(network, Examples(shown, np.arange(posts), target, groups), TrainingContext(recipe), 0)
    return {"posts": posts, "seconds": time.monotonic() - started - spent, **memory()}


def load(folder: Path, posts: int) -> dict[str, Any]:
    """Load every batch of one epoch and do nothing with it."""
    shown, rows = modalities(folder, posts), np.arange(posts)
    torch.set_num_threads(2)
    started = time.monotonic()
    planned = pools.pools(posts, 0, 1)
    buffers: pools.Buffers = {}
    for number, pool in enumerate(pools.ahead(shown, [rows[positions] for positions in planned])):
        buffers = buffers or pool.buffers(1_024)
        for chosen in pools.mixed(pool.rows, 1_024, 0, 1, number):
            pool.batch(torch.from_numpy(chosen), buffers)
    return {"posts": posts, "seconds": time.monotonic() - started, **memory()}


class OneByOne(torch.utils.data.Dataset[Any]):
    """The ordinary way: a post at a time from memory maps."""

    def __init__(self, shown: dict[str, Modality]) -> None:
        self.shown = shown

    def __len__(self) -> int:
        return len(self.shown["text"].present)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, ...]:
        shard, position = divmod(row, SHARD)
        return tuple(torch.from_numpy(m.blocks[shard].values[position].copy()) for m in self.shown.values())


def one_by_one(folder: Path, posts: int, workers: int) -> dict[str, Any]:
    """Load batches with a DataLoader over :class:`OneByOne` for at most 20 seconds."""
    torch.set_num_threads(2)
    data = OneByOne(modalities(folder, posts))
    loader = torch.utils.data.DataLoader(data, batch_size=1_024, shuffle=True, num_workers=workers)
    done, started = 0, time.monotonic()
    for text, _ in loader:
        done += len(text)
        if time.monotonic() - started > 20:
            break
    return {"posts": done, "seconds": time.monotonic() - started, **memory()}


def cat(folder: Path, posts: int) -> dict[str, Any]:
    """Read the same files with cat."""
    files = [str(folder / f"{name}-{n:03d}.npy") for n in range(posts // SHARD) for name in WIDTHS]
    started = time.monotonic()
    with Path("/dev/null").open("wb") as nowhere:
        subprocess.run(["cat", *files], check=True, stdout=nowhere)
    return {"posts": posts, "seconds": time.monotonic() - started}


def check(folder: Path, posts: int) -> dict[str, Any]:
    """See that the same files hold what their manifests state, as training does once when it opens them."""
    files = [folder / f"{name}-{n:03d}.npy" for n in range(posts // SHARD) for name in WIDTHS]
    states = [FileState(path.stat().st_size, blake3(path.read_bytes()).hexdigest()) for path in files]
    started = time.monotonic()
    for path, state in zip(files, states, strict=True):
        checked.check(path, state, "")
    return {"posts": posts, "seconds": time.monotonic() - started}


def memory() -> dict[str, float]:
    """Return the highest resident memory of this process, in GB."""
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return {"peak_gb": int(peak.split()[1]) * 1024 / 1e9}


MEASURES = {
    "epoch": lambda folder, posts: epoch(folder, posts, in_memory=False),
    "epoch-in-memory": lambda folder, posts: epoch(folder, posts, in_memory=True),
    "load": load,
    "cat": cat,
    "check": check,
    "dataloader-0": lambda folder, posts: one_by_one(folder, posts, 0),
    "dataloader-2": lambda folder, posts: one_by_one(folder, posts, 2),
}


def measured(measure: str, folder: Path, posts: int) -> dict[str, Any]:
    """Take one measure in a process of its own."""
    words = [sys.executable, __file__, str(folder), "--measure", measure, "--posts", str(posts)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    result["rate"] = result["posts"] / result["seconds"]
    return result


def lines(folder: Path, millions: list[int]) -> Iterator[str]:
    """Take all measures and yield the table."""
    yield "| measure | posts | seconds | posts/s | us/post | peak GB |"
    yield "|---|---|---|---|---|---|"

    def row(name: str, result: dict[str, Any]) -> str:
        peak = f"{result['peak_gb']:.2f}" if "peak_gb" in result else ""
        posts, rate = f"{result['posts']:,}", result["rate"]
        return f"| {name} | {posts} | {result['seconds']:.1f} | {rate:,.0f} | {1e6 / rate:.1f} | {peak} |"

    small = min(millions) * 1_000_000
    make(folder, small)
    taken: dict[str, list[dict[str, Any]]] = {}
    order = (*("cat", "check", "load") * PAIRS, "dataloader-0", "dataloader-2", *("epoch", "epoch-in-memory") * 2)
    for name in order:
        result = measured(name, folder, small)
        taken.setdefault(name, []).append(result)
        yield row(name, result)
    best = {name: max(result["rate"] for result in results) for name, results in taken.items()}
    yield f"\nstreamed epoch / epoch in memory: {best['epoch'] / best['epoch-in-memory']:.2f}"
    yield f"loading / cat, warm: {best['load'] / best['cat']:.2f}"
    yield f"checking all files once / one epoch, in time: {best['epoch'] / best['check']:.3f}"
    slow = max(best["dataloader-0"], best["dataloader-2"])
    yield f"loading / DataLoader over __getitem__ (the better of 0 and 2 workers): {best['load'] / slow:.1f}\n"
    for count in millions:
        posts = count * 1_000_000
        make(folder, posts)
        if small < posts <= WARM:
            pairs = [(measured("cat", folder, posts), measured("load", folder, posts)) for _ in range(PAIRS)]
            yield from (row(name, result) for pair in pairs for name, result in zip(("cat", "load"), pair, strict=True))
            ratios = ", ".join(f"{load['rate'] / cat['rate']:.2f}" for cat, load in pairs)
            yield f"\nloading / cat, warm, {posts:,} posts, pair by pair: {ratios}\n"
        yield row("epoch", measured("epoch", folder, posts))


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--millions", default="1,3,10")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--measure", choices=MEASURES)
    parser.add_argument("--posts", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(MEASURES[options.measure](options.folder, options.posts)))
        return
    for line in lines(options.folder, sorted(int(word) for word in options.millions.split(","))):
        print(line, flush=True)
    if not options.keep:
        shutil.rmtree(options.folder)


if __name__ == "__main__":
    main()
