"""The sample dataset: its files say what its truth says, and its truth is what was planned."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from ingest.sample import SampleSummary, make_truth, write_sample
from ingest.sample_captions import MOODS, TOPICS
from ingest.sample_pictures import picture
from ingest.sample_truth import SHARES, realised
from shards.errors import UsageError
from shards.progress import Advance

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


def unzipped(target: Path, scratch: Path) -> dict[str, bytes]:
    """The entries of a split zip by name, in its order, joined by Info-ZIP."""
    whole = scratch / target.name
    subprocess.run(["zip", "-q", "-s", "0", target, "--out", whole], check=True)
    with zipfile.ZipFile(whole) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def files(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file below a folder."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


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
    counts, found = dataset.truth["counts"], Counter[str]()
    listed = dataset.influencers[2:]
    rows = [(name, post, tuple(images)) for name, post, images in dataset.mapping]
    mapped = {(name, post.removesuffix(".info")) for name, post, _ in dataset.mapping}
    info = {tuple(name[5:-5].rsplit("-", 1)) for name in dataset.info if name != "info/"}
    wanted = {f"image/{name}-{image}" for name, _, images in rows for image in images}
    found["listed_influencers"] = len(listed)
    found["influencers"] = len({row["influencer"] for row in dataset.rows})
    found["category_typos"] = sum(row[1] in ("fasion", "fashion 0.5") for row in listed)
    found["mapping_rows"] = len(rows)
    found["mapped_posts"] = len(set(rows))
    found["repeated_row"] = len(rows) - len(set(rows))
    found["info_entries"] = len(info)
    found["image_entries"] = len(dataset.images) - 1
    found["missing_info"] = len(mapped - info)
    found["unmapped_info"] = len(info - mapped)
    found["missing_picture"] = len(wanted - set(dataset.images))
    found["carousels"] = sum(row["image_count"] > 1 for row in dataset.rows)
    found["near_duplicates"] = sum(row["near_duplicate"] is not None for row in dataset.rows)
    found["empty_captions"] = sum(row["mood"] is None for row in dataset.rows)
    found["second_language"] = sum(row["language"] == "es" for row in dataset.rows)
    for name, raw in list(dataset.info.items())[1:]:
        try:
            record = json.loads(raw)
        except ValueError:
            found["broken_info" if raw else "empty_info"] += 1
            continue
        likes = record["edge_media_preview_like"]["count"]
        found["hidden_likes_null"] += likes is None
        found["hidden_likes_minus_one"] += likes == -1
        found["renamed_account"] += record["owner"]["username"] != name[5:].rsplit("-", 1)[0]
    assert dict(found) == counts == dataset.summary.counts
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


def test_near_duplicates_look_and_read_alike(dataset: Dataset) -> None:
    def pixels(row: Row) -> Floats:
        image = Image.open(io.BytesIO(dataset.images[f"image/{row['influencer']}-{row['images'][0]}.jpg"]))
        return np.asarray(image.resize((32, 32)), dtype=np.float64)

    captions = {row["post_id"]: caption(record) for row, record in records(dataset)}
    copies = [(row, dataset.rows[row["group"]]) for row in dataset.rows if row["near_duplicate"]]
    assert len(copies) > 3
    for copy, original in copies:
        assert copy["influencer"] == original["influencer"]
        assert copy["taken_at"] > original["taken_at"]
        assert copy["image_count"] == original["image_count"]
        assert np.abs(pixels(copy) - pixels(original)).mean() < 8
        one, other = captions[original["post_id"]], captions[copy["post_id"]]
        assert other.startswith(one) and len(other) <= len(one) + 10
    whole = [row for row in dataset.rows if row["fault"] != "missing_picture" and row["near_duplicate"] is None]
    apart = [np.abs(pixels(one) - pixels(other)).mean() for one, other in zip(whole[:60], whole[60:120], strict=True)]
    assert min(apart) > 8


def test_effects_add_up_to_the_target() -> None:
    table = make_truth(2000, 60, 3)
    value = {name: table.column(name).to_numpy() for name in table.column_names if name not in ("images", "fault")}
    assert np.allclose(value["y"], np.log1p(value["likes"] + value["comments"]))
    effects = value["account_effect"] + value["text_effect"] + value["image_effect"] + value["noise"]
    assert np.allclose(value["y"] - effects, value["y"][0] - effects[0]), "what is left is the intercept"
    assert (value["likes"] >= 0).all() and (value["comments"] >= 0).all()


@pytest.mark.parametrize(
    ("posts", "influencers", "seed"), [(2000, 60, 0), (2000, 60, 1), (20_000, 60, 0), (20_000, 400, 5)]
)
def test_shares_of_the_variance_are_as_planned(posts: int, influencers: int, seed: int) -> None:
    drawn = realised(make_truth(posts, influencers, seed))
    for name, share in SHARES.items():
        assert drawn["shares"][name] == pytest.approx(share, abs=0.03)
    assert sum(drawn["shares"].values()) == pytest.approx(1.0)
    assert drawn["shares"]["covariance"] == pytest.approx(0.0, abs=0.05)
    assert drawn["leak_correlation"] > 0.9


def test_what_was_planted_can_be_found_again() -> None:
    table = make_truth(20_000, 400, 2)
    value = {name: table.column(name).to_numpy() for name in ("y", "followers", "image_quality", "topic", "leak")}
    mood = pc.index_in(table.column("mood"), value_set=table.column("mood").unique().drop_null()).to_numpy()
    by_mood = [value["y"][mood == i].mean() for i in range(len(MOODS))]
    names = table.column("mood").unique().drop_null().to_pylist()
    assert [name for _, name in sorted(zip(by_mood, names, strict=True))] == list(MOODS)
    reach = np.log(value["followers"])
    assert 0.4 < np.polyfit(reach, value["y"], 1)[0] < 0.7
    assert 0.2 < np.polyfit(value["image_quality"], value["y"], 1)[0] < 0.4
    assert np.unique(table.column("post_id").to_numpy()).size == 20_000
    counts = np.unique(table.column("influencer").to_numpy(), return_counts=True)[1]
    assert counts.min() < 0.3 * counts.mean() and counts.max() > 3 * counts.mean(), "posts are to be uneven"
    rates = {
        name: pc.sum(pc.equal(table.column("fault"), name)).as_py() / 20_000
        for name in ("unmapped_info", "renamed_account")
    }
    assert rates == pytest.approx({"unmapped_info": 0.02, "renamed_account": 0.017}, abs=0.001)
    assert pc.mean(pc.greater(table.column("image_count"), 1)).as_py() == pytest.approx(0.06, abs=0.01)
    assert table.column("near_duplicate").null_count / 20_000 == pytest.approx(0.98, abs=0.005)


def test_a_picture_shows_its_quality() -> None:
    qualities = np.random.default_rng(0).normal(size=240)
    looks = []
    for i, quality in enumerate(qualities):
        data = picture((1, i), float(quality), list(TOPICS)[i % len(TOPICS)], (256, 320))
        pixels = np.asarray(Image.open(io.BytesIO(data)), dtype=np.float64)
        red, blue = pixels[..., 0].mean(), pixels[..., 2].mean()
        grain = np.abs(np.diff(pixels[..., 1], axis=1)).mean()
        looks.append((red - blue, pixels.mean(), grain, 1.0))
    fitted = np.array(looks) @ np.linalg.lstsq(np.array(looks), qualities, rcond=None)[0]
    assert np.corrcoef(fitted, qualities)[0, 1] > 0.8


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ingest.sample import write_sample;"
        "write_sample(Path(sys.argv[1]), 60, 5, 11, 1 << 16)"
    )
    root = Path(__file__).resolve().parents[2]
    for name, hash_seed in (("a", "1"), ("b", "2")):
        environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)}
        subprocess.run([sys.executable, "-c", program, tmp_path / name], check=True, env=environment, cwd=tmp_path)
    first = files(tmp_path / "a")
    assert first == files(tmp_path / "b")
    write_sample(tmp_path / "c", 60, 5, 12, 1 << 16)
    other = files(tmp_path / "c")
    assert all(other.get(name) != digest for name, digest in first.items())


@pytest.mark.parametrize(("posts", "influencers"), [(1, 1), (3, 3), (45, 2), (50, 50)])
def test_very_small_samples(tmp_path: Path, posts: int, influencers: int) -> None:
    (tmp_path / "data").mkdir()
    summary = write_sample(tmp_path / "data", posts, influencers, part_size=1 << 16)
    assert (summary.posts, summary.influencers) == (posts, influencers)
    assert (
        len(unzipped(tmp_path / "data" / "Post_metadata" / "posts_info.zip", tmp_path)) - 1
        == summary.counts["info_entries"]
    )
    assert {path.name for path in tmp_path.iterdir()} == {"data", "posts_info.zip"}


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({"posts": 0}, "0 posts"),
        ({"influencers": 0}, "0 influencers"),
        ({"posts": 5, "influencers": 6}, "cannot share"),
        ({"seed": -1}, "no seed"),
        ({"part_size": 1000}, "too small"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, arguments: dict[str, Any], cause: str) -> None:
    with pytest.raises(UsageError, match=cause) as caught:
        write_sample(tmp_path / "data", **arguments)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_there_is_not_touched(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "data"
    if kind == "folder":
        target.mkdir()
        (target / "notes.txt").write_text("mine")
    else:
        target.write_text("mine")
    before = files(tmp_path)
    with pytest.raises(UsageError, match="not empty"):
        write_sample(target, 5, 2)
    assert files(tmp_path) == before


class StopsAt:
    """Progress that fails on the way, as a full disk or an interrupt would."""

    def __init__(self, label: str) -> None:
        self.label = label

    @contextmanager
    def track(self, label: str, total: int | None, unit: str = "") -> Iterator[Advance]:
        def advance(n: int) -> None:
            if label == self.label:
                raise KeyboardInterrupt

        yield advance

    def note(self, message: str) -> None:
        """Say nothing."""


@pytest.mark.parametrize("label", ["metadata", "pictures"])
def test_an_interrupt_leaves_nothing(tmp_path: Path, label: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "data", 30, 3, progress=StopsAt(label))
    assert list(tmp_path.iterdir()) == []


def test_a_kill_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ingest.sample import write_sample;"
        "write_sample(Path(sys.argv[1]), 20_000, 20, part_size=1 << 16)"
    )
    target = tmp_path / "data"
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program, target], env={"PYTHONPATH": str(root)}, cwd=tmp_path
    ) as child:
        while not list(tmp_path.glob("*/Post_metadata/*")):
            assert child.poll() is None
            time.sleep(0.02)
        child.kill()
    assert not target.exists()
    assert all(path.name.startswith(".") for path in tmp_path.iterdir())
    write_sample(target, 5, 2)
    assert (target / "truth.json").exists()
