"""What instaloader leaves of profiles, a folder or a zip of it, taken as a dataset."""

from __future__ import annotations

import gzip
import json
import lzma
import subprocess
from pathlib import Path

import pytest

from postmill.ingest.source.shapes.instaloader import collect
from postmill.shards.formats import plan
from postmill.shards.run import folder as runs
from tests.commands import postmill, refused
from tests.ingest.collected import CHILDREN, FOLLOWERS, IDS, document, files, jpeg, node, post_id, profile, put, stem
from tests.ingest.test_text_only import members, records, told

POSTS = 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return put(tmp_path / "insta", files(POSTS))


def made(run: Path, source: Path, *words: object) -> Path:
    assert postmill("plan", source, run, *words) == 0
    assert postmill("ingest", run) == 0
    assert postmill("verify", run) == 0
    return run


def zipped(folder: Path) -> Path:
    archive = folder.with_suffix(".zip")
    subprocess.run(["zip", "-qr", str(archive.resolve()), "."], cwd=folder, check=True)
    return archive


@pytest.mark.parametrize("packed", [False, True])
def test_posts_pictures_and_profiles(folder: Path, tmp_path: Path, packed: bool) -> None:
    run = made(tmp_path / "run", zipped(folder) if packed else folder)
    posts, found = members(run), {record["key"]: record for record in records(run)}
    assert found.keys() == {post_id(username, number) for username in IDS for number in range(POSTS)}
    for username in IDS:
        for number in range(POSTS):
            record = found[post_id(username, number)]
            assert (record["influencer"], record["followers"]) == (username, FOLLOWERS[username])
            assert record["category"] == ("chef" if username == "ada.bakes" else None)
            assert (record["likes"], record["comment_count"]) == (100 + 3 * number, number)
            assert record["hashtags"] == ["garten"] and record["taken_at"] == 1_546_300_800 + number * 3600
            content = posts[post_id(username, number)]
            raw = json.loads(gzip.decompress(content["raw.json.gz"]))
            assert raw == json.loads(document("Post", node(username, number)))
            pictures = [content[f"{place}.jpg"] for place in range(len(record["images"]))]  # type: ignore[arg-type]
            numbers = range(1, CHILDREN + 1) if number % 5 == 0 else range(1)
            assert pictures == [jpeg(100 * number + child) for child in numbers]
    reasons = [fault["reason"] for fault in told(run)]
    assert reasons == ["video"] * (2 * len(IDS) * POSTS // 5)
    counts = plan.counts(runs.open_run(run))
    assert counts.mapped_posts == counts.planned_posts == len(found)


def test_models_are_trained_on_it(tmp_path: Path) -> None:
    run = made(tmp_path / "run", put(tmp_path / "insta", files(30)))
    assert postmill("encode", run, "--models", "light") == 0
    assert postmill("train", run, "--model", "history", "--model", "boosting", "--seeds", "1") == 0
    assert postmill("report", run) == 0
    assert postmill("verify", run) == 0


def test_text_alone_a_list_of_accounts_and_the_same_command_again(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "influencers.txt").write_text(
        "Username\tCategory\t#Followers\t#Followees\t#Posts\nada.bakes\tfood\t7\t8\t9\n"
    )
    words = "--images", "none", "--influencers", tmp_path / "influencers.txt"
    run = made(tmp_path / "run", folder, *words)
    assert {(record["influencer"], record["followers"]) for record in records(run)} == {
        ("ada.bakes", 7),
        ("bo_on_tour", None),
    }
    assert {fault["reason"] for fault in told(run)} == {"influencer_missing"}
    before = (run / "run.json").read_bytes()
    assert postmill("plan", run) == 0
    assert (run / "run.json").read_bytes() == before
    other = made(tmp_path / "other", folder)
    before = (other / "run.json").read_bytes()
    assert postmill("plan", other) == postmill("plan", folder, other) == 0
    assert (other / "run.json").read_bytes() == before


def test_what_is_missing_damaged_or_of_no_post_is_told(folder: Path, tmp_path: Path) -> None:
    ada = folder / "ada.bakes"
    (ada / f"{stem(0)}_3.jpg").unlink()  # of several
    (ada / f"{stem(2)}.jpg").unlink()  # the only one
    (ada / f"{stem(3)}.json.xz").write_bytes((ada / f"{stem(3)}.json.xz").read_bytes()[:-20])
    (ada / f"{stem(4)}.json.xz").write_bytes(
        lzma.compress(document("Post", node("ada.bakes", 4, id=None, shortcode="/")))
    )
    story = node("ada.bakes", 70)
    put(ada, {f"{stem(70)}.json.xz": lzma.compress(document("StoryItem", story)), f"{stem(70)}.jpg": jpeg(70)})
    put(folder / "~garten", {name.partition("/")[2]: data for name, data in files(2).items() if name.startswith("ada")})
    put(ada, {f"{stem(5)}_comments.json": b"[]", "iterator_x.json.xz": lzma.compress(b'{"node": {}}'), ".tmp": b""})
    run = made(tmp_path / "run", folder)
    found = {record["post_id"]: record for record in records(run)}
    assert len(found) == 2 * POSTS - 3
    assert found[post_id("ada.bakes", 0)]["missing_images"] == [f"{post_id('ada.bakes', 0)}_3.jpg"]
    assert {record["influencer"] for record in found.values()} == set(IDS)
    faults = {(fault["reason"], fault["entry"] or fault["post_id"]) for fault in told(run)}
    twice = {("duplicate_name", f"~garten/{stem(number)}.json.xz") for number in range(2)}
    twice |= {("duplicate_name", f"~garten/{stem(0)}_{child}.jpg") for child in range(1, CHILDREN + 1)}
    assert twice <= faults
    assert ("image_missing", post_id("ada.bakes", 0)) in {(fault["reason"], fault["post_id"]) for fault in told(run)}
    assert ("no_image", post_id("ada.bakes", 2)) in faults
    assert ("metadata_unreadable", f"ada.bakes/{stem(3)}.json.xz") in faults
    assert ("metadata_unreadable", f"ada.bakes/{stem(4)}.json.xz") in faults
    assert ("unmapped_metadata", f"ada.bakes/{stem(70)}.json.xz") in faults
    assert {("unmapped_image", f"ada.bakes/{stem(number)}.jpg") for number in (3, 70)} <= faults


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\xfd7zXZ\0 and no more", "damaged"),
        (lzma.compress(b" " * (3 << 20)), "more than 2,097,152 bytes"),
        (lzma.compress(b'{"instaloader": {"node_type": "Post"'), "not JSON"),
    ],
)
def test_hostile_json_is_a_fault(content: bytes, words: str) -> None:
    found = collect(["a/x.json.xz"], [("a/x.json.xz", content)], 2 << 20)
    assert found.posts == [] and words in str(found.faults[0].detail)


@pytest.mark.parametrize("name", ["../../x", "a/b", "a'b", "", 7, None, "x" * 65])
def test_a_hostile_name_of_an_account_is_not_taken(name: object) -> None:
    owner = node("ada.bakes", 2, owner={"username": name, "id": "101"})
    documents = [("a/p.json", document("Post", owner))]
    assert [post.influencer for post in collect(["a/p.json"], documents, 1 << 20).posts] == ["a"]
    documents.append(("a/q.json", profile("ada.bakes")))
    assert [post.influencer for post in collect([], documents, 1 << 20).posts] == ["ada.bakes"]


def test_posts_as_an_app_has_them(tmp_path: Path) -> None:
    plain = {
        "shortcode": "Bx",
        "id": 77,
        "date": 1_546_300_800,
        "caption": "von der App #eins",
        "comments": 4,
        "edge_media_preview_like": {"count": 9},
        "owner": {"id": "101", "username": "ada.bakes"},
    }
    content = {"mine/Bx.json": document("Post", plain), "mine/Bx.jpg": jpeg(2), "mine/Bx_1.jpg": jpeg(3)}
    run = made(tmp_path / "run", put(tmp_path / "insta", content))
    (record,) = records(run)
    assert (record["taken_at"], record["caption"], record["comment_count"], record["likes"]) == (
        1_546_300_800,
        "von der App #eins",
        4,
        9,
    )
    assert record["images"] == ["77.jpg"] and [fault["entry"] for fault in told(run)] == ["mine/Bx_1.jpg"]


def test_pictures_alone_are_refused_in_words(tmp_path: Path) -> None:
    folder = put(tmp_path / "insta", {name: data for name, data in files(3).items() if ".json" not in name})
    assert "no JSON of their posts" in str(refused("plan", folder, tmp_path / "run"))
