"""Where a trained model lies: ``models/<name>/`` with weights, metrics, predictions, card and the manifest.

While a model is trained, checkpoints of it lie there too: a unit ``checkpoint-<key>`` each, of one safetensors file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

import pyarrow as pa

from postmill.shards.formats import counts
from postmill.shards.run import checked, manifests, publish, regular, temporary
from postmill.shards.run.folder import Run
from postmill.shards.run.manifests import FileState, Manifest
from postmill.shards.run.publish import Unit
from postmill.shards.runtime.errors import PostmillError

MANIFEST = "manifest"
WEIGHTS_FILE = "model.safetensors"
METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.parquet"
CARD_FILE = "card.md"
CHECKPOINT = "checkpoint-"  # with which the names of further units begin
_STATED = re.compile(r'"options": \[([^\]]*)\]')  # in the text of a manifest
_WORD = re.compile(r'"([^"]*)"')
_FOLDER = re.compile(
    r"(?P<paper>paper-)?(?P<model>[a-z]+(-[a-z]+)*?)(?P<comments>-with-comments)?"
    r"(?P<target>-likes|-comments|-rate)?"
)

PREDICTIONS = pa.schema(
    [
        ("split", pa.string()),  # random, influencer, time, time-influencer
        ("seed", pa.int32()),
        ("key", pa.string()),  # what stands for a post of this split's and seed's test part, by the run's secret
        ("account", pa.string()),  # what stands for its account, the same within a run
        ("true", pa.float64()),  # the target, such as log1p(likes + w * comments)
        ("predicted", pa.float64()),
        ("low", pa.float64()),  # ends of the interval that should hold 90 % of posts; null where the model has none
        ("high", pa.float64()),
        ("training_mean", pa.float64()),  # of "true", over the posts that this seed's model was trained on
        ("shuffled", pa.float64()),  # predicted when all but the history is that of another post of the account
        ("first", pa.float64()),  # predicted as if the post were its account's first: with the history taken away
        ("first_low", pa.float64()),  # ends of the interval then; null where the model has none
        ("first_high", pa.float64()),
        ("earlier_posts", pa.int32()),  # of the account, that its history is made from; null where the post has no time
    ]
)


def account_name(account: int) -> str:
    """Return how what stands for an account is written in the predictions."""
    return f"{account:016x}"


def folder(run: Run, name: str) -> Path:
    """Return the folder of model ``name``."""
    return run.models / name


def command(run: Run, name: str) -> str:
    """Return the command that trains model ``name`` as it was trained, as far as its folder tells."""
    return " ".join(["postmill train", run.word, *map(quote, _options(folder(run, name)))])


def manifest(run: Run, name: str) -> Manifest | None:
    """Return the manifest of model ``name``, None where it is not complete."""
    return manifests.whole(folder(run, name), MANIFEST, run.fingerprint)


def read_file(run: Run, name: str, file: str) -> bytes:
    """Return the bytes of ``file`` of the finished model ``name``, which are those that the manifest states.

    Raises:
        PostmillError: As of :func:`check_file`.
    """
    return checked.read(folder(run, name) / file, _state(run, name, file), command(run, name))


def check_file(run: Run, name: str, file: str) -> Path:
    """Return the path of ``file`` of the finished model ``name``, which holds what the manifest states.

    Raises:
        PostmillError: The model is not complete, or the file is missing, damaged, or cannot be read.
    """
    path = folder(run, name) / file
    checked.check(path, _state(run, name, file), command(run, name))
    return path


def _state(run: Run, name: str, file: str) -> FileState:
    done = manifest(run, name)
    if done is None or file not in done.files:
        place = folder(run, name) / file
        raise PostmillError("is of no finished model", place=place, hint=f"train it: {command(run, name)}")
    return done.files[file]


@contextmanager
def publishing(run: Run, name: str) -> Iterator[Unit]:
    """Publish the files of model ``name`` when the block ends without an exception."""
    if folder(run, name).is_dir():
        temporary.sweep(folder(run, name))
    with publish.unit(folder(run, name), MANIFEST, run.fingerprint, compared=True) as unit:
        yield unit


def is_trained(run: Run, recipe: str | None, target: str | None) -> bool:
    """Return whether any model of ``recipe`` that predicts ``target`` is finished; None for the usual ones."""
    for of in regular.folders(run.models, temporary.TEMPORARY):
        match = _FOLDER.fullmatch(of.name)
        found = ("paper" if match["paper"] else None, match["target"]) if match else (None, None)
        if found == (recipe, None if target is None else f"-{target}") and manifest(run, of.name) is not None:
            return True
    return False


def done_with(run: Run, name: str, settings: str) -> Manifest | None:
    """Return the manifest of model ``name`` if it is complete and was trained with ``settings`` (a fingerprint)."""
    done = manifests.done(folder(run, name), MANIFEST, run.fingerprint)
    return done if done is not None and counts.settings_of(done) == settings else None


def write_checkpoint(run: Run, name: str, key: str, settings: str, content: bytes) -> None:
    """Publish a checkpoint of model ``name``, trained with ``settings``, in place of the one that had this key."""
    unit_name = f"{CHECKPOINT}{key}"
    with publish.unit(folder(run, name), unit_name, run.fingerprint) as unit:
        unit.file(f"{unit_name}.safetensors").write(content)
        counts.put_settings(unit, settings)


def checkpoint(run: Run, name: str, key: str, settings: str) -> Path | None:
    """Return the file of a checkpoint if it is whole, byte for byte, and was trained with ``settings``."""
    where, unit_name = folder(run, name), f"{CHECKPOINT}{key}"
    done = manifests.done(where, unit_name, run.fingerprint)
    if done is None or counts.settings_of(done) != settings or any(manifests.differences(where, done)):
        return None
    return where / f"{unit_name}.safetensors"


def drop_checkpoints(run: Run, name: str, prefix: str, keep: str | None = None) -> None:
    """Remove the checkpoints of model ``name`` whose keys begin with ``prefix``, but for the key ``keep``."""
    kept = {f"{CHECKPOINT}{keep}.json", f"{CHECKPOINT}{keep}.safetensors"} if keep is not None else set()
    for path in regular.listed(folder(run, name)):  # by name, so that a manifest goes before its file
        if path.name.startswith(CHECKPOINT + prefix) and path.name not in kept:
            path.unlink(missing_ok=True)


def _options(of: Path) -> tuple[str, ...]:
    """Return the options that the model in the folder ``of`` was trained with.

    They are those that its manifest states, and be it damaged: a byte that rotted elsewhere in it changes none of
    them, and none is taken that a command cannot be given. Where there is none, the folder's name says what it is.
    """
    try:
        text = regular.read(of / f"{MANIFEST}.json").decode("utf-8", "replace")
    except (PostmillError, OSError, ValueError):  # said by whoever reads it
        text = ""
    there = _STATED.search(text)
    stated = None if there is None else counts.options_of({"options": _WORD.findall(there[1])})
    if stated:
        return stated
    match = _FOLDER.fullmatch(of.name)
    if match is None:
        return ()
    recipe = ("--recipe", "paper") if match["paper"] else ()
    features = ("--features", "paper") if match["comments"] else ()
    target = ("--target", match["target"].removeprefix("-")) if match["target"] else ()
    return ("--model", match["model"], *recipe, *features, *target)
