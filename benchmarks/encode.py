"""The encoders against the paper's way on the same posts, in one run, and against the model alone.

    python benchmarks/encode.py                                       # CPU: an invented dataset, made on the fly
    python benchmarks/encode.py --source DIR --limit 98               # a dataset in the real layout
    python benchmarks/encode.py --device cuda --posts 10000 --limit 10000 --reference-limit 1000 --passes 2
    python benchmarks/encode.py --model none --posts 4000 --limit 4000  # what comes before the model, alone
    python benchmarks/encode.py --device cuda --check       # one table in four minutes: benchmarks/card.py says what

The paper's way: the sentiment pipeline of transformers one text at a time, SentenceTransformer.encode over the table in
order, CLIPProcessor in a DataLoader that reads extracted files. "headspace" is the model on one cached batch, replayed
by as many threads as the encoder has: what nothing around the model can beat. The architectures are the paper's at
full size, the weights random; time does not depend on them. Of ``emotion``, which is measured where it is named, the
model is a DistilBERT of 28 labels and the other way the same pipeline with all of them.

The three are timed in turn, as often as ``--rounds`` says: a machine may be half as fast a minute later.
A ratio is of neighbours in time, and the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import card, preparation  # noqa: E402
from benchmarks.paper_encoders import items_of, papers_classification, papers_image, papers_text, texts_in  # noqa: E402
from benchmarks.workload import LARGE, SMALL, chosen_shards, hardware, model_for, shards, spread  # noqa: E402
from postmill.encode.device import Compute, choose_device, single_threaded, worth_a_trial  # noqa: E402
from postmill.encode.encoders import classification, image, text  # noqa: E402
from postmill.encode.interface import EncoderSpec, EncodeSettings  # noqa: E402
from postmill.encode.options import EncoderName, ModelSet, Precision  # noqa: E402
from postmill.encode.preparation.batches import TOKENS, TextModel, by_budget, by_length  # noqa: E402
from postmill.encode.registry import encoder_specs  # noqa: E402
from postmill.shards.formats import posts  # noqa: E402
from postmill.shards.run.folder import Run  # noqa: E402
from postmill.shards.runtime.cores import cores  # noqa: E402
from postmill.shards.runtime.devices import Device  # noqa: E402
from postmill.shards.runtime.progress import Silent  # noqa: E402


def main() -> None:
    """Print a table: a row for each encoder and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=Device, default=Device.CPU, choices=(Device.CPU, Device.CUDA))
    parser.add_argument("--source", help="a dataset in the real layout; default: invented posts")
    parser.add_argument("--posts", type=int, help="invented posts; default: 400, 6,000 with --check on a GPU")
    parser.add_argument("--limit", type=int, help="texts and pictures of each kind that are encoded; default: likewise")
    parser.add_argument("--reference-limit", type=int, help="how many of them the paper's way encodes; default: all")
    parser.add_argument("--passes", type=int, default=1, help="how often postmill encodes them in one timing")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precisions", default=None, help="comma-separated; default: those that make sense there")
    parser.add_argument("--encoders", default="text,text-with-comments,sentiment,image", help="comma-separated")
    parser.add_argument("--loader-workers", type=int, default=None, help="of the DataLoader; default: the cores")
    parser.add_argument("--headspace", type=float, default=8.0, help="seconds of each timing of the model alone")
    parser.add_argument("--model", choices=("random", "none"), default="random", help="none: preparation alone")
    parser.add_argument(
        "--check", action="store_true", help="what is before, in and around three encoders, in four minutes"
    )
    parser.add_argument("--work", type=Path, help="keep models and shards here for the next call")
    options = parser.parse_args()
    many = 6000 if options.check and options.device == Device.CUDA else None
    options.posts, options.limit = options.posts or many or 400, options.limit or many or 300
    on_cpu = (Precision.FLOAT32, *worth_a_trial())
    usual = on_cpu if options.device == Device.CPU else (Precision.FLOAT16, Precision.BFLOAT16)
    precisions = [Precision(name) for name in options.precisions.split(",")] if options.precisions else usual
    with tempfile.TemporaryDirectory() as scratch:
        work: Path = options.work or Path(scratch)
        # The paper's way takes whole shards, so they are small; else what is done once a shard should count little.
        size = LARGE if options.check or options.model == "none" else SMALL
        run = shards(work, options.source, options.posts, size)
        print(hardware(options.device), flush=True)
        if options.check:
            print(card.HEADER)
            for name in card.ENCODERS:
                print(checked(name, run, work, options), flush=True)
            return
        if options.model == "none":
            print(preparation.HEADER)
            for name in map(EncoderName, options.encoders.split(",")):
                for workers in (1, cores()) if name == EncoderName.IMAGE else (cores(),):
                    print(prepared(name, run, work, options, workers), flush=True)
            return
        heads = ["encoder", "items", "precision", "paper's way /s", "postmill /s", "ratio"]
        heads += ["headspace /s", "of headspace"]
        heads += ["GPU computes"] if options.device == Device.CUDA else []
        print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
        for name in options.encoders.split(","):
            bench(EncoderName(name), run, work, options, precisions)


def bench(
    name: EncoderName, run: Run, work: Path, options: argparse.Namespace, precisions: Sequence[Precision]
) -> None:
    """Print the rows of one encoder."""
    papers_way = {
        EncoderName.SENTIMENT: papers_classification,
        EncoderName.EMOTION: papers_classification,
        EncoderName.IMAGE: papers_image,
    }.get(name, papers_text)
    folder, kind = model_for(name, work)
    chosen = chosen_shards(run, name, options.limit)
    with tempfile.TemporaryDirectory() as scratch:
        few = chosen_shards(run, name, options.reference_limit or options.limit)
        reference_count, reference = papers_way(run, few, folder, name, options, Path(scratch))
        count = sum(items_of(run, shard, name) for shard in chosen)
        passes = chosen * options.passes
        for precision in precisions:
            compute = choose_device(options.device, None, Silent(), precision)
            settings = EncodeSettings(ModelSet.PAPER, {kind: str(folder)}, lambda compute=compute: compute)
            (spec,) = encoder_specs([name], settings)
            encode = loaded(spec, compute, run)
            replay = headspace(name, run, chosen, spec, compute, options.headspace)
            with single_threaded(compute):
                encode(chosen[:1])  # the first call is slow everywhere
            rounds, shares = [], []
            for _ in range(options.rounds):
                theirs = reference_count / timed(reference)
                with single_threaded(compute), compute.card.busy.measured() as computing:
                    seconds = timed(lambda encode=encode: encode(passes))
                shares.append(computing.busy / computing.wall)
                with single_threaded(compute):
                    rounds.append((theirs, count * options.passes / seconds, replay()))
            cells = [spread([rate[n] for rate in rounds], 1) for n in range(3)]
            ratio = spread([ours / theirs for theirs, ours, _ in rounds])
            share = spread([ours / alone for _, ours, alone in rounds])
            more = f" {spread(shares)} of the time |" if compute.device == Device.CUDA else ""
            print(
                f"| {name} | {count} | {precision} | {cells[0]} | {cells[1]} | {ratio} | {cells[2]} | {share} |{more}",
                flush=True,
            )


def checked(name: EncoderName, run: Run, work: Path, options: argparse.Namespace) -> str:
    """Return the row of one encoder in the table of a card."""
    folder, kind = model_for(name, work)
    compute = choose_device(options.device, None, Silent(), Precision.AUTO)
    (spec,) = encoder_specs([name], EncodeSettings(ModelSet.PAPER, {kind: str(folder)}, lambda: compute))
    chosen = chosen_shards(run, name, options.limit)
    items = sum(items_of(run, shard, name) for shard in chosen)
    return card.row(
        f"{name} | {compute.precision} | {items:,}",
        compute,
        items,
        chosen,
        encode=loaded(spec, compute, run),
        prepare=preparing(name, spec, compute, run, folder)[0],
        batches=ready_batches(name, run, chosen, spec, compute),
    )


def prepared(name: EncoderName, run: Run, work: Path, options: argparse.Namespace, workers: int) -> str:
    """Return the row of one encoder whose model makes zeros, prepared for by ``workers`` processes or threads."""
    folder, kind = model_for(name, work)
    compute = choose_device(options.device, workers, Silent(), Precision.AUTO)
    (spec,) = encoder_specs([name], EncodeSettings(ModelSet.PAPER, {kind: str(folder)}, lambda: compute))
    chosen = chosen_shards(run, name, options.limit)
    items = sum(items_of(run, shard, name) for shard in chosen)
    scale = 1 if spec.load_image_model is None else compute.workers
    with single_threaded(compute):
        return preparation.row(name, items, compute, preparing(name, spec, compute, run, folder), chosen, scale)


def preparing(
    name: EncoderName, spec: EncoderSpec, compute: Compute, run: Run, folder: Path
) -> tuple[preparation.Encode, ...]:
    """Return what prepares shards for a model that makes zeros, and what prepares them bare, in one way or two."""
    if spec.load_image_model is not None:
        return preparation.pictures(spec, compute, run)
    module = text if name in (EncoderName.TEXT, EncoderName.TEXT_WITH_COMMENTS) else classification
    return preparation.texts(spec, module, run, folder, lambda of: texts_in(posts.read_records(run, of), name))


def loaded(spec: EncoderSpec, compute: Compute, run: Run) -> Callable[[list[int]], None]:
    """Return a function that encodes shards, writing nothing."""
    if spec.load_image_model is not None:
        model = spec.load_image_model()
        return lambda chosen: drain(image.encode_pictures([model], compute, run, [(shard, [0]) for shard in chosen]))
    assert spec.load is not None
    encode = spec.load()
    return lambda chosen: drain(encode(run, chosen))


def headspace(
    name: EncoderName, run: Run, chosen: list[int], spec: EncoderSpec, compute: Compute, seconds: float
) -> Callable[[], float]:
    """Return what measures how many items a second the model does where its input is ready: real batches, replayed.

    As postmill computes each distinct text of a shard once, so every repeat of it counts here as well.
    """
    batches, forward = ready_batches(name, run, chosen, spec, compute)
    return lambda: card.model_alone(compute, batches, forward, seconds)


def ready_batches(
    name: EncoderName, run: Run, chosen: list[int], spec: EncoderSpec, compute: Compute
) -> tuple[list[tuple[int, Any]], Callable[[Any], Any]]:
    """Return batches as the encoder makes them, each with how many items it stands for, and the model's forward."""
    if spec.load_image_model is not None:
        size = image.BATCH * compute.batch_scale
        return [(size, np.zeros((size, 3, 224, 224), np.uint8))], spec.load_image_model().forward
    text_model = text_model_of(name, spec)
    batches: list[tuple[int, Any]] = []
    for shard in chosen:
        times = Counter(texts_in(posts.read_records(run, shard), name))
        texts = sorted(times)
        tokenized = text_model.tokenize(texts)()
        order = by_length(tokenized.lengths)
        for span in by_budget(tokenized.lengths[order].tolist(), TOKENS * compute.batch_scale):
            rows = order[span.start : span.stop]
            batches.append((sum(times[texts[row]] for row in rows), tokenized.batch(rows)))
    return batches, text_model.forward


def text_model_of(name: EncoderName, spec: EncoderSpec) -> TextModel:
    """Return the loaded model of an encoder of texts, which the encoder keeps to itself."""
    models: list[TextModel] = []
    module = text if name in (EncoderName.TEXT, EncoderName.TEXT_WITH_COMMENTS) else classification
    real = module.over_texts
    module.over_texts = lambda compute, model, shards: models.append(model) or iter(())  # type: ignore[attr-defined]
    try:
        assert spec.load is not None
        drain(spec.load()(None, []))  # type: ignore[arg-type]
    finally:
        module.over_texts = real  # type: ignore[attr-defined]
    return models[0]


def drain(results: Iterator[Any]) -> None:
    """Take everything and keep nothing."""
    for _ in results:
        pass


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
