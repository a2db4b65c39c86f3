"""What was made from something else than is there now is named, and all that was made from it, in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from blake3 import blake3

from postmill.shards.run import sealed
from tests.shards.whole_runs import discrepancies, replace


def restate(manifest: Path, *files: Path, **inputs: str) -> None:
    """Let a manifest state what its files are now, and other inputs, seal and all."""
    value: dict[str, Any] = sealed.unseal(manifest.read_bytes())
    for file in files:
        content = file.read_bytes()
        state = {"bytes": len(content), "blake3": blake3(content).hexdigest()}
        value["files"][str(file.relative_to(manifest.parent))] = state
    value["inputs"] |= inputs
    replace(manifest, sealed.json_bytes(sealed.seal(value)))


def told(folder: Path) -> dict[str, str]:
    """What verify says by the unit, in its order."""
    return {str(each.path.relative_to(folder)): each.what for each in discrepancies(folder)}


EMBEDDINGS = ("embeddings/metadata/posts-000000.json", "embeddings/sentiment.vaderSentiment/posts-000000.json")


def test_what_follows_from_a_spool_of_another_plan_is_named_down_to_the_report(folder: Path) -> None:
    restate(folder / "spool" / "metadata-000000.json", plan="0" * 64)
    found = told(folder)
    assert found["spool/metadata-000000.json"] == "was made from another plan than is here now"
    assert found["posts/posts-000000.json"] == "was made from spool/metadata-000000, which is to be made anew"
    assert {found[name] for name in EMBEDDINGS} == {"was made from posts/posts-000000, which is to be made anew"}
    assert found["models/followers/manifest.json"].startswith("was made from embeddings/metadata/posts-00000")
    assert found["report/index.json"] == "was made from models/followers, which is to be made anew"
    assert [name.partition("/")[0] for name in (*found,)] == sorted(
        (name.partition("/")[0] for name in found),
        key=["spool", "posts", "embeddings", "models", "report"].index,
    )


def test_a_post_shard_of_other_spooled_entries_is_named(folder: Path) -> None:
    restate(folder / "posts" / "posts-000001.json", spool="0" * 64)
    assert told(folder)["posts/posts-000001.json"] == "was made from another state of the spools than is here now"


def test_what_was_encoded_from_another_post_shard_is_named(folder: Path) -> None:
    restate(folder / EMBEDDINGS[0], posts="0" * 64)
    assert told(folder)[EMBEDDINGS[0]] == "was made from another state of the posts than is here now"


def test_a_model_of_embeddings_that_were_made_anew_is_named_and_the_report_of_it(folder: Path) -> None:
    path = folder / "embeddings" / "metadata" / "posts-000000.npy"
    vectors = np.load(path)
    vectors[:2] = vectors[1::-1]
    path.unlink()
    np.save(path, vectors)
    restate(path.with_suffix(".json"), path)
    found = told(folder)
    assert found["models/followers/manifest.json"] == "was made from another embeddings/metadata than is here now"
    assert found["report/results.json"] == "was made from models/followers, which is to be made anew"


def test_a_page_of_other_models_is_named(folder: Path) -> None:
    card = folder / "models" / "followers" / "card.md"
    replace(card, card.read_bytes() + b"more\n")
    restate(card.with_name("manifest.json"), card)
    words = "was made from another models/followers than is here now"
    assert told(folder) == {"report/index.json": words, "report/results.json": words}


@pytest.mark.parametrize(
    ("manifest", "file"),
    [
        ("models/followers/manifest.json", "model.safetensors"),
        ("models/followers/manifest.json", "card.md"),
        ("report/index.json", "index.html"),
        ("posts/posts-000000.json", "posts-000000.idx"),
        (EMBEDDINGS[0], "posts-000000.npy"),
    ],
)
def test_a_file_that_its_manifest_does_not_state_is_missed(folder: Path, manifest: str, file: str) -> None:
    value = sealed.unseal((folder / manifest).read_bytes())
    del value["files"][file]
    replace(folder / manifest, sealed.json_bytes(sealed.seal(value)))
    (folder / manifest).with_name(file).unlink()
    assert manifest in told(folder)


def test_a_unit_under_anothers_name_is_not_done(folder: Path) -> None:
    replace(folder / "posts/posts-000001.json", (folder / "posts/posts-000000.json").read_bytes())
    assert "belongs to unit posts-000000" in told(folder)["posts/posts-000001.json"]


def test_a_vector_that_is_not_finite_is_found(folder: Path) -> None:
    path = folder / "embeddings" / "metadata" / "posts-000000.npy"
    vectors = np.load(path)
    vectors[0, 0] = np.nan
    path.unlink()
    np.save(path, vectors)
    restate(path.with_suffix(".json"), path)
    assert told(folder)[f"embeddings/metadata/{path.name}"] == "a number in it is not finite"


def test_a_record_with_other_followers_or_pictures_than_planned_is_found(folder: Path) -> None:
    path = folder / "posts" / "posts-000000.parquet"
    table = pq.read_table(path)
    for name, values in (
        ("followers", pa.array([7] * len(table), pa.int64())),
        ("missing_images", pa.array([["x.jpg"]] * len(table), pa.list_(pa.string()))),
    ):
        altered = table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
        path.unlink()
        pq.write_table(altered, path)
        restate(path.with_suffix(".json"), path)
        assert "than the plan says" in told(folder)["posts/posts-000000.parquet"]


def test_a_picture_with_another_checksum_than_planned_is_found(folder: Path) -> None:
    shards = pq.read_table(folder / "plan" / "shards.parquet").to_pylist()
    shard = next(row["shard"] for row in shards if row["kind"] == "window" and row["images"])
    path = folder / "posts" / f"posts-{shard:06d}.tar"
    content = bytearray(path.read_bytes())
    end = content.find(b"\xff\xd9")  # of the first picture
    content[end - 40] ^= 1
    replace(path, bytes(content))
    restate(path.with_suffix(".json"), path)
    assert "is not the picture whose checksum the plan has" in told(folder)[f"posts/{path.name}"]


@pytest.mark.parametrize(
    "name",
    [
        *("plan/plan.json", "spool/metadata-000000.json", "posts/posts-000000.json", EMBEDDINGS[0]),
        *("models/followers/manifest.json", "report/index.json", "report/results.json"),
    ],
)
def test_a_damaged_manifest_makes_no_strays_of_the_files_that_it_named(folder: Path, name: str) -> None:
    replace(folder / name, (folder / name).read_bytes().replace(b'"unit"', b'"unlt"'))
    found = told(folder)
    assert name in found and "is in no manifest" not in found.values()
