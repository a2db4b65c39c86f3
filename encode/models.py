"""Which model an encoder uses: the paper's, the packaged stand-in for it, or one that the user names."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from postmill.encode import hub
from postmill.encode.model_files import ModelFiles, describe_files
from postmill.encode.options import EMOTION_MODELS, EncoderName, ModelSet, model_name, model_of
from postmill.shards.runtime.errors import PostmillError, UsageError, unknown

OVERRIDE = "override"  # in place of a set: the user named the model
EVERY_SET = "every"  # in place of a set: of an encoder that is the same in all of them
INSTALL_LIGHT = "pip install 'postmill[light]'"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_SNAPSHOT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class PaperModel:
    """A model that the paper used: its hub id, and the SHA-256 of its weights, by which a local copy is known."""

    name: str
    weights_sha256: str


PAPER_MODELS: Mapping[str, PaperModel] = {
    EncoderName.TEXT: PaperModel(
        "sentence-transformers/all-mpnet-base-v2",
        "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",  # model.safetensors
    ),
    EncoderName.SENTIMENT: PaperModel(
        "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
        "7c3919835e442510166d267fe7cbe847e0c51cd26d9ba07b89a57b952b49b8aa",  # model.safetensors
    ),
    EncoderName.IMAGE: PaperModel(
        "openai/clip-vit-base-patch32",
        "a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f",  # pytorch_model.bin
    ),
}
"""By encoder; the text model is that of both text encoders."""

HUB_MODELS: Mapping[str, str] = {
    EncoderName.SENTIMENT_MULTILINGUAL: "cardiffnlp/twitter-xlm-roberta-base-sentiment",
    EncoderName.EMOTION: EMOTION_MODELS["go-emotions"],
}
"""Of encoders that the study had none of: the model of the hub that is taken where the user names none.

That of emotion is that of both encoders of emotion.
"""


def check_models(models: ModelSet, overrides: Mapping[str, str]) -> None:
    """Refuse a set or an override that does not exist; nothing is loaded for it.

    Raises:
        UsageError: The set or the name of an override is unknown.
    """
    if models not in list(ModelSet):
        raise unknown(models, ModelSet, place="--models")
    for name in overrides:
        known = [*PAPER_MODELS, *HUB_MODELS]
        if name not in known:
            kinds = "the encoders with a model to choose (text, image and emotion are each that of two encoders)"
            raise unknown(name, known, place="--model", what=kinds)


def named_model(encoder: str, overrides: Mapping[str, str]) -> list[str]:
    """Return the option that names the model of ``encoder`` where the user did, wherever it is typed; else nothing."""
    kind = model_of(encoder)
    if kind not in overrides:
        return []
    folder = Path(overrides[kind]).expanduser()
    return ["--model", f"{kind}={folder.resolve() if folder.is_dir() else overrides[kind]}"]


def transformers_model(kind: str, override: str | None) -> ModelFiles:
    """Return the model for ``kind`` that is loaded by transformers: the usual one, or what ``override`` names.

    Args:
        kind: One of :data:`PAPER_MODELS` or :data:`HUB_MODELS`.
        override: A folder, a hub id, or None for the usual model: the paper's, where it had one.

    Raises:
        UsageError: ``override`` is neither a folder nor a hub id.
        PostmillError: The model is neither on this machine nor to be had from the hub, or a file of it is missing.
    """
    paper = PAPER_MODELS.get(kind)
    usual, stands_for = (HUB_MODELS[kind], "") if paper is None else (paper.name, paper.name)
    packaged = kind != EncoderName.SENTIMENT_MULTILINGUAL
    if override is None:
        folder = hub.fetch(usual, kind, packaged=packaged)
        return _in_folder(ModelSet.PAPER, usual, folder, folder.name, "")
    folder = Path(override).expanduser()
    if override and folder.is_dir():
        model = _in_folder(OVERRIDE, folder.resolve().name, folder, _local_revision(folder), stands_for)
        if paper is not None and model.weights_sha256 == paper.weights_sha256:
            return replace(model, models=str(ModelSet.PAPER), name=paper.name, stand_in_for="")
        return model
    override = model_name(kind, override)
    if not _HUB_ID.fullmatch(override) or (override and folder.exists()):
        raise UsageError(
            f"{override!r} is neither a folder nor the name of a model on the hub",
            place=f"--model {kind}=",
            hint=f"name the folder that holds config.json and the weights, or a hub id such as {usual}",
        )
    folder = hub.fetch(override, kind, packaged=packaged)
    if override == usual:
        return _in_folder(ModelSet.PAPER, override, folder, folder.name, "")
    return _in_folder(OVERRIDE, override, folder, folder.name, stands_for)


def not_packaged(kind: str) -> PostmillError:
    """Return what is raised where the set ``light`` has no model for the encoder ``kind``."""
    usual = HUB_MODELS[kind]
    return UsageError(
        f"the packaged models have none for the encoder {kind}",
        place="--models light",
        hint=f"where there is a network: hf download {usual} --local-dir FOLDER, then give --model {kind}=FOLDER here",
    )


def packaged_model(kind: str, package: str, distribution: str, name: str, weights: str) -> ModelFiles:
    """Return the stand-in for ``kind`` that comes as a Python package.

    Args:
        kind: ``text``, ``sentiment`` or ``image``.
        package: Name under which the package is imported.
        distribution: Name under which it is installed.
        name: Name of the model.
        weights: The weight file, relative to the package's folder.

    Raises:
        PostmillError: The package is not installed, or lacks the file.
    """
    module = import_light(package)
    path = Path(str(module.__file__)).parent / weights
    try:
        revision = version(distribution)
    except PackageNotFoundError:
        revision = "local"
    if not path.is_file():
        raise PostmillError(
            f"the package {distribution} lacks {weights}", place=path, hint=f"install it anew: {INSTALL_LIGHT}"
        )
    return describe_files(str(ModelSet.LIGHT), name, path.parent, path, revision, PAPER_MODELS[kind].name)


def import_light(package: str) -> ModuleType:
    """Import one of the packages of the extra ``light``.

    Raises:
        PostmillError: It is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise PostmillError(
            f"--models light needs the package {error.name}, which is not installed",
            hint=f"install it: {INSTALL_LIGHT}",
        ) from error


def _in_folder(models: str, name: str, folder: Path, revision: str, stand_in_for: str) -> ModelFiles:
    for file in hub.WEIGHTS:
        if (folder / file).is_file():
            return describe_files(str(models), name, folder, folder / file, revision, stand_in_for)
    raise PostmillError(
        f"holds no weights: neither {' nor '.join(hub.WEIGHTS)}",
        place=folder,
        hint="name the folder into which the whole model was downloaded",
    )


def _local_revision(folder: Path) -> str:
    """Return the commit where ``folder`` is a snapshot in a hub cache, else ``local``."""
    name = folder.resolve().name
    return name if _SNAPSHOT.fullmatch(name) and folder.resolve().parent.name == "snapshots" else "local"
