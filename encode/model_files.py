"""The files of a model on this machine: what pins them, what their configuration says, and loading them."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postmill.shards.formats.encoders import Encoder
from postmill.shards.run.sealed import canonical_hash
from postmill.shards.runtime.errors import PostmillError

# What changes the numbers besides the weights. Other files of a folder (read-me, ONNX copies) do not.
_CONFIGURATION = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json"),
    *("merges.txt", "preprocessor_config.json", "processor_config.json", "modules.json", "sentence_bert_config.json"),
    *("config_sentence_transformers.json",),
)
SENTENCEPIECE_FILES = ("sentencepiece.bpe.model", "spiece.model")
"""Of which a model has one where its tokenizer has no ``tokenizer.json``; else they are not read."""
_SUBMODULES = "[0-9]*_*/*"  # of sentence-transformers: pooling, dense layers, normalisation
_SUBMODULE_FILES = (".json", ".safetensors", ".bin")


@dataclass(frozen=True)
class ModelFiles:
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

    def pin(
        self,
        encoder: str,
        *,
        precision: str,
        preprocessing: Mapping[str, Any],
        available_before_publication: bool,
        dimensions: int = 0,
        scalars: tuple[str, ...] = (),
    ) -> Encoder:
        """Return what is pinned of the encoder named ``encoder`` that computes with this model.

        Vectors are stored as float16. The other arguments are the fields of :class:`.encoders.Encoder`.
        """
        return Encoder(
            encoder=str(encoder),
            models=self.models,
            model=self.name,
            revision=self.revision,
            weights_sha256=self.weights_sha256,
            precision=str(precision),
            dimensions=dimensions,
            dtype="float16" if dimensions else "",
            scalars=scalars,
            features=(),
            available_before_publication=available_before_publication,
            stand_in_for=self.stand_in_for,
            preprocessing=preprocessing,
        )


def describe_files(models: str, name: str, folder: Path, weights: Path, revision: str, stand_in_for: str) -> ModelFiles:
    """Return the model with its hashes: reads every file of it that changes the numbers.

    Raises:
        PostmillError: One of them cannot be read.
    """
    pieces = () if (folder / "tokenizer.json").is_file() else SENTENCEPIECE_FILES
    files = [folder / file for file in (*_CONFIGURATION, *pieces) if (folder / file).is_file()]
    files += sorted(file for file in folder.glob(_SUBMODULES) if file.suffix in _SUBMODULE_FILES and file.is_file())
    try:
        configuration = {file.relative_to(folder).as_posix(): _sha256(file) for file in files}
        return ModelFiles(
            models, name, folder, weights, revision, _sha256(weights), canonical_hash(configuration), stand_in_for
        )
    except OSError as error:
        raise PostmillError(
            f"cannot be read: {error.strerror}",
            place=error.filename,
            hint="mend the permissions, or copy the model anew",
        ) from error


def read_json(path: Path) -> Any:
    """Return what a file of the configuration holds; for a block of :func:`reading_configuration`."""
    return json.loads(path.read_bytes())


@contextmanager
def reading_configuration(folder: Path, kind: str, files: str) -> Iterator[None]:
    """Have the block read the configuration in ``folder``, which the user may have named.

    Args:
        folder: The model's folder.
        kind: What it should be, such as ``CLIP``; for the error.
        files: The files it should hold; for the error.

    Raises:
        PostmillError: A file is missing, or does not say what the block looks for.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PostmillError(
            f"cannot be read as a {kind} model ({type(error).__name__}: {error})",
            place=folder,
            hint=f"name the folder that holds {files}",
        ) from error


@contextmanager
def loading(model: ModelFiles) -> Iterator[None]:
    """Have the block load ``model`` without a progress bar of the library's own.

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
            f"the model {model.name} cannot be loaded ({type(error).__name__}: {_first_line(error)})",
            place=model.folder,
            hint="download it anew, or name another one with --model",
        ) from error
    finally:
        if shown:
            logging.enable_progress_bar()


def all_read(loaded: tuple[Any, Mapping[str, Any]]) -> Any:
    """Return the network that was loaded, unless transformers made up numbers of it at random.

    Args:
        loaded: What ``from_pretrained`` returned with ``output_loading_info``, within :func:`loading`.

    Raises:
        ValueError: Its file lacks some.
    """
    network, said = loaded
    missing = sorted(said["missing_keys"])
    if missing:
        raise ValueError(f"its weights lack {len(missing):,} of the network's parts, such as {missing[0]}")
    return network


def check_tokenizer(tokenizer: Any, words: int) -> None:
    """Refuse, within :func:`loading`, a tokenizer of which a file is missing: transformers makes one without words.

    Args:
        tokenizer: What transformers loaded.
        words: How many the network knows.

    Raises:
        ValueError: It knows fewer than half of them.
    """
    if 2 * len(tokenizer) < words:
        raise ValueError(f"its tokenizer knows {len(tokenizer):,} of {words:,} words: a file of it is missing")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
