"""A metrics.json with everything that one can hold, for tests that write, read and show it."""

from __future__ import annotations

from dataclasses import replace

from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.schema import DataCounts, EncoderUse, ModelMetrics, ModelSettings
from postmill.train.evaluation.schema_splits import (
    Calibration,
    CalibrationBin,
    Contribution,
    Coverage,
    CoverageRow,
    FirstPost,
    MissingModality,
    PooledCounts,
    SeedCounts,
    SeedRun,
    SliceErrors,
    SplitResult,
)
from postmill.train.options import TargetName

ENCODER = EncoderUse("text", "light", "tiny", "1", "text.tiny", "all-text", True, "f" * 64, "c" * 64)
SETTINGS = ModelSettings(
    model="fusion",
    recipe="postmill",
    features="default",
    splits=("influencer", "random"),
    splits_left_out={"time": "the data has no two times of publication"},
    target=TargetName.LIKES_AND_COMMENTS,
    comment_weight=1.0,
    seeds=1,
    languages=True,
    method={"revision": 3, "rate": 1e-3, "bases": ["history"], "name": "é"},
    encoders={"text": ENCODER, "image": replace(ENCODER, encoder="image", before_publication=False)},
    near_duplicates={},
    posts="a" * 64,
)
COVERED = Coverage(0.9, 0.8, Interval(0.7, 0.9), 1.25)
SPLIT = SplitResult(
    pooled={"mse": 0.1, "r2": None},
    interval={"mse": Interval(0.05, 1e-17), "r2": None},
    notes={"r2": "too few"},
    shuffled={"mse": 0.2, "r2": None},
    counts=PooledCounts(10, 3),
    mean={"mse": 0.1, "r2": None},
    std={"mse": None, "r2": None},
    first_post=FirstPost({"mse": 0.4, "r2": None}, {"mse": Interval(0.3, 0.5), "r2": None}, {"r2": "too few"}, COVERED),
    seeds=(SeedRun(0, SeedCounts(8, 2, 0, 4, 1), {"mse": 0.1, "r2": None}, {"members": [{"epochs": 3}]}),),
    calibration=Calibration(1.5, -0.5, (CalibrationBin(1, 2.0, 3.0),), COVERED),
)
HEADLINE = replace(
    SPLIT,
    calibration=Calibration(None, None, (), None),
    slices={"category": (SliceErrors("food", 7, 2, -0.1, {"mse": 0.2, "r2": None}), SliceErrors("small", 3))},
    missing=(MissingModality("image", 0.25, {"mse": 0.3}),),
    coverage={"earlier_posts": (CoverageRow("0", 30, 25, 0.7, Interval(0.5, 0.9)), CoverageRow("small", 3))},
    contributions=(Contribution("start", 7, 0.75, Interval(0.5, 1.0)), Contribution("text", 7, 0.25, None)),
)
METRICS = ModelMetrics(
    settings=SETTINGS,
    settings_fingerprint=SETTINGS.fingerprint,
    leak=None,
    counts=DataCounts(12, 10, {"hidden_likes": 2}, 3, 10, 0, 2, 2),
    splits={"influencer": HEADLINE, "random": SPLIT},
    headline="influencer",
    r2="as ever",
)
