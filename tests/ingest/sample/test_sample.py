"""The sample dataset: its files say what its truth says."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from postmill.ingest.sample.captions import TOPICS
from postmill.ingest.sample.write import SampleSummary, write_sample
from tests.ingest.sample.reading import unzipped

Row = dict[str, Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Dataset:
    """A sample as read back by tools that know nothing of how it was written."""

    folder: Path
    summary: SampleSummary
    truth: dict[str, Any]
    rows: list[Row]
    mapping: list[tuple[str, str, list[str]]]
    influencers: list[list[str]]
    info: dict[str, bytes]
    images: dict[str, bytes]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("sample") / "data"
    scratch = tmp_path_factory.mktemp("joined")
    summary = write_sample(folder, posts=500, influencers=12, seed=7, part_size=1 << 19)
    mapping = []
    for line in (folder / "JSON-Image_files_mapping.txt").read_text().splitlines()[1:]:
        name, post, images = line.split("\t")
        mapping.append((name, post, ast.literal_eval(images)))
    return Dataset(
        folder=folder,
        summary=summary,
        truth=json.loads((folder / "truth.json").read_text()),
        rows=pq.read_table(folder / "truth.parquet").to_pylist(),
        mapping=mapping,
        influencers=[line.split("\t") for line in (folder / "influencers.txt").read_text().splitlines()],
        info=unzipped(folder / "Post_metadata" / "posts_info.zip", scratch),
        images=unzipped(folder / "Post_images" / "posts_image.zip", scratch),
    )


def records(data: Dataset) -> Iterator[tuple[Row, dict[str, Any]]]:
    """Each row of the truth whose ``.info`` can be read, with that."""
    for row in data.rows:
        raw = data.info.get(f"info/{row['influencer']}-{row['post_id']}.info")
        if raw and row["fault"] != "broken_info":
            yield row, json.loads(raw)


def caption(record: dict[str, Any]) -> str:
    edges = record["edge_media_to_caption"]["edges"]
    return edges[0]["node"]["text"] if edges else ""


def test_the_layout_is_the_datasets(dataset: Dataset) -> None:
    names = {str(path.relative_to(dataset.folder)) for path in dataset.folder.rglob("*")}
    assert {"influencers.txt", "JSON-Image_files_mapping.txt", "Post_metadata", "Post_images"} <= names
    assert {"Post_metadata/posts_info.z01", "Post_images/posts_image.z01", "Post_images/posts_image.z02"} <= names
    header = (dataset.folder / "JSON-Image_files_mapping.txt").read_bytes().split(b"\n")[0]
    assert header == b"influencer_name JSON_PostMetadata_file_name Image_file_name    "
    assert dataset.influencers[0] == ["Username", "Category", "#Followers", "#Followees", "#Posts"]
    assert re.fullmatch("=+", dataset.influencers[1][0])
    assert next(iter(dataset.info)) == "info/"
    assert next(iter(dataset.images)) == "image/"
    assert all(re.fullmatch(r"info/[a-z0-9._]+-\d{19}\.info", name) for name in list(dataset.info)[1:])
    assert all(re.fullmatch(r"image/[a-z0-9._]+-\d{19}\.jpg", name) for name in list(dataset.images)[1:])
    assert list(dataset.images)[1:] != sorted(dataset.images)[1:], "entries are to be in no order"
    for folder, name in (("Post_metadata", "posts_info"), ("Post_images", "posts_image")):
        subprocess.run(["7z", "t", dataset.folder / folder / f"{name}.zip"], check=True, capture_output=True)


def test_counts_are_those_of_the_files(dataset: Dataset) -> None:
    counts, read = dataset.truth["counts"], Counter[str]()
    listed = dataset.influencers[2:]
    rows = [(name, post, tuple(images)) for name, post, images in dataset.mapping]
    mapped = {(name, post.removesuffix(".info")) for name, post, _ in dataset.mapping}
    info = {tuple(name[5:-5].rsplit("-", 1)) for name in dataset.info if name != "info/"}
    listed_pictures = {f"image/{name}-{image}" for name, _, images in rows for image in images}
    read["listed_influencers"] = len(listed)
    read["influencers"] = len({row["influencer"] for row in dataset.rows})
    read["category_typos"] = sum(row[1] in ("fasion", "fashion 0.5") for row in listed)
    read["mapping_rows"] = len(rows)
    read["mapped_posts"] = len(set(rows))
    read["repeated_row"] = len(rows) - len(set(rows))
    read["info_entries"] = len(info)
    read["image_entries"] = len(dataset.images) - 1
    read["missing_info"] = len(mapped - info)
    read["unmapped_info"] = len(info - mapped)
    read["missing_picture"] = len(listed_pictures - set(dataset.images))
    read["carousels"] = sum(row["image_count"] > 1 for row in dataset.rows)
    read["near_duplicates"] = sum(row["near_duplicate"] is not None for row in dataset.rows)
    read["campaigns"] = len({row["campaign"] for row in dataset.rows} - {None})
    read["campaign_posts"] = sum(row["campaign"] is not None for row in dataset.rows)
    read["empty_captions"] = sum(row["mood"] is None for row in dataset.rows)
    read["second_language"] = sum(row["language"] == "es" for row in dataset.rows)
    for name, raw in list(dataset.info.items())[1:]:
        try:
            record = json.loads(raw)
        except ValueError:
            read["broken_info" if raw else "empty_info"] += 1
            continue
        likes = record["edge_media_preview_like"]["count"]
        read["hidden_likes_null"] += likes is None
        read["hidden_likes_minus_one"] += likes == -1
        read["renamed_account"] += record["owner"]["username"] != name[5:].rsplit("-", 1)[0]
    assert dict(read) == counts == dataset.summary.counts
    assert all(counts[name] for name in counts), "every fault is to be there"
    assert {row[1] for row in listed} >= {"fasion", "fashion 0.5"}


def test_each_record_says_what_the_truth_says(dataset: Dataset) -> None:
    followers = {row[0]: int(row[2]) for row in dataset.influencers[2:]}
    for row, record in records(dataset):
        assert (record["id"], record["taken_at_timestamp"]) == (row["post_id"], row["taken_at"])
        assert 1_451_606_400 <= row["taken_at"] < 1_577_836_800, "2016 to 2019"
        assert record["edge_media_to_parent_comment"]["count"] == row["comments"]
        assert len(record["edge_media_to_parent_comment"]["edges"]) <= row["comments"]
        if row["fault"] not in ("hidden_likes_null", "hidden_likes_minus_one"):
            assert record["edge_media_preview_like"]["count"] == row["likes"]
        assert (caption(record) == "") == (row["mood"] is None)
        if row["mood"]:
            subject = TOPICS[row["category"]][row["topic"]][0 if row["language"] == "en" else 1]
            assert subject.lower() in caption(record).lower()
        assert record["dimensions"] == {"height": row["height"], "width": row["width"]}
        assert (record["__typename"] == "GraphSidecar") == (row["image_count"] > 1)
        children = record.get("edge_sidecar_to_children", {"edges": []})["edges"]
        assert [edge["node"]["id"] for edge in children] == (row["images"] if row["image_count"] > 1 else [])
        assert followers[row["influencer"]] == row["followers"]
    lists = {(name, post.removesuffix(".info")): images for name, post, images in dataset.mapping}
    for row in dataset.rows:
        if row["fault"] != "unmapped_info":
            images = lists[row["influencer"], row["post_id"]]
            assert images == [f"{image}.jpg" for image in row["images"]] == sorted(images)


def test_pictures_are_small_baseline_jpegs(dataset: Dataset) -> None:
    rows = {f"image/{row['influencer']}-{image}.jpg": row for row in dataset.rows for image in row["images"]}
    sizes = []
    for name, data in list(dataset.images.items())[1:]:
        assert b"\xff\xc0" in data and b"\xff\xc2" not in data[:600], "SOF0 is baseline, SOF2 progressive"
        image = Image.open(io.BytesIO(data))
        image.load()
        assert (image.format, image.mode, min(image.size)) == ("JPEG", "RGB", 256)
        assert image.width / image.height == pytest.approx(rows[name]["width"] / rows[name]["height"], rel=0.01)
        sizes.append(len(data))
    assert 8_000 < np.median(sizes) < 20_000
    assert max(sizes) < 30_000


def pixels(dataset: Dataset, row: Row) -> Floats:
    """The first picture of a post, small."""
    image = Image.open(io.BytesIO(dataset.images[f"image/{row['influencer']}-{row['images'][0]}.jpg"]))
    return np.asarray(image.resize((32, 32)), dtype=np.float64)


def test_campaigns_show_and_say_the_same_at_several_accounts(dataset: Dataset) -> None:
    captions = {row["post_id"]: caption(record) for row, record in records(dataset)}
    campaigns: dict[int, list[Row]] = {}
    for row in dataset.rows:
        if row["campaign"] is not None and row["near_duplicate"] is None:
            campaigns.setdefault(row["campaign"], []).append(row)
    assert len(campaigns) > 1
    for first, members in campaigns.items():
        assert 2 <= len(members) == len({row["influencer"] for row in members}) <= 5
        assert len({row["category"] for row in members}) == 1
        assert first == min(row["source"] for row in members) == max(row["source"] for row in members)
        names = [picture for row in members for picture in row["images"]]
        assert len(names) == len(set(names))
        for row in members[1:]:
            assert np.abs(pixels(dataset, row) - pixels(dataset, members[0])).mean() < 4
            one, other = sorted((captions[row["post_id"]], captions[members[0]["post_id"]]), key=len)
            assert len(other) <= len(one) + 10 and other[:20] == one[:20]


def test_near_duplicates_look_and_read_alike(dataset: Dataset) -> None:
    captions = {row["post_id"]: caption(record) for row, record in records(dataset)}
    copies = [(row, dataset.rows[row["group"]]) for row in dataset.rows if row["near_duplicate"]]
    assert len(copies) > 3
    for copy, original in copies:
        assert copy["influencer"] == original["influencer"]
        assert copy["taken_at"] > original["taken_at"]
        assert copy["image_count"] == original["image_count"]
        assert np.abs(pixels(dataset, copy) - pixels(dataset, original)).mean() < 8
        one, other = captions[original["post_id"]], captions[copy["post_id"]]
        assert other.startswith(one) and len(other) <= len(one) + 10
    sound = [
        row for index, row in enumerate(dataset.rows) if row["fault"] != "missing_picture" and row["source"] == index
    ]
    apart = [
        np.abs(pixels(dataset, one) - pixels(dataset, other)).mean()
        for one, other in zip(sound[:60], sound[60:120], strict=True)
    ]
    assert min(apart) > 8
