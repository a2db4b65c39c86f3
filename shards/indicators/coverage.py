"""How many texts an encoder of tone could judge, and why it could not judge the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from postmill.shards.formats import embeddings
from postmill.shards.formats.encoders import Encoder
from postmill.shards.indicators.indicator import indicators_of
from postmill.shards.run.folder import Run

LANGUAGES = "languages"
"""The key under ``preprocessing`` for the languages that an encoder can judge, where it tells them and not all are."""
TEXT = "text"
"""The key there for the one text of a post that an encoder judges; what judges two of them, or pictures, has none."""
LANGUAGE = "language"
"""The column with the language of each text, null where it was not told."""


@dataclass(frozen=True)
class Coverage:
    """How many texts were judged: those of which the first indicator of pleasantness, or else of all, is not null.

    Attributes:
        texts: Posts that have a text.
        languages: Texts that were not, for their language was not told or is none that the encoder can judge.
        others: Texts that were not for what they say: too little that is known.
    """

    texts: int
    languages: int
    others: int

    def told(self) -> str:
        """Return it as a sentence without a full stop."""
        if not self.texts:
            return "there is no text to judge"
        if not self.languages + self.others:
            return f"all of {self.texts:,} texts could be judged"
        whys = {"language": self.languages, "too few words that are known": self.others}
        shares = ", ".join(f"{self._share(count)} {why}" for why, count in whys.items() if count)
        unjudged = self._share(self.languages + self.others)
        return f"{unjudged} of {self.texts:,} texts could not be judged: {shares}"

    def _share(self, count: int) -> str:
        share = count / self.texts
        return "under 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def coverage(run: Run, encoder: Encoder, shards: Iterable[int]) -> Coverage | None:
    """Return the coverage of an encoder over those of ``shards`` that it has done; None where it is not one of tone,
    or does not judge one text of a post.

    Raises:
        PostmillError: An embedding shard is damaged, or the encoder's description is.
    """
    indicators = indicators_of(encoder)
    if not indicators or TEXT not in encoder.preprocessing:
        return None
    column = next((each.column for each in indicators if each.pleasantness), indicators[0].column)
    judged_languages = encoder.preprocessing.get(LANGUAGES)
    texts = languages = others = 0
    for shard in shards:
        if not embeddings.is_done(run, encoder, shard):
            continue
        embedded = embeddings.read(run, encoder, shard)
        null = embedded.present & embedded.scalars[column].is_null().to_numpy()
        texts += int(embedded.present.sum())
        if judged_languages is not None:
            known = pc.is_in(embedded.scalars[LANGUAGE], value_set=pa.array(judged_languages, pa.string()))
            no_language = null & ~known.to_numpy()
            languages += int(np.count_nonzero(no_language))
            null &= ~no_language
        others += int(np.count_nonzero(null))
    return Coverage(texts, languages, others)
