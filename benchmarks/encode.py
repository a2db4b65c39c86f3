"""The encoders against the paper's way on the same posts, in one run, and against the model alone.

    python benchmarks/encode.py                                       # CPU: an invented dataset, made on the fly
    python benchmarks/encode.py --source DIR --limit 98               # a dataset in the real layout
    python benchmarks/encode.py --device cuda --posts 200000          # as many posts as take half a minute

The paper's way: the sentiment pipeline of transformers one text at a time, SentenceTransformer.encode over the table in
order, CLIPProcessor in a DataLoader that reads extracted files. "headspace" is the model on one cached batch, replayed
by as many threads as the encoder has: what nothing around the model can beat. The architectures are the paper's at
full size, the weights random; time does not depend on them.

The three are timed in turn, as often as ``--rounds`` says: a machine may be half as fast a minute later.
A ratio is of neighbours in time, and the middle one of the rounds counts.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.models import clip_folder, distilbert_folder, mpnet_folder  # noqa: E402
from encode import image, sentiment, text  # noqa: E402
from encode.batches import TOKENS  # noqa: E402
from encode.device import Compute, choose, steady  # noqa: E402
from encode.encoders import Recipe, Settings  # noqa: E402
from encode.reader import pictures  # noqa: E402
from encode.stream import stream  # noqa: E402
from ingest.prepare import prepare  # noqa: E402
from ingest.sample import write_sample  # noqa: E402
from ingest.source import discover  # noqa: E402
from ingest.stages import ingest  # noqa: E402
from shards import plan, posts  # noqa: E402
from shards.progress import Silent  # noqa: E402
from shards.run import Run  # noqa: E402

HEADSPACE_S = 8.0


def main() -> None:
    """Print a table: a row for each encoder and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--source", help="a dataset in the real layout; default: invented posts")
    parser.add_argument("--posts", type=int, default=400, help="invented posts")
    parser.add_argument("--limit", type=int, default=300, help="texts and pictures of each kind that are encoded")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precisions", default=None, help="comma-separated; default: those that make sense there")
    parser.add_argument("--encoders", default="text,text-with-comments,sentiment,image")
    parser.add_argument("--loader-workers", type=int, default=None, help="of the DataLoader; default: the cores")
    parser.add_argument("--work", type=Path, help="keep models and shards here for the next call")
    options = parser.parse_args()
    precisions = (options.precisions or ("float32" if options.device == "cpu" else "float16,bfloat16")).split(",")
    with tempfile.TemporaryDirectory() as scratch:
        work: Path = options.work or Path(scratch)
        run = shards(work, options.source, options.posts)
        print(hardware(options.device), flush=True)
        print("| encoder | items | precision | paper's way /s | postmill /s | ratio | headspace /s | of headspace |")
        print("|---|---|---|---|---|---|---|---|")
        for name in options.encoders.split(","):
            bench(name, run, work, options, precisions)


def bench(name: str, run: Run, work: Path, options: argparse.Namespace, precisions: list[str]) -> None:
    """Print the rows of one encoder."""
    paper = {
        "text": papers_text,
        "text-with-comments": papers_text,
        "sentiment": papers_sentiment,
        "image": papers_image,
    }
    folder = {"sentiment": distilbert_folder, "image": clip_folder}.get(name, mpnet_folder)(work / "models")
    chosen = chosen_shards(run, name, options.limit)
    with tempfile.TemporaryDirectory() as scratch:
        count, reference = paper[name](run, chosen, folder, name, options, Path(scratch))
        for precision in precisions:
            compute = choose(options.device, None, Silent(), precision)
            kind = "text" if name.startswith("text") else name
            settings = Settings("paper", {kind: str(folder)}, lambda compute=compute: compute)
            recipe = {"sentiment": sentiment.recipe, "image": image.recipe}.get(
                name, lambda s: text.recipes(s, [name])[0]
            )
            encode = loaded(recipe(settings), compute, run)
            replay = headspace(name, run, chosen, recipe(settings), compute)
            with steady(compute):
                encode(chosen[:1])  # the first call is slow everywhere
            rounds = []
            for _ in range(options.rounds):
                theirs = count / timed(reference)
                with steady(compute):
                    rounds.append((theirs, count / timed(lambda encode=encode: encode(chosen)), replay()))
            cells = [spread([rate[n] for rate in rounds], 1) for n in range(3)]
            ratio, share = (
                spread([own / other for other, own, _ in rounds]),
                spread([own / top for _, own, top in rounds]),
            )
            print(
                f"| {name} | {count} | {precision} | {cells[0]} | {cells[1]} | {ratio} | {cells[2]} | {share} |",
                flush=True,
            )


def spread(found: list[float], digits: int = 2) -> str:
    """Return the middle one, and from where to where they go."""
    middle = f"{statistics.median(found):.{digits}f}"
    return middle if len(found) == 1 else f"{middle} ({min(found):.{digits}f} to {max(found):.{digits}f})"


def shards(work: Path, source: str | None, count: int) -> Run:
    """Return a run with its post shards made."""
    if source is None:
        source = str(work / f"sample-{count}")
        if not Path(source).is_dir():
            write_sample(Path(source), posts=count, influencers=max(10, count // 40), seed=0)
    run, _ = prepare(discover(source), work / f"run-{Path(source).name}", shard_bytes=2 << 20)
    list(ingest(run))
    return run


def chosen_shards(run: Run, name: str, limit: int) -> list[int]:
    """Return the first shards, as many as hold ``limit`` texts or pictures."""
    chosen: list[int] = []
    items = 0
    for shard in range(plan.manifest(run).counts["shards"]):
        if items >= limit:
            break
        records = posts.read_records(run, shard)
        items += sum(map(len, records["images"].to_pylist())) if name == "image" else len(of(records, name))
        chosen.append(shard)
    return chosen


def of(records: Any, name: str) -> list[str]:
    """Return the texts that the encoder ``name`` has to encode, in the order of the table."""
    captions, comments = records["caption"].to_pylist(), records["comments"].to_pylist()
    if name == "text-with-comments":
        return [each for pair in zip(captions, comments, strict=True) if (each := text.joined(*pair))]
    texts = captions if name == "text" else captions + comments
    return [each for each in texts if each and each.strip()]


def texts_of(run: Run, chosen: list[int], name: str) -> list[str]:
    """Return the texts of all chosen shards."""
    return [each for shard in chosen for each in of(posts.read_records(run, shard), name)]


Work = Callable[[], object]


def papers_sentiment(run: Run, chosen: list[int], folder: Path, name: str, options: Any, _: Path) -> tuple[int, Work]:
    """Return how many texts there are, and the pipeline, one at a time."""
    import transformers

    pipeline = transformers.pipeline("sentiment-analysis", model=str(folder), device=options.device)
    texts = texts_of(run, chosen, name)
    for each in texts[:5]:
        pipeline(each, truncation=True)
    return len(texts), lambda: [pipeline(each, truncation=True) for each in texts]


def papers_text(run: Run, chosen: list[int], folder: Path, name: str, options: Any, _: Path) -> tuple[int, Work]:
    """Return how many texts there are, and SentenceTransformer.encode."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device=options.device)
    texts = texts_of(run, chosen, name)
    model.encode(texts[:32], show_progress_bar=False)
    return len(texts), lambda: model.encode(texts, show_progress_bar=False)


def papers_image(
    run: Run, chosen: list[int], folder: Path, name: str, options: Any, extracted: Path
) -> tuple[int, Work]:
    """Return how many pictures there are, and CLIP on files in ``extracted`` through a DataLoader."""
    import torch
    import transformers
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    processor = transformers.CLIPImageProcessorPil.from_pretrained(folder)
    network = transformers.CLIPModel.from_pretrained(folder).to(options.device).eval()
    paths: list[Path] = []
    for shard in chosen:
        for picture in pictures(run, shard, posts.read_records(run, shard, ["key"])["key"].to_pylist()):
            paths.append(extracted / f"{len(paths)}.jpg")
            paths[-1].write_bytes(picture.data)

    class Files(Dataset[Any]):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, at: int) -> Any:
            picture = Image.open(paths[at]).convert("RGB")
            return processor(images=picture, return_tensors="pt")["pixel_values"][0]

    workers = os.cpu_count() if options.loader_workers is None else options.loader_workers

    @torch.inference_mode()
    def all_of_them() -> None:
        for batch in DataLoader(Files(), batch_size=32, num_workers=workers or 0):
            features = network.get_image_features(batch.to(options.device)).pooler_output
            torch.nn.functional.normalize(features, dim=-1).cpu().numpy()

    with torch.inference_mode():
        network.get_image_features(torch.zeros(8, 3, 224, 224, device=options.device))
    return len(paths), all_of_them


def loaded(recipe: Recipe, compute: Compute, run: Run) -> Callable[[list[int]], None]:
    """Return a function that encodes shards, writing nothing."""
    if recipe.load_image_model is not None:
        model = recipe.load_image_model()
        return lambda chosen: drained(image.encode([model], compute, run, [(shard, [0]) for shard in chosen]))
    assert recipe.load is not None
    encode = recipe.load()
    return lambda chosen: drained(encode(run, chosen))


def headspace(name: str, run: Run, chosen: list[int], recipe: Recipe, compute: Compute) -> Callable[[], float]:
    """Return what measures how many items a second the model does where its input is ready: real batches, replayed.

    As postmill computes each distinct text of a shard once, so every repeat of it counts here as well.
    """
    batches: list[tuple[int, Any]] = []
    if recipe.load_image_model is not None:
        model = recipe.load_image_model()
        size = image.BATCH * compute.batch_scale
        blank = np.zeros((size, 3, 224, 224), np.uint8)
        forward, batches = model.forward, [(size, blank)]
    else:
        from encode.batches import by_budget

        own = text_model_of(name, recipe, compute)
        forward = own.forward
        for shard in chosen:
            times = Counter(of(posts.read_records(run, shard), name))
            texts = sorted(times)
            found = sorted(zip(own.lengths(texts), texts, strict=True), reverse=True)
            for span in by_budget([n for n, _ in found], TOKENS * compute.batch_scale):
                some = [found[n][1] for n in span]
                batches.append((sum(times[each] for each in some), own.tokenize(some)))

    def run_batch(item: tuple[int, Any]) -> tuple[int, Any]:
        return item[0], forward(copied(item[1]))

    def collect(item: tuple[int, Any]) -> int:
        item[1].float().cpu().numpy()
        return item[0]

    def replay() -> float:
        started = time.perf_counter()

        def replayed() -> Iterator[Any]:
            while time.perf_counter() - started < HEADSPACE_S:
                yield from batches if len(batches) > 1 else itertools.repeat(batches[0], 2)

        done = sum(stream(compute, replayed(), lambda item: item, run_batch, collect))
        return done / (time.perf_counter() - started)

    return replay


def text_model_of(name: str, recipe: Recipe, compute: Compute) -> Any:
    """Return the loaded model of a recipe of texts, which the recipe keeps to itself."""
    held: list[Any] = []
    module = sentiment if name == "sentiment" else text
    real = module.over_texts
    module.over_texts = lambda compute, model, shards: held.append(model) or iter(())  # type: ignore[attr-defined]
    try:
        assert recipe.load is not None
        drained(recipe.load()(None, []))  # type: ignore[arg-type]
    finally:
        module.over_texts = real  # type: ignore[attr-defined]
    return held[0]


def copied(batch: Any) -> Any:
    """Return a batch of texts anew: moving it to a device changes it in place."""
    return batch if isinstance(batch, np.ndarray) else type(batch)(batch)


def drained(results: Iterator[Any]) -> None:
    """Take everything and keep nothing."""
    for _ in results:
        pass


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def hardware(device: str) -> str:
    """Return one line: processor, cores, device, versions, commit."""
    import torch
    import transformers

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    flags = next(line for line in lines if line.startswith("flags")).split()
    units = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16") if flag in flags]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    card = torch.cuda.get_device_name() if device == "cuda" else "no GPU"
    cores = len(os.sched_getaffinity(0))
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"{cores} cores of {cpu} ({', '.join(units)}), {card}; {versions}; commit {commit.strip()}\n"


if __name__ == "__main__":
    main()
