"""One .info file to a record, whatever is in it."""

from __future__ import annotations

import codecs
import json
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.ingest.source.influencers import Influencer
from postmill.ingest.source.post_fields import complete_record, parse_info
from postmill.ingest.source.post_json import NotAPost
from postmill.shards.formats import posts

POST: dict[str, Any] = {
    "__typename": "GraphImage",
    "id": "1188140434601337485",
    "shortcode": "BB9Ae",
    "taken_at_timestamp": 1455000000,
    "dimensions": {"height": 1350, "width": 1080},
    "is_video": False,
    "is_ad": False,
    "accessibility_caption": "Image may contain: bread",
    "edge_media_preview_like": {"count": 812},
    "edge_media_to_caption": {"edges": [{"node": {"text": "Fresh #Bread, #sour_dough! #Ünï"}}]},
    "edge_media_to_parent_comment": {
        "count": 31,
        "edges": [{"node": {"text": "yum"}}, {"node": {"text": "recipe?"}}],
    },
    "edge_media_to_tagged_user": {"edges": [{"node": {"user": {"username": "bob.b"}}}]},
    "owner": {"id": "77", "username": "ann.new", "is_verified": True, "is_private": False},
}


def parse(**changes: Any) -> dict[str, Any]:
    return parse_info(json.dumps({**POST, **changes}).encode())[0]


def test_every_field_is_where_the_dataset_has_it() -> None:
    fields = parse()
    fields.pop("post_hash")
    assert fields == {
        "owner_id": "77",
        "owner_username": "ann.new",
        "shortcode": "BB9Ae",
        "post_type": "GraphImage",
        "taken_at": 1455000000,
        "caption": "Fresh #Bread, #sour_dough! #Ünï",
        "comments": "yum\nrecipe?",
        "comments_read": 2,
        "likes": 812,
        "comment_count": 31,
        "hashtags": ["bread", "sour_dough", "ünï"],
        "tagged_users": ["bob.b"],
        "is_video": False,
        "is_sponsored": False,
        "is_verified": True,
        "is_private": False,
        "width": 1080,
        "height": 1350,
        "aspect_ratio": 0.8,
        "accessibility_caption": "Image may contain: bread",
    }


@pytest.mark.parametrize(
    "wrappers",
    [
        *(("shortcode_media", "graphql"), ("shortcode_media",), ("node",), ("shortcode_media", "data")),
        *(("xdt_shortcode_media", "data"), ("shortcode_media", "graphql", "data"), ("node", "node")),
    ],
)
@pytest.mark.parametrize("beside", [{}, {"status": "ok", "shortcode": "x"}])
def test_wrappers_are_taken_off(wrappers: tuple[str, ...], beside: dict[str, str]) -> None:
    value: dict[str, Any] = POST
    for wrapper in wrappers:
        value = {wrapper: value, **beside}
    assert parse_info(json.dumps(value).encode())[0] == parse()
    assert parse_info(json.dumps([value]).encode())[0] == parse()


def test_what_is_named_like_a_wrapper_within_a_post_is_none() -> None:
    assert parse(data={"x": 1}, node={"y": 2})["caption"] == parse()["caption"]


def test_the_hash_depends_on_content_alone() -> None:
    backwards = json.dumps(dict(reversed(POST.items())), indent=3).encode()
    assert parse_info(backwards)[0]["post_hash"] == parse()["post_hash"]
    assert parse(shortcode="other")["post_hash"] != parse()["post_hash"]


@pytest.mark.parametrize(
    ("changes", "likes"),
    [
        ({"edge_media_preview_like": {"count": 0}}, 0),
        ({"edge_media_preview_like": {"count": -1}}, None),
        ({"edge_media_preview_like": {"count": None}}, None),
        ({"edge_media_preview_like": None, "edge_liked_by": {"count": 5}}, 5),
        ({"edge_media_preview_like": {"count": 2**70}, "edge_liked_by": {"count": 5}}, 5),
    ],
)
def test_likes(changes: dict[str, Any], likes: int | None) -> None:
    assert parse(**changes)["likes"] == likes


@pytest.mark.parametrize(
    "name", ["edge_media_to_parent_comment", "edge_media_preview_comment", "edge_media_to_comment"]
)
def test_comments_are_found_in_each_of_their_places(name: str) -> None:
    connection = {"count": 3, "edges": [{"node": {"text": "a"}}, {"node": {"text": None}}, {"node": {"text": "b"}}, 7]}
    fields = parse(**{"edge_media_to_parent_comment": None, name: connection})
    assert (fields["comment_count"], fields["comments"], fields["comments_read"]) == (3, "a\nb", 2)


def test_no_caption_and_an_empty_caption_are_two_things() -> None:
    assert parse(edge_media_to_caption={"edges": []})["caption"] is None
    assert parse(edge_media_to_caption={"edges": [{"node": {"text": ""}}]})["caption"] == ""


def test_sponsors() -> None:
    assert parse(is_ad=True)["is_sponsored"] is True
    assert parse(edge_media_to_sponsor_user={"edges": [{"node": {}}]})["is_sponsored"] is True
    assert parse(edge_media_to_sponsor_user={"edges": []})["is_sponsored"] is False


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (rb"\ud83d", "\ufffd"),
        (rb"\uDF5E", "\ufffd"),
        (rb"\ud83d\ud83c\udf5e", "\ufffd\U0001f35e"),
        (rb"\udf5e\ud83c", "\ufffd\ufffd"),
        (rb"\\ud83d \ud83d", "\\ud83d \ufffd"),
        (rb"\ud83d\n\"", '\ufffd\n"'),
    ],
)
def test_half_an_emoji_is_replaced_and_the_post_kept(escaped: bytes, text: str) -> None:
    data = orjson.dumps(POST).replace(b"Fresh", b"Fresh " + escaped)
    assert parse_info(data)[0]["caption"].startswith(f"Fresh {text} #Bread")


def test_a_byte_order_mark_is_passed_over() -> None:
    assert parse_info(codecs.BOM_UTF8 + json.dumps(POST).encode())[0] == parse()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_of_unicode_are_read(encoding: str) -> None:
    assert parse_info(json.dumps(POST, ensure_ascii=False).encode(encoding))[0] == parse()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b'"location": NaN', b'"location": null'),
        (b'"location": [-Infinity, 1e999]', b'"location": [null, null]'),
        (b'"location": 123456789012345678901234567890', b'"location": 1.2345678901234568e29'),
        (b'"location": "a\tb\x01"', b'"location": "a\\tb\\u0001"'),
    ],
)
def test_what_python_or_a_careless_writer_left_in_the_json_costs_no_post(written: bytes, read: bytes) -> None:
    post = json.dumps(POST).encode()[:-1]
    assert parse_info(post + b", " + written + b"}")[0] == parse_info(post + b", " + read + b"}")[0]


def test_a_file_filled_up_with_zeros_is_read() -> None:
    assert parse_info(json.dumps(POST).encode() + bytes(16))[0] == parse()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b"<html>login</html>", "not JSON"),
        (b"\xff\xfe{\x00}\x00", "none of the fields"),
        (b"\xff\xfe{\x00x\x00", "not JSON"),
        (json.dumps(POST).encode() * 2, "not JSON"),
        (json.dumps(POST).encode().replace(b"Fresh", b"caf\xe9"), "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"shortcode": nan}', "not JSON"),
        (b"[]", "a list"),
        (b"[{}, {}]", "a list"),
        (b'{"graphql": {"shortcode_media": null}}', "none of the fields"),
        (b"null", "null"),
        (b"3", "a number"),
        (b'"x"', "a string"),
        (b"true", "true or false"),
        (b"{}", "none of the fields"),
        (b'{"message": "Please wait a few minutes"}', "none of the fields"),
    ],
)
def test_what_is_no_post_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(NotAPost, match=why):
        parse_info(data)


NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
FIELDS = st.sampled_from(["edges", "node", "text", "count", "user", "id", "username"])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)


@given(values=st.dictionaries(st.sampled_from(sorted(POST)), JSON))
def test_no_value_of_any_type_breaks_the_record(values: dict[str, Any]) -> None:
    fields, _ = parse_info(orjson.dumps({"shortcode": "x", **values}))
    record = complete_record(fields, "k", "1", "ann", Influencer("ann", "food", 1, 2, 3), ["1.jpg"], [])
    table = posts.records_table([record])
    assert table.schema.equals(posts.SCHEMA)
    assert table.to_pylist() == [record]
    assert json.loads(posts.record_json(record)) == record
    assert isinstance(table, pa.Table)
