"""The encoders of tone: of captions, and of comments, which are the audience's response and exist only afterwards."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa

from postmill.encode.absence import Absence
from postmill.encode.encoders import emotion_models
from postmill.encode.encoders.emotion_models import Texts
from postmill.encode.encoders.lexical import COLUMNS, LEAST_HITS, judge
from postmill.encode.interface import MAX_CHARACTERS, EncodedShard, EncoderSpec, EncodeSettings, ShardEncoder
from postmill.encode.options import EMOTION_MODELS, EncoderName, ModelSet
from postmill.shards.formats import posts
from postmill.shards.formats.blank import is_blank
from postmill.shards.formats.encoders import Encoder
from postmill.shards.indicators import detector, languages, lexica, lists
from postmill.shards.indicators.coverage import LANGUAGES
from postmill.shards.indicators.indicator import INDICATORS, Indicator, Kind, Side, described
from postmill.shards.indicators.lists import EMOTIONS, HIGH, LOW, POLARITIES
from postmill.shards.run.folder import Run

MODEL = "lexica"
STAND_IN_FOR = EMOTION_MODELS["go-emotions"]
LICENCES = (
    "word lists for research, not for commerce: labMT is CC BY-NC-SA 4.0, the norms of valence, arousal and dominance "
    "and EmoLex are for research alone, the ranks of emoji are CC BY-SA 4.0"
)


_TEXTS = {
    EncoderName.EMOTION: Texts("caption", Absence.NO_CAPTION, Side.CONTENT),
    EncoderName.EMOTION_COMMENTS: Texts("comments", Absence.NO_COMMENTS, Side.RESPONSE),
}


def specs(settings: EncodeSettings, names: Sequence[EncoderName]) -> list[EncoderSpec]:
    """Return the encoders ``names`` (``emotion``, ``emotion-comments``), which share word lists or a model.

    Their columns are :data:`.lexical.COLUMNS` or those of :mod:`.emotion_models`; those that say something of tone are
    described as indicators.

    Raises:
        PostmillError: The packages that bring the lists are not installed, or a list is damaged; or the model cannot
            be had or used.
    """
    if not settings.packaged(EncoderName.EMOTION):
        return emotion_models.specs(settings, {name: _TEXTS[name] for name in names})
    found = lexica.load()

    @functools.cache
    def say() -> None:  # when they are used, and not whenever it is asked what they are
        settings.progress.note(f"{', '.join(names)}: {LICENCES}")
        if slower := detector.load().slower:
            what = "languages are told one text at a time, which is slower"
            settings.progress.note(f"{', '.join(names)}: {what}: {slower}")

    return [_spec(name, found, say) for name in names]


def _spec(name: EncoderName, found: lexica.Lexica, say: Callable[[], None]) -> EncoderSpec:
    texts = _TEXTS[name]
    encoder = Encoder(
        encoder=str(name),
        models=str(ModelSet.LIGHT),
        model=MODEL,
        revision=", ".join(f"{package} {release}" for package, release in found.packages.items()),
        weights_sha256=found.sha256,
        precision="float64",
        dimensions=0,
        dtype="",
        scalars=tuple(COLUMNS),
        features=(),
        available_before_publication=texts.side is Side.CONTENT,
        stand_in_for=STAND_IN_FOR,
        preprocessing={
            "text": texts.field,
            "absent": "no visible character",
            "characters": MAX_CHARACTERS,
            "language": languages.told_by(),
            LANGUAGES: list(lists.LANGUAGES),
            "words": "without links, mentions and hashtags; NFKC, lower case",
            "least_hits": LEAST_HITS,
            INDICATORS: described(indicators(texts.side)),
        },
    )

    def encode(run: Run, shards: Iterable[int]) -> Iterator[EncodedShard]:
        return (encode_texts(run, shard, texts.field, texts.absence, found) for shard in shards)

    def load() -> ShardEncoder:
        say()
        return encode

    return EncoderSpec(encoder, load)


def indicators(side: Side) -> list[Indicator]:
    """Return what those of :data:`.lexical.COLUMNS` mean that say something of tone."""
    of_side = functools.partial(Indicator, side=side, kind=Kind.SCORE)
    on_nine = functools.partial(of_side, low=LOW, high=HIGH)
    return [
        on_nine("happiness", "happiness of words", pleasantness=True),
        *(on_nine(name, f"{name} of words") for name in ("valence", "arousal", "dominance")),
        *(of_side(name, f"words of {name}") for name in EMOTIONS),
        *(of_side(name, f"{name} words") for name in POLARITIES),
        of_side("emoji", "rank of emoji", low=-1.0, high=1.0),
    ]


def encode_texts(run: Run, shard: int, field: str, absence: Absence, found: lexica.Lexica) -> EncodedShard:
    """Return what the word lists say of the texts in ``field`` of post shard ``shard``.

    A text that they cannot judge is present, and its scores are null.
    """
    table = posts.read_records(run, shard, ["key", field])
    texts = table[field].to_pylist()
    present = [text for text in texts if not is_blank(text)]
    judged = judge(present, found)
    numbers = iter(range(len(present)))
    rows = pa.array([None if is_blank(text) else next(numbers) for text in texts], pa.int64())
    reasons = [None if number is not None else absence for number in rows.to_pylist()]
    scalars = {name: column.take(rows) for name, column in judged.items()}
    return EncodedShard(table["key"].to_pylist(), reasons, None, scalars)
