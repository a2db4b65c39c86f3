"""The registry of models: every line of it has a learner with the functions of a learner, and steps name its models."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from postmill.shards.runtime.errors import UsageError
from postmill.train.models import learners, networks, registry
from postmill.train.models.learners import Learner
from postmill.train.models.registry import LADDER, RUNGS, STEPS, STUDY_RUNGS, Rung
from postmill.train.options import ModalityName, RecipeName

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("rung", (*RUNGS, *STUDY_RUNGS), ids=lambda rung: f"{rung.learner}: {rung.name}")
def test_a_model_has_a_learner_and_names_nothing_that_is_not_there(rung: Rung) -> None:
    learner = learners.load(rung)
    for name in ("check", "settings", "fit", "apply"):
        promised = inspect.signature(getattr(Learner, name))
        without_self = promised.replace(parameters=[*promised.parameters.values()][1:])
        assert inspect.signature(getattr(learner, name)) == without_self
    assert set(rung.bases) <= set(LADDER) - {rung.name}
    assert all(set(LADDER[base].modalities) <= set(rung.modalities) for base in rung.bases)
    assert rung.words and (not rung.fusion or rung.fusion in networks.FUSIONS)


def test_names_are_distinct_and_steps_are_between_models() -> None:
    assert len(LADDER) == len(RUNGS)
    assert {name for step in STEPS for name in step} <= set(LADDER)
    assert registry.LEAK_STEP in STEPS and registry.CONTENT_STEP in STEPS


def test_what_is_trained_by_default_is_neither_costly_nor_another_recipes() -> None:
    assert registry.default_names() == (
        *("mean", "category", "followers", "history", "history-boosting", "history-fusion", "text-mlp", "image-mlp"),
        *("metadata", "leak", "boosting", "fusion"),
    )
    studied = [f"{name}{scale}" for name in ("text-mlp", "image-mlp", "fusion") for scale in ("", "-standardised")]
    assert registry.names(RecipeName.PAPER) == registry.default_names(RecipeName.PAPER) == tuple(studied)
    assert [name for name in studied if registry.is_raw(name)] == ["text-mlp", "image-mlp", "fusion"]
    assert registry.every_name() == (*LADDER, *(name for name in studied if name not in LADDER))


def test_the_leak_alone_is_shown_what_comes_after_publication() -> None:
    assert [rung.name for rung in RUNGS if rung.leaks] == ["leak"]
    single = {rung.name for rung in RUNGS if rung.is_single}
    assert single == {name for name in LADDER if "fusion" not in name and name not in ("stack", "leak")}
    assert all(ModalityName.AFTERWARDS not in LADDER[name].modalities for name in single)


def test_an_unknown_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="'fusionn' is none of mean, category") as caught:
        registry.rung("fusionn")
    assert (caught.value.place, caught.value.hint) == ("--model", "did you mean fusion?")
    with pytest.raises(UsageError, match="'history' is none of the models of the study: text-mlp, text-mlp-stand"):
        registry.rung("history", RecipeName.PAPER)
    assert registry.words("of-tomorrow") == "of-tomorrow" and registry.position("of-tomorrow") == len(LADDER)


def test_naming_models_loads_nothing() -> None:
    program = (
        "import sys; import postmill.train.models.registry;"
        "print([name for name in ('numpy', 'torch', 'scipy', 'pyarrow') if name in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert output.strip() == "[]"
