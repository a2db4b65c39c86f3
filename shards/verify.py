"""Whether a run is what its manifests say: every byte of every file, and the counts against each other."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.parquet as pq

from shards import embeddings, faults, plan, posts, publish
from shards.progress import Progress, Silent
from shards.publish import TEMPORARY
from shards.run import RUN_FILE, Run


@dataclass(frozen=True)
class FaultCount:
    """How often a reason occurs, how many posts it cost, and what it means."""

    reason: str
    faults: int
    lost: int
    meaning: str


def verify_files(run: Run, progress: Progress | None = None) -> Iterator[str]:
    """Yield a sentence for each file that is missing, altered, or in no manifest.

    Temporaries of running commands are passed over; logs have no manifest.
    """
    stated = {run.folder / RUN_FILE, run.posts / "index.json", run.posts / "sizes.json"}
    stated |= {run.embeddings / encoder.folder / embeddings.ENCODER_FILE for encoder in embeddings.encoders(run)}
    folders = [run.plan, run.spool, run.posts, run.report]
    folders += [path for parent in (run.embeddings, run.models) for path in sorted(parent.glob("*")) if path.is_dir()]
    manifests = []
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            manifest = publish.read_manifest(folder, path.stem)
            if manifest is None:
                if path not in stated:
                    stated.add(path)
                    if path.name != "metrics.json":
                        yield f"{path}: is no manifest"
                continue
            stated.add(path)
            stated.update(folder / name for name in manifest.files)
            if manifest.run != run.fingerprint:
                yield f"{path}: belongs to another run"
            manifests.append((folder, manifest))
    with (progress or Silent()).track("verify", len(manifests), "units") as advance:
        for folder, manifest in manifests:
            yield from publish.differences(folder, manifest)
            advance(1)
    for path in sorted(run.folder.rglob("*")):
        passed_over = run.logs in path.parents or TEMPORARY in str(path.relative_to(run.folder))
        if path.is_file() and path not in stated and not passed_over:
            yield f"{path}: is in no manifest"


def check_counts(run: Run) -> Iterator[str]:
    """Yield a sentence for each identity of counts that does not hold.

    Mapped posts are posts in shards and posts lost to faults; each shard holds its planned posts or says why not.
    """
    counts = plan.manifest(run).counts
    found = lost = 0
    shards = plan.shards(run)
    for shard in shards:
        name = posts.shard_name(shard.shard)
        manifest = publish.done(run.posts, name, run.fingerprint)
        if manifest is None:
            yield f"{run.posts / name}: not done, {shard.posts} posts wait"
            continue
        rows = pq.read_metadata(run.posts / f"{name}.parquet").num_rows
        if rows != manifest.counts["posts"]:
            yield f"{run.posts / name}.parquet: {rows} rows, the manifest says {manifest.counts['posts']}"
        if manifest.counts["posts"] + manifest.counts["lost"] != shard.posts:
            yield (
                f"{run.posts / name}: {manifest.counts['posts']} posts and {manifest.counts['lost']} lost are not the "
                f"{shard.posts} planned"
            )
        found += manifest.counts["posts"]
    lost = sum(row.lost for row in count_faults(run))
    if counts["mapped_posts"] != found + lost:
        yield f"{run.folder}: {counts['mapped_posts']} mapped posts are not {found} in shards and {lost} lost"


def count_faults(run: Run) -> list[FaultCount]:
    """Return the faults of the run by reason, the most frequent first."""
    total: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for _, table in faults.tables(run, len(plan.shards(run))):
        for row in table.group_by(["reason", "post_lost"]).aggregate([([], "count_all")]).to_pylist():
            total[row["reason"]] += row["count_all"]
            lost[row["reason"]] += row["count_all"] if row["post_lost"] else 0
    return [FaultCount(reason, n, lost[reason], faults.meaning(reason)) for reason, n in total.most_common()]


def faults_csv(run: Run) -> Iterator[str]:
    """Yield all faults as CSV: a header, then one row each with the unit that found it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["unit", *faults.SCHEMA.names])
    for unit, table in faults.tables(run, len(plan.shards(run))):
        for row in table.to_pylist():
            writer.writerow([unit, *row.values()])
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()
