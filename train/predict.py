"""What a trained model says of new posts: the mean of the networks that were trained on the headline split.

New posts are those of another run folder, or some of its post shards, encoded by the same encoders as in training. An
account's earlier posts are looked for among the posts of that run and of the run the model was trained in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import safetensors

from shards import embeddings, models, plan, posts
from shards import run as runs
from shards.errors import PostmillError, UsageError
from shards.run import Run
from train import features, history, ladder, recipes, results, splits, target
from train.features import AFTERWARDS, HISTORY, Modality
from train.recipes import Recipe
from train.results import ModelResult

SCHEMA = pa.schema(
    [
        ("key", pa.string()),  # of the post
        ("predicted", pa.float64()),  # log1p(likes + w * comments)
        ("low", pa.float64()),  # ends of the interval that should hold 90 %; null where the model has none
        ("high", pa.float64()),
        ("engagement", pa.float64()),  # the prediction in likes and comments
    ]
)
_SHARD = re.compile(r"posts-(\d{6})\.(tar|parquet|json)")


def predict(run: Run, name: str, where: Path, device: str = "cpu") -> pa.Table:
    """Return a table of :data:`SCHEMA`: what the model ``name`` of ``run`` says of the posts at ``where``.

    Args:
        run: The run the model was trained in.
        name: Name of the model's folder.
        where: Another run folder, or one of its post shards, such as ``other/posts/posts-000003.tar``.
        device: ``cpu`` or ``cuda``.

    Raises:
        UsageError: There is no such model, or the posts were not encoded as in training.
        PostmillError: A file is missing or damaged.
    """
    found = next((result for result in results.read_results(run) if result.name == name), None)
    if found is None:
        named = ", ".join(result.name for result in results.read_results(run)) or "none"
        raise UsageError(f"no model {name!r} in this run; it has {named}", place="--model", hint="name one of them")
    other, shards = _posts(where)
    modalities = _modalities(run, found, other, shards)
    settings = found.metrics["settings"]
    keys = pa.concat_tables([posts.read_records(other, shard, ["key"]) for shard in shards])["key"].combine_chunks()
    rows = np.arange(len(keys))
    split = next(split for split in splits.SPLITS if split in found.splits)
    totals: list[npt.NDArray[np.float64]] = []
    for weights in _weights(run, name, split):
        scores = ladder.apply(found.model, _recipe(settings["method"]), weights, modalities, rows, device)
        blank = np.full(len(rows), np.nan)
        ends = (blank if end is None else end for end in (scores.low, scores.high))
        totals.append(np.column_stack([scores.predicted, *ends]))
    mean = np.mean(totals, axis=0)
    columns = [keys, *(pa.array(mean[:, n], mask=np.isnan(mean[:, n])) for n in range(3))]
    return pa.Table.from_arrays([*columns, pa.array(np.expm1(mean[:, 0]))], schema=SCHEMA)


def _posts(where: Path) -> tuple[Run, tuple[int, ...]]:
    shard = _SHARD.fullmatch(where.name)
    other = runs.open_run(where.parent.parent if shard else where)
    done = tuple(posts.done_shards(other, plan.manifest(other).counts["shards"]))
    wanted = (int(shard[1]),) if shard else done
    if not wanted or not set(wanted) <= set(done):
        raise UsageError("has no such finished post shard", place=where, hint=f"postmill ingest {other.word}")
    return other, wanted


def _weights(run: Run, name: str, split: str) -> list[dict[str, npt.NDArray[Any]]]:
    """Return the weights of each seed of ``split``."""
    path = models.folder(run, name) / models.WEIGHTS_FILE
    by_seed: dict[int, dict[str, npt.NDArray[Any]]] = {}
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            header = json.loads(file.metadata()["postmill"])
            for key in file.keys():  # noqa: SIM118
                if key.startswith(f"{split}/"):
                    _, seed, own = key.split("/", 2)
                    by_seed.setdefault(int(seed), {})[own] = file.get_tensor(key)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise PostmillError(
            f"cannot be read ({error})",
            place=path,
            hint=f"delete the folder and train again: postmill train {run.word}",
        ) from error
    if header["run"] != run.fingerprint:
        raise PostmillError(
            "holds weights of another run", place=path, hint=f"train again: postmill train {run.word} --model {name}"
        )
    return [by_seed[seed] for seed in sorted(by_seed)]


def _recipe(method: Mapping[str, Any]) -> Recipe:
    fields = Recipe.__dataclass_fields__
    return Recipe(**{key: method[key] for key in fields}) if "rate" in method else recipes.paper()


def _modalities(run: Run, found: ModelResult, other: Run, shards: tuple[int, ...]) -> dict[str, Modality]:
    """Open the model's modalities for the new posts, from encoders with the fingerprints of training."""
    opened = {}
    feature_set = found.features
    available = embeddings.encoders(other)
    for name in ladder.LADDER[found.model]:
        if name == AFTERWARDS:
            raise UsageError(
                f"{found.name} is shown what exists only after publication and predicts nothing that is new",
                place="--model",
                hint="name another model",
            )
        if name == HISTORY:
            opened[name] = _history(run, found, other, shards)
            continue
        wanted = found.encoders[name]
        same = next((encoder for encoder in available if encoder.fingerprint == wanted["fingerprint"]), None)
        if same is None:
            raise UsageError(
                f"has no embeddings of the encoder {wanted['encoder']} ({wanted['model'] or 'records'}) as in training",
                place=other.embeddings,
                hint=f"postmill encode {other.word} --encoders {wanted['encoder']} --models {wanted['models']}",
            )
        opened.update(features.gather(other, shards, [name], feature_set, same.models))
    return opened


def _history(run: Run, found: ModelResult, other: Run, shards: tuple[int, ...]) -> Modality:
    """Return the history of the new posts among all posts of both runs, each post counted once."""
    columns = ["key", "influencer", "likes", "comment_count", "taken_at"]
    new = pa.concat_tables([posts.read_records(other, shard, columns) for shard in shards])
    known = [
        posts.read_records(each, shard, columns)
        for each, own in ((other, shards), (run, ()))
        for shard in posts.done_shards(each, plan.manifest(each).counts["shards"])
        if shard not in own
    ]
    joined = pa.concat_tables([new, *known])
    keys = joined["key"].to_pylist()
    seen: set[str] = set(keys[: new.num_rows])
    kept = list(range(new.num_rows))
    for row in range(new.num_rows, len(keys)):
        if keys[row] not in seen:
            seen.add(keys[row])
            kept.append(row)
    table = joined.take(pa.array(kept, pa.int64()))
    weight = float(found.metrics["settings"]["comment_weight"])
    y = target.engagement(table["likes"], table["comment_count"], weight).values
    accounts = splits.hashes("unit", table["influencer"].combine_chunks())
    values, present = history.features(accounts, target.with_nan(table["taken_at"]), y)
    n = new.num_rows
    return features.in_memory(HISTORY, history.COLUMNS, values[:n], present[:n], before_publication=True)
