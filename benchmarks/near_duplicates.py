"""How many of the near-duplicates that `postmill sample` plants are found through the real encoders, and what else is.

    python benchmarks/near_duplicates.py [--seeds 0,1,2] [--posts 2000] [--influencers 60] [--work DIR]

Pairs of posts are counted. Within an account those planted are near-duplicates, cropped or encoded anew, with a word
added to the caption; across accounts they are of a campaign. `derived` is how alike is enough where the encoder is not
one of those that were measured, told by posts of different accounts. DIR keeps the data and their embeddings.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from postmill.cli import app
from postmill.shards.run.folder import Run, open_run
from postmill.shards.runtime.progress import Silent
from postmill.train.data import dataset, inputs, near_duplicates
from postmill.train.data.arrays import Ids
from postmill.train.data.dataset import Dataset
from postmill.train.data.target import Definition

Pairs = set[tuple[int, int]]


def pairs(groups: Ids) -> Pairs:
    """Return the pairs of rows of one group."""
    rows: dict[int, list[int]] = {}
    for row, group in enumerate(groups.tolist()):
        rows.setdefault(group, []).append(row)
    return {pair for members in rows.values() for pair in combinations(members, 2)}


def encoded(work: Path, seed: int, posts: int, influencers: int) -> tuple[Path, Run]:
    """Return a sample and its run with the embeddings of pictures and captions, made unless they are there."""
    data, run = work / f"data-{seed}", work / f"run-{seed}"
    if not data.is_dir():
        said(f"sample {data} --posts {posts} --influencers {influencers} --seed {seed}")
    said(f"plan {data} {run}", f"ingest {run}", f"encode {run} --encoder image --encoder text --models light")
    return data, open_run(run)


def said(*commands: str) -> None:
    """Run commands of the command line in this process."""
    for command in commands:
        app(command.split(), standalone_mode=False)


def load(run: Run) -> Dataset:
    """Return the posts of a run with their groups."""
    of = dataset.finished(run)
    return dataset.load(run, Definition(), inputs.seen(run, of, None, Silent()), of)


def counts(data: Path, posts: Dataset) -> Iterator[tuple[str, Pairs, Pairs]]:
    """Yield what is looked for, and the pairs that were planted and that were found."""
    truth = pq.read_table(data / "truth.parquet")
    row = {post: number for number, post in enumerate(truth["post_id"].to_pylist())}
    rows = np.array([row[key] for key in posts.keys.to_pylist()])
    yield "near-duplicates", pairs(truth["group"].to_numpy()[rows]), pairs(posts.near_duplicates)
    campaign = truth["campaign"].fill_null(-1).to_numpy()[rows]
    planted = pairs(np.where(campaign < 0, -1 - np.arange(len(rows)), campaign))
    across = (
        {(a, b) for a, b in each if posts.accounts[a] != posts.accounts[b]} for each in (planted, pairs(posts.reposts))
    )
    yield ("campaigns", *across)


def main() -> None:
    """Count, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--posts", type=int, default=2000)
    parser.add_argument("--influencers", type=int, default=60)
    parser.add_argument("--work", type=Path)
    asked = parser.parse_args()
    measured = dict(near_duplicates.MEASURED)
    table = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in map(int, asked.seeds.split(",")):
            data, run = encoded(asked.work or Path(scratch), seed, asked.posts, asked.influencers)
            for rule, of in (("measured", measured), ("derived", {})):
                near_duplicates.MEASURED.clear()
                near_duplicates.MEASURED.update(of)
                for kind, planted, found in counts(data, load(run)):
                    both = len(planted & found)
                    shares = f"{both / max(len(planted), 1):.2f}", f"{both / max(len(found), 1):.2f}"
                    table.append([seed, kind, rule, len(planted), len(found), both, *shares])
    print("| seed | pairs of | alike as | planted | found | both | recall | precision |")
    print("|---|---|---|---|---|---|---|---|")
    for line in sorted(table, key=lambda cells: (cells[2], cells[1], cells[0])):
        print("| " + " | ".join(map(str, line)) + " |")


if __name__ == "__main__":
    main()
