"""Datasets for the benchmarks of ingest: thousands of files zipped by Info-ZIP, split and joined."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from postmill.ingest.sample.pictures import picture

PART = "256m"
_SCENES = 200
_ROW = "{account}\t{post}.info\t{pictures}\n"


def make(data: Path, posts: int, method: str, kind: str) -> None:
    """Write a dataset by Info-ZIP: its files first, then both archives, split and joined."""
    carousels = kind == "carousels"
    shutil.rmtree(data, ignore_errors=True)
    rng = random.Random(f"{posts}")
    scenes = [picture((7, i), rng.gauss(0, 1), "food", (256, rng.choice((256, 320)))) for i in range(_SCENES)]
    tree = data / "tree"
    for name in ("info", "image"):
        (tree / name).mkdir(parents=True)
    accounts = [f"account_{i:04d}" for i in range(300)]
    (data / "influencers.txt").write_text(
        "Username\tCategory\t#Followers\t#Followees\t#Posts\n=====\n"
        + "".join(f"{account}\tfood\t{1000 + i}\t10\t300\n" for i, account in enumerate(accounts))
    )
    names: dict[str, list[str]] = {"info": [], "image": []}
    with (data / "JSON-Image_files_mapping.txt").open("w") as mapping:
        mapping.write("influencer_name JSON_PostMetadata_file_name Image_file_name\n")
        for i in range(posts // 8 if carousels else posts):  # about as many pictures
            account, post = rng.choice(accounts), 10**18 + i * 1009
            count = 10 if carousels else rng.randint(2, 10) if rng.random() < 0.06 else 1
            pictures = [f"{post + j}.jpg" for j in range(count)]
            mapping.write(_ROW.format(account=account, post=post, pictures=pictures))
            for name in pictures:
                # A comment segment of its own behind the first marker makes every picture another.
                scene, mark = rng.choice(scenes), rng.randbytes(12)
                (tree / "image" / f"{account}-{name}").write_bytes(scene[:2] + b"\xff\xfe\x00\x0e" + mark + scene[2:])
            info = full_info(rng, post) if kind == "full" else least_info(rng, post)
            (tree / "info" / f"{account}-{post}.info").write_bytes(info)
            names["image"] += [f"image/{account}-{name}" for name in pictures]
            names["info"].append(f"info/{account}-{post}.info")
    for part, folder, stem in (("info", "Post_metadata", "posts_info"), ("image", "Post_images", "posts_image")):
        if not carousels:
            rng.shuffle(names[part])
        (data / folder).mkdir()
        level = "-0" if part == "image" and method == "stored" else "-6"
        target = (data / folder / f"{stem}.zip").resolve()
        listed = "\n".join(names[part]).encode()
        subprocess.run(["zip", "-q", level, "-s", PART, str(target), "-@"], cwd=tree, input=listed, check=True)
        joined = str((data / f"{part}.zip").resolve())
        subprocess.run(["zip", "-q", "-s", "0", str(target), "--out", joined], check=True)
    shutil.rmtree(tree)


def least_info(rng: random.Random, post: int) -> bytes:
    """Return the smallest metadata that makes a post."""
    return orjson.dumps({"id": str(post), "edge_media_preview_like": {"count": rng.randrange(10_000)}})


def full_info(rng: random.Random, post: int) -> bytes:
    """Return metadata of the dataset's size, 15.6 kB on average: a caption and a page of comments."""
    words = [
        "sunny",
        "breakfast",
        "with",
        "the",
        "family",
        "at",
        "home",
        "#happy",
        "#food",
        "new",
        "recipe",
        "today",
        "☀️",
    ]

    def text(most: int) -> str:
        return " ".join(rng.choices(words, k=rng.randint(3, most)))

    def owner() -> dict[str, object]:
        number = rng.randrange(10**9)
        return {
            "id": str(number),
            "is_verified": False,
            "profile_pic_url": f"https://pictures.example/v/t51.2885-19/s150x150/{number}_{rng.randrange(10**17)}_n.jpg"
            f"?_nc_ht=pictures.example&_nc_ohc={rng.randbytes(12).hex()}&oh={rng.randbytes(16).hex()}&oe=5E4B9D2C",
            "username": f"user_{number % 10**6}",
        }

    comments = [
        {
            "node": {
                "id": str(rng.randrange(10**17)),
                "text": text(20),
                "created_at": 1561939200 + rng.randrange(10**6),
                "did_report_as_spam": False,
                "owner": owner(),
                "viewer_has_liked": False,
                "edge_liked_by": {"count": rng.randrange(5)},
                "edge_threaded_comments": {"count": 0, "page_info": {"has_next_page": False}, "edges": []},
            }
        }
        for _ in range(rng.randint(6, 40))
    ]
    media = {
        "__typename": "GraphImage",
        "id": str(post),
        "shortcode": f"B{post:x}",
        "dimensions": {"height": 1350, "width": 1080},
        "display_url": f"https://pictures.example/{post}.jpg",
        "display_resources": [
            {"src": f"https://pictures.example/{post}_{size}.jpg", "config_width": size, "config_height": size}
            for size in (640, 750, 1080)
        ],
        "is_video": False,
        "edge_media_to_tagged_user": {"edges": []},
        "edge_media_to_caption": {"edges": [{"node": {"text": text(60)}}]},
        "edge_media_to_parent_comment": {"count": len(comments) * 2, "edges": comments},
        "taken_at_timestamp": 1561939200 - rng.randrange(10**8),
        "edge_media_preview_like": {"count": rng.randrange(10_000), "edges": []},
        "owner": owner(),
        "is_ad": False,
        "accessibility_caption": "Image may contain: food",
    }
    return orjson.dumps(media)
