"""The ladder of models, one line each, from the lowest rung to the highest: each is worth its step above the one below.

A model is one line here and, where no learner there is does for it, one module of this folder with the functions of
:class:`.learners.Learner`. Nothing is loaded for it: help, pages and tables name models without waiting for torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from postmill.shards.runtime.errors import unknown
from postmill.train.options import ModalityName, RecipeName

FOLLOWERS = ("log_followers", "account_missing")
"""The components of the metadata that say how many follow an account."""


@dataclass(frozen=True)
class Rung:
    """One model of the ladder.

    Attributes:
        name: What it is called by ``--model``, and its folder.
        learner: The module of this folder that trains and applies it.
        modalities: What it is shown.
        words: What it predicts from, in words for people.
        costly: Whether it is trained only where it is asked for by name.
        raw: Whether it learns the target as it is and not in standard deviations.
        components: With what the names of the components of the metadata that it is shown begin; all where empty.
        fusion: How the network joins its modalities, a key of :data:`.networks.FUSIONS`; empty where it has but one.
        bases: The models that a stack weighs.
    """

    name: str
    learner: str
    modalities: tuple[ModalityName, ...]
    words: str
    costly: bool = False
    raw: bool = False
    components: tuple[str, ...] = ()
    fusion: str = ""
    bases: tuple[str, ...] = ()

    @property
    def leaks(self) -> bool:
        """Whether it is shown what exists only after publication: no rung, but what a leak would seem to gain."""
        return ModalityName.AFTERWARDS in self.modalities

    @property
    def is_single(self) -> bool:
        """Whether it is one of those that a fusion must be better than: no fusion, no stack, no leak."""
        return not (self.fusion or self.bases or self.leaks)


_TEXT, _IMAGE, _SENTIMENT, _METADATA, _HISTORY, _AFTERWARDS = ModalityName
_ALL = (_TEXT, _IMAGE, _SENTIMENT, _METADATA, _HISTORY)
_ALL_WORDS = "text, picture, sentiment, metadata and the account's earlier posts"

# fmt: off
RUNGS = (
    Rung("mean", "linear", (), "the mean of its training posts alone"),
    Rung("category", "linear", (_METADATA,), "the account's category, by ridge regression", components=("category_",)),
    Rung("followers", "linear", (_METADATA,), "the number of followers, by ridge regression", components=FOLLOWERS),
    Rung("history", "past", (_METADATA, _HISTORY), "the account's earlier posts and followers, by ridge regression",
         components=FOLLOWERS),
    Rung("history-boosting", "boosting", (_METADATA, _HISTORY),
         "the account's earlier posts and followers, by gradient boosting", components=FOLLOWERS),
    Rung("history-fusion", "ensemble", (_METADATA, _HISTORY),
         "the account's earlier posts and followers, by the network of fusion", components=FOLLOWERS,
         fusion="concatenation"),
    Rung("text-ridge", "linear", (_TEXT,), "the caption's embedding, by ridge regression", costly=True),
    Rung("image-ridge", "linear", (_IMAGE,), "the picture's embedding, by ridge regression", costly=True),
    Rung("text-mlp", "ensemble", (_TEXT,), "the caption's embedding, by a two-layer network"),
    Rung("image-mlp", "ensemble", (_IMAGE,), "the picture's embedding, by a two-layer network"),
    Rung("metadata", "linear", (_METADATA,), "the record's numbers, by ridge regression"),
    Rung("leak", "linear", (_METADATA, _AFTERWARDS),
         "the record's numbers and what exists only after publication, by ridge regression"),
    Rung("boosting", "boosting", _ALL,
         "metadata, history, sentiment and principal components of embeddings, by gradient boosting"),
    Rung("fusion", "ensemble", _ALL, f"{_ALL_WORDS}, concatenated", fusion="concatenation"),
    Rung("fusion-gates", "ensemble", _ALL, f"{_ALL_WORDS}, weighted by gates", fusion="gates", costly=True),
    Rung("fusion-transformer", "ensemble", _ALL, f"{_ALL_WORDS}, by a small transformer", fusion="transformer",
         costly=True),
    Rung("fusion-film", "ensemble", _ALL,
         "text, picture and sentiment, modulated by metadata and the account's earlier posts", fusion="film",
         costly=True),
    Rung("stack", "stack", _ALL, "what history, boosting and fusion predict, weighted", costly=True,
         bases=("history", "boosting", "fusion")),
)
# fmt: on
"""All models. ``leak`` is no rung: it is ``metadata`` with what exists only after publication, to show what that would
seem to gain."""

_STUDIED = (_TEXT, _IMAGE, _SENTIMENT, _METADATA)
_STUDIED_WORDS = "text, picture, sentiment and nine numbers of the record, side by side, by a two-layer network"
_SCALED = "; the target in standard deviations"

STUDY_BATCH, STUDY_EPOCHS = 64, 3
"""Posts in a batch and epochs of the study's recipe (:func:`.recipes.paper`)."""

STUDY_RUNGS = (
    Rung("text-mlp", "paper", (_TEXT,), "the text's embedding, by a two-layer network", raw=True),
    Rung("text-mlp-standardised", "paper", (_TEXT,), f"the text's embedding, by a two-layer network{_SCALED}"),
    Rung("image-mlp", "paper", (_IMAGE,), "the picture's embedding, by a two-layer network", raw=True),
    Rung("image-mlp-standardised", "paper", (_IMAGE,), f"the picture's embedding, by a two-layer network{_SCALED}"),
    Rung("fusion", "paper", _STUDIED, _STUDIED_WORDS, raw=True),
    Rung("fusion-standardised", "paper", _STUDIED, f"{_STUDIED_WORDS}{_SCALED}, and the numbers"),
)
"""The models of the study's recipe: the two that it trained, and the fusion that it announced. It states no scaling, so
each is there with everything as it comes, which is what it says, and with what it would have taken to learn."""

LADDER: Mapping[str, Rung] = {rung.name: rung for rung in RUNGS}
"""The models by name."""

_STUDY: Mapping[str, Rung] = {rung.name: rung for rung in STUDY_RUNGS}


class Step(NamedTuple):
    """A step of the ladder that is measured: what ``model`` gains over ``base`` on the same test posts."""

    model: str
    base: str


PAST = "history"
"""The model of an account's past alone."""

CONTENT_STEP = Step("fusion", "history-fusion")
"""What content adds to an account's past in the same learner: the question of the study."""

EXPLAINED = "boosting"
"""The model whose predictions are told as sums of what each modality adds."""

LEAK_STEP = Step("leak", "metadata")
"""What a leak seems to add."""

STEPS = (
    CONTENT_STEP,
    Step("boosting", "history-boosting"),
    Step("fusion", "boosting"),
    Step("stack", "fusion"),
    LEAK_STEP,
)
"""The steps of the ladder that are measured. Each changes one thing: what a learner is shown, or the learner."""


def names(recipe: RecipeName = RecipeName.POSTMILL) -> tuple[str, ...]:
    """Return the names of the models that ``recipe`` can train, from the lowest rung to the highest."""
    return tuple(_rungs(recipe))


def every_name() -> tuple[str, ...]:
    """Return the names of all models, of whatever recipe, each once."""
    return tuple(dict.fromkeys([*LADDER, *_STUDY]))


def default_names(recipe: RecipeName = RecipeName.POSTMILL) -> tuple[str, ...]:
    """Return the names of the models that are trained where none is named."""
    return tuple(name for name, rung in _rungs(recipe).items() if not rung.costly)


def words(name: str, recipe: str = RecipeName.POSTMILL) -> str:
    """Return what a model predicts from, in words for people; of one that this version does not know, its name."""
    rungs = _rungs(recipe)
    return rungs[name].words if name in rungs else name


def position(name: str, recipe: str = RecipeName.POSTMILL) -> int:
    """Return the position of a model on the ladder, from 0; one that this version does not know comes last."""
    rungs = _rungs(recipe)
    return list(rungs).index(name) if name in rungs else len(rungs)


def rung(name: str, recipe: str = RecipeName.POSTMILL) -> Rung:
    """Return the model ``name``.

    Raises:
        UsageError: There is none that ``recipe`` can train.
    """
    rungs = _rungs(recipe)
    if name not in rungs:
        what = "the models of the study" if recipe == RecipeName.PAPER else ""
        raise unknown(name, rungs, place="--model", what=what)
    return rungs[name]


def is_raw(name: str) -> bool:
    """Whether the study's model ``name`` learns the target as it is; False for one that this version does not know."""
    return name in _STUDY and _STUDY[name].raw


def _rungs(recipe: str) -> Mapping[str, Rung]:
    return _STUDY if recipe == RecipeName.PAPER else LADDER
