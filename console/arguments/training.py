"""The options of training, and what they come to together."""

from __future__ import annotations

from typing import Annotated

import typer

from postmill.console.arguments.options import list_of, one_of
from postmill.encode.options import ModelSet
from postmill.train.models import registry
from postmill.train.options import FeatureSet, RecipeName, Split, StudyName, TargetName

TrainedOption = Annotated[list[str] | None, list_of(registry.every_name(), "--model", "Only this model.")]
EmbeddingsOption = Annotated[
    ModelSet | None, one_of(ModelSet, "--models", "Which embeddings, where the run has several.")
]
RecipeOption = Annotated[
    RecipeName, one_of(RecipeName, "--recipe", "postmill: trained with care; paper: the study's own settings.")
]
StudyOption = Annotated[
    StudyName | None,
    one_of(
        StudyName,
        "--study",
        "As the paper did: its encoders, comments included, its networks and settings, its random split first.",
    ),
]
FeaturesOption = Annotated[
    FeatureSet,
    one_of(FeatureSet, "--features", "default: what exists before publication; paper: with comments, which leak."),
]
SplitOption = Annotated[list[str] | None, list_of(Split, "--split", "Only this split; default: all four.")]
TargetOption = Annotated[
    TargetName, one_of(TargetName, "--target", "What is predicted, as a logarithm; rate: both, per follower.")
]
CommentWeightOption = Annotated[
    float, typer.Option("--comment-weight", min=0.0, help="w in log1p(likes + w * comments).")
]
SeedsOption = Annotated[int | None, typer.Option("--seeds", min=1, help="Trainings; default: by number of posts.")]


def recipe_of(study: StudyName | None, recipe: RecipeName = RecipeName.POSTMILL) -> RecipeName:
    """Return the recipe that networks are trained by: a study's own, or the one that was typed."""
    return recipe if study is None else RecipeName(study)
