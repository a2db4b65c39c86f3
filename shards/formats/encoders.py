"""What is pinned of an encoder: ``embeddings/<folder>/encoder.json``, which tells its vectors from all others."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from postmill.shards.formats import counts
from postmill.shards.run import manifests, publish, regular, sealed
from postmill.shards.run.checked import anew
from postmill.shards.run.folder import Run
from postmill.shards.run.sealed import canonical_hash
from postmill.shards.run.temporary import TEMPORARY
from postmill.shards.runtime.errors import PostmillError, UsageError

ENCODER_FILE = "encoder.json"
SETS = ("light", "paper")
"""The sets that encoders take their models from; ``light`` stands in for the study's own."""
_PRECISIONS = ("float32", "float16", "bfloat16", "float16-mkl")  # those that a command can be told
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")  # of an encoder: it becomes part of folders, tasks and commands
_TYPE = re.compile(r"([a-z][a-z0-9]{2,15})?")  # of numbers, as NumPy calls it; empty where there are none


@dataclass(frozen=True)
class Encoder:
    """What is pinned of an encoder; two that differ in any field never share a folder.

    Attributes:
        encoder: ``text``, ``text-with-comments``, ``sentiment``, ``image``, ``metadata``, or a plug-in's name.
        models: The set it came from: ``light`` or ``paper``; ``override`` where the user named another model, ``every``
            where it is the same in every set.
        model: Name of the model as people know it.
        revision: Revision or package version of the weights.
        weights_sha256: SHA-256 of the weight file; empty where there are no weights.
        precision: Number format of the computation, such as ``float32``.
        dimensions: Length of a vector; 0 where the encoder has scalars alone.
        dtype: Number format of the stored vectors.
        scalars: Names of the scalar columns in the Parquet file.
        features: Name of each vector component where it has one (metadata), else empty.
        available_before_publication: False where the inputs exist only after publication (comments).
        stand_in_for: The paper's model that this one stands in for; empty where it is the paper's own.
        preprocessing: Every setting that changes the numbers.
    """

    encoder: str
    models: str
    model: str
    revision: str
    weights_sha256: str
    precision: str
    dimensions: int
    dtype: str
    scalars: tuple[str, ...]
    features: tuple[str, ...]
    available_before_publication: bool
    stand_in_for: str
    preprocessing: Mapping[str, Any]

    @property
    def folder(self) -> str:
        """Name of its folder: the encoder and the model, such as ``text.all-MiniLM-L6-v2``."""
        model = re.sub(r"[^A-Za-z0-9_-]+", "-", self.model.rsplit("/", 1)[-1]).strip("-")
        return f"{self.encoder}.{model}" if model else self.encoder

    @property
    def encoder_column(self) -> str:
        """The folder's name as a column of a table: ``text_all_MiniLM_L6_v2``."""
        return re.sub(r"[^A-Za-z0-9]+", "_", self.folder)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) over all fields."""
        return canonical_hash(_to_json(self))


def pin_encoder(run: Run, encoder: Encoder) -> Path:
    """Write ``encoder.json`` in a new folder, or compare with the one that is there; return the folder.

    Raises:
        UsageError: The folder holds what another revision, precision or preprocessing made.
    """
    folder = run.embeddings / encoder.folder
    path = folder / ENCODER_FILE
    if not path.exists():
        publish.put_sealed(path, _to_json(encoder), first=True)  # and its folder; the first of several at once is it
    pinned = read_encoder(folder)
    for name, old, new in _settings(pinned, encoder):
        if old != new:
            raise UsageError(
                f"holds embeddings made with another {name}: {old!r}, and now it is {new!r}",
                place=folder,
                hint=f"go on with what was pinned: {encode_command(run, pinned)}; or keep the folder elsewhere, and "
                f"encode again: {away(run, folder)}",
            )
    return folder


def begun_in(run: Run, encoder: Encoder) -> str:
    """Return the precision in which the folder of ``encoder`` was begun; empty where nothing says so.

    Raises:
        PostmillError: What is pinned in it is damaged.
    """
    folder = run.embeddings / encoder.folder
    if (folder / ENCODER_FILE).exists():
        return read_encoder(folder).precision
    words = _stated(folder)  # of shards whose description is lost
    return "".join(words[words.index("--precision") + 1 :][:1]) if "--precision" in words else ""


def is_as_begun(run: Run, encoder: Encoder) -> bool:
    """Say whether ``encoder`` may go on in its folder: it is what is pinned there, or nothing is.

    Raises:
        PostmillError: What is pinned in it is damaged.
    """
    folder = run.embeddings / encoder.folder
    return not (folder / ENCODER_FILE).exists() or read_encoder(folder).fingerprint == encoder.fingerprint


def _settings(pinned: Encoder, encoder: Encoder) -> Iterator[tuple[str, Any, Any]]:
    """Yield name and both values of everything that is pinned, each setting of ``preprocessing`` by itself."""
    for field in dataclasses.fields(Encoder):
        old, new = getattr(pinned, field.name), getattr(encoder, field.name)
        if field.name != "preprocessing":
            yield field.name, str(old), str(new)
            continue
        for name in dict.fromkeys((*old, *new)):
            yield f"preprocessing.{name}", old.get(name), new.get(name)


def read_encoder(folder: Path) -> Encoder:
    """Read ``encoder.json`` in ``folder``.

    Raises:
        PostmillError: It is missing or damaged.
    """
    path = folder / ENCODER_FILE
    try:
        return _from_json(sealed.unseal(regular.read(path)))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError) as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        again = _command_by_manifests(quote(str(folder.parent.parent)), folder)
        raise PostmillError(
            "is missing" if missing else f"cannot be read as an encoder's description ({error})",
            place=path,
            hint=f"have it written anew: {again}" if missing else anew(path, again),
        ) from error


def options(encoder: Encoder, named: Sequence[str]) -> list[str]:
    """Return the options of the command that encodes with ``encoder``, with all that is pinned of it.

    Args:
        encoder: The encoder.
        named: The option by which the user named its model: ``--model`` and a word.
    """
    words = ["--encoder", encoder.encoder]
    if encoder.models in SETS:
        words += ["--models", encoder.models]
    words += named
    if encoder.weights_sha256 and encoder.precision in _PRECISIONS:
        words += ["--precision", encoder.precision]
    if encoder.preprocessing.get("per_image") is True:
        words.append("--per-image")
    return words


def encode_command(run: Run, encoder: Encoder, as_in: Run | None = None) -> str:
    """Return the command that makes what ``encoder`` has not made yet in ``run``, as it did in another run."""
    words = options(encoder, _named((as_in or run).embeddings / encoder.folder))
    return " ".join(["postmill encode", run.word, *map(quote, words)])


def command_of_folder(run: Run, folder: Path) -> str:
    """Return the command that makes what lies in ``folder``, whatever is left there to tell it."""
    try:
        return encode_command(run, read_encoder(folder))
    except PostmillError:
        return _command_by_manifests(run.word, folder)


def encoders_of(run: Run) -> list[Encoder]:
    """Return the encoders whose folders the run has, sorted by folder name.

    Raises:
        PostmillError: What lies in a folder cannot be read, or describes an encoder that lies elsewhere.
    """
    encoders = []
    for folder in regular.folders(run.embeddings, TEMPORARY):
        try:
            (folder / ENCODER_FILE).lstat()
        except FileNotFoundError:
            continue  # nothing was encoded there yet, or it is gone: to encode writes it
        except OSError as error:
            raise regular.unreadable(folder / ENCODER_FILE, error) from error
        encoder = read_encoder(folder)
        if encoder.folder != folder.name:
            raise PostmillError(
                f"describes {encoder.folder}, which is another folder",
                place=folder / ENCODER_FILE,
                hint=f"keep the folder elsewhere: {away(run, folder)}",
            )
        encoders.append(encoder)
    return encoders


def models_option(encoders: Iterable[Encoder], models: str | None = None) -> str:
    """Return the option, after a blank, that names a set of models, or that of ``encoders`` if all are of one."""
    sets = {models} if models is not None else {encoder.models for encoder in encoders} & set(SETS)
    return f" --models {sets.pop()}" if len(sets) == 1 else ""


def away(run: Run, folder: Path) -> str:
    """Return the command that moves ``folder`` out of the run, beside it, under a name that is free."""
    whole = run.folder.absolute()
    beside = (whole.parent / f"{whole.name}.{folder.name}.{number}" for number in range(1, 1000))
    target = next((path for path in beside if not path.exists()), whole.parent / f"{whole.name}.{folder.name}")
    return f"mv -- {quote(str(folder))} {quote(str(target))}"


def _named(folder: Path) -> list[str]:
    """Return the option by which the user named the model of the encoder in ``folder``; none where nothing says so."""
    words = _stated(folder)
    return words[words.index("--model") :][:2] if "--model" in words else []


def _stated(folder: Path) -> list[str]:
    """Return the options that a manifest in ``folder`` states; none where none does."""
    try:
        for path in regular.listed(folder):
            is_manifest = path.suffix == ".json" and path.name != ENCODER_FILE
            manifest = manifests.read(folder, path.stem) if is_manifest else None
            if manifest is not None:
                return list(counts.options_of(manifest.info) or ())
    except PostmillError:  # said of the file by whoever needs it
        pass
    return []


def _command_by_manifests(run: str, folder: Path) -> str:
    name = folder.name.partition(".")[0]
    words = _stated(folder) or (["--encoder", name] if _NAME.fullmatch(name) else [])
    return " ".join(["postmill encode", run, *map(quote, words)])


def _from_json(value: dict[str, Any]) -> Encoder:
    """Return the encoder that ``value``, without its seal, describes.

    Raises:
        ValueError: A field is missing, of another type, or a word that no encoder has.
    """
    value["scalars"], value["features"] = tuple(value["scalars"]), tuple(value["features"])
    encoder = Encoder(**value)
    texts = [getattr(encoder, field.name) for field in dataclasses.fields(Encoder) if field.type == "str"]
    if not all(isinstance(text, str) for text in (*texts, *encoder.scalars, *encoder.features)):
        raise ValueError("a name in it is none")
    if (
        type(encoder.dimensions) is not int
        or encoder.dimensions < 0
        or type(encoder.available_before_publication) is not bool
    ):
        raise ValueError("a number in it is none")
    if not isinstance(encoder.preprocessing, dict):
        raise ValueError("its preprocessing is of another type")
    if not _NAME.fullmatch(encoder.encoder) or not _TYPE.fullmatch(encoder.dtype):
        raise ValueError("its encoder or its dtype is no name")
    return encoder


def _to_json(encoder: Encoder) -> dict[str, Any]:
    value = dataclasses.asdict(encoder)
    return {**value, "scalars": list(encoder.scalars), "features": list(encoder.features)}
