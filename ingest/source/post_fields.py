"""One ``.info`` file to the fields of a post record: caption, likes, comments, and what else it tells.

The file is one ``shortcode_media`` object as Instagram's web pages carried it, bare or in the wrappers that collectors
left around it.
Every field may be absent, null or of another type: what cannot be read as what it should be is null, what is beyond the
bounds of :mod:`.formats.bounds` is told of, and only a file that is no post at all is refused.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from postmill.ingest.source.field_checks import (
    FieldFault,
    count,
    first_names,
    first_of,
    first_texts,
    name_or_none,
    side,
    text_or_none,
    time,
)
from postmill.ingest.source.hashtags import hashtags
from postmill.ingest.source.influencers import Influencer
from postmill.ingest.source.post_json import parse_post
from postmill.shards.formats.bounds import MAX_COMMENTS, MAX_COMMENTS_TEXT, MAX_COUNT, MAX_HASHTAGS, MAX_TAGGED
from postmill.shards.formats.posts import NAMES

_BLANK: dict[str, Any] = dict.fromkeys(NAMES)  # gives every record the order of the schema
_LIKES = ("edge_media_preview_like", "edge_liked_by")
_COMMENTS = ("edge_media_to_parent_comment", "edge_media_preview_comment", "edge_media_to_comment", "comments")


def parse_info(data: bytes | bytearray | memoryview) -> tuple[dict[str, Any], list[FieldFault]]:
    """Return the record fields that the bytes of an ``.info`` file hold, and what was wrong with single ones.

    The fields are those of :data:`.formats.posts.SCHEMA`; one with a fault is null or cut. Memory is a few times the
    size of ``data``.

    Raises:
        NotAPost: The file is empty, not JSON, or not a post.
    """
    media = parse_post(data)
    faults: list[FieldFault] = []
    canonical = orjson.dumps(media, option=orjson.OPT_SORT_KEYS)
    owner = _dict(media.get("owner"))
    dimensions = _dict(media.get("dimensions"))
    width = side("width", dimensions.get("width"), faults)
    height = side("height", dimensions.get("height"), faults)
    # What stands last in each of these, collectors write who have the post of an app, and not of a web page.
    written = _first_text(media.get("edge_media_to_caption"))
    caption = text_or_none("caption", media.get("caption") if written is None else written, faults)
    texts = _comments(media)
    if len(texts) > MAX_COMMENTS or len(data) > MAX_COMMENTS_TEXT:  # a small file has no large text
        texts = first_texts("comments", texts, MAX_COMMENTS, MAX_COMMENTS_TEXT, faults)
    fields = {
        "post_hash": hashlib.sha256(canonical).hexdigest(),
        "owner_id": name_or_none("owner_id", owner.get("id"), faults),
        "owner_username": name_or_none("owner_username", owner.get("username"), faults),
        "shortcode": name_or_none("shortcode", media.get("shortcode", media.get("code")), faults),
        "post_type": name_or_none("post_type", media.get("__typename"), faults),
        "taken_at": time("taken_at", media.get("taken_at_timestamp", media.get("date")), faults),
        "caption": caption,
        "comments": "\n".join(texts) if texts else None,
        "comments_read": len(texts),
        "likes": _count("likes", media, _LIKES, faults),
        "comment_count": _count("comment_count", media, _COMMENTS, faults),
        "hashtags": _hashtags(caption, faults) if caption else [],
        "tagged_users": _tagged(media.get("edge_media_to_tagged_user"), faults),
        "is_video": _bool(media.get("is_video")),
        "is_sponsored": media.get("is_ad") is True or bool(_nodes(media.get("edge_media_to_sponsor_user"))),
        "is_verified": _bool(owner.get("is_verified")),
        "is_private": _bool(owner.get("is_private")),
        "width": width,
        "height": height,
        "aspect_ratio": width / height if width and height else None,
        "accessibility_caption": text_or_none("accessibility_caption", media.get("accessibility_caption"), faults),
    }
    return fields, faults


def complete_record(
    fields: dict[str, Any],
    key: str,
    post_id: str,
    influencer: str,
    account: Influencer | None,
    images: list[str],
    missing_images: list[str],
) -> dict[str, Any]:
    """Return the finished record: ``fields`` of :func:`parse_info` with what only the plan knows."""
    record = {**_BLANK, **fields}
    record["key"], record["post_id"], record["influencer"] = key, post_id, influencer
    if account is not None:
        record["category"], record["followers"] = account.category, account.followers
        record["followees"], record["influencer_posts"] = account.followees, account.posts
    record["images"], record["missing_images"] = images, missing_images
    return record


def _count(field: str, media: dict[str, Any], places: tuple[str, ...], faults: list[FieldFault]) -> int | None:
    """Return the count of the first of ``places`` that has it; what is wrong in one is told where no other has it."""
    connection = media.get(places[0])  # as GraphQL calls a count with a page of edges
    if type(connection) is dict and type(number := connection.get("count")) is int and 0 <= number <= MAX_COUNT:
        return number  # first in the way that does for nearly all posts
    found: list[FieldFault] = []
    for place in places:
        connection = media.get(place)
        value = connection.get("count") if isinstance(connection, dict) else connection
        if value is not None and (number := count(field, value, found)) is not None:
            return number
    faults += found[:1]
    return None


def _comments(media: dict[str, Any]) -> list[str]:
    """Return the texts of the first connection that has any."""
    for place in _COMMENTS:
        connection = media.get(place)
        if isinstance(connection, dict) and (texts := _texts(connection)):
            return texts
    return []


def _texts(connection: dict[str, Any]) -> list[str]:
    """Return the texts of its nodes that have one; first in the way that does for nearly all posts."""
    edges = connection.get("edges")
    if not edges:
        return []
    try:
        return [text for edge in edges if type(text := edge["node"]["text"]) is str and text]
    except (KeyError, TypeError):
        return [text for node in _nodes(connection) if (text := _string(node.get("text")))]


def _tagged(connection: Any, faults: list[FieldFault]) -> list[str]:
    if not connection:
        return []
    try:
        names = [name for edge in connection["edges"] if type(name := edge["node"]["user"]["username"]) is str and name]
    except (KeyError, TypeError):
        users = [_dict(node.get("user")).get("username") for node in _nodes(connection)]
        names = [user for user in users if isinstance(user, str) and user]
    return first_names("tagged_users", names, MAX_TAGGED, faults) if names else names


def _hashtags(caption: str, faults: list[FieldFault]) -> list[str]:
    tags = hashtags(caption)
    return tags if len(tags) <= MAX_HASHTAGS else first_of("hashtags", tags, MAX_HASHTAGS, faults)


def _first_text(connection: Any) -> str | None:
    nodes = _nodes(connection)
    return _string(nodes[0].get("text")) if nodes else None


def _nodes(connection: Any) -> list[dict[str, Any]]:
    edges = connection.get("edges") if isinstance(connection, dict) else None
    if not edges or not isinstance(edges, list):
        return []
    return [_dict(edge.get("node")) for edge in edges if isinstance(edge, dict)]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
