"""How a run gets to where a command is named as the next step: what is spoilt, and what is typed then."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

from postmill.shards.formats import plan, posts, shard_lists
from postmill.shards.formats.encoders import read_encoder
from postmill.shards.run import folder as runs
from postmill.shards.run import sealed
from tests.shards.whole_runs import replace


@dataclass(frozen=True)
class Situation:
    """How a run gets to where a command is named.

    Attributes:
        places: Where in the code the hint is, as `module:function`.
        make: Spoils a whole run, made of the dataset beside it.
        typed: What is typed then, after `postmill`; RUN, OUT and SOURCE are put in.
        again: Whether that succeeds afterwards; else it is the next step itself.
        same: Whether the run has the same bytes as undisturbed then.
    """

    places: tuple[str, ...]
    make: Callable[[Path], object]
    typed: str
    again: bool = True
    same: bool = True


def flip(name: str) -> Callable[[Path], None]:
    def spoil(run: Path) -> None:
        content = bytearray((run / name).read_bytes())
        content[len(content) // 2] ^= 4
        replace(run / name, bytes(content))

    return spoil


def without(*names: str) -> Callable[[Path], None]:
    def spoil(run: Path) -> None:
        for name in names:
            if (run / name).is_dir():
                shutil.rmtree(run / name)
            else:
                (run / name).unlink()

    return spoil


def let_go(run: Path) -> None:
    opened = runs.open_run(run)
    for shard in posts.with_tar(opened, range(plan.counts(opened).shards)):
        posts.drop_tar(opened, shard)
    shard_lists.write(opened)


def both(*steps: Callable[[Path], object]) -> Callable[[Path], None]:
    def spoil(run: Path) -> None:
        for step in steps:
            step(run)

    return spoil


def restate(manifest: Path, *files: Path, **inputs: str) -> None:
    value: dict[str, Any] = sealed.unseal(manifest.read_bytes())
    for file in files:
        content = file.read_bytes()
        state = {"bytes": len(content), "blake3": blake3(content).hexdigest()}
        value["files"][str(file.relative_to(manifest.parent))] = state
    value["inputs"] |= inputs
    replace(manifest, sealed.json_bytes(sealed.seal(value)))


def other_content(name: str, content: bytes, manifest: str) -> Callable[[Path], None]:
    def spoil(run: Path) -> None:
        replace(run / name, content)
        restate(run / manifest, run / name)

    return spoil


def other_input(manifest: str, name: str) -> Callable[[Path], None]:
    return lambda run: restate(run / manifest, **{name: "0" * 64})


def other_keys(run: Path) -> None:
    path = run / "embeddings" / "metadata" / "posts-000000.parquet"
    table = pq.read_table(path)
    keys = pa.array([f"x{key}" for key in table["key"].to_pylist()])
    path.unlink()
    pq.write_table(table.set_column(0, "key", keys), path)
    restate(path.with_suffix(".json"), path)


def weights_of_another_run(run: Path) -> None:
    path = run / "models" / "followers" / "model.safetensors"
    content = path.read_bytes()
    fingerprint = sealed.unseal((run / "plan" / "plan.json").read_bytes())["run"].encode()
    assert fingerprint in content
    replace(path, content.replace(fingerprint, b"0" * 64))
    restate(path.with_name("manifest.json"), path)


def copied_encoder(run: Path) -> None:
    shutil.copytree(run / "embeddings" / "metadata", run / "embeddings" / "metadata.old")


def second_metadata(run: Path) -> None:
    """Embeddings of the same encoder by two models, of which no set tells them apart."""
    for model in ("one", "two"):
        folder = run / "embeddings" / f"metadata.{model}"
        shutil.copytree(run / "embeddings" / "metadata", folder)
        value = sealed.unseal((folder / "encoder.json").read_bytes())
        value["model"] = model
        replace(folder / "encoder.json", sealed.json_bytes(sealed.seal(value)))
        for manifest in folder.glob("posts-*.json"):
            restated(manifest, lambda stated, of=folder: stated["info"].update(encoder=read_encoder(of).fingerprint))
    shutil.rmtree(run / "embeddings" / "metadata")


def pinned_otherwise(run: Path) -> None:
    path = run / "embeddings" / "metadata" / "encoder.json"
    value = sealed.unseal(path.read_bytes())
    value["revision"] = "0"
    replace(path, sealed.json_bytes(sealed.seal(value)))


MODEL, SHARD = "models/followers/manifest.json", "posts/posts-000000.json"
PREDICT, TRAIN = "predict RUN RUN --model followers", "train RUN --model followers --seeds 2 --split influencer"
EXPORT, INSIGHTS = "export RUN OUT --to csv", "insights RUN"
AFTER_PLAN = ("spool", "posts", "embeddings", "models", "report")

S, DAMAGED = Situation, ("shards/run/checked.py:damaged",)
SITUATIONS: dict[str, Situation] = {
    "a rotten table of the plan": S(
        DAMAGED,
        both(flip("plan/entries.parquet"), without(*AFTER_PLAN)),
        "ingest RUN",
        same=False,
    ),
    "a missing table of the plan": S(
        ("shards/formats/plan.py:manifest",), without("plan/entries.parquet"), "ingest RUN"
    ),
    "no manifest of the plan": S(
        ("shards/formats/plan.py:manifest",), without("plan/plan.json"), "export RUN OUT --to csv"
    ),
    "a table that the plan does not state": S(
        ("shards/formats/plan.py:_table",),
        lambda run: restated(run / "plan" / "plan.json", lambda value: value["files"].pop("shards.parquet")),
        "ingest RUN",
    ),
    "a table of the plan that is none": S(
        ("shards/formats/plan.py:_table",),
        other_content("plan/shards.parquet", b"no table", "plan/plan.json"),
        "ingest RUN",
    ),
    "a rotten spool": S(DAMAGED, both(flip("spool/metadata-000000.spool"), without(SHARD)), "ingest RUN"),
    "a missing spool": S(
        ("ingest/pack/stages.py:_too_early",),
        without("spool/metadata-000000.spool", SHARD),
        "ingest RUN --stage windows",
    ),
    "a shard that is not there": S(("shards/formats/posts.py:manifest",), without(SHARD), EXPORT),
    "pictures that were let go": S(
        ("encode/preparation/reader.py:dropped",),
        let_go,
        "encode RUN --encoder image --models light --device cpu",
        same=False,
    ),
    "no shard to encode": S(
        ("console/steps.py:_refuse_nothing",),
        without("posts", "embeddings", "models", "report"),
        "encode RUN --encoder metadata --models light --device cpu",
        same=False,
    ),
    "rotten records": S(DAMAGED, flip("posts/posts-000000.parquet"), EXPORT),
    "no shard to train on": S(
        ("train/data/dataset.py:finished",), without("posts", "models", "report"), TRAIN, same=False
    ),
    "no shard to predict": S(("train/predict.py:_posts",), without("posts"), PREDICT),
    "no embedding shard": S(
        ("shards/formats/embeddings.py:read",), without("embeddings/metadata/posts-000000.json"), EXPORT
    ),
    "rotten vectors": S(DAMAGED, flip("embeddings/metadata/posts-000000.npy"), TRAIN, same=False),
    "embeddings of other posts": S(("train/data/features.py:_open",), other_keys, TRAIN, same=False),
    "no embeddings to train on": S(
        ("train/data/features.py:choose_encoder",), without("embeddings/metadata"), TRAIN, same=False
    ),
    "no embeddings to predict from": S(("train/predict.py:_modalities",), without("embeddings/metadata"), PREDICT),
    "no embeddings to export": S(
        ("shards/formats/export.py:_encoders",), lambda run: None, "export RUN OUT --to clip-retrieval", same=False
    ),
    "embeddings by two models": S(("train/data/features.py:choose_encoder",), second_metadata, TRAIN, same=False),
    "no encoder of tone": S(
        ("train/insights/columns.py:encoders_of_tone",),
        without("embeddings/sentiment.vaderSentiment"),
        INSIGHTS,
        same=False,
    ),
    "tone half told": S(
        ("train/insights/stage.py:_encoders",),
        without("embeddings/sentiment.vaderSentiment/posts-000000.json"),
        INSIGHTS,
        same=False,
    ),
    "no shard to tell of": S(
        ("train/insights/posts.py:load",), without("posts/posts-000000.json"), INSIGHTS, same=False
    ),
    "no description of an encoder": S(
        ("shards/formats/encoders.py:read_encoder",), without("embeddings/metadata/encoder.json"), "verify"
    ),
    "a rotten description of an encoder": S(
        ("shards/formats/encoders.py:read_encoder",), flip("embeddings/metadata/encoder.json"), TRAIN, same=False
    ),
    "an encoder in the folder of another": S(
        ("shards/formats/encoders.py:encoders_of",), copied_encoder, TRAIN, same=False
    ),
    "a secret cut short": S(
        ("shards/run/secret.py:_damaged",), lambda run: replace(run / "secret/names.key", b"short"), TRAIN, same=False
    ),
    "rotten weights": S(DAMAGED, flip("models/followers/model.safetensors"), PREDICT),
    "weights that are none": S(
        ("train/predict.py:_weights",), other_content("models/followers/model.safetensors", b"none", MODEL), PREDICT
    ),
    "weights of another run": S(("train/predict.py:_weights",), weights_of_another_run, PREDICT),
    "metrics that are none": S(
        ("train/evaluation/results.py:_unreadable",),
        other_content("models/followers/metrics.json", b"{}", MODEL),
        "report RUN",
    ),
    "a folder that is not there": S(
        ("shards/run/output.py:check_file",), lambda run: None, f"{PREDICT} --output OUT/a/b.csv"
    ),
    "no run.json": S(("shards/run/folder.py:_no_run",), without("run.json"), "verify"),
    "a rotten run.json": S(("shards/run/folder.py:_damaged",), flip("run.json"), "verify"),
    "verify: spools of another plan": S((), other_input("spool/metadata-000000.json", "plan"), "verify", same=False),
    "verify: a model of other records": S((), other_input(MODEL, "records"), "verify"),
    "verify: a page of other models": S((), other_input("report/index.json", "models/followers"), "verify"),
    "verify: an encoder in the folder of another": S((), copied_encoder, "verify"),
    "verify: a rotten manifest of a model": S((), flip(MODEL), "verify"),
    **{
        f"verify: {name}": S((), flip(name), "verify")
        for name in (
            *("plan/plan.json", "plan/posts.parquet", "spool/window-000000.spool", "posts/posts-000001.tar", SHARD),
            *("posts/faults/000001.parquet", "posts/index.json", "embeddings/metadata/posts-000000.parquet"),
            *("models/followers/card.md", "report/index.html", "report/results.json"),
        )
    },
}

ELSEWHERE = {
    "cli.py:plan": "help of a command",
    "console/sources.py:_refuse_swapped": "tests/mistakes: two folders that are exchanged",
    "encode/device.py:check_device": "an option of submit, among words",
    "ingest/pack/evict.py:_unit_is_whole": "verify, among words, of a disk that cannot be read",
    "ingest/pack/first_pass.py:_broken_source": "tests/ingest/source/test_moved.py: other bytes have to come first",
    "ingest/pack/outcome.py:refuse_mostly_lost": "shows what is wrong, and mends nothing",
    "ingest/pack/post.py:pack_post": "verify, whose remedies are all done here",
    "ingest/pack/second_look.py:look_again": "another machine, whose memory holds what is put there",
    "ingest/pack/stages.py:_do_piece": "verify, among words",
    "ingest/plan/accounts.py:listed_in_plan": "tests/ingest/test_chosen_options.py: the file has to be given",
    "ingest/plan/make.py:_refuse_other_work": "a new run folder: tests/shards/test_pinned.py",
    "jobs/settings.py:load": "needs a scheduler: tests/jobs",
    "shards/formats/offsets.py:read_index": "read by verify alone, whose remedies are all done here",
    "shards/formats/models.py:_state": "between two steps of one command",
    "train/insights/compute.py:_check_change": "tests/train/insights/test_insights.py: posts have to be added",
    "train/report/compare.py:_sides": "tests/train/report/test_compare.py: two runs, each trained",
    "shards/formats/encoders.py:pin_encoder": "test_an_encoder_that_is_pinned_otherwise",
    "shards/run/checked.py:unusable": "as damaged, of a file that goes between two steps",
    "shards/run/folder.py:_check_version": "another version of postmill",
    "shards/run/pinned.py:refuse_options": "a new run folder: tests/shards/test_pinned.py",
    "shards/run/pinned.py:refuse_sources": "a new run folder: tests/shards/test_pinned.py",
}
"""Where hints hold a command that is done elsewhere, or that is no step of a mending."""


def restated(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = sealed.unseal(path.read_bytes())
    change(value)
    replace(path, sealed.json_bytes(sealed.seal(value)))
