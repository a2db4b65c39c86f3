"""What no post and no account can have: null or cut in the records, with a fault, and the post kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from postmill.shards.run.folder import Run
from tests.datasets import write_dataset
from tests.ingest.pack.packing import Info, fault_rows, members, run_all


def record(run: Run, key: str) -> dict[str, object]:
    fields: dict[str, object] = json.loads(members(run)[f"{key}.json"])
    return fields


def test_a_post_with_impossible_fields_is_kept(tmp_path: Path, make_info: Info) -> None:
    impossible = make_info(
        taken_at_timestamp=1_546_300_800_000,
        edge_media_preview_like={"count": 2**60},
        edge_media_to_caption={"edges": [{"node": {"text": "#ab " * 30_000}}]},
    )
    infos = {"ann-1.info": impossible, "ann-2.info": make_info()}
    pictures = {"ann-1.jpg": b"one", "ann-2.jpg": b"two"}
    write_dataset(tmp_path / "data", infos, pictures, [("ann", "1", ["1.jpg"]), ("ann", "2", ["2.jpg"])])
    run = run_all(tmp_path / "data", tmp_path / "run")
    fields = record(run, "1")
    assert (fields["taken_at"], fields["likes"], fields["comment_count"]) == (None, None, None)
    assert (fields["caption"], fields["hashtags"]) == (("#ab " * 2500), ["ab"] * 1000)
    assert fault_rows(run) == [
        ("field_too_large", False, "1"),
        ("field_too_large", False, "1"),
        ("number_out_of_range", False, "1"),
        ("number_out_of_range", False, "1"),
    ]


@pytest.mark.parametrize("others", [[], ["bob\tpet\t5\t6\t7"]], ids=["alone", "beside another"])
def test_an_account_with_an_impossible_number_keeps_its_category(
    tmp_path: Path, make_info: Info, others: list[str]
) -> None:
    influencers = [f"ann\tfood\t{2**60}\t{2**60}\t{2**60}", *others]
    write_dataset(
        tmp_path / "data", {"ann-1.info": make_info()}, {"ann-1.jpg": b"x"}, [("ann", "1", ["1.jpg"])], influencers
    )
    run = run_all(tmp_path / "data", tmp_path / "run")
    fields = record(run, "1")
    numbers = (fields["followers"], fields["followees"], fields["influencer_posts"])
    assert (fields["category"], numbers) == ("food", (None, None, None))
    assert [row[:2] for row in fault_rows(run)] == [("number_out_of_range", False)] * 3
