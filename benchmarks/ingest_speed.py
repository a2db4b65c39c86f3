"""How fast the windows of a picture archive become post shards, against what else one could use on the same files.

    python benchmarks/ingest_speed.py DIR                    # 300,000 posts; DIR on a disk with 70 GB free
    python benchmarks/ingest_speed.py DIR --posts 20000 --memory /dev/shm

Both archives are written by Info-ZIP as split zips, once with stored and once with deflated pictures.
All commands read the same files from the page cache, in turn, and the best of the repeats counts. All have one core,
processes and threads together, but for postmill with two workers. Compared are

- `cp` of the parts,
- reading, BLAKE3 and writing of the parts, a MiB at a time: what no program that hashes can be faster than,
- `cat PARTS | bsdtar -cf - @- >FILE`: conversion alone,
- `7z x` of the joined zip: conversion alone, into files,
- zipfile and webdataset.TarWriter over the joined zips, row after row of the mapping: what one would write,
- `postmill ingest --stage windows`, which reads the same pictures, and also joins, checks every CRC-32, hashes and
  parses the metadata,
- `postmill plan` and all stages of `postmill ingest`: what zipfile and TarWriter are like.

bsdtar and 7z do nothing about metadata, whose parsing has lines of its own. Three datasets of each method:

- `carousels`: ten pictures a post that lie together, as in an archive sorted by account, and the smallest metadata that
  makes a post. This is what a picture costs, and like set against like.
- `least`: the dataset's mix, 94 % of posts with one picture, in random order, with the smallest metadata.
- `full`: the same with metadata of the true size.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest.metadata import complete, parse_info  # noqa: E402
from ingest.sample_pictures import picture  # noqa: E402
from shards.posts import record_json, records_table  # noqa: E402

CLI = [sys.executable, str(ROOT / "cli.py")]
PART = "256m"
SHARD = "64"  # MB: small enough that two workers have many windows each, as of a whole archive
_SCENES = 200
_ROW = "{account}\t{post}.info\t{pictures}\n"

_JOIN_AND_WRITE = """
import ast, os, sys, zipfile
import webdataset
root, target = sys.argv[1:]
metadata, images = zipfile.ZipFile(f"{root}/info.zip"), zipfile.ZipFile(f"{root}/image.zip")
with open(f"{root}/JSON-Image_files_mapping.txt") as mapping, webdataset.TarWriter(f"{target}/all.tar") as tar:
    next(mapping)
    for line in mapping:
        account, info, listed = line.rstrip("\\n").split("\\t")
        sample = {"__key__": info.removesuffix(".info"), "json": metadata.read(f"info/{account}-{info}")}
        for number, name in enumerate(ast.literal_eval(listed)):
            sample[f"{number}.jpg"] = images.read(f"image/{account}-{name}")
        tar.write(sample)
"""

_READ_HASH_WRITE = """
import blake3, sys
digest, block = blake3.blake3(), memoryview(bytearray(1 << 20))
with open(sys.argv[1], "wb", buffering=0) as target:
    for part in sys.argv[2:]:
        with open(part, "rb", buffering=0) as source:
            while count := source.readinto(block):
                digest.update(block[:count])
                target.write(block[:count])
"""

# In a process of its own, which is small: a child's peak begins with what its parent had in memory.
_MEASURE = """
import os, subprocess, sys, time
cores, *command = sys.argv[1:]
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-int(cores):])
started = time.perf_counter()
process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print([time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024])
code = os.waitstatus_to_exitcode(status)
sys.exit(128 - code if code < 0 else code)
"""


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    seconds: float
    processor: float
    peak: int


def main() -> None:
    """Make the datasets where they are not there, run everything, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--posts", type=int, default=300_000)
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"), help="a folder in memory, for outputs")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="what the title of a table must contain")
    options = parser.parse_args()
    work: Path = options.folder
    parsing(options.repeats)
    for method in ("stored", "deflated"):
        for kind in ("carousels", "least", "full"):
            data = work / f"{method}-{kind}"
            for place in (options.memory, work):
                title = f"{method}, {kind}, {place}"
                if options.only not in title:
                    continue
                if not (data / "image.zip").exists():
                    make(data, options.posts, method, kind)
                compare(data, place / "postmill-speed", title, options.repeats)


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


def parsing(repeats: int) -> None:
    """Print how fast the bytes of ``.info`` files become records, records and their JSON, and rows of a table."""
    for make_info in (full_info, least_info):
        rng = random.Random(0)
        infos = [make_info(rng, 10**18 + i) for i in range(4000)]
        records = [_record(info) for info in infos]
        steps: dict[str, Callable[[], object]] = {
            "to record": lambda: deque(map(_record, infos), 0),  # noqa: B023
            "to record and its JSON": lambda: deque((record_json(_record(info)) for info in infos), 0),  # noqa: B023
            "from record to a row of the table": lambda: records_table(records),  # noqa: B023
        }
        print(f".info of {sum(map(len, infos)) / len(infos) / 1e3:.1f} kB, posts/s on one core", end="")
        for label, step in steps.items():
            print(f"; {label}: {len(infos) / min(_timed(step) for _ in range(repeats)):,.0f}", end="")
        print()


def _record(info: bytes) -> dict[str, object]:
    return complete(parse_info(info), "key", "post", "account", None, ["1.jpg"], [])


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(data: Path, target: Path, title: str, repeats: int) -> None:
    """Run every command in turn, ``repeats`` times, and print the best of each with its ratio to bsdtar's."""
    parts = sorted(map(str, (data / "Post_images").iterdir()))
    size = sum(Path(part).stat().st_size for part in parts)
    run = target / "run"
    plan = [*CLI, "plan", str(data), str(run), "--shard-size", SHARD]
    ingest = [*CLI, "ingest", str(run), "--workers"]
    both = 'count=$1; shift; "${@:1:$count}" && shift $count && "$@"'
    commands = {
        "cp": ["cp", *parts, str(target)],
        "read, BLAKE3, write": [sys.executable, "-c", _READ_HASH_WRITE, str(target / "all"), *parts],
        "bsdtar": [
            "bash",
            "-c",
            'out=$1; shift; cat "$@" | bsdtar -cf - @- >"$out"',
            "-",
            str(target / "all.tar"),
            *parts,
        ],
        "7z x": ["7z", "x", "-y", "-bd", f"-o{target}", str(data / "image.zip")],
        "zipfile + TarWriter": [sys.executable, "-c", _JOIN_AND_WRITE, str(data), str(target)],
        "postmill's windows, 1 worker": [*ingest, "1", "--stage", "windows"],
        "postmill's windows, 2 workers": [*ingest, "2", "--stage", "windows"],
        "postmill plan and ingest, 1 worker": ["bash", "-c", both, "-", str(len(plan)), *plan, *ingest, "1"],
        "postmill plan and ingest, 2 workers": ["bash", "-c", both, "-", str(len(plan)), *plan, *ingest, "2"],
    }
    best: dict[str, Cost] = {}
    entries = 0
    for _ in range(repeats):
        for name, command in commands.items():
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            if "windows" in name:
                measured(plan)
                measured([*ingest, "2", "--stage", "metadata"])
                counts = orjson.loads((run / "plan/plan.json").read_bytes())["counts"]
                entries = counts["images_entries"]
            cost = measured(command, 2 if "2 workers" in name else 1)
            if name not in best or cost.seconds < best[name].seconds:
                best[name] = cost
    shutil.rmtree(target)
    print(f"\n{title}: {entries:,} pictures, {size / 1e6:,.0f} MB")
    print("| command | s | processor s | pictures/s | MB/s | peak MB |", end="")
    print(" bsdtar's processor s / its | zipfile's s / its |")
    print("|---|---|---|---|---|---|---|---|")
    for name, cost in best.items():
        print(
            f"| {name} | {cost.seconds:.2f} | {cost.processor:.2f} | {entries / cost.seconds:,.0f} "
            f"| {size / cost.seconds / 1e6:,.0f} | {cost.peak / 1e6:,.0f} "
            f"| {best['bsdtar'].processor / cost.processor:.2f} "
            f"| {best['zipfile + TarWriter'].seconds / cost.seconds:.2f} |"
        )


def measured(command: list[str], cores: int = 2) -> Cost:
    """Run ``command`` quietly on ``cores``; processor time is of all its processes, peak memory of the largest."""
    with tempfile.TemporaryFile() as errors:
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, f"{cores}", *command], stdout=subprocess.PIPE, stderr=errors
        )
        if done.returncode:
            errors.seek(0)
            sys.exit(f"{command[:6]} ended with {done.returncode}: {errors.read().decode()[-500:]}")
    return Cost(*orjson.loads(done.stdout))


if __name__ == "__main__":
    main()
