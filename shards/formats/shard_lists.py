"""The lists of post shards that readers of the ecosystem know: ``index.json`` (wids) and ``sizes.json`` (open_clip).

Readers open what is listed: a post shard whose tar was dropped is not.

Both follow from the manifests of the post shards, so they are compared and not trusted: what differs is written anew.
"""

from __future__ import annotations

from postmill.shards.formats import plan
from postmill.shards.formats.counts import ShardCounts
from postmill.shards.formats.units import shard_name
from postmill.shards.run import manifests, publish, regular, sealed
from postmill.shards.run.folder import Run

INDEX_FILE = "index.json"
SIZES_FILE = "sizes.json"


def expected(run: Run) -> dict[str, bytes]:
    """Return the content of each list by name of file, or nothing as long as a post shard is not done."""
    shards, sizes = [], {}
    for shard in plan.shards(run):
        name = shard_name(shard.shard)
        tar = f"{name}.tar"
        manifest = manifests.done(run.posts, name, run.fingerprint)
        if manifest is None:
            return {}
        if manifest.files[tar].dropped:
            continue
        samples = ShardCounts.of(manifest).posts
        shards.append({"url": tar, "nsamples": samples, "filesize": manifest.files[tar].bytes})
        sizes[tar] = samples
    index = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": "posts", "shardlist": shards}
    return {INDEX_FILE: sealed.json_bytes(index), SIZES_FILE: sealed.json_bytes(sizes)}


def write(run: Run) -> None:
    """Write both lists once every post shard is done, where they are not there or say something else.

    Raises:
        PostmillError: One is there and cannot be read, or cannot be written.
    """
    for name, content in expected(run).items():
        path = run.posts / name
        try:
            if regular.read(path) == content:
                continue
        except (FileNotFoundError, ValueError):
            pass
        publish.put_bytes(path, content)
