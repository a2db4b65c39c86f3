"""What a learner is: a module of this folder with four functions, found by the name that the registry gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol, cast

from postmill.train.data.arrays import Arrays, Floats, Rows
from postmill.train.data.modality import Modality, select
from postmill.train.models.checkpoint import Checkpoints, State
from postmill.train.models.problem import Fit, Problem, Scores
from postmill.train.models.recipes import Recipe
from postmill.train.models.registry import Rung
from postmill.train.options import ModalityName


@dataclass(frozen=True)
class TrainingContext:
    """How and where a model is trained and applied, beside what it is trained on.

    Attributes:
        recipe: The settings of networks.
        device: ``cpu`` or ``cuda``.
        checkpoints: Where the state of a long training is kept; None keeps none.
        key: The name of this training among the checkpoints.
    """

    recipe: Recipe
    device: str = "cpu"
    checkpoints: Checkpoints | None = None
    key: str = ""

    def part(self, key: str) -> TrainingContext:
        """Return the context of a training that is part of this one."""
        return replace(self, key=f"{self.key}.{key}")

    def finished(self, make: Callable[[], Fit]) -> Fit:
        """Return what this training came to before, if that was kept, else ``make`` it."""
        return make() if self.checkpoints is None else self.checkpoints.finished(self.key, make)

    def resume(self) -> State | None:
        """Return the state at which this training was left, or None where it is to begin."""
        return None if self.checkpoints is None else self.checkpoints.resume(self.key)

    def keep_if_due(self, state: Callable[[], State]) -> None:
        """Keep the state of this training if the last one kept is old enough."""
        if self.checkpoints is not None and self.checkpoints.due():
            self.checkpoints.keep(self.key, state())


class Learner(Protocol):
    """Trains and applies the models of the ladder that name it."""

    def check(self, rung: Rung) -> None:
        """Check that what it needs is installed.

        Raises:
            UsageError: It is not; the message says what to install.
        """

    def settings(self, rung: Rung, context: TrainingContext) -> dict[str, Any]:
        """Return how the model is trained, as JSON has it: when any of it changes, the model is trained again."""

    def fit(self, rung: Rung, problem: Problem, target: Floats, context: TrainingContext) -> Fit:
        """Train the model once.

        Args:
            rung: Which model.
            problem: Who is learnt from.
            target: Shape (N,), standardised, of the training part.
            context: How and where.
        """

    def apply(
        self, rung: Rung, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, context: TrainingContext
    ) -> Scores:
        """Return what a trained model says of ``rows``, shape (M,), standardised.

        Args:
            rung: Which model.
            weights: Of :meth:`fit`.
            modalities: The same as in training, of these posts or others.
            rows: Shape (M,), rows in them.
            context: How and where.
        """


def load(rung: Rung) -> Learner:
    """Return the learner of a model."""
    return cast(Learner, import_module(f"{__package__}.{rung.learner}"))


def shown_to(rung: Rung, modalities: Mapping[str, Modality]) -> dict[str, Modality]:
    """Return those of the modalities that a model is shown, of the metadata only the components its rung names."""
    shown = {str(name): modalities[name] for name in rung.modalities if name in modalities}
    if rung.components:
        shown[ModalityName.METADATA] = select(shown[ModalityName.METADATA], rung.components)
    return shown
