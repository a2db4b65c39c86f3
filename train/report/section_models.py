"""The report's section on the models and what they were shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmill.train.data.target import Definition
from postmill.train.evaluation.results import ModelResult
from postmill.train.evaluation.schema import EncoderUse
from postmill.train.models import registry
from postmill.train.report.html import Cell, Table, text_columns


def tables(models: Sequence[ModelResult]) -> Iterator[Table]:
    """Yield what each model is, and which encoder each modality came from."""
    rungs: list[list[Cell]] = [
        [result.name, registry.words(result.model, result.recipe) + _suffix(result)] for result in models
    ]
    columns = text_columns("Model", "What it predicts from")
    yield Table("The ladder. A model is worth its step above the one below.", columns, rungs)
    shown = [_encoder_row(modality, encoder) for modality, encoder in encoders(models)]
    if shown:
        columns = text_columns("Modality", "Encoder", "Which", "Known before publication")
        yield Table("What the models were shown.", columns, shown)


def encoders(models: Sequence[ModelResult]) -> list[tuple[str, EncoderUse]]:
    """Return each modality with each encoder that models were shown."""
    distinct = {
        (modality, encoder.folder, not encoder.before_publication): encoder
        for result in models
        for modality, encoder in result.encoders.items()
    }
    return [(key[0], distinct[key]) for key in sorted(distinct)]


def formula(models: Sequence[ModelResult]) -> str:
    """Return the target, or the targets of models that were trained on several."""
    return " or ".join(dict.fromkeys(result.definition.formula for result in models)) or Definition().formula


def _encoder_row(modality: str, encoder: EncoderUse) -> list[Cell]:
    return [
        modality if encoder.encoder == modality else f"{modality} ({encoder.encoder})",
        encoder.model or "none: numbers of the record",
        _origin(encoder),
        "yes" if encoder.before_publication else "no: reads comments",
    ]


def _origin(encoder: EncoderUse) -> str:
    if not encoder.model:
        return "the project's own"
    return f"stands in for {encoder.stand_in_for}" if encoder.stand_in_for else "the paper's own"


def _suffix(result: ModelResult) -> str:
    comments = ", comments included" if result.leaks else ""
    if result.of_study:
        return f"{comments}, with the paper's settings (Adam 1e-4, batches of 64, 3 epochs)"
    return comments
