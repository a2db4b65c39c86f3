"""The numbers of one encoder of tone for all posts of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from postmill.shards.formats import embeddings, posts
from postmill.shards.formats.encoders import Encoder, encode_command, encoders_of
from postmill.shards.formats.units import shard_name
from postmill.shards.indicators.indicator import Indicator, Kind, Side, indicators_of, numbers
from postmill.shards.run.checked import anew
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.train.data.arrays import Floats, Mask
from postmill.train.data.dataset import Finished
from postmill.train.insights.guard import Codes

USUAL_ENCODERS = "--encoder emotion --encoder emotion-comments --models light"
"""What is asked of ``postmill encode`` where there is no encoder of tone yet."""

LANGUAGE, WORDS = "language", "happiness_words"
"""Columns that are no indicators: the language of a text, and which words of a list it has."""

Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """What one encoder says of N posts.

    Attributes:
        encoder: The encoder.
        indicators: What its columns mean.
        values: For each of them shape (N,), NaN where the post was not judged.
        texts: Shape (N,): whether the post has what the encoder reads.
        languages: Names of languages, and shape (N,) the index of each post's, -1 where it was not told; None where the
            encoder does not say.
    """

    encoder: Encoder
    indicators: tuple[Indicator, ...]
    values: tuple[Numbers, ...]
    texts: Mask
    languages: tuple[tuple[str, ...], Codes] | None

    def name(self, indicator: Indicator) -> str:
        """Return what the tables call an indicator."""
        return f"{self.encoder.folder}/{indicator.column}"

    def told(self, number: int) -> Floats:
        """Return what is averaged of indicator ``number``, shape (N,): scores, or 1 from the threshold on, else 0."""
        indicator, values = self.indicators[number], self.values[number].astype(np.float64)
        if indicator.kind is Kind.SCORE:
            return values
        return np.where(np.isnan(values), np.nan, values >= np.float64(indicator.threshold))


def encoders_of_tone(run: Run) -> list[Encoder]:
    """Return the encoders of ``run`` whose columns are indicators.

    Raises:
        UsageError: There are none.
        PostmillError: What is pinned of an encoder cannot be read.
    """
    found = [encoder for encoder in encoders_of(run) if indicators_of(encoder)]
    if not found:
        raise UsageError(
            "has no embeddings of an encoder of tone",
            place=run.embeddings,
            hint=f"make them: postmill encode {run.word} {USUAL_ENCODERS}",
        )
    return found


def missing(run: Run, encoder: Encoder, shards: Sequence[int]) -> int:
    """Return how many of ``shards`` the encoder has not done."""
    return sum(not embeddings.is_done(run, encoder, shard) for shard in shards)


def read(run: Run, encoder: Encoder, of: Finished) -> Measured:
    """Read the indicators of ``encoder``, which has done all post shards.

    Raises:
        PostmillError: An embedding shard is damaged, of other posts, or holds a number that is none.
    """
    indicators = indicators_of(encoder)
    tells = LANGUAGE in encoder.scalars
    columns: list[list[Numbers]] = [[] for _ in indicators]
    texts: list[Mask] = []
    codes: list[Codes] = []
    names: dict[str, int] = {}
    for shard, embedded in shards_of(run, encoder, of):
        texts.append(embedded.present)
        for column, indicator in zip(columns, indicators, strict=True):
            found = numbers(embedded.scalars, indicator).astype(np.float32)
            known = found[~np.isnan(found)]
            if len(known) and not indicator.low - _SLACK <= known.min() <= known.max() <= indicator.high + _SLACK:
                raise _damaged(run, encoder, shard, f"{indicator.column} has a number beyond its scale")
            column.append(found)
        if tells:
            told = embedded.scalars[LANGUAGE].combine_chunks().dictionary_encode()
            number = [names.setdefault(name, len(names)) for name in told.dictionary.to_pylist()]
            indices = pc.fill_null(told.indices, -1).to_numpy()
            codes.append(np.append(np.array(number, dtype=np.int32), np.int32(-1))[indices])
    return Measured(
        encoder,
        indicators,
        tuple(np.concatenate(column) for column in columns),
        np.concatenate(texts),
        (tuple(names), np.concatenate(codes)) if tells else None,
    )


_SLACK = 1e-4  # beyond the ends of a scale: what rounding to 32 bits may add


def shards_of(run: Run, encoder: Encoder, of: Finished) -> Iterator[tuple[int, embeddings.EmbeddingShard]]:
    """Yield number and content of the encoder's embedding shards, each of the very posts that were read before.

    Raises:
        PostmillError: One is damaged, not done, or of other posts.
    """
    for shard, records in zip(of.shards, of.records, strict=True):
        embedded = embeddings.read(run, encoder, shard)
        if not embedded.keys.equals(posts.read_records(run, shard, ["key"], records)["key"].combine_chunks()):
            raise _damaged(run, encoder, shard, "is of other posts than the post shard")
        yield shard, embedded


def pleasantness(measured: Measured, side: Side) -> int | None:
    """Return the number of the first indicator of ``side`` that goes from unpleasant to pleasant; None without one."""
    fitting = (n for n, each in enumerate(measured.indicators) if each.pleasantness and each.side is side)
    return next(fitting, None)


def _damaged(run: Run, encoder: Encoder, shard: int, what: str) -> PostmillError:
    folder = run.embeddings / encoder.folder
    again = anew(folder / f"{shard_name(shard)}.json", encode_command(run, encoder))
    return PostmillError(f"embedding shard {shard_name(shard)}: {what}", place=folder, hint=again)
