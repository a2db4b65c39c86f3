"""Cards as the Hugging Face hub reads them: the honest split alone, and no word of a few people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from postmill.shards.formats.choices import Layout
from postmill.shards.formats.export import export
from postmill.shards.run import cards
from postmill.shards.run.folder import Run
from postmill.shards.state import verify
from postmill.train.evaluation import card
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.schema import ModelMetrics
from postmill.train.evaluation.schema_splits import SliceErrors
from postmill.train.report import describe
from postmill.train.report.cards import data as data_cards
from postmill.train.report.page import write_report
from postmill.train.stage import train_run
from tests.runs import SOURCES, new_run
from tests.train.evaluation.stated import ENCODER, HEADLINE, METRICS, SETTINGS, SPLIT

MakeRun = Callable[..., Run]
HOSTILE = '"}\n---\nlicense: mit\n<script>alert(1)</script>'


def front(text: str) -> dict[str, Any]:
    assert text.startswith("---\n")
    fields: dict[str, Any] = yaml.safe_load(text.split("---\n", 2)[1])
    return fields


def wrong(run: Run) -> list[str]:
    """What ``verify`` finds in the folder of the report; the plan of such a run is none."""
    return [found.path.name for found in verify.verify(run) if found.path.parent == run.report]


def judged(**changes: Any) -> ModelMetrics:
    """Metrics with an R² in both splits, the random one better, as ever."""
    numbers = dict(pooled={"r2": 0.51234, "mse": 0.1}, interval={"r2": Interval(0.42, 0.58), "mse": None}, notes={})
    first = replace(SPLIT.first_post, pooled={"r2": 0.2}, interval={"r2": Interval(0.1, 0.3)}, notes={})  # type: ignore[type-var]
    languages = {"language": (SliceErrors("en", 700, 30), SliceErrors("too short", 200, 25), SliceErrors("de", 7))}
    honest = replace(HEADLINE, **numbers, first_post=first, slices=languages)
    flattering = replace(SPLIT, **{**numbers, "pooled": {"r2": 0.9, "mse": 0.1}})
    return replace(METRICS, splits={"influencer": honest, "random": flattering}, **changes)


def test_a_models_card_tells_the_hub_of_the_honest_split_alone(tmp_path: Path) -> None:
    from huggingface_hub.repocard_data import model_index_to_eval_results

    text = card.card(new_run(tmp_path / "run"), "fusion", judged())
    found = front(text)
    assert {name: found[name] for name in ("library_name", "pipeline_tag", "language")} == {
        "library_name": "postmill",
        "pipeline_tag": "tabular-regression",
        "language": ["en"],
    }
    assert "license" not in found and "datasets" not in found
    name, told = model_index_to_eval_results(found["model-index"])
    assert name == "fusion"
    assert [(of.task_type, of.metric_type, of.metric_value, of.metric_name, of.dataset_split) for of in told] == [
        (
            *("tabular-regression", "r_squared", 0.5123),
            *("R² on accounts not trained on, 95 % interval 0.420 to 0.580", "influencer"),
        ),
        (
            *("tabular-regression", "r_squared", 0.2),
            *("R² on accounts not trained on, as a first post, 95 % interval 0.100 to 0.300", "influencer"),
        ),
    ]
    assert {of.dataset_name for of in told} == {"10 posts of 3 accounts not trained on"}


@pytest.mark.parametrize(
    "model",
    [
        METRICS,  # too few accounts for an interval
        judged(leak="sees comments"),
        replace(judged(), splits={"random": judged().splits["random"]}),
    ],
)
def test_without_a_claim_there_is_none_on_the_hub(tmp_path: Path, model: ModelMetrics) -> None:
    assert "model-index" not in front(card.card(new_run(tmp_path / "run"), "fusion", model))


def test_invented_data_is_told_to_the_hub(tmp_path: Path) -> None:
    found = front(card.card(new_run(tmp_path / "run", invented=True), "fusion", judged()))
    assert "invented-data" in found["tags"]
    assert "invented posts" in found["model-index"][0]["results"][0]["dataset"]["name"]


def test_hostile_names_of_models_end_no_front_matter(tmp_path: Path) -> None:
    settings = replace(SETTINGS, encoders={"text": replace(ENCODER, model=HOSTILE, stand_in_for=HOSTILE)})
    text = card.card(new_run(tmp_path / "run"), HOSTILE, replace(judged(), settings=settings))
    found = front(text)
    assert found["model-index"][0]["name"] == HOSTILE and "license" not in found
    assert r"\<script\>alert(1)\</script\>" in text.partition("What it is shown")[2]


@pytest.fixture(scope="module")
def run(plant_once: MakeRun) -> Run:
    captions = ["a long walk along the beach with all of my friends this morning", "", "un día muy bonito en la playa"]
    made = plant_once(
        posts=330,
        accounts=44,
        shards=3,
        lost=4,
        text=0.5,
        record={"caption": lambda row: captions[row % 3], "images": lambda row: [] if row % 11 == 0 else ["a.jpg"]},
    )
    train_run(made, names=["followers"], seeds=2)
    write_report(made)
    return made


def test_the_card_of_the_data_says_what_there_is(run: Run) -> None:
    from huggingface_hub import DatasetCardData

    text = (run.report / "data-card.md").read_text()
    found = front(text)
    assert DatasetCardData(**found).to_dict() == found
    assert found["pretty_name"] == f"Posts of the run {run.folder.name}"
    assert found["size_categories"] == ["n<1K"] and found["task_categories"] == ["tabular-regression"]
    for line in (
        "- posts: 330, of 44 accounts",
        "- lost, metadata missing: 4",
        "- without a caption: 110",
        "- without a picture: 30",
        "- text: tiny-text 1, standing in for all-text",
    ):
        assert line in text.splitlines()
    for word in ("clinical use", "finding out who somebody is", "pseudonyms", "No licence is stated"):
        assert word in text
    assert "Instagram Influencer" not in text  # its archives are called otherwise
    assert not any(private in text for private in ("account0", "a long walk", "p000"))
    assert wrong(run) == []


def test_it_is_written_once_and_again_when_it_is_damaged(run: Run) -> None:
    path = run.report / "data-card.md"
    before = path.read_bytes()
    assert not data_cards.write_data_card(run, describe.summarise(run))
    path.write_bytes(before[:-1] + b"x")
    assert wrong(run) == ["data-card.md"]
    write_report(run)
    assert path.read_bytes() == before and wrong(run) == []


def test_an_export_for_datasets_has_it_with_its_columns(run: Run, tmp_path: Path) -> None:
    export(run, Layout.HUGGING_FACE, tmp_path / "hf")
    told, plain = (tmp_path / "hf" / "README.md").read_text(), (run.report / "data-card.md").read_text()
    files = {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}
    assert front(told) == {**front(plain), "configs": [files]}
    assert plain.split("---\n", 2)[2] in told and "| `text_tiny_text` | tiny-text 1 |" in told


def test_an_export_without_it_says_so(plant_once: MakeRun, tmp_path: Path) -> None:
    export(plant_once(posts=12, accounts=3, shards=1), Layout.HUGGING_FACE, tmp_path / "hf")
    told = (tmp_path / "hf" / "README.md").read_text()
    assert "configs" in front(told) and "not to be redistributed" in told


@pytest.mark.parametrize(
    ("names", "invented", "named"),
    [
        (("posts_info.zip", "posts_image.z01"), False, True),
        (("posts_info.zip", "posts_image.z01"), True, False),
        (("posts_info.zip", "a.zip"), False, False),
    ],
)
def test_a_dataset_is_named_only_where_its_files_are(
    run: Run, names: tuple[str, str], invented: bool, named: bool
) -> None:
    archives = [replace(SOURCES.metadata, parts=((name, 4),)) for name in names]
    sources = replace(SOURCES, metadata=archives[0], images=archives[1], invented=invented)
    text = data_cards.data_card(replace(run, sources=sources), describe.summarise(run), [])
    assert ("Instagram Influencer" in text) == named
    assert ("may not be redistributed" in text) == named
    assert ("are invented: nobody posted them" in text) == invented and "Nothing yet." in text


def test_of_ten_accounts_no_language_is_told(plant_once: MakeRun) -> None:
    few = plant_once(posts=200, accounts=10, record={"caption": lambda row: "a long walk along the beach with friends"})
    text = data_cards.data_card(few, describe.summarise(few), [])
    assert "language" not in front(text) and "English" not in text and "- posts: 200, of 10 accounts" in text


def test_the_card_is_read_only_as_it_was_written(run: Run) -> None:
    assert cards.read_data_card(run) == (run.report / "data-card.md").read_text()
