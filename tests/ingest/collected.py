"""Invented profiles as instaloader leaves them: a JSON of each post, pictures beside it, one of the profile."""

from __future__ import annotations

import io
import json
import lzma
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

FOLLOWERS = {"ada.bakes": 5_000, "bo_on_tour": 700}
IDS = {"ada.bakes": "101", "bo_on_tour": "102"}
KINDS = ("GraphSidecar", "GraphVideo", "GraphImage", "GraphImage", "GraphImage")  # in turn
CHILDREN = 11  # of a post of several, more than one digit counts


def jpeg(seed: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (48, 48), (seed * 5 % 256, seed * 11 % 256, seed * 17 % 256)).save(out, "JPEG")
    return out.getvalue()


def document(kind: str, node: Mapping[str, Any]) -> bytes:
    """The JSON of a thing, with its keys in the order in which they are written."""
    about = {"instaloader": {"node_type": kind, "version": "4.10"}, "node": node}
    return json.dumps(about, ensure_ascii=False).encode()


def stem(number: int) -> str:
    return f"2019-01-{number // 24 + 1:02d}_{number % 24:02d}-00-00_UTC"


def post_id(username: str, number: int) -> str:
    return f"{list(IDS).index(username) + 1}{number:018d}"


def node(username: str, number: int, **fields: Any) -> dict[str, Any]:
    kind = KINDS[number % len(KINDS)]
    made: dict[str, Any] = {
        "__typename": kind,
        "id": post_id(username, number),
        "shortcode": f"B{IDS[username]}{number}",
        "taken_at_timestamp": 1_546_300_800 + number * 3600,
        "edge_media_preview_like": {"count": 100 + 3 * number},
        "edge_media_to_comment": {"count": number},
        "edge_media_to_caption": {"edges": [{"node": {"text": f"Tag {number} im Garten 🌿 #garten"}}]},
        "is_video": kind == "GraphVideo",
        "owner": {"id": IDS[username], "username": username},
        "dimensions": {"height": 48, "width": 48},
    }
    if kind == "GraphSidecar":
        made["edge_sidecar_to_children"] = {
            "edges": [{"node": {"is_video": number == 0}} for number in range(CHILDREN)]
        }
    return made | fields


def profile(username: str, **fields: Any) -> bytes:
    said: dict[str, Any] = {"username": username, "id": IDS[username], "edge_follow": {"count": 10}}
    said |= {"edge_followed_by": {"count": FOLLOWERS[username]}, "edge_owner_to_timeline_media": {"count": 99}}
    return document("Profile", said | {"category_name": "Chef" if username == "ada.bakes" else None} | fields)


def files(posts: int) -> dict[str, bytes]:
    """The files of both profiles by their paths, each with so many posts."""
    made: dict[str, bytes] = {}
    for username, number in IDS.items():
        made[f"{username}/{username}_{number}.json.xz"] = lzma.compress(profile(username))
        made[f"{username}/id"] = number.encode()
        made[f"{username}/2018-05-05_10-00-00_UTC_profile_pic.jpg"] = jpeg(1)
        for each in range(posts):
            name = f"{username}/{stem(each)}"
            made[f"{name}.json.xz"] = lzma.compress(document("Post", node(username, each)))
            made[f"{name}.txt"] = b"what the JSON has too"
            kind = KINDS[each % len(KINDS)]
            if kind == "GraphSidecar":
                made |= {f"{name}_{child}.jpg": jpeg(100 * each + child) for child in range(1, CHILDREN + 1)}
                made[f"{name}_1.mp4"] = b"a video in a post of several"
                continue
            made[f"{name}.jpg"] = jpeg(100 * each)
            if kind == "GraphVideo":
                made[f"{name}.mp4"] = b"a video"
    return made


def put(folder: Path, content: Mapping[str, bytes]) -> Path:
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
