"""What the encoders are measured on, post shards and models of random weights, and how that is told."""

from __future__ import annotations

import os
import statistics
import subprocess
from pathlib import Path

from benchmarks.models import clip_folder, distilbert_folder, emotions_folder, mpnet_folder
from benchmarks.paper_encoders import items_of
from postmill.encode.options import EncoderName
from postmill.ingest.pack.stages import ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.sample.write import write_sample
from postmill.ingest.source.layout import discover
from postmill.shards.formats import plan
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Options
from postmill.shards.runtime.devices import Device

ROOT = Path(__file__).resolve().parents[1]
SMALL, LARGE = 2 << 20, 32 << 20  # bytes of a post shard: a hundred posts, and over a thousand; usual are 13,500


def model_for(name: EncoderName, work: Path) -> tuple[Path, EncoderName]:
    """Return the folder of the model of an encoder, made where it is not there, and by which name it is chosen."""
    make_model, kind = {
        EncoderName.SENTIMENT: (distilbert_folder, EncoderName.SENTIMENT),
        EncoderName.EMOTION: (emotions_folder, EncoderName.EMOTION),
        EncoderName.IMAGE: (clip_folder, EncoderName.IMAGE),
    }.get(name, (mpnet_folder, EncoderName.TEXT))
    return make_model(work / "models"), kind


def shards(work: Path, source: str | None, count: int, size: int = SMALL) -> Run:
    """Return a run with its post shards made.

    Args:
        work: Where it is made, unless it is there.
        source: A dataset in the real layout; None: an invented one.
        count: Posts of an invented one.
        size: Bytes of a post shard, about.
    """
    if source is None:
        source = str(work / f"sample-{count}-{size >> 20}")
        if not Path(source).is_dir():
            write_sample(Path(source), posts=count, influencers=max(10, count // 40), seed=0, part_size=size)
    run, _ = make_plan(discover(source), work / f"run-{Path(source).name}", Options(shard_bytes=size))
    list(ingest(run))
    return run


def chosen_shards(run: Run, name: EncoderName, limit: int) -> list[int]:
    """Return the first shards, as many as hold ``limit`` texts or pictures."""
    chosen: list[int] = []
    items = 0
    for shard in range(plan.counts(run).shards):
        if items >= limit:
            break
        items += items_of(run, shard, name)
        chosen.append(shard)
    return chosen


def hardware(device: Device) -> str:
    """Return one line: processor, cores, device, versions, commit."""
    import torch
    import transformers

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    flags = next(line for line in lines if line.startswith("flags")).split()
    units = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16") if flag in flags]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    card = torch.cuda.get_device_name() if device == Device.CUDA else "no GPU"
    cores = len(os.sched_getaffinity(0))
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"{cores} cores of {cpu} ({', '.join(units)}), {card}; {versions}; commit {commit.strip()}\n"


def spread(values: list[float], digits: int = 2) -> str:
    """Return the median, and the least and the greatest."""
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"
