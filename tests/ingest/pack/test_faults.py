"""Every way in which a post can be partial or lost, and what stops a plan or an ingest."""

from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path

import pytest

from postmill.ingest.pack.stages import ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.source.layout import discover
from postmill.shards.formats import faults, plan, posts
from postmill.shards.run.options import Level, Options
from postmill.shards.runtime.errors import DamagedSource, PostmillError, UsageError
from tests.commands import postmill
from tests.ingest.pack.packing import Dataset, Info, fault_rows, members, run_all, spoil


def test_pictures_missing_damaged_and_shared(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> None:
    noise = random.Random(0)
    pictures = {f"ann-{name}.jpg": noise.randbytes(3000) for name in ("1", "2a", "2b", "3", "5a", "5b")}
    infos = {f"ann-{name}.info": make_info(name) for name in "123456"}
    rows = [
        ("ann", "1", ["1.jpg"]),
        ("ann", "2", ["2a.jpg", "lost.jpg", "2b.jpg"]),  # one of three is not there
        ("ann", "3", ["3.jpg"]),  # its only picture is damaged
        ("ann", "4", []),  # lists none
        ("ann", "5", ["5a.jpg", "5b.jpg"]),  # one of two is damaged
        ("ann", "6", ["1.jpg"]),  # shares the picture of post 1
    ]
    root = make_dataset(infos, pictures, rows)
    images = root / "Post_images" / "posts_image.zip"
    spoil(images, "image/ann-3.jpg")
    spoil(images, "image/ann-5a.jpg")
    run = run_all(root, tmp_path / "run", raw=False)
    contents = members(run)
    assert sorted(contents) == [
        "1.0.jpg",
        "1.json",
        "2.0.jpg",
        "2.1.jpg",
        "2.json",
        "6.0.jpg",
        "6.json",
    ]
    assert contents["1.0.jpg"] == contents["6.0.jpg"] == pictures["ann-1.jpg"]
    assert contents["2.1.jpg"] == pictures["ann-2b.jpg"]
    two = json.loads(contents["2.json"])
    assert (two["images"], two["missing_images"]) == (["2a.jpg", "2b.jpg"], ["lost.jpg"])
    assert fault_rows(run) == [
        ("crc_wrong", False, "3"),
        ("crc_wrong", False, "5"),
        ("image_missing", False, "2"),
        ("no_image", True, "4"),
    ]
    counts = posts.counts(run, 0)
    assert counts is not None and (counts.waiting, counts.misfits) == (2, 2)  # 3 and 5, for other bytes
    salvaged = members(run_all(root, tmp_path / "salvaged", raw=False, level=Level.SALVAGE))
    assert sorted(salvaged.keys() - contents.keys()) == ["5.0.jpg", "5.json"]
    five = json.loads(salvaged["5.json"])
    assert (five["images"], five["missing_images"]) == (["5b.jpg"], ["5a.jpg"])
    assert salvaged["5.0.jpg"] == pictures["ann-5b.jpg"]


def test_metadata_missing_damaged_unreadable_and_unmapped(
    make_dataset: Dataset, make_info: Info, tmp_path: Path
) -> None:
    pictures = {f"ann-{n}.jpg": bytes([n]) * 500 for n in range(1, 7)}
    infos = {
        "ann-1.info": make_info("1"),
        "ann-3.info": b"",
        "ann-4.info": b"<html>Please log in</html>",
        "ann-5.info": make_info("5", note="".join(map(chr, range(40, 120))) * 9),
        "bob-9.info": make_info("9"),
    }
    root = make_dataset(infos, pictures, [("ann", str(n), [f"{n}.jpg"]) for n in range(1, 6)])
    spoil(root / "Post_metadata" / "posts_info.zip", "info/ann-5.info", offset=60)
    run = run_all(root, tmp_path / "run")
    assert sorted(members(run)) == ["1.0.jpg", "1.json", "1.raw.json.gz"]
    rows = fault_rows(run)
    damaged = [row for row in rows if row[2] == "5"]
    assert [(row[0] in ("data_corrupt", "crc_wrong", "size_lie"), row[1]) for row in damaged] == [(True, False)]
    counts = posts.counts(run, 0)
    assert counts is not None and counts.waiting == 1
    assert [row for row in rows if row[2] != "5"] == [
        ("metadata_missing", True, "2"),
        ("metadata_unreadable", True, "3"),
        ("metadata_unreadable", True, "4"),
        ("unmapped_image", False, "ann-6.jpg"),
        ("unmapped_metadata", False, "bob-9.info"),
    ]


def test_rows_repeated_in_conflict_and_keys_that_would_clash(
    make_dataset: Dataset, make_info: Info, tmp_path: Path
) -> None:
    pictures = {
        "ann-1.jpg": b"a",
        "bob-1.jpg": b"b",
        "ann-x.y.jpg": b"c",
        "ann-2.jpg": b"d",
        "ann-A.jpg": b"e",
        "ann-a.jpg": b"f",
    }
    infos = {f"{name}.info": make_info(name) for name in ("ann-1", "bob-1", "ann-x.y", "ann-A", "ann-a")}
    rows = [
        ("ann", "1", ["1.jpg"]),
        ("ann", "1", ["1.jpg"]),
        ("ann", "1", ["2.jpg"]),
        ("bob", "1", ["1.jpg"]),
        ("ann", "x.y", ["x.y.jpg"]),
        ("ann", "A", ["A.jpg"]),
        ("ann", "a", ["a.jpg"]),
    ]
    run = run_all(make_dataset(infos, pictures, rows), tmp_path / "run", raw=False)
    records = [json.loads(content) for name, content in members(run).items() if name.endswith(".json")]
    keys = {(record["influencer"], record["post_id"]): record["key"] for record in records}
    assert len(keys) == 5 and len({key.lower() for key in keys.values()}) == 5
    assert keys["ann", "x.y"] == "x_y"
    assert all(keys[who].startswith("1-") for who in (("ann", "1"), ("bob", "1")))
    assert plan.counts(run).mapped_posts == 5
    assert [row[:2] for row in fault_rows(run)] == [
        ("conflicting_mapping_row", False),
        ("duplicate_mapping_row", False),
        ("influencer_missing", False),  # bob
        ("unmapped_image", False),
    ]
    accounts = {record["influencer"]: (record["category"], record["followers"]) for record in records}
    assert accounts == {"ann": ("food", 1000), "bob": (None, None)}


def test_entries_over_the_limit_are_faults(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> None:
    pictures = {"ann-1.jpg": bytes(5000), "ann-2.jpg": bytes(100)}
    infos = {"ann-1.info": make_info(), "ann-2.info": make_info()}
    root = make_dataset(infos, pictures, [("ann", "1", ["1.jpg"]), ("ann", "2", ["2.jpg"])])
    run = run_all(root, tmp_path / "run", max_entry=1000, raw=False)
    assert sorted(members(run)) == ["2.0.jpg", "2.json"]
    assert fault_rows(run) == [("no_image", True, "1"), ("too_large", False, "image/ann-1.jpg")]


def test_strict_stops_at_what_would_be_a_fault(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> None:
    pictures = {f"ann-{n}.jpg": bytes([n]) * 3000 for n in (1, 2)}
    infos = {f"ann-{n}.info": make_info(str(n)) for n in (1, 2)}
    root = make_dataset(infos, pictures, [("ann", "1", ["1.jpg"]), ("ann", "2", ["2.jpg"])], options=["-0"])
    run_all(root, tmp_path / "sound", level=Level.STRICT)
    spoil(root / "Post_images" / "posts_image.zip", "image/ann-2.jpg")
    run, _ = make_plan(discover(str(root)), tmp_path / "run", Options(level=Level.STRICT))
    with pytest.raises(PostmillError, match=r"ann-2\.jpg: crc_wrong") as caught:
        list(ingest(run))
    assert caught.value.hint is not None and "--strict" in caught.value.hint
    assert not list(run.posts.glob("posts-*"))


def test_strict_refuses_a_plan_with_contradictions(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> None:
    root = make_dataset({"ann-1.info": make_info()}, {"ann-1.jpg": b"x"}, [("ann", "1", ["1.jpg"])])
    with zipfile.ZipFile(root / "Post_images" / "posts_image.zip", "a") as archive:
        archive.writestr("other/ann-1.jpg", b"y")
    with pytest.raises(PostmillError, match="duplicate_name"):
        make_plan(discover(str(root)), tmp_path / "run", Options(level=Level.STRICT))
    run = run_all(root, tmp_path / "default")
    assert members(run)["1.0.jpg"] == b"y"
    assert fault_rows(run) == [("duplicate_name", False, "image/ann-1.jpg")]


def test_nothing_in_common_is_an_error(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> None:
    root = make_dataset({"ann-1.info": make_info()}, {"ann-1.jpg": b"x"}, [("bob", "1", ["1.jpg"])])
    with pytest.raises(PostmillError, match="none of the 1 mapped posts"):
        make_plan(discover(str(root)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_plan_of_another_dataset_is_refused(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> None:
    root = make_dataset({"ann-1.info": make_info()}, {"ann-1.jpg": b"x"}, [("ann", "1", ["1.jpg"])])
    make_plan(discover(str(root)), tmp_path / "run")
    with (root / "JSON-Image_files_mapping.txt").open("a") as file:
        file.write("ann\t2.info\t['2.jpg']\n")
    with pytest.raises(UsageError, match="another mapping file"):
        make_plan(discover(str(root)), tmp_path / "run")


def test_an_entry_that_is_added_again_replaces_the_one_before(
    make_dataset: Dataset, make_info: Info, tmp_path: Path
) -> None:
    posts = [str(number) for number in range(3)]
    infos = {f"ann-{post}.info": make_info(post) for post in posts}
    pictures = {f"ann-{post}.jpg": post.encode() for post in posts}
    root = make_dataset(
        dict.fromkeys(infos, b""), dict.fromkeys(pictures, b""), [("ann", p, [f"{p}.jpg"]) for p in posts]
    )
    for archive, folder, entries in (
        ("Post_metadata/posts_info.zip", "info", infos),
        ("Post_images/posts_image.zip", "image", pictures),
    ):
        with zipfile.ZipFile(root / archive, "a") as again, pytest.warns(UserWarning, match="Duplicate"):
            for name, data in entries.items():
                again.writestr(f"{folder}/{name}", data)
    run = run_all(root, tmp_path / "run", raw=False)
    assert {name: data for name, data in members(run).items() if name.endswith(".jpg")} == {
        f"{post}.0.jpg": post.encode() for post in posts
    }
    assert fault_rows(run) == sorted(
        ("duplicate_name", False, name)
        for name in (*(f"info/{name}" for name in infos), *(f"image/{name}" for name in pictures))
    )


def test_all_earlier_entries_of_a_name_are_one_fault(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> None:
    root = make_dataset({"ann-1.info": make_info()}, {"ann-1.jpg": b"0"}, [("ann", "1", ["1.jpg"])])
    with zipfile.ZipFile(root / "Post_images" / "posts_image.zip", "a") as archive:
        for number in range(1, 4):
            archive.writestr(f"{number}/ann-1.jpg", b"%d" % number)
    run = run_all(root, tmp_path / "run")
    assert members(run)["1.0.jpg"] == b"3"
    ((_, table), *_) = faults.tables(run, 1)
    assert [(row["entry"], row["detail"]) for row in table.to_pylist()] == [
        ("image/ann-1.jpg", "3 earlier entries of this name; the last in the directory counts")
    ]


def test_a_malformed_row_that_names_a_post_is_a_post_that_is_lost(
    make_dataset: Dataset, make_info: Info, tmp_path: Path
) -> None:
    posts = [str(number) for number in range(1, 5)]
    infos = {f"ann-{post}.info": make_info(post) for post in posts}
    pictures = {f"ann-{post}.jpg": b"x" * int(post) for post in posts}
    root = make_dataset(infos, pictures, [("ann", post, [f"{post}.jpg"]) for post in posts])
    mapping = root / "JSON-Image_files_mapping.txt"
    text = mapping.read_text().replace("['2.jpg']", "[2.jpg]").replace("['3.jpg']", "\"['3.jpg', 'more.jpg']\"")
    mapping.write_text(text + "ann\t4.info\tnone\nann\t5.info\n")
    run = run_all(root, tmp_path / "run", raw=False)
    assert fault_rows(run) == [
        ("image_missing", False, "3"),  # the row that a spreadsheet quoted is read
        ("malformed_mapping_row", False, "4"),  # another row has this post
        ("malformed_mapping_row", True, "2"),
        ("malformed_mapping_row", True, "5"),
        ("unmapped_image", False, "ann-2.jpg"),
    ]
    counts = plan.counts(run)
    assert (counts.mapped_posts, counts.planned_posts, counts.lost, counts.mapping_rows) == (5, 3, 2, 6)


def test_a_mapping_that_leaves_most_entries_out_is_taken_for_cut_short(
    make_dataset: Dataset, make_info: Info, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    infos = {f"ann-{post}.info": make_info(str(post)) for post in range(5)}
    root = make_dataset(infos, {"ann-1.jpg": b"x"}, [("ann", "1", ["1.jpg"])])
    with pytest.raises(DamagedSource, match="4 of 5 metadata entries are in no row of the mapping"):
        make_plan(discover(str(root)), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with caplog.at_level("INFO", "postmill"):
        make_plan(discover(str(root)), tmp_path / "run", Options(level=Level.SALVAGE))
    assert "4 of 5 metadata entries are in no row of the mapping" in caplog.text


def test_an_account_that_influencers_lacks_is_one_fault(
    make_dataset: Dataset, make_info: Info, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = {f"{account}-{n}.jpg": bytes([n]) * 500 for account in ("ann", "bob", "eve") for n in (1, 2)}
    infos = {name.replace(".jpg", ".info"): make_info(name) for name in pictures}
    rows = [(account, str(n), [f"{n}.jpg"]) for n in (1, 2) for account in ("ann", "bob", "eve")]
    root = make_dataset(infos, pictures, rows)  # which lists ann alone
    run = run_all(root, tmp_path / "run")
    table = faults.count_faults(run)
    assert [(row.reason, row.faults, row.lost) for row in table] == [("influencer_missing", 2, 0)]
    ((_, plans),) = faults.tables(run, plan.counts(run).shards)
    assert [(row["influencer"], row["line"], row["detail"]) for row in plans.to_pylist()] == [
        ("bob", 3, "2 mapped posts"),
        ("eve", 4, "2 mapped posts"),
    ]
    assert postmill("plan", root, tmp_path / "again") == 0
    assert "influencers.txt lacks 2 accounts" in capsys.readouterr().out
    assert postmill("ingest", tmp_path / "again") == postmill("verify", tmp_path / "again") == 0
