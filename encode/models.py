"""Which model an encoder uses, where its files lie, and what pins them."""

from __future__ import annotations

import hashlib
import importlib
import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from encode import hub
from encode.encoders import IMAGE, SENTIMENT, TEXT
from shards.errors import PostmillError, UsageError
from shards.sealed import canonical_hash

LIGHT, PAPER, OVERRIDE = "light", "paper", "override"
EVERY = "every"  # of an encoder that is the same in every set
SETS = (PAPER, LIGHT)
INSTALL_LIGHT = "pip install 'postmill[light]'"

# The paper's models, and the SHA-256 of the weight file by which a local copy is known to be one of them.
PAPER_MODELS: Mapping[str, tuple[str, str]] = {
    TEXT: (
        "sentence-transformers/all-mpnet-base-v2",
        "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",  # model.safetensors
    ),
    SENTIMENT: (
        "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
        "7c3919835e442510166d267fe7cbe847e0c51cd26d9ba07b89a57b952b49b8aa",  # model.safetensors
    ),
    IMAGE: (
        "openai/clip-vit-base-patch32",
        "a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f",  # pytorch_model.bin
    ),
}
# What changes the numbers besides the weights. Other files of a folder (read-me, ONNX copies) do not.
_CONFIGURATION = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json"),
    *("merges.txt", "preprocessor_config.json", "processor_config.json", "modules.json", "sentence_bert_config.json"),
    *("config_sentence_transformers.json",),
)
_SUBMODULES = "[0-9]*_*/*"  # of sentence-transformers: pooling, dense layers, normalisation
_SUBMODULE_FILES = (".json", ".safetensors", ".bin")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_SNAPSHOT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Source:
    """A model whose files are on this machine.

    Attributes:
        models: ``light``, ``paper``, or ``override`` where the user named another model.
        name: Its name as people know it.
        folder: Where its files lie.
        weights: The weight file.
        revision: Commit of the hub, version of the package, or ``local``.
        weights_sha256: SHA-256 of the weight file, hexadecimal.
        configuration_sha256: SHA-256 over the names and contents of the files that configure it.
        stand_in_for: The paper's model that it stands in for; empty where it is the paper's own.
    """

    models: str
    name: str
    folder: Path
    weights: Path
    revision: str
    weights_sha256: str
    configuration_sha256: str
    stand_in_for: str


def check_choice(models: str, overrides: Mapping[str, str]) -> None:
    """Refuse a set or an override that does not exist.

    Raises:
        UsageError: The set or the name of an override is unknown.
    """
    if models not in SETS:
        raise UsageError(f"{models!r} is not a set of models", place="--models", hint=f"known are: {', '.join(SETS)}")
    for name in overrides:
        if name not in PAPER_MODELS:
            raise UsageError(
                f"{name!r} has no model to choose",
                place="--model",
                hint=f"known are: {', '.join(PAPER_MODELS)} ({TEXT} covers both text encoders); --model {TEXT}=FOLDER",
            )


def transformers_model(kind: str, override: str | None) -> Source:
    """Return the model for ``kind`` that is loaded by transformers: the paper's, or what ``override`` names.

    Args:
        kind: ``text``, ``sentiment`` or ``image``.
        override: A folder, a hub id, or None for the paper's model.

    Raises:
        UsageError: ``override`` is neither a folder nor a hub id.
        PostmillError: The model is neither on this machine nor to be had from the hub, or a file of it is missing.
    """
    paper, known_sha256 = PAPER_MODELS[kind]
    if override is None:
        folder = hub.fetch(paper, kind)
        return _source(PAPER, paper, folder, folder.name, "")
    folder = Path(override).expanduser()
    if override and folder.is_dir():
        found = _source(OVERRIDE, folder.resolve().name, folder, _local_revision(folder), paper)
        if found.weights_sha256 == known_sha256:
            return _source(PAPER, paper, folder, found.revision, "")
        return found
    if not _HUB_ID.fullmatch(override) or (override and folder.exists()):
        raise UsageError(
            f"{override!r} is neither a folder nor the name of a model on the hub",
            place=f"--model {kind}=",
            hint=f"name the folder that holds config.json and the weights, or a hub id such as {paper}",
        )
    folder = hub.fetch(override, kind)
    same = override == paper
    return _source(PAPER if same else OVERRIDE, override, folder, folder.name, "" if same else paper)


def packaged(kind: str, package: str, distribution: str, name: str, weights: str) -> Source:
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
        raise PostmillError(f"the package {distribution} lacks {weights}", place=path, hint=INSTALL_LIGHT)
    return _describe(LIGHT, name, path.parent, path, revision, PAPER_MODELS[kind][0])


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


def _source(models: str, name: str, folder: Path, revision: str, stand_in_for: str) -> Source:
    for file in hub.WEIGHTS:
        if (folder / file).is_file():
            return _describe(models, name, folder, folder / file, revision, stand_in_for)
    raise PostmillError(
        f"holds no weights: neither {' nor '.join(hub.WEIGHTS)}",
        place=folder,
        hint="name the folder into which the whole model was downloaded",
    )


def _describe(models: str, name: str, folder: Path, weights: Path, revision: str, stand_in_for: str) -> Source:
    files = [folder / file for file in _CONFIGURATION if (folder / file).is_file()]
    files += sorted(file for file in folder.glob(_SUBMODULES) if file.suffix in _SUBMODULE_FILES and file.is_file())
    try:
        configuration = {file.relative_to(folder).as_posix(): _sha256(file) for file in files}
        return Source(
            models, name, folder, weights, revision, _sha256(weights), canonical_hash(configuration), stand_in_for
        )
    except OSError as error:
        raise PostmillError(
            f"cannot be read: {error.strerror}",
            place=error.filename,
            hint="mend the permissions, or copy the model anew",
        ) from error


def _local_revision(folder: Path) -> str:
    """Return the commit where ``folder`` is a snapshot in a hub cache, else ``local``."""
    name = folder.resolve().name
    return name if _SNAPSHOT.fullmatch(name) and folder.resolve().parent.name == "snapshots" else "local"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def loading(source: Source) -> Iterator[None]:
    """Have the block load ``source`` without a progress bar of the library's own.

    Raises:
        PostmillError: The weights or the configuration cannot be used.
    """
    from safetensors import SafetensorError
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, pickle.UnpicklingError, SafetensorError) as error:
        raise PostmillError(
            f"the model {source.name} cannot be loaded ({type(error).__name__}: {_first_line(error)})",
            place=source.folder,
            hint="download it anew, or name another one with --model",
        ) from error
    finally:
        if shown:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
