"""The command line: parses, calls, prints. No logic."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from ingest.options import MAX_ENTRY, SHARD_BYTES, Level, Stage
from ingest.ranges import EVERYTHING, Selection
from jobs import machine, show
from jobs import submit as submission
from jobs.settings import MAX_TASKS, Settings, load, save
from shards import attempts
from shards import run as runs
from shards import status as statuses
from shards.errors import EXIT_FAULTS, Interrupted, PostmillError, UsageError
from shards.faults import count_faults, meaning, total_faults
from shards.interrupt import interruptible
from shards.progress import Progress, for_console
from shards.run import Run
from shards.tasks import WHOLE, Task, from_environment, parse_task

if TYPE_CHECKING:  # what reads archives, and torch's users, are imported only where a command needs them
    from ingest.inspect import Description
    from ingest.source import Source
    from train.intervals import Interval

app = typer.Typer(
    name="postmill",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Stream split zips of social-media posts into WebDataset shards, encode them, and train engagement models "
    "that are judged honestly. Nothing is ever unpacked; every command can be killed and run again.",
    epilog="Start here: `postmill sample data` writes a small dataset; `postmill run data run --models light` does "
    "everything on it.",
)
out = Console(emoji=False)  # a name may hold :smile:
err = Console(stderr=True, emoji=False)
OUT_OF_MEMORY = b"""error: out of memory
  where: this machine, or the limit that `ulimit -v` or a job sets
  next:  run the same command again with fewer --workers or more memory: it carries on; where one worker is too many, \
start a new run with a smaller --shard-size
"""

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="Folder with influencers.txt, the mapping file, Post_metadata/ and Post_images/."
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The run folder.")]
MetadataOption = Annotated[str | None, typer.Option("--metadata", help="Any part of the metadata archive.")]
ImagesOption = Annotated[str | None, typer.Option("--images", help="Any part of the picture archive.")]
MappingOption = Annotated[str | None, typer.Option("--mapping", help="The mapping file, plain, .gz or .zst.")]
InfluencersOption = Annotated[str | None, typer.Option("--influencers", help="The influencers file.")]
ShardSizeOption = Annotated[
    int, typer.Option("--shard-size", min=1, help="Picture bytes of a post shard, in MiB; a worker holds one.")
]
MaxEntryOption = Annotated[int, typer.Option("--max-entry", min=1, help="Largest entry that is taken, in MiB.")]
RawOption = Annotated[bool, typer.Option("--raw/--no-raw", help="Keep the original metadata bytes in the shards.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Any contradiction in an archive is an error.")]
SalvageOption = Annotated[
    bool, typer.Option("--salvage", help="Go on without parts that are missing, and rebuild a lost directory.")
]
MaxFaultsOption = Annotated[
    int | None, typer.Option("--max-faults", min=0, help="Exit with 3 if there are more faults than this.")
]
WorkersOption = Annotated[int, typer.Option("--workers", min=1, help="Processes that work at once.")]
TaskOption = Annotated[
    str | None, typer.Option("--task", metavar="K/N", help="Do share K (from 0) of N; default: the array task's.")
]
EncodersOption = Annotated[str | None, typer.Option("--encoders", help="Comma-separated; default: all.")]
ModelsOption = Annotated[
    str, typer.Option("--models", help="paper: the study's models; light: small packaged stand-ins.")
]
ModelOption = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="ENCODER=MODEL", help="Hub id or local folder for one encoder; repeatable."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
PrecisionOption = Annotated[
    str,
    typer.Option("--precision", help="auto (float32; float16 on CUDA), float32, float16, bfloat16 or float16-mkl."),
]
PerImageOption = Annotated[
    bool, typer.Option("--per-image", help="Keep a vector for each picture, beside that of the post.")
]
RecipeOption = Annotated[
    str, typer.Option("--recipe", help="postmill: trained with care; paper: the study's own settings.")
]
FeaturesOption = Annotated[
    str, typer.Option("--features", help="default: what exists before publication; paper: with comments, which leak.")
]
SplitOption = Annotated[
    list[str] | None,
    typer.Option("--split", help="influencer, random, time or time-influencer; repeatable; default: all four."),
]


@app.command(epilog="Example: `postmill sample data --posts 2000 --influencers 60`")
def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    posts: Annotated[int, typer.Option("--posts", help="How many posts.")] = 2000,
    influencers: Annotated[int, typer.Option("--influencers", help="How many accounts.")] = 60,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")] = 0,
) -> None:
    """Write a small invented dataset in the real layout, with known truth planted."""
    from ingest.sample import write_sample

    with progress() as shown:
        made = write_sample(folder, posts, influencers, seed, progress=shown)
    out.print(
        f"{folder}: {made.posts} posts of {made.influencers} accounts, {made.metadata_parts} metadata parts and "
        f"{made.image_parts} picture parts, {made.size / 1e6:.1f} MB; the planted truth is in truth.json"
    )


@app.command("run", epilog="Example: `postmill run data run --models light`")
def run_all(
    source: SourceArgument,
    folder: RunArgument,
    models: ModelsOption = "paper",
    model: ModelOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    workers: WorkersOption = 1,
    shard_size: ShardSizeOption = SHARD_BYTES >> 20,
    max_entry: MaxEntryOption = MAX_ENTRY >> 20,
    raw: RawOption = True,
    strict: StrictOption = False,
    salvage: SalvageOption = False,
    max_faults: MaxFaultsOption = None,
) -> None:
    """Do everything on this machine: plan, ingest, encode, train, report."""
    from encode.encode import find_models
    from encode.encoders import ENCODERS
    from ingest.source import discover

    find_models(ENCODERS, models, overrides(model), device, precision)
    with progress() as shown:
        opened = planned(discover(source), folder, shard_size, max_entry, raw, level(strict, salvage), shown)
        ingested(opened, tuple(Stage), Task(0, 1), workers, shown)
        encoded(opened, None, models, model, device, Task(0, 1), shown, precision)
        trained(opened, None, models, "postmill", "default", None, 1.0, None, "cpu", Task(0, 1), shown)
        reported(opened, shown)
    end(opened, max_faults)


@app.command(epilog="Example: `postmill plan data run`; a source that lies elsewhere: `--images /mnt/posts_image.zip`")
def plan(
    places: Annotated[
        list[str],
        typer.Argument(metavar="[SOURCE] RUN", help="The dataset's folder, unless every source is named; the run."),
    ],
    metadata: MetadataOption = None,
    images: ImagesOption = None,
    mapping: MappingOption = None,
    influencers: InfluencersOption = None,
    shard_size: ShardSizeOption = SHARD_BYTES >> 20,
    max_entry: MaxEntryOption = MAX_ENTRY >> 20,
    raw: RawOption = True,
    strict: StrictOption = False,
    salvage: SalvageOption = False,
    max_faults: MaxFaultsOption = None,
) -> None:
    """Join the archives' directories with the mapping and decide which entry goes where. Reads no picture."""
    from ingest.source import discover

    if len(places) > 2:
        raise UsageError("takes SOURCE and RUN, or RUN alone", place="postmill plan", hint="postmill plan --help")
    source, folder = (None, *places)[-2:]
    with progress() as shown:
        found = discover(source, metadata, images, mapping, influencers)
        opened = planned(found, Path(str(folder)), shard_size, max_entry, raw, level(strict, salvage), shown)
    end(opened, max_faults)


@app.command(epilog="Example: `postmill ingest run --workers 4`; one array task of 8: `postmill ingest run --task 3/8`")
def ingest(
    folder: RunArgument,
    stage: Annotated[list[Stage] | None, typer.Option("--stage", help="Only this stage; repeatable.")] = None,
    parts: Annotated[
        str | None, typer.Option("--parts", help="Only what ends in these parts of the stage's archive: z01-z10,zip.")
    ] = None,
    shards: Annotated[str | None, typer.Option("--shards", help="Only these post shards: 0-99,120.")] = None,
    workers: WorkersOption = 1,
    task: TaskOption = None,
    max_faults: MaxFaultsOption = None,
) -> None:
    """Stream the archives into post shards: stages metadata, windows, spanning.

    Ranges choose windows and post shards. Where no stage is named, the metadata is done whole, since every shard needs
    all of it, and posts whose pictures lie in windows that are not done yet wait.
    """
    opened = runs.open_run(folder)
    share = chosen(task)
    stages = tuple(stage) if stage else tuple(Stage)
    with attempt(opened, stages[0].value if len(stages) == 1 else "ingest", task, share, workers) as shown:
        ingested(opened, stages, share, workers, shown, Selection(parts, shards))
    end(opened, max_faults)


@app.command(epilog="Example: `postmill encode run --models light --encoders text,image`")
def encode(
    folder: RunArgument,
    encoders: EncodersOption = None,
    models: ModelsOption = "paper",
    model: ModelOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    per_image: PerImageOption = False,
    task: TaskOption = None,
) -> None:
    """Turn post shards into embedding shards."""
    opened = runs.open_run(folder)
    share = chosen(task)
    wanted = tuple(encoders.split(",")) if encoders else ()
    needs = None if wanted == ("metadata",) else device
    with attempt(opened, attempts.encode_stage(wanted), task, share, device=needs, precision=precision) as shown:
        encoded(opened, encoders, models, model, device, share, shown, precision, per_image)


@app.command(epilog="Example: `postmill export run --to clip-retrieval index`")
def export(
    folder: RunArgument,
    target: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    layout: Annotated[str, typer.Option("--to", help="csv, clip-retrieval or hf (Hugging Face datasets).")],
    encoders: Annotated[
        str | None, typer.Option("--encoders", help="Comma-separated folders below embeddings; default: all.")
    ] = None,
) -> None:
    """Write posts and embeddings in the layout of other tools."""
    from shards.export import export as export_run

    opened = runs.open_run(folder)
    wanted = encoders.split(",") if encoders else None
    with progress() as shown:
        done = export_run(opened, layout, target, wanted, shown)
    left = f", {done.left_out:,} left out" if done.left_out else ""
    held = escape(", ".join(done.encoders)) or "no embeddings"
    out.print(f"{escape(str(target))}: {done.posts:,} posts{left}, with {held}", soft_wrap=True)


@app.command(epilog="Example: `postmill train run` or, as in the study, `postmill train run --recipe paper`")
def train(
    folder: RunArgument,
    model: Annotated[list[str] | None, typer.Option("--model", help="Only this model; repeatable.")] = None,
    models: Annotated[str | None, typer.Option("--models", help="Which embeddings, where there are several.")] = None,
    recipe: RecipeOption = "postmill",
    features: FeaturesOption = "default",
    split: SplitOption = None,
    comment_weight: Annotated[float, typer.Option("--comment-weight", min=0.0, help="w in log1p(likes + w * c).")] = 1,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Trainings; default: by number of posts.")] = None,
    device: DeviceOption = "cpu",
    task: TaskOption = None,
) -> None:
    """Train the ladder of baselines and the fusion, and judge them on held-out posts and accounts."""
    opened = runs.open_run(folder)
    share = chosen(task)
    with attempt(opened, "train", task, share) as shown:
        trained(opened, model, models, recipe, features, split, comment_weight, seeds, device, share, shown)
    print_results(opened)


@app.command(epilog="Example: `postmill predict run --model fusion new-run > predictions.csv`")
def predict(
    folder: RunArgument,
    posts: Annotated[Path, typer.Argument(metavar="POSTS", help="Another run folder, or one of its post shards.")],
    model: Annotated[str, typer.Option("--model", help="Name of a trained model.")] = "fusion",
    output: Annotated[Path | None, typer.Option("--output", help="A .parquet or .csv file; default: CSV here.")] = None,
    device: DeviceOption = "cpu",
) -> None:
    """Score new posts with a trained model: log engagement, its 90 % interval, and likes and comments."""
    from pyarrow import csv, parquet

    from train.options import device_for
    from train.predict import predict as predict_posts

    table = predict_posts(runs.open_run(folder), model, posts, device_for(device))
    if output is not None and output.suffix == ".parquet":
        parquet.write_table(table, output)
    else:
        csv.write_csv(table, sys.stdout.buffer if output is None else output)
    if output is not None:
        out.print(f"{escape(str(output))}: {table.num_rows:,} posts")


@app.command(epilog="Example: `postmill report run`")
def report(folder: RunArgument) -> None:
    """Write the report: one self-contained HTML page."""
    opened = runs.open_run(folder)
    with progress() as shown:
        reported(opened, shown)


@app.command(epilog="Example: `postmill submit run --partition long --limit 32`; only look: `--dry-run`")
def submit(
    folder: RunArgument,
    encoders: EncodersOption = None,
    models: ModelsOption = "paper",
    model: ModelOption = None,
    gpu_encoders: Annotated[str, typer.Option("--gpu-encoders", help="Encoders that get a GPU.")] = "image",
    gres: Annotated[str, typer.Option("--gres", help="What they ask for; '' where there is no GPU.")] = "gpu:1",
    precision: PrecisionOption = "auto",
    tasks: Annotated[int, typer.Option("--tasks", min=1, help="The most tasks of a stage.")] = MAX_TASKS,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The most tasks that run at once.")] = None,
    partition: Annotated[str | None, typer.Option("--partition", help="As for sbatch.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="As for sbatch.")] = None,
    limit_time: Annotated[str | None, typer.Option("--time", help="As for sbatch: 08:00:00.")] = None,
    memory: Annotated[str | None, typer.Option("--mem", help="As for sbatch: 8G.")] = None,
    cpus: Annotated[int | None, typer.Option("--cpus", min=1, help="Cores of a task.")] = None,
    module: Annotated[list[str] | None, typer.Option("--module", help="For `module load`; repeatable.")] = None,
    venv: Annotated[
        Path | None, typer.Option("--venv", help="Virtual environment of the tasks; default: this command's own.")
    ] = None,
    sbatch: Annotated[
        list[str] | None, typer.Option("--sbatch", help="A further option: `--sbatch=--qos=high`; repeatable.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also tasks that failed three times.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the scripts, submit nothing.")] = False,
) -> None:
    """Submit what is missing to Slurm: an array for each stage, each waiting for the last."""
    from encode.encode import check
    from encode.encoders import ENCODERS

    opened = runs.open_run(folder)
    wanted = tuple(encoders.split(",")) if encoders else ENCODERS
    on_gpu = tuple(each for each in wanted if each in gpu_encoders.split(","))
    device = "cuda" if on_gpu and gres else "cpu"
    check((*wanted, *filter(None, gpu_encoders.split(","))), models, overrides(model), device, precision)
    own = Path(sys.prefix) if sys.prefix != sys.base_prefix else None
    settings = Settings(
        encoders=wanted,
        gpu_encoders=on_gpu,
        models=models,
        model_overrides=overrides(model),
        precision=precision,
        tasks=tasks,
        limit=limit,
        partition=partition,
        account=account,
        time=limit_time,
        memory=memory,
        cpus=cpus,
        gres=gres,
        modules=tuple(module or ()),
        venv=str(chosen_venv) if (chosen_venv := venv.resolve() if venv else own) else None,
        sbatch=tuple(sbatch or ()),
    )
    submitted(opened, settings, again, dry_run)


@app.command(epilog="Example: `postmill retry run`, as often as there is something left")
def retry(
    folder: RunArgument,
    again: Annotated[bool, typer.Option("--again", help="Also tasks that failed three times.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the scripts, submit nothing.")] = False,
) -> None:
    """Submit what is still missing and not in the queue, as the last `postmill submit` was told to."""
    opened = runs.open_run(folder)
    submitted(opened, load(opened), again, dry_run)


@app.command(epilog="Example: `postmill status run --watch`; for programs: `postmill status run --json`")
def status(
    folder: RunArgument,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every five seconds until Ctrl-C.")] = False,
) -> None:
    """Show how far the run is, from its folder; with Slurm within reach, its jobs too."""
    opened = runs.open_run(folder)
    if as_json and watch:
        raise UsageError("exclude each other", place="--json and --watch", hint="choose one")
    if as_json:
        shown = show.as_json(statuses.read(opened), submission.reachable(opened))
        sys.stdout.write(json.dumps(shown, indent=1, ensure_ascii=False) + "\n")
        return
    if not watch:
        out.print(show.status_view(str(folder), statuses.read(opened), submission.reachable(opened)))
        return
    try:
        with Live(console=out, auto_refresh=False) as live:
            while True:
                view = show.status_view(str(folder), statuses.read(opened), submission.reachable(opened))
                live.update(view, refresh=True)
                time.sleep(5)
    except KeyboardInterrupt:
        return


@app.command(epilog="Example: `postmill faults run`, or `postmill faults run --csv > faults.csv`")
def faults(
    folder: RunArgument,
    csv: Annotated[bool, typer.Option("--csv", help="Every fault as a row of CSV; import it as text.")] = False,
) -> None:
    """Show what was wrong with the input, by reason."""
    from shards.faults import faults_csv

    opened = runs.open_run(folder)
    if csv:
        for piece in faults_csv(opened):
            sys.stdout.buffer.write(piece)  # bytes: the same in every locale
        return
    table = Table("reason", "faults", "posts lost", "meaning", title=f"Faults of {escape(str(folder))}")
    for row in count_faults(opened):
        table.add_row(row.reason, str(row.faults), str(row.lost), row.meaning)
    out.print(table if table.rows else "no faults")


@app.command(epilog="Example: `postmill inspect posts_image.z07`, or `postmill inspect a.zip --digest > a.jsonl`")
def inspect(
    archive: Annotated[list[str], typer.Argument(metavar="ARCHIVE", help="Any part, a glob, a URL, or all parts.")],
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    digest: Annotated[bool, typer.Option("--digest", help="Read every entry: a JSON line each, with SHA-256.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Any contradiction is an error.")] = False,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Read what is there where parts or the directory are missing.")
    ] = False,
) -> None:
    """Show what a zip is, split or not: parts, entries, methods, faults. Exits with 3 if there are faults."""
    from ingest.archive import Archive
    from ingest.inspect import describe, digests

    source = archive if len(archive) > 1 else archive[0]
    with progress() as shown, Archive.open(source, strict=strict, salvage=salvage) as opened:
        if digest:
            faulty = 0
            for line in digests(opened, shown):
                faulty += "fault" in line
                sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        else:
            described = describe(opened, shown)
            faulty = sum(described.faults.values())
            if as_json:
                sys.stdout.write(json.dumps(asdict(described), indent=1, ensure_ascii=False) + "\n")
            else:
                print_archive(described)
    if faulty:
        raise typer.Exit(EXIT_FAULTS)


@app.command(epilog="Example: `postmill verify run`")
def verify(folder: RunArgument) -> None:
    """Check every byte, file and row of a run, and the counts against each other."""
    from shards.verify import verify as verify_run

    opened = runs.open_run(folder)
    wrong = 0
    with progress() as shown:
        for finding in verify_run(opened, shown):
            wrong += 1
            err.print(escape(str(finding)), style="red", highlight=False, soft_wrap=True)
            err.print("  mend: " + escape(finding.remedy), highlight=False, soft_wrap=True)
    if wrong:
        raise PostmillError(
            f"{wrong} things are wrong",
            place=folder,
            hint="do what stands under each: what is deleted is made anew, with the same bytes",
        )
    out.print(f"{escape(str(folder))}: every byte, file and row is as it should be, and the counts add up")


def planned(
    source: Source, folder: Path, shard_size: int, max_entry: int, raw: bool, trust: Level, shown: Progress
) -> Run:
    """Pin and plan, and say what the plan holds."""
    from ingest.prepare import prepare

    opened, manifest = prepare(source, folder, shard_size << 20, max_entry << 20, raw, trust, shown)
    counts = manifest.counts
    out.print(
        f"plan: {counts['planned_posts']:,} of {counts['mapped_posts']:,} mapped posts with "
        f"{counts['planned_images']:,} pictures in {counts['shards']:,} shards; {counts['lost']:,} lost, "
        f"{counts['faults']:,} faults; {counts['spanning_posts']:,} posts span windows "
        f"({counts['spool_bytes'] / 1e6:,.1f} MB written twice)"
    )
    return opened


def ingested(
    run: Run,
    stages: tuple[Stage, ...],
    task: Task,
    workers: int,
    shown: Progress,
    selection: Selection = EVERYTHING,
) -> None:
    """Run the stages of ingest, and say what each did."""
    from ingest.workers import workforce

    with workforce(workers) as perform:
        from ingest.stages import ingest as ingest_stages  # while the workers load it too

        for summary in ingest_stages(run, stages, task, perform, shown, selection):
            out.print(f"ingest {summary.stage.value}: {did(summary.done, summary.skipped)}")
            if summary.waiting:
                out.print(f"ingest {summary.stage.value}: {summary.waiting} wait for windows that are not done")


def encoded(
    run: Run,
    encoders: str | None,
    models: str,
    model: list[str] | None,
    device: str,
    task: Task,
    shown: Progress,
    precision: str = "auto",
    per_image: bool = False,
) -> None:
    """Run the encoders, and say what each did."""
    from encode.encode import encode_run
    from encode.encoders import ENCODERS

    wanted = tuple(encoders.split(",")) if encoders else ENCODERS
    summary = encode_run(
        run,
        encoders=wanted,
        models=models,
        model_overrides=overrides(model),
        device=device,
        precision=precision,
        per_image=per_image,
        task=task,
        workers=machine.cores() if machine.in_a_job() else None,
        progress=shown,
    )
    for each in summary.encoders:
        out.print(f"encode {each.encoder.folder}: {did(each.done, each.skipped)}; {each.absent:,} posts absent")
    if summary.waiting:
        out.print(f"encode: {summary.waiting} post shards wait for ingest: postmill ingest {escape(run.word)}")


def trained(
    run: Run,
    names: list[str] | None,
    models: str | None,
    recipe: str,
    features: str,
    split: list[str] | None,
    comment_weight: float,
    seeds: int | None,
    device: str,
    task: Task,
    shown: Progress,
) -> None:
    """Train, and say what was done."""
    from train.splits import SPLITS
    from train.stage import train_run

    summary = train_run(
        run,
        names=names,
        recipe=recipe,
        feature_set=features,
        split_names=split or SPLITS,
        comment_weight=comment_weight,
        seeds=seeds,
        encoder_models=models,
        device=device,
        task=task,
        progress=shown,
    )
    out.print(f"train: {did(len(summary.trained), len(summary.kept))}")


def reported(run: Run, shown: Progress) -> None:
    """Write the report, show the results, and say where the report lies."""
    from train.report import write_report

    done = write_report(run, shown)
    print_results(run)
    note = "" if done.written else " (nothing to do, it says so already)"
    out.print(f"report: {escape(str(done.path))}{note}", soft_wrap=True)


def submitted(run: Run, settings: Settings, again: bool, dry_run: bool) -> None:
    """Submit what is missing, or print its scripts, and say what was submitted, what was not and why."""
    work = submission.work(run, settings, again, ask=not dry_run)
    made = submission.build(run, settings, work.arrays)
    if dry_run:
        for each in made:
            sys.stdout.write(submission.printed(each, made))
        return
    save(run, settings)
    done = list(submission.submit(run, made))
    lines = [*show.submission(work, done), *show.given_up_view(work, attempts.read(run))]
    for line in lines or ["nothing is missing"]:
        out.print(escape(line), soft_wrap=True, highlight=False)


def print_archive(archive: Description) -> None:
    """Print what an archive is."""
    from ingest.inspect import KINDS

    table = Table(box=None, show_header=False)
    sizes = [size for _, size in archive.parts]
    first, last = (escape(archive.parts[n][0]) for n in (0, -1))
    table.add_row("kind", KINDS[archive.kind] + (", ZIP64" if archive.zip64 else ""))
    table.add_row("parts", f"{len(sizes):,}: {first}" + (f" to {last}" if len(sizes) > 1 else ""))
    table.add_row("part sizes", f"{min(sizes):,} to {max(sizes):,} bytes, {sum(sizes):,} in all")
    table.add_row("files", f"{archive.files:,}, and {archive.folders:,} folders")
    table.add_row("plain size", f"{archive.size:,} bytes from {archive.compressed_size:,}")
    table.add_row("methods", ", ".join(f"{name} {count:,}" for name, count in archive.methods.items()) or "none")
    for reason, count in archive.faults.items():
        table.add_row("[red]fault", f"{reason} {count:,}: {meaning(reason)}")
    for warning in archive.warnings:
        table.add_row("[yellow]warning", escape(warning))
    out.print(table)


def print_results(run: Run) -> None:
    """Print the table of models, a column for each split, then the headline's other metrics."""
    from train.results import results_table

    rows = results_table(run)
    by_split = {split: list(own) for split, own in groupby(rows, key=lambda row: row.split)}
    names = list(dict.fromkeys(row.model for row in rows))
    if not names:
        return
    columns = (split.replace("-", "-\n") for split in by_split)  # the terminal has 80 columns
    r2 = Table(
        "model", *columns, title="R² on held-out posts, 95 % over accounts", title_justify="left", pad_edge=False
    )
    for name in names:
        own = {split: next((row for row in held if row.model == name), None) for split, held in by_split.items()}
        r2.add_row(name, *("" if row is None else estimate(row.r2, row.r2_interval, "\n") for row in own.values()))
    out.print(r2)
    headline = next(iter(by_split))
    table = Table("model", "MSE", "MAE", "Spearman, 95 %", "within account, 95 %", title=f"{headline} split")
    table.title_justify = "left"
    for row in by_split[headline]:
        spearman, within = estimate(row.spearman, row.spearman_interval), estimate(row.within, row.within_interval)
        table.add_row(row.model, number(row.mse), number(row.mae), spearman, within)
    out.print(table)
    out.print(f"every metric, split and interval: {escape(str(run.report / 'results.md'))}", soft_wrap=True)


def number(value: float | None) -> str:
    """Show a metric, which may be undefined."""
    return "-" if value is None else f"{value:.3f}"


def estimate(value: float | None, interval: Interval | None, between: str = "  ") -> str:
    """Show a metric with its interval, which there is not with too few accounts."""
    return number(value) + ("" if interval is None else f"{between}{interval.low:.2f} to {interval.high:.2f}")


def end(run: Run, max_faults: int | None) -> None:
    """Exit with 3 if the run has more faults than the user allows."""
    with interruptible():
        found = total_faults(run)
    if found:
        out.print(f"faults: {found}; see them with: postmill faults {escape(run.word)}", soft_wrap=True)
    if max_faults is not None and found > max_faults:
        raise typer.Exit(EXIT_FAULTS)


def did(done: int, skipped: int) -> str:
    """Say in words what was done and what was found done."""
    if not done:
        return f"nothing to do, all {skipped} done before" if skipped else "nothing to do"
    return f"{done} done" + (f", {skipped} done before" if skipped else "")


def chosen(task: str | None) -> Task:
    """Return the share of ``--task``, or the scheduler's."""
    return parse_task(task) if task is not None else from_environment()


@contextmanager
def attempt(
    run: Run,
    stage: str,
    task: str | None,
    share: Task,
    workers: int | None = None,
    device: str | None = None,
    precision: str = "auto",
) -> Iterator[Progress]:
    """Show progress; a task of an array or a job also says what it was given, and its attempt is written down."""
    if task is None and not machine.in_a_job() and share == WHOLE:
        with progress() as shown:
            yield shown
        return
    with attempts.recorded(run, stage, share, machine.facts()), progress() as shown:
        machine.announce(shown, workers, device, precision)
        yield shown


def level(strict: bool, salvage: bool) -> Level:
    """Read the two options that set how much contradiction in an archive is borne."""
    if strict and salvage:
        raise UsageError("exclude each other", place="--strict and --salvage", hint="choose one")
    return "strict" if strict else "salvage" if salvage else "default"


def overrides(pairs: list[str] | None) -> dict[str, str]:
    """Read ``--model ENCODER=MODEL`` options."""
    chosen_models: dict[str, str] = {}
    for pair in pairs or []:
        encoder, equals, model = pair.partition("=")
        if not equals or not encoder or not model:
            raise UsageError(f"{pair!r} names no model", place="--model", hint="write --model text=/path/to/folder")
        chosen_models[encoder] = model
    return chosen_models


@contextmanager
def progress() -> Iterator[Progress]:
    """Show progress on standard error, and let signals end the work in order."""
    with interruptible():
        yield for_console(err)


def show_version(wanted: bool) -> None:
    """Print the version and exit, if that is what was asked for."""
    if wanted:
        from importlib.metadata import version

        out.print(version("postmill"))
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command line; what a user can mend is shown without a traceback."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    for noisy in ("httpx", "huggingface_hub", "sentence_transformers", "transformers", "fsspec"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        try:
            app()
        except (PostmillError, Interrupted) as error:
            err.print("[bold red]error:[/] " + escape(error.cause), highlight=False, soft_wrap=True)
            if error.place:
                err.print("  where: " + escape(error.place), highlight=False, soft_wrap=True)
            if error.hint:
                err.print("  next:  " + escape(error.hint), highlight=False, soft_wrap=True)
            sys.exit(error.exit_code)
    except MemoryError:
        os.write(sys.stderr.fileno(), OUT_OF_MEMORY)  # as it is: anything that is drawn takes memory
        os._exit(PostmillError.exit_code)


if __name__ == "__main__":
    main()
