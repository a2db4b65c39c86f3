"""A dataset of which it is known what every selection takes, and what a run of one is compared with."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from postmill.ingest.pack.stages import ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.source.layout import discover
from postmill.shards.formats.counts import PlanCounts
from postmill.shards.run.chosen import Chosen
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Options
from postmill.shards.state import status as statuses
from postmill.shards.state import verify
from postmill.train.report.describe import summarise
from tests.datasets import info, write_dataset
from tests.ingest.pack.packing import members

OF_ACCOUNT = {"ann": "food", "bo.b": "pet", "cy": "fashion", "dee": "fasion", "eve": "fashion 0.5"}
SHARD = 30_000


@dataclass(frozen=True)
class Post:
    """What is known of a mapped post."""

    account: str
    taken_at: int | None
    usable: bool


@dataclass(frozen=True)
class Known:
    """A dataset, what is known of its posts, and the run of everything."""

    folder: Path
    posts: dict[str, Post]
    run: Run


def build(root: Path) -> Known:
    """Write it into `root`, and run it.

    It has ninety posts of five accounts, a fifth of them carousels, on parts of 64 kB. Some are lost, and some rows are
    there twice.
    """
    noise = random.Random(5)
    infos, pictures, rows, posts = {}, {}, [], {}
    for n in range(90):
        account = list(OF_ACCOUNT)[n % 5]
        images = [f"{n}_{i}.jpg" for i in range(3 if n % 5 == noise.randrange(5) else 1)]
        time = None if n % 30 == 7 else 1_514_764_800 + n * 86_400 // 2  # two a day from 2018 on
        rows.append((account, str(n), images))
        if n % 11 != 4:
            infos[f"{account}-{n}.info"] = info(str(n), taken_at_timestamp=time)
        pictures |= {f"{account}-{image}": noise.randbytes(noise.randrange(3_000, 9_000)) for image in images}
        posts[str(n)] = Post(account, time, n % 11 != 4)
    infos["ann-none.info"] = info("unmapped")
    pictures["bo.b-none.jpg"] = b"unmapped"
    scattered = [dict(noise.sample(list(files.items()), len(files))) for files in (infos, pictures)]
    influencers = [f"{account}\t{category}\t1000\t10\t5" for account, category in OF_ACCOUNT.items()]
    write_dataset(root / "data", *scattered, [*rows, rows[2], rows[8]], influencers, ["-s", "64k"])
    return Known(root / "data", posts, made(root / "data", root / "everything", Chosen())[0])


def made(root: Path, folder: Path, chosen: Chosen, accounts: list[str] | None = None) -> tuple[Run, PlanCounts]:
    """Plan and ingest, and see that all is as it should be."""
    run, counts = make_plan(discover(str(root)), folder, Options(SHARD, chosen=chosen), accounts=accounts)
    list(ingest(run))
    assert list(verify.verify(run)) == []
    return run, counts


def told(run: Run) -> tuple[int, int, str | None]:
    """What status and report say of posts that are not chosen, of those without a time, and of the selection."""
    status, data = statuses.read(run), summarise(run)
    assert data.adds_up
    assert (status.not_chosen, status.without_time) == (data.not_chosen, data.without_time)
    return data.not_chosen, data.without_time, data.selection


def keys(run: Run) -> set[str]:
    return {name.partition(".")[0] for name in members(run)}


def same_as_everything(known: Known, run: Run, wanted: set[str]) -> None:
    whole = members(known.run)
    assert members(run) == {name: data for name, data in whole.items() if name.partition(".")[0] in wanted}


def seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
