"""The ``.info`` of a sample post: one bare ``shortcode_media`` object, as the dataset has them."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import orjson

from postmill.ingest.sample import captions
from postmill.ingest.sample.accounts import CATEGORY_ODDS, Accounts

Json = dict[str, Any]

_MOST_COMMENTS = 6  # texts in one .info; the dataset has the first page only
_ACCESSIBILITY = dict(
    zip(
        CATEGORY_ODDS,
        (
            "1 person, standing",
            "indoor",
            "sky, ocean, outdoor and nature",
            "2 people, people smiling, child",
            "food",
            "1 person, closeup",
            "table, plant and indoor",
            "1 person, shoes and outdoor",
            "dog and outdoor",
        ),
        strict=True,
    )
)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def info_bytes(seed: int, row: Mapping[str, Any], account: int, accounts: Accounts) -> bytes:
    """Return the ``.info`` of one row of the truth table as UTF-8 JSON, with the row's fault in it if it has one.

    Args:
        seed: Of the sample.
        row: One row of :data:`.truth.TRUTH`.
        account: The index of its account in ``accounts``.
        accounts: All of the sample's.
    """
    fault = row["fault"]
    if fault == "empty_info":
        return b""
    data = orjson.dumps(_media(seed, row, account, accounts))
    return data[: len(data) // 2] if fault == "broken_info" else data


def shortcode(number: int) -> str:
    """Return the shortcode of an id: its digits to base 64, in Instagram's alphabet."""
    digits = ""
    while number:
        number, digit = divmod(number, 64)
        digits = _ALPHABET[digit] + digits
    return digits


def _media(seed: int, row: Mapping[str, Any], account: int, accounts: Accounts) -> Json:
    rng = Random(f"{seed} post {row['post_id']}")
    likes = {"hidden_likes_null": None, "hidden_likes_minus_one": -1}.get(row["fault"], row["likes"])
    caption = _caption(seed, row)
    media: Json = {
        "__typename": "GraphSidecar" if row["image_count"] > 1 else "GraphImage",
        "id": row["post_id"],
        "shortcode": shortcode(int(row["post_id"])),
        "dimensions": {"height": row["height"], "width": row["width"]},
        "gating_info": None,
        "media_preview": None,
        "display_url": _url(row["post_id"]),
        "is_video": False,
        "should_log_client_event": False,
        "tracking_token": "",
        "edge_media_to_tagged_user": {"edges": [_tag(rng, accounts) for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 3)))]},
        "edge_media_to_caption": {"edges": [{"node": {"text": caption}}] if caption else []},
        "caption_is_edited": row["near_duplicate"] is not None,
        "has_ranked_comments": False,
        "edge_media_to_parent_comment": _comment_page(rng, row, accounts),
        "comments_disabled": False,
        "taken_at_timestamp": row["taken_at"],
        "edge_media_preview_like": {"count": likes, "edges": []},
        "location": None,
        "viewer_has_liked": False,
        "owner": _owner(row, account, accounts),
        "is_ad": False,
    }
    if (described := rng.random()) < 0.8:  # else the key is absent
        content = _ACCESSIBILITY[row["category"]]
        media["accessibility_caption"] = f"Image may contain: {content}" if described < 0.5 else None
    if (sponsored := rng.random()) < 0.5:
        edges = [{"node": {"id": str(rng.randrange(10**6, 10**9)), "username": "okko.daily"}}]
        media["edge_media_to_sponsor_user"] = {"edges": edges if sponsored < 0.03 else []}
    if row["image_count"] > 1:
        media["edge_sidecar_to_children"] = {"edges": [{"node": _child(row, image)} for image in row["images"]]}
    return media


def _caption(seed: int, row: Mapping[str, Any]) -> str:
    mood = None if row["mood"] is None else captions.MOODS.index(row["mood"])
    words = Random(f"{seed} caption {row['source']}")
    text = captions.caption(words, row["category"], mood, row["topic"], row["language"])
    if row["campaign"] is not None:
        text = captions.of_campaign(Random(f"{seed} campaign {row['group']}"), text)
    return text if row["near_duplicate"] is None else captions.edited(words, text)


def _comment_page(rng: Random, row: Mapping[str, Any], accounts: Accounts) -> Json:
    count = min(row["comments"], rng.randint(1, _MOST_COMMENTS))
    edges = [
        {
            "node": {
                "id": str(rng.randrange(10**16, 10**17)),
                "text": text,
                "created_at": row["taken_at"] + rng.randrange(60, 90_000),
                "owner": {"id": str(rng.randrange(10**6, 10**9)), "username": rng.choice(accounts.names)},
                "viewer_has_liked": False,
                "edge_threaded_comments": {"count": 0, "edges": []},
            }
        }
        for text in captions.comments(rng, row["tone"], count)
    ]
    page = {"has_next_page": row["comments"] > count, "end_cursor": None}
    return {"count": row["comments"], "page_info": page, "edges": edges}


def _owner(row: Mapping[str, Any], account: int, accounts: Accounts) -> Json:
    name = row["influencer"]
    return {
        "id": str(accounts.ids[account]),
        "is_verified": bool(accounts.verified[account]),
        "profile_pic_url": _url(str(accounts.ids[account])),
        "username": f"{name.strip('_')}.new" if row["fault"] == "renamed_account" else name,
        "blocked_by_viewer": False,
        "followed_by_viewer": False,
        "full_name": name.replace(".", " ").replace("_", " ").strip().title(),
        "has_blocked_viewer": False,
        "is_private": False,
        "is_unpublished": False,
        "requested_by_viewer": False,
    }


def _child(row: Mapping[str, Any], image: str) -> Json:
    return {
        "__typename": "GraphImage",
        "id": image,
        "shortcode": shortcode(int(image)),
        "dimensions": {"height": row["height"], "width": row["width"]},
        "display_url": _url(image),
        "is_video": False,
        "accessibility_caption": None,
        "edge_media_to_tagged_user": {"edges": []},
    }


def _tag(rng: Random, accounts: Accounts) -> Json:
    name = rng.choice(accounts.names)
    return {"node": {"user": {"username": name}, "x": round(rng.random(), 4), "y": round(rng.random(), 4)}}


def _url(name: str) -> str:
    return f"https://pictures.example/{name}.jpg"
