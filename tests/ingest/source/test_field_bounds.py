"""Numbers and texts of a post that no post can have: null or cut, told of, and the post kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from postmill.ingest.source.field_checks import FieldFault
from postmill.ingest.source.post_fields import parse_info
from postmill.ingest.source.post_json import NotAPost
from postmill.shards.formats import bounds
from postmill.shards.formats.reasons import Reason

SECONDS = 1_546_300_800


def parse(**media: Any) -> tuple[dict[str, Any], list[FieldFault]]:
    return parse_info(json.dumps({"shortcode": "x", **media}).encode())


def likes(value: Any) -> dict[str, Any]:
    return {"edge_media_preview_like": {"count": value}}


def caption(text: str) -> dict[str, Any]:
    return {"edge_media_to_caption": {"edges": [{"node": {"text": text}}]}}


def comments(*texts: str) -> dict[str, Any]:
    return {"edge_media_to_comment": {"edges": [{"node": {"text": text}} for text in texts]}}


def tagged(*names: str) -> dict[str, Any]:
    return {"edge_media_to_tagged_user": {"edges": [{"node": {"user": {"username": name}}} for name in names]}}


@pytest.mark.parametrize("value", ["12", 12.0, 1.2e1, "12.0", "1.2e1"])
def test_a_whole_number_is_taken_as_whatever_it_was_written(value: object) -> None:
    fields, faults = parse(**likes(value))
    assert (fields["likes"], faults) == (12, [])


@pytest.mark.parametrize("value", [None, -1, -1.0, "-1"])
def test_a_hidden_count_is_null_without_a_fault(value: object) -> None:
    fields, faults = parse(**likes(value))
    assert (fields["likes"], faults) == (None, [])


@pytest.mark.parametrize(
    "value",
    [True, -2, 2**53 + 1, 2**70, 12.5, 9.007199254740992e15, "", "12 likes", "1,234", "1e999999", "9" * 5000, [], {}],
)
def test_a_count_that_is_none_is_null_with_a_fault(value: object) -> None:
    fields, (fault,) = parse(**likes(value))
    assert fields["likes"] is None
    assert fault.reason == Reason.NUMBER_OUT_OF_RANGE and fault.detail.startswith("likes: ")


def test_the_largest_count_is_taken() -> None:
    assert parse(**likes(2**53))[0]["likes"] == 2**53


def test_a_count_in_another_place_makes_up_for_one_that_is_none() -> None:
    fields, faults = parse(**likes("x"), edge_liked_by={"count": 5})
    assert (fields["likes"], faults) == (5, [])


@pytest.mark.parametrize("value", [SECONDS, str(SECONDS), float(SECONDS), bounds.FIRST_TIME, bounds.LAST_TIME])
def test_a_time_in_seconds_is_taken(value: object) -> None:
    fields, faults = parse(taken_at_timestamp=value)
    assert (fields["taken_at"], faults) == (int(value), [])  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "value",
    [SECONDS * 1000, SECONDS * 10**6, 0, -1, 2**63, bounds.FIRST_TIME - 1, bounds.LAST_TIME + 1, "2019-01-01", 1.5],
)
def test_another_time_is_null_with_a_fault(value: object) -> None:
    fields, (fault,) = parse(taken_at_timestamp=value)
    assert fields["taken_at"] is None
    assert fault.reason == Reason.NUMBER_OUT_OF_RANGE and fault.detail.startswith("taken_at: ")


@pytest.mark.parametrize("value", [2**31, -1, 10.5, "wide"])
def test_a_size_that_is_none_is_null_with_a_fault(value: object) -> None:
    fields, (fault,) = parse(dimensions={"width": value, "height": 1350})
    assert (fields["width"], fields["height"], fields["aspect_ratio"]) == (None, 1350, None)
    assert fault.detail.startswith("width: ")


def test_a_caption_is_cut_and_its_hashtags_with_it() -> None:
    fields, (fault,) = parse(**caption("#ab " + "x" * bounds.MAX_TEXT + " #late"))
    assert (len(fields["caption"]), fields["hashtags"]) == (bounds.MAX_TEXT, ["ab"])
    assert fault == (Reason.FIELD_TOO_LARGE, "caption: 10,010 characters, of which the first 10,000 are kept")


def test_hashtags_are_bounded_in_number() -> None:
    fields, (fault,) = parse(**caption("#ab " * 1001))
    assert fields["hashtags"] == ["ab"] * bounds.MAX_HASHTAGS
    assert fault.detail == "hashtags: 1,001, of which the first 1,000 are kept"


def test_comments_are_bounded_in_number() -> None:
    fields, (fault,) = parse(**comments(*["yes"] * 1001))
    assert (fields["comments_read"], fields["comments"]) == (1000, "\n".join(["yes"] * 1000))
    assert fault.detail.startswith("comments: 1,001 texts of 3,003 characters, of which the first 1,000 texts")


def test_comments_are_bounded_in_characters() -> None:
    fields, (fault,) = parse(**comments("a" * 65_000, "b" * 65_000, "c"))
    assert (fields["comments_read"], fields["comments"]) == (2, "a" * 65_000 + "\n" + "b" * 536)
    assert fault.detail.endswith("the first 2 texts of 65,536 are kept")


def test_tagged_users_are_bounded_in_number_and_length() -> None:
    fields, faults = parse(**tagged("a" * 257, *["bob"] * 1001))
    assert fields["tagged_users"] == ["bob"] * bounds.MAX_TAGGED
    assert [fault.detail for fault in faults] == [
        "tagged_users: 1 of more than 256 characters are left out",
        "tagged_users: 1,001, of which the first 1,000 are kept",
    ]


@pytest.mark.parametrize(
    ("field", "media"),
    [
        ("owner_id", {"owner": {"id": "9" * 257}}),
        ("owner_username", {"owner": {"username": "a" * 257}}),
        ("shortcode", {"shortcode": "a" * 257}),
        ("post_type", {"__typename": "a" * 257}),
    ],
)
def test_a_name_is_left_out_and_never_cut(field: str, media: dict[str, Any]) -> None:
    fields, (fault,) = parse(**media)
    assert fields[field] is None
    assert fault == (Reason.FIELD_TOO_LARGE, f"{field}: 257 characters, where 256 is the most; left out")


def test_a_description_is_cut() -> None:
    fields, (fault,) = parse(accessibility_caption="a" * 10_001)
    assert fields["accessibility_caption"] == "a" * bounds.MAX_TEXT
    assert fault.detail.startswith("accessibility_caption: ")


@pytest.mark.parametrize("value", ["{}", "[]", '{"":0}', '"x"'])
def test_a_file_of_millions_of_values_is_no_post(value: str) -> None:
    data = b'{"shortcode": "x", "y": [' + (value.encode() + b",") * 600_000 + b"0]}"
    with pytest.raises(NotAPost, match=r"values, where a post has 500,000 at most"):
        parse_info(memoryview(data))
