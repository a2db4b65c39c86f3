"""What a trained model says of new posts: the mean of the networks that were trained on the headline split.

New posts are those of another run folder, or some of its post shards, encoded by the same encoders as in training. An
account's earlier posts are looked for among the posts of that run and of the run the model was trained in. In likes and
comments a prediction is told as a median and as an expectation, whose factor comes from the test posts of that split.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import safetensors

from postmill.shards.formats import models, plan, posts
from postmill.shards.formats.encoders import SETS, encode_command, encoders_of
from postmill.shards.run import folder as runs
from postmill.shards.run.checked import anew
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError, UsageError, unknown
from postmill.train.data import algebra, features, hashing, history, smearing, target
from postmill.train.data.arrays import Arrays, Floats
from postmill.train.data.inputs import shown_in
from postmill.train.data.modality import Modality, in_memory
from postmill.train.evaluation import caveats, results
from postmill.train.evaluation.results import ModelResult
from postmill.train.evaluation.schema import EncoderUse
from postmill.train.models import ladder, recipes, registry
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Scores
from postmill.train.options import ModalityName, scoring_split

SCHEMA = pa.schema(
    [
        ("key", pa.string()),  # of the post itself, which it names: whoever is given it finds the post
        ("predicted", pa.float64()),  # the target
        ("low", pa.float64()),  # ends of the interval that should hold 90 %; null where the model has none
        ("high", pa.float64()),
        ("engagement_median", pa.float64()),  # what about half of such posts stay below: the target's logarithm undone
        ("engagement_expected", pa.float64()),  # their mean, which can be summed
        ("target", pa.string()),  # what is predicted, such as "log(1 + likes + comments)"
        ("caveats", pa.string()),  # what is to be borne in mind of all of them: kinds of caveats, parted by "; "
    ]
)
_SHARD = re.compile(r"posts-(\d{6})\.(tar|parquet|json)")


@algebra.single_core()
def predict(run: Run, name: str, where: Path, device: str = "cpu") -> pa.Table:
    """Return a table of :data:`SCHEMA`: what the model ``name`` of ``run`` says of the posts at ``where``.

    In the metadata of its schema the caveats stand in words (:func:`.caveats.stated`).

    Args:
        run: The run the model was trained in.
        name: Name of the model's folder.
        where: Another run folder, or one of its post shards, such as ``other/posts/posts-000003.tar``.
        device: ``cpu`` or ``cuda``.

    Raises:
        UsageError: There is no such model, or the posts were not encoded as in training.
        PostmillError: A file is missing or damaged.
    """
    trained = {result.name: result for result in results.read_results(run)}
    if name not in trained:
        first = f"train: postmill train {run.word}"
        raise unknown(name, trained, place="--model", what="this run's models", first=first)
    result = trained[name]
    other, shards = _posts(where)
    modalities = _modalities(run, result, other, shards)
    keys = pa.concat_tables([posts.read_records(other, shard, ["key"]) for shard in shards])["key"].combine_chunks()
    rows = np.arange(len(keys))
    split = scoring_split(result.splits)
    context = TrainingContext(recipes.restored(result.metrics.settings.method), device)
    of_seeds = [
        _columns(ladder.apply(result.model, weights, modalities, rows, context))
        for weights in _weights(run, name, split)
    ]
    mean = np.mean(of_seeds, axis=0)
    of, tested = result.metrics.settings.definition, results.predictions(run, result, split)
    factor = smearing.factor(tested.true, tested.predicted)
    engagement = of.counts(mean[:, 0]), smearing.expected(mean[:, 0], factor, of)
    columns = [keys, *(pa.array(mean[:, n], mask=np.isnan(mean[:, n])) for n in range(3)), *map(pa.array, engagement)]
    said = caveats.of_predictions(run, result, other, len(keys), _own_posts(run, keys))
    columns += [pa.repeat(text, len(keys)) for text in (of.formula, caveats.kinds(said))]
    return pa.Table.from_arrays(columns, schema=SCHEMA.with_metadata(caveats.schema_metadata(said)))


def _own_posts(run: Run, keys: pa.Array) -> int:
    """Return how many of the posts with these keys are among those of ``run`` itself."""
    if not run.plan.is_dir():  # the models were handed on without the posts
        return 0
    done = posts.done_shards(run, plan.counts(run).shards)
    found = (pc.is_in(posts.read_records(run, shard, ["key"])["key"], keys) for shard in done)
    return sum(pc.sum(of_shard).as_py() or 0 for of_shard in found)


def _columns(scores: Scores) -> Floats:
    """Return predictions and the ends of their intervals, shape (M, 3), NaN where there are no intervals."""
    blank = np.full(len(scores.predicted), np.nan)
    return np.column_stack([scores.predicted, *(blank if end is None else end for end in (scores.low, scores.high))])


def _posts(where: Path) -> tuple[Run, tuple[int, ...]]:
    shard = _SHARD.fullmatch(where.name)
    other = runs.open_run(where.parent.parent if shard else where, reading=True)
    done = tuple(posts.done_shards(other, plan.counts(other).shards))
    chosen = (int(shard[1]),) if shard else done
    if not chosen or not set(chosen) <= set(done):
        raise UsageError("has no such finished post shard", place=where, hint=f"postmill ingest {other.word}")
    return other, chosen


def _weights(run: Run, name: str, split: str) -> list[Arrays]:
    """Return the weights of each seed of ``split``."""
    path = models.check_file(run, name, models.WEIGHTS_FILE)
    by_seed: dict[int, dict[str, npt.NDArray[Any]]] = {}
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            header = json.loads(file.metadata()["postmill"])
            for key in file.keys():  # noqa: SIM118
                if key.startswith(f"{split}/"):
                    _, seed, weight = key.split("/", 2)
                    by_seed.setdefault(int(seed), {})[weight] = file.get_tensor(key)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise PostmillError(
            f"cannot be read ({error})",
            place=path,
            hint=anew(path, models.command(run, name)),
        ) from error
    if header["run"] != run.fingerprint:
        raise PostmillError("holds weights of another run", place=path, hint=anew(path, models.command(run, name)))
    return [by_seed[seed] for seed in sorted(by_seed)]


def _modalities(run: Run, result: ModelResult, other: Run, shards: tuple[int, ...]) -> dict[str, Modality]:
    """Open the model's modalities for the new posts, from encoders with the fingerprints of training."""
    rung = registry.rung(result.model, result.recipe)
    if rung.leaks:
        raise UsageError(
            f"{result.name} is shown what exists only after publication and predicts nothing that is new",
            place="--model",
            hint="name another model",
        )
    modalities = {}
    available = encoders_of(other)
    for name in shown_in(run, rung.modalities):
        if name == ModalityName.HISTORY:
            modalities[name.value] = _history(run, result, other, shards)
            continue
        use = result.encoders[name]
        same = next((encoder for encoder in available if encoder.fingerprint == use.fingerprint), None)
        if same is None:
            raise UsageError(
                f"has no embeddings of the encoder {use.encoder} ({use.model or 'records'}) as in training",
                place=other.embeddings,
                hint=f"encode them so: {_encode_command(run, use, other)}",
            )
        modalities |= features.open_modalities(other, shards, [name.value], result.features, same.models)
    return modalities


def _encode_command(run: Run, use: EncoderUse, other: Run) -> str:
    """Return the command that encodes ``other`` as ``run`` was encoded, in whose folder more is told of the encoder."""
    known = next((encoder for encoder in encoders_of(run) if encoder.fingerprint == use.fingerprint), None)
    if known is not None:
        return encode_command(other, known, as_in=run)
    models_set = f" --models {use.models}" if use.models in SETS else ""
    return f"postmill encode {other.word} --encoder {quote(use.encoder)}{models_set}"


def _history(run: Run, result: ModelResult, other: Run, shards: tuple[int, ...]) -> Modality:
    """Return the history of the new posts among all posts of both runs, each post counted once."""
    columns = ["key", "influencer", "taken_at", *target.COLUMNS]
    new = pa.concat_tables([posts.read_records(other, shard, columns) for shard in shards])
    known = [
        posts.read_records(of_run, shard, columns)
        for of_run, left_out in ((other, shards), (run, ()))
        for shard in posts.done_shards(of_run, plan.counts(of_run).shards)
        if shard not in left_out
    ]
    joined = pa.concat_tables([new, *known])
    count = new.num_rows
    table = joined.take(pa.array(_first_rows(joined["key"].to_pylist(), count), pa.int64()))
    y = target.engagement(table, result.metrics.settings.definition).values
    accounts = hashing.name_hashes(table["influencer"].combine_chunks())
    values, present = history.of_posts(accounts, target.times(table["taken_at"]), y)
    name = ModalityName.HISTORY.value
    return in_memory(name, history.COLUMNS, values[:count], present[:count], before_publication=True)


def _first_rows(keys: list[str], count: int) -> list[int]:
    """Return the first ``count`` rows, and of the others the first with each key that is new."""
    seen = set(keys[:count])
    rows = list(range(count))
    for row in range(count, len(keys)):
        if keys[row] not in seen:
            seen.add(keys[row])
            rows.append(row)
    return rows
