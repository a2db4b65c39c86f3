"""One ``.info`` file to the fields of a post record.

The file is one ``shortcode_media`` object as Instagram's web pages carried it, bare or in one of three wrappers.
Every field may be absent, null or of another type: what cannot be read as what it should be is null, and only a file
that is no post at all is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import orjson

from ingest.influencers import Influencer
from shards.posts import NAMES

_HASHTAG = re.compile(r"#(\w+)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BLANK: dict[str, Any] = dict.fromkeys(NAMES)  # gives every record the order of the schema
_WRAPPERS = ("graphql", "shortcode_media", "node")
_MARKS = {"shortcode", "taken_at_timestamp", "edge_media_to_caption", "edge_media_preview_like", "display_url"}
_INT32_MAX = 2**31 - 1
_INT64_MAX = 2**63 - 1


class NotAPost(ValueError):
    """The bytes are no post; the message says why."""


def parse_info(data: bytes | bytearray | memoryview) -> dict[str, Any]:
    """Return the record fields that the bytes of an ``.info`` file hold (see :data:`shards.posts.SCHEMA`).

    Raises:
        NotAPost: The file is empty, not JSON in UTF-8, or not a post.
    """
    media = _unwrap(_load(data))
    canonical = orjson.dumps(media, option=orjson.OPT_SORT_KEYS)
    owner = _dict(media.get("owner"))
    dimensions = _dict(media.get("dimensions"))
    width, height = _count(dimensions.get("width"), _INT32_MAX), _count(dimensions.get("height"), _INT32_MAX)
    caption = _first_text(media.get("edge_media_to_caption"))
    comment_count, texts = _comments(media)
    return {
        "post_hash": hashlib.sha256(canonical).hexdigest(),
        "owner_id": _string(owner.get("id")),
        "owner_username": _string(owner.get("username")),
        "shortcode": _string(media.get("shortcode")),
        "post_type": _string(media.get("__typename")),
        "taken_at": _count(media.get("taken_at_timestamp")),
        "caption": caption,
        "comments": "\n".join(texts) if texts else None,
        "comments_read": len(texts),
        "likes": _likes(media),
        "comment_count": comment_count,
        "hashtags": [tag.lower() for tag in _HASHTAG.findall(caption)] if caption else [],
        "tagged_users": _tagged(media.get("edge_media_to_tagged_user")),
        "is_video": _bool(media.get("is_video")),
        "is_sponsored": media.get("is_ad") is True or bool(_edges(media.get("edge_media_to_sponsor_user"))),
        "is_verified": _bool(owner.get("is_verified")),
        "is_private": _bool(owner.get("is_private")),
        "width": width,
        "height": height,
        "aspect_ratio": width / height if width and height else None,
        "accessibility_caption": _string(media.get("accessibility_caption")),
    }


def complete(
    fields: dict[str, Any],
    key: str,
    post_id: str,
    influencer: str,
    account: Influencer | None,
    images: list[str],
    missing_images: list[str],
) -> dict[str, Any]:
    """Return the whole record: ``fields`` of :func:`parse_info` with what only the plan knows."""
    record = {**_BLANK, **fields}
    record["key"], record["post_id"], record["influencer"] = key, post_id, influencer
    if account is not None:
        record["category"], record["followers"] = account.category, account.followers
        record["followees"], record["influencer_posts"] = account.followees, account.posts
    record["images"], record["missing_images"] = images, missing_images
    return record


def _load(data: bytes | bytearray | memoryview) -> Any:
    if not len(data):
        raise NotAPost("the file is empty")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        first = error
    # The strict parser refuses half of a surrogate pair, which a caption cut in the middle of an emoji ends with.
    try:
        text = bytes(data).decode("utf-8-sig")
        value = json.loads(text, parse_constant=_no_constant)
        return orjson.loads(_SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False)))
    except (ValueError, RecursionError):
        raise NotAPost(f"not JSON: {first}") from first


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unwrap(value: Any) -> dict[str, Any]:
    for wrapper in _WRAPPERS:
        if isinstance(value, dict) and wrapper in value and isinstance(value[wrapper], dict):
            value = value[wrapper]
    if not isinstance(value, dict):
        raise NotAPost(f"JSON, but {_kind(value)} where a post should be")
    if _MARKS.isdisjoint(value):
        raise NotAPost("JSON, but none of the fields of a post is in it")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {list: "a list", str: "a string", bool: "true or false"}.get(type(value), "a number")


def _likes(media: dict[str, Any]) -> int | None:
    for name in ("edge_media_preview_like", "edge_liked_by"):
        count = _count(_dict(media.get(name)).get("count"))
        if count is not None:
            return count
    return None


def _comments(media: dict[str, Any]) -> tuple[int | None, list[str]]:
    """Return the count and the texts of the first place that has each."""
    count: int | None = None
    texts: list[str] = []
    for name in ("edge_media_to_parent_comment", "edge_media_preview_comment", "edge_media_to_comment"):
        place = media.get(name)
        if isinstance(place, dict):
            count = _count(place.get("count")) if count is None else count
            texts = texts or _texts(place)
    return count, texts


def _texts(place: dict[str, Any]) -> list[str]:
    """Return the texts of the nodes of ``place`` that have one; first in the way that does for nearly all posts."""
    edges = place.get("edges")
    if not edges:
        return []
    try:
        return [text for edge in edges if type(text := edge["node"]["text"]) is str and text]
    except (KeyError, TypeError):
        return [text for node in _edges(place) if (text := _string(node.get("text")))]


def _tagged(place: Any) -> list[str]:
    if not place:
        return []
    names = (_string(_dict(node.get("user")).get("username")) for node in _edges(place))
    return [name for name in names if name]


def _first_text(place: Any) -> str | None:
    nodes = _edges(place)
    return _string(nodes[0].get("text")) if nodes else None


def _edges(place: Any) -> list[dict[str, Any]]:
    edges = place.get("edges") if isinstance(place, dict) else None
    if not edges or not isinstance(edges, list):
        return []
    return [_dict(edge.get("node")) for edge in edges if isinstance(edge, dict)]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _count(value: Any, maximum: int = _INT64_MAX) -> int | None:
    """Return ``value`` if it is a whole number from 0: Instagram gives -1 or null for what is hidden."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= maximum else None
