"""Features: rows and masks as they were written, and guards against what betrays the target."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from postmill.shards.formats import embeddings
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.train.data import dataset, features, leaks
from postmill.train.data.modality import Modality, select
from postmill.train.data.target import Definition

MakeRun = Callable[..., Run]


@pytest.fixture(scope="module")
def sample() -> np.random.Generator:
    return np.random.default_rng(0)


def opened(run: Run, feature_set: str) -> dict[str, Modality]:
    return features.open_modalities(run, (0, 1), features.ENCODED, feature_set, None)


def test_rows_come_from_their_shards_in_any_order(planted_run: MakeRun, sample: np.random.Generator) -> None:
    run = planted_run(posts=60, no_image=0.3)
    image = opened(run, "default")["image"]
    encoder = next(e for e in encoders_of(run) if e.encoder == "image")
    shards = [embeddings.read(run, encoder, shard) for shard in (0, 1)]
    vectors = np.concatenate([np.asarray(shard.vectors) for shard in shards]).astype(np.float32)
    rows = sample.integers(0, 60, 200)
    np.testing.assert_array_equal(image.take(rows), vectors[rows])
    assert image.present.tolist() == [*shards[0].present, *shards[1].present]
    assert 0 < image.present.sum() < 60
    assert not vectors[~image.present].any()


def test_comments_are_never_in_the_default_features(planted_run: MakeRun) -> None:
    modalities = opened(planted_run(posts=40), "default")
    assert modalities["text"].encoder.encoder == "text"
    assert modalities["sentiment"].columns == ("caption_sentiment", "has_caption_sentiment")
    assert all(modality.before_publication for modality in modalities.values())


def test_the_papers_features_take_comments_and_say_so(planted_run: MakeRun) -> None:
    modalities = opened(planted_run(posts=40), "paper")
    assert modalities["text"].encoder.encoder == "text-with-comments"
    assert "comments_sentiment" in modalities["sentiment"].columns
    assert {name for name, modality in modalities.items() if not modality.before_publication} == {"text", "sentiment"}


def test_sentiment_has_the_sign_of_its_label(planted_run: MakeRun) -> None:
    run = planted_run(posts=40)
    encoder = next(e for e in encoders_of(run) if e.encoder == "sentiment")
    scalars = embeddings.read(run, encoder, 0).scalars
    values = opened(run, "default")["sentiment"].take(np.arange(scalars.num_rows))
    for label, score, (signed, has) in zip(
        scalars["caption_label"].to_pylist(), scalars["caption_score"].to_pylist(), values, strict=True
    ):
        assert signed == pytest.approx(score if label == "POSITIVE" else -score)
        assert has == 1


@pytest.mark.parametrize("feature", ["like_count", "Likes", "log_comments", "engagement_rate", "n.comments"])
def test_a_feature_named_after_the_target_is_refused(planted_run: MakeRun, feature: str) -> None:
    run = planted_run(posts=40, extra_metadata=(feature,))
    with pytest.raises(UsageError, match="part of the target") as caught:
        opened(run, "default")
    assert repr(feature) in str(caught.value)


def test_a_feature_that_is_the_target_in_disguise_is_refused_by_its_correlation(planted_run: MakeRun) -> None:
    run = planted_run(posts=60, extra_metadata=("harmless_name",))
    data = dataset.load(run, Definition())
    metadata = opened(run, "default")["metadata"]
    with pytest.raises(UsageError, match=r"harmless_name.*in disguise"):
        leaks.check_correlations("metadata", metadata.columns, metadata.take(data.rows), data.target)


def test_an_ordinary_feature_passes(planted_run: MakeRun) -> None:
    run = planted_run(posts=200, metadata=1.0, noise=0.4)
    data = dataset.load(run, Definition())
    metadata = opened(run, "default")["metadata"]
    leaks.check_correlations("metadata", metadata.columns, metadata.take(data.rows), data.target)


def test_an_encoder_that_reads_comments_is_refused_unless_asked_for(planted_run: MakeRun) -> None:
    encoder = next(e for e in encoders_of(planted_run(posts=40)) if e.encoder == "text-with-comments")
    with pytest.raises(UsageError, match="only after a post is published"):
        leaks.check_availability(encoder, after_publication_allowed=False)
    leaks.check_availability(encoder, after_publication_allowed=True)


def test_a_missing_encoder_names_the_command(planted_run: MakeRun) -> None:
    run = planted_run(posts=40)
    (run.embeddings / "image.tiny-image" / "encoder.json").unlink()
    with pytest.raises(UsageError, match="no embeddings of the encoder image") as caught:
        opened(run, "default")
    assert f"postmill encode {run.folder} --encoder image" in str(caught.value.hint)


def test_two_models_of_one_encoder_are_told_apart(planted_run: MakeRun, another_text: Callable[[Run], None]) -> None:
    run = planted_run(posts=40)
    another_text(run)
    with pytest.raises(UsageError, match=r"tiny-text \(light\).*big-text \(paper\)|big-text \(paper\).*tiny-text"):
        features.open_modalities(run, (0, 1), ("text",), "default", None)
    assert features.open_modalities(run, (0, 1), ("text",), "default", "paper")["text"].encoder.model == "big-text"
    assert features.open_modalities(run, (0, 1), ("text",), "default", "light")["text"].encoder.model == "tiny-text"
    # Metadata has one encoder, whatever the set of models it was written with.
    assert (
        features.open_modalities(run, (0, 1), ("metadata",), "default", "light")["metadata"].encoder.models == "paper"
    )


def test_embeddings_of_other_posts_are_refused(planted_run: MakeRun, rewrite_keys: Callable[[Run], None]) -> None:
    run = planted_run(posts=40)
    rewrite_keys(run)
    with pytest.raises(PostmillError, match="other posts"):
        features.open_modalities(run, (0, 1), ("text",), "default", None)


def test_a_component_is_selected_by_name(planted_run: MakeRun) -> None:
    metadata = opened(planted_run(posts=40), "default")["metadata"]
    chosen = select(metadata, ("log_followers",))
    assert chosen.columns == ("log_followers",)
    rows = np.arange(40)
    np.testing.assert_array_equal(chosen.take(rows)[:, 0], metadata.take(rows)[:, 0])
    with pytest.raises(UsageError, match="no component shoe_size"):
        select(metadata, ("shoe_size",))
