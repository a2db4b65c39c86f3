"""The chain of custody along a run: what each unit states that it was made from, against what is there now.

What was made from something else than is there now is *stale*, and so is all that was made from it in turn: the bytes
of each file may be those that its manifest states, and the result is still not that of the inputs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from postmill.shards.formats import custody, embeddings, models, plan, spool
from postmill.shards.formats.plan import IMAGES, METADATA
from postmill.shards.formats.spool import IndexRow
from postmill.shards.formats.units import SPOOL_SUFFIX, image_spool, metadata_spool, number_of, shard_name
from postmill.shards.run import manifests
from postmill.shards.run.folder import Run
from postmill.shards.run.manifests import Manifest
from postmill.shards.runtime.errors import PostmillError

SPOOL = "spool"  # among the inputs of a post shard: the hash of the pieces that it was put together from
_WAS = "was made from another {} than is here now"
_WORDS = {
    SPOOL: "state of the spools",
    custody.POSTS_INPUT: "state of the posts",
    custody.RECORDS_INPUT: "state of the records",
    custody.INSIGHTS: "state of the insights",
}
_IS = "was made from {}, which is to be made anew"


@dataclass
class Chain:
    """What is known of a run while its units are looked at in the order in which they are made.

    Attributes:
        run: The run.
        shards: The planned post shards.
        stale: The units that are, by their folder and name, as far as they have been looked at.
    """

    run: Run
    shards: Sequence[plan.Shard]
    stale: set[tuple[Path, str]] = field(default_factory=set)
    _indexes: dict[str, dict[int, IndexRow] | None] = field(default_factory=dict)  # None: cannot be read
    _windows: dict[int, list[plan.Window]] = field(default_factory=dict)

    def breaks(self, folder: Path, name: str, manifest: Manifest) -> list[str]:
        """Say how a unit is stale, a sentence each; empty where it is not, or where its inputs cannot be looked at.

        Raises:
            PostmillError: A manifest or a table of the plan cannot be read.
        """
        found = list(dict.fromkeys(self._breaks(folder, name, manifest)))
        if found:
            self.stale.add((folder, name))
        return found

    def _breaks(self, folder: Path, name: str, manifest: Manifest) -> Iterator[str]:
        run, stated = self.run, manifest.inputs
        if folder == run.spool:
            yield from _compared(stated, [(plan.NAME, plan.contents_hash(run))])
        elif folder == run.posts:
            shard = number_of(name)
            yield from _compared(stated, [(plan.NAME, plan.contents_hash(run)), (SPOOL, self._pieces(shard))])
            yield from self._of_stale((run.spool, spool_name) for spool_name in self._spools(shard))
        elif folder.parent == run.embeddings:
            source = manifests.done(run.posts, name, run.fingerprint)
            there = None if source is None else manifests.contents_hash(source)
            yield from _compared(stated, [(embeddings.POSTS, there)])
            yield from self._of_stale([(run.posts, name)])
        elif folder in (run.report, run.insights) or name == models.MANIFEST:
            yield from self._of_shards(manifest)

    def _of_shards(self, manifest: Manifest) -> Iterator[str]:
        """Say how a model, the tables of tone, a page or a table of results is stale."""
        run, stated = self.run, manifest.inputs
        shards = custody.shards_of(manifest.info, len(self.shards))
        needed = {custody.POSTS_INPUT, custody.RECORDS_INPUT}
        if not (stated and (shards is not None or not needed & stated.keys())):
            yield "does not state what it was made from"
            return
        shards = shards or ()
        done = [manifests.done(run.posts, shard_name(shard), run.fingerprint) for shard in shards]
        if None not in done:  # else it cannot be told, and that they are not there is told already
            yield from _compared(stated, custody.now(run, stated, shards))
        upstream: list[tuple[Path, str]] = []
        for input_name in stated:
            kind, _, folder = input_name.partition("/")
            if input_name == custody.INSIGHTS:
                upstream.append((run.insights, custody.INSIGHTS))
                continue
            if kind == "models":
                upstream.append((models.folder(run, folder), models.MANIFEST))
                continue
            of = run.embeddings / folder if kind == "embeddings" else run.posts
            upstream.extend((of, shard_name(shard)) for shard in shards)
        yield from self._of_stale(upstream)

    def _of_stale(self, upstream: Iterable[tuple[Path, str]]) -> Iterator[str]:
        stale = next((unit for unit in upstream if unit in self.stale), None)
        if stale is not None:
            folder, name = stale
            yield _IS.format(folder.relative_to(self.run.folder) / ("" if name == models.MANIFEST else name))

    def _pieces(self, shard: int) -> str | None:
        """Return the hash of what spools hold for a post shard now; None where one cannot be read."""
        pieces: list[tuple[str, IndexRow]] = []
        for name in self._spools(shard):
            index = self._index(name)
            if index is None:
                return None
            if shard in index:
                pieces.append((name, index[shard]))
        return spool.pieces_hash(pieces)

    def _spools(self, shard: int) -> Iterator[str]:
        """Yield the names of the spools that a post shard is put together from, in the order in which they are read."""
        yield from (metadata_spool(window.window) for window in self._windows_of(METADATA))
        planned = self.shards[shard]
        if planned.kind == "spanning":
            for window in self._windows_of(IMAGES):
                if window.spools and window.last_part <= planned.last_part:
                    yield image_spool(window.window)

    def _index(self, name: str) -> Mapping[int, IndexRow] | None:
        if name not in self._indexes:
            try:
                rows = spool.read_index(self.run.spool / f"{name}{SPOOL_SUFFIX}")
                self._indexes[name] = {row.shard: row for row in rows}
            except (PostmillError, OSError, ValueError, struct.error):  # said where the spool is looked at
                self._indexes[name] = None
        return self._indexes[name]

    def _windows_of(self, archive: int) -> list[plan.Window]:
        if archive not in self._windows:
            self._windows[archive] = plan.windows(self.run, archive)
        return self._windows[archive]


def _compared(stated: Mapping[str, str], there: Iterable[tuple[str, str | None]]) -> Iterator[str]:
    """Say which inputs are others now; a hash of None is of one that cannot be looked at."""
    for name, now in there:
        if name not in stated:
            yield f"does not state which {_WORDS.get(name, name)} it was made from"
        elif now is not None and stated[name] != now:
            yield _WAS.format(_WORDS.get(name, name))
