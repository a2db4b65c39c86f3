"""metrics.json: what is written is read back to the same bytes, under the names it has on disk, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from postmill.shards.run.folder import Run
from postmill.shards.run.sealed import canonical_hash
from postmill.shards.runtime.errors import PostmillError
from postmill.train.evaluation import results, serialise
from postmill.train.evaluation.schema import ModelMetrics
from postmill.train.stage import train_run
from tests.train.evaluation.stated import ENCODER, METRICS, SETTINGS, SPLIT

MakeRun = Callable[..., Run]


def test_what_is_written_is_read_back() -> None:
    content = serialise.dump_json(METRICS)
    again = serialise.validate_json(ModelMetrics, content)
    assert again == METRICS and serialise.dump_json(again) == content


def test_the_file_has_sorted_keys_and_the_names_it_always_had() -> None:
    content = serialise.dump_json(METRICS)
    written = json.loads(content)
    assert content == json.dumps(written, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    split, plain = written["splits"]["influencer"], written["splits"]["random"]
    assert written["settings"]["encoders"]["text"]["available_before_publication"] is True
    assert split["errors_by_kind"]["category"][0] == {
        **{"name": "food", "posts": 7, "accounts": 2, "bias": -0.1},
        **{"mse": 0.2, "r2": None},
    }
    assert split["errors_by_kind"]["category"][1] == {"name": "small", "posts": 3}
    assert split["missing"] == [{"modality": "image", "missing": 0.25, "mse": 0.3}]
    assert plain["spread"] == {"mse": None, "r2": None} and plain["interval_note"] == {"r2": "too few"}
    assert plain["interval"] == {"mse": [0.05, 1e-17], "r2": None}
    assert plain["calibration"]["coverage"] == {"wanted": 0.9, "found": 0.8, "interval": [0.7, 0.9], "width": 1.25}
    assert split["calibration"] == {"slope": None, "intercept": None, "bins": [], "coverage": None}
    assert not {"errors_by_kind", "missing", "coverage_by_kind", "contributions"} & set(plain)
    assert split["coverage_by_kind"]["earlier_posts"] == [
        {"name": "0", "posts": 30, "accounts": 25, "share": 0.7, "interval": [0.5, 0.9]},
        {"name": "small", "posts": 3},
    ]
    assert split["contributions"] == [
        {"name": "start", "posts": 7, "mean": 0.75, "interval": [0.5, 1.0]},
        {"name": "text", "posts": 7, "mean": 0.25, "interval": None},
    ]
    assert split["first_post"] == {
        **{"pooled": {"mse": 0.4, "r2": None}, "interval": {"mse": [0.3, 0.5], "r2": None}},
        **{"interval_note": {"r2": "too few"}, "coverage": plain["calibration"]["coverage"]},
    }


def test_the_fingerprint_is_the_hash_of_the_settings_as_they_stand_in_the_file() -> None:
    assert SETTINGS.fingerprint == canonical_hash(json.loads(serialise.dump_json(METRICS))["settings"])


def test_one_encoder_of_comments_makes_a_leak() -> None:
    assert SETTINGS.leaking and not replace(SETTINGS, encoders={"text": ENCODER}).leaking


def test_what_is_no_number_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        serialise.dump_json(replace(METRICS, splits={"random": replace(SPLIT, pooled={"mse": float("nan")})}))


def changed(*path: str | int, to: Any) -> bytes:
    value = json.loads(serialise.dump_json(METRICS))
    part = value
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = to
    return json.dumps(value).encode()


BROKEN = {
    "settings": changed("settings", to=None),
    "settings.comment_weight": changed("settings", "comment_weight", to="1.0"),
    "settings.seeds": changed("settings", "seeds", to=2.5),
    "settings.languages": changed("settings", "languages", to=1),
    "settings.encoders.text": changed("settings", "encoders", "text", to=[]),
    "settings.splits.0": changed("settings", "splits", 0, to=7),
    "counts.posts": changed("counts", "posts", to=True),
    "leak": changed("leak", to=False),
    "splits": changed("splits", to=[]),
    "splits.random.pooled.mse": changed("splits", "random", "pooled", "mse", to=float("inf")),
    "splits.random.interval.mse.0": changed("splits", "random", "interval", "mse", to=["0.05", 1]),
    "splits.random.interval.r2.1": changed("splits", "random", "interval", "r2", to=[1, float("nan")]),
    "splits.random.interval.mse.1": changed("splits", "random", "interval", "mse", to=[0.05]),
    "splits.random.seeds": changed("splits", "random", "seeds", to={}),
    "splits.random.calibration.coverage.wanted": changed("splits", "random", "calibration", "coverage", to={}),
    "splits.influencer.errors_by_kind.category.0": changed(
        "splits", "influencer", "errors_by_kind", "category", to=["food"]
    ),
    "splits.influencer.errors_by_kind.category.1.metrics.mse": changed(
        "splits", "influencer", "errors_by_kind", "category", 1, to={"name": "x", "posts": 1, "mse": "0"}
    ),
    "splits.influencer.missing.0.missing": changed("splits", "influencer", "missing", 0, to={"modality": "image"}),
}
"""By the field that is named, a file in which it is missing or of another type."""


@pytest.mark.parametrize("field", BROKEN)
def test_a_field_of_another_type_is_named(field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        serialise.validate_json(ModelMetrics, BROKEN[field])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"settings": 1e999}'])
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|object|dictionary|Field required|number"):
        serialise.validate_json(ModelMetrics, content)


def test_what_a_later_version_adds_is_passed_over() -> None:
    again = serialise.validate_json(ModelMetrics, changed("splits", "random", "calibration", "sharpness", to=1))
    assert again == METRICS


def test_a_broken_file_of_a_run_is_named_with_its_remedy(planted_run: MakeRun) -> None:
    run = planted_run(posts=40, accounts=10)
    train_run(run, names=["mean"], seeds=1, split_names=("random",))
    path = run.models / "mean" / "metrics.json"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes().replace(b'"seeds": 1', b'"seeds": x'))
    assert path.stat().st_size == size
    with pytest.raises(PostmillError, match="is damaged") as caught:
        results.read_results(run)
    assert caught.value.place == str(path)
    assert caught.value.hint == f"rm -f -- {path}; postmill train {run.word} --model mean --split random --seeds 1"
