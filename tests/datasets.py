"""Datasets in the real layout, made by the real zip: of whatever a test needs, and one in which everything is known."""

from __future__ import annotations

import io
import json
import random
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Rows = Sequence[tuple[str, str, Sequence[str]]]  # account, post and pictures of each row of the mapping

SHARED = Path(__file__).resolve().parents[1] / ".." / "shared"
GIVEN = SHARED / "real-posts"  # real posts, which must not be copied: where they lie, tests take them too


def info(shortcode: str = "x", **fields: Any) -> bytes:
    """The bytes of a small `.info` file."""
    post = {
        "shortcode": shortcode,
        "taken_at_timestamp": 1_500_000_000,
        "edge_media_preview_like": {"count": 5},
        "edge_media_to_caption": {"edges": [{"node": {"text": f"caption of {shortcode}"}}]},
    }
    return json.dumps({**post, **fields}).encode()


def zip_up(folder: Path, archive: Path, files: Mapping[str, bytes], *options: str) -> None:
    """Write `files` in their order into `archive`, made by zip with `options`; `folder` holds them meanwhile."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    archive.parent.mkdir(parents=True, exist_ok=True)
    names = "\n".join(files) + "\n"
    command = ["zip", "-q", *options, str(archive.resolve()), "-@"]
    subprocess.run(command, input=names, text=True, cwd=folder, check=True)


def write_mapping(path: Path, rows: Rows) -> None:
    header = "influencer_name JSON_PostMetadata_file_name Image_file_name    \n"
    path.write_text(header + "".join(f"{user}\t{post}.info\t{list(images)!r}\n" for user, post, images in rows))


def write_dataset(
    root: Path,
    infos: Mapping[str, bytes],
    pictures: Mapping[str, bytes],
    rows: Rows,
    influencers: Sequence[str] = ("ann\tfood\t1000\t10\t5",),
    options: Sequence[str] = (),
    metadata_options: Sequence[str] | None = None,
) -> None:
    """Write a dataset into `root`.

    Args:
        root: A new folder.
        infos: Metadata by file name, in the order in which it is to lie.
        pictures: Likewise.
        rows: Of the mapping.
        influencers: Lines of the influencers file, without its two lines of header.
        options: For zip, as in `-s 1m`.
        metadata_options: Those for the metadata archive, if they are others.
    """
    for folder, archive, files, words in (
        ("info", "Post_metadata/posts_info.zip", infos, options if metadata_options is None else metadata_options),
        ("image", "Post_images/posts_image.zip", pictures, options),
    ):
        with tempfile.TemporaryDirectory(dir=root.parent) as plain:
            zip_up(Path(plain), root / archive, {f"{folder}/{name}": data for name, data in files.items()}, *words)
    write_mapping(root / "JSON-Image_files_mapping.txt", rows)
    header = ["Username\tCategory\t#Followers\t#Followees\t#Posts", "=" * 60]
    (root / "influencers.txt").write_text("\n".join([*header, *influencers]) + "\n")


@dataclass(frozen=True)
class KnownDataset:
    """A dataset of which it is known what an ingest must come to.

    Attributes:
        folder: Where it lies.
        posts: Posts that the mapping lists.
        pictures: Pictures in post shards, one that two posts list counted twice.
        lost: Why each lost post is in no shard, by account and post.
        repeated_rows: Rows of the mapping that are there twice.
        carousel: The one post of several pictures, and the names of these; the last is another post's too.
    """

    folder: Path
    posts: int
    pictures: int
    lost: Mapping[tuple[str, str], str]
    repeated_rows: int
    carousel: tuple[str, tuple[str, ...]]


def given() -> KnownDataset:
    """The real posts of :data:`GIVEN`, as the file FAULTS.txt beside them describes them."""
    lost = {
        ("virat.kohli", "2929376734148410921"): "metadata_missing",
        ("natgeo", "2944035524186137695"): "metadata_unreadable",
        ("instagram", "2901123107588738258"): "no_image",
    }
    carousel = ("2934168208530733068", ("2934168208530733068.jpg", "2937444473186918492.jpg"))
    return KnownDataset(GIVEN.resolve(), 100, 98, lost, 1, carousel)


ACCOUNTS = {
    "ada.bakes": ("food", 217_220_720),
    "bo_on_tour": ("travel", 242_002),
    "c.ceramics": ("interior", 5_554),
    "dee.and.dog": ("pet", 277_841),
    "_emil_": ("fitness", 480_300),
    "flo.sews": ("fashion", 340_820),
    "g.garden": ("other", 365_408),
    "hal.ho": ("family", 1_027_042),
    "ines.i": ("beauty", 155_105),
    "jo.jots": ("other", 2_235),
}
CAPTIONS = (
    "Fresh bread this morning 🍞 #bread #Sourdough",
    "Der Weg ist das Ziel. #schönewelt",
    "two lines\nand a \"quotation\", a\ttab, a \\ and 'single' ones",
    "雨の日 ☔ #雨",
    "",
    None,
    "no hashtag, " * 40,
)
FRAMES = ((1080, 1080), (1080, 1350), (1080, 810))


def build(root: Path, posts: int = 100, part: str = "1m") -> KnownDataset:
    """Write invented posts as a collector of 2021 stored them: JPEGs of the original size, no texts of comments.

    Three posts are lost, each for another reason, one row of the mapping is repeated, and a carousel shares its second
    picture with another post. All else is whole.

    Args:
        root: A new folder.
        posts: How many, 20 at least.
        part: Size of the parts of both archives, as zip takes it.
    """
    draw = random.Random(20)
    scenes = [scene(number, FRAMES[number % len(FRAMES)]) for number in range(8)]
    names = list(ACCOUNTS)
    rows: list[tuple[str, str, list[str]]] = []
    infos: dict[str, bytes] = {}
    pictures: dict[str, bytes] = {}
    for number in range(posts):
        account, post = names[number % len(names)], f"{2_900_000_000_000_000_000 + number * 10**15 + 7919 * number}"
        rows.append((account, post, [f"{post}.jpg"]))
        infos[f"{account}-{post}.info"] = collected(draw, number, account, post, FRAMES[number % len(FRAMES)])
        pictures[f"{account}-{post}.jpg"] = marked(scenes[number % len(scenes)], number)
    last = len(names)  # of one account, the posts are that many apart
    _, carousel, listed = rows[3]
    listed += rows[3 + last][2]
    missing, empty, bare = rows[5], rows[8], rows[12]
    del infos[f"{missing[0]}-{missing[1]}.info"], pictures[f"{bare[0]}-{bare[2][0]}"]
    infos[f"{empty[0]}-{empty[1]}.info"] = b""
    write_dataset(
        root,
        {name: infos[name] for name in draw.sample(sorted(infos), len(infos))},
        {name: pictures[name] for name in draw.sample(sorted(pictures), len(pictures))},
        [*rows[:15], rows[15], *rows[15:]],
        [f"{name}\t{category}\t{followers}\t{followers % 997}\t0" for name, (category, followers) in ACCOUNTS.items()],
        ["-s", part],
    )
    lost = {missing[:2]: "metadata_missing", empty[:2]: "metadata_unreadable", bare[:2]: "no_image"}
    return KnownDataset(root, posts, posts - len(lost) + 1, lost, 1, (carousel, tuple(listed)))


def collected(draw: random.Random, number: int, account: str, post: str, frame: tuple[int, int]) -> bytes:
    """The metadata of a post with the keys that such a collector kept, those of its account among them."""
    caption = CAPTIONS[number % len(CAPTIONS)]
    category, followers = ACCOUNTS[account]
    likes = {"count": draw.randrange(10_000), "edges": []}
    media: dict[str, Any] = {
        "__typename": "GraphSidecar" if number == 3 else "GraphImage",
        "id": post,
        "gating_info": None,
        "fact_check_overall_rating": None,
        "media_overlay_info": None,
        "sharing_friction_info": {"should_have_sharing_friction": False, "bloks_app_url": None},
        "dimensions": {"height": frame[1], "width": frame[0]},
        "display_url": f"https://pictures.example/{post}.jpg",
        "is_video": False,
        "media_preview": None,
        "edge_media_to_tagged_user": {"edges": []},
        "accessibility_caption": None if number % 3 else "Photo by somebody on a sunny day.",
        "edge_media_to_caption": {"edges": [] if caption is None else [{"node": {"text": caption}}]},
        "shortcode": f"C{number:x}",
        # The texts of comments were not collected: a count, and a page without edges.
        "edge_media_to_comment": {"count": draw.randrange(900), "page_info": {"has_next_page": True}},
        "comments_disabled": False,
        "taken_at_timestamp": 1_640_995_200 + number * 5_000,
        "edge_media_preview_like": likes,
        "owner": {
            "biography": draw.randbytes(2_000 if number % 2 else 5_000).hex(),  # what does not compress well
            "category_name": category,
            "edge_followed_by": {"count": followers},
            "full_name": account.replace(".", " ").title(),
            "id": str(10_000 + list(ACCOUNTS).index(account)),
            "is_private": False,
            "is_verified": number % 2 == 0,
            "username": account,
        },
        "thumbnail_resources": [
            {"src": f"https://pictures.example/{post}_{side}.jpg", "config_width": side, "config_height": side}
            for side in (150, 240, 320)
        ],
    }
    if number % 2:  # as later versions have it
        media |= {"edge_liked_by": likes, "pinned_for_users": [], "coauthor_producers": [], "nft_asset_info": None}
    else:
        media |= {"edge_media_to_sponsor_user": {"edges": []}, "viewer_has_liked": False, "tracking_token": "x"}
    return json.dumps(media, ensure_ascii=number % 2 == 0).encode()


def scene(seed: int, frame: tuple[int, int]) -> bytes:
    """A JPEG of that width and height in px, coarse shapes under a grain: about 190 kB, as photographs have."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (9, 8, 3), dtype=np.uint8)).resize(frame, Image.Resampling.BICUBIC)
    grain = rng.normal(0, 11, (frame[1], frame[0], 1))
    out = io.BytesIO()
    pixels = np.clip(np.asarray(coarse, np.float64) + grain, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(out, "JPEG", quality=62)
    return out.getvalue()


def marked(jpeg: bytes, number: int) -> bytes:
    """The same picture in other bytes: a comment segment of its own behind the first marker."""
    return jpeg[:2] + b"\xff\xfe\x00\x06" + number.to_bytes(4, "big") + jpeg[2:]
