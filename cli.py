"""The command line: parses, calls, prints. No logic.

Commands stand in the order of work. What is heavy to load is loaded by the command that needs it, so that help and
completion answer at once.
"""

from __future__ import annotations

if __name__ == "__main__":  # before what takes time to load, as console/start.py does
    from postmill.console.system import prepare

    prepare()

from typing import Annotated

import typer

from postmill.console import checks, extras, insights, lean, passes, results, slurm, sources, steps
from postmill.console.arguments import choosing, options, reporting, training
from postmill.console.arguments.places import on_disk
from postmill.console.display import answering, commands, completing, opening
from postmill.console.errors import run_app
from postmill.console.output import attempt, progress, share_of
from postmill.encode.options import EncoderName, ModelSet, Precision, usual
from postmill.ingest.sample.effect import Effect
from postmill.shards.formats.choices import Layout, Stage
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import UsageError
from postmill.shards.state.tasks import WHOLE
from postmill.train.models import registry
from postmill.train.options import FeatureSet, RecipeName, Split, TargetName

TOGETHER, STEP_BY_STEP, RESULTS, CHECKS, CLUSTER = "Everything at once", "Step by step", "Results", "Checks", "Slurm"

app = commands.App(
    name="postmill",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Stream split zips of social-media posts into WebDataset shards, encode them, and train engagement models "
    "that are judged honestly. Nothing is ever unpacked; every command can be killed and run again.",
    epilog="Start here: `postmill sample data` writes a small dataset; `postmill run data run --models light` does "
    "everything on it.",
)


@app.command(rich_help_panel=TOGETHER, epilog="Example: `postmill sample data --posts 2000 --influencers 60`")
def sample(
    folder: options.NewFolderArgument,
    posts: Annotated[int, typer.Option("--posts", help="How many posts.")] = 2000,
    influencers: Annotated[int, typer.Option("--influencers", help="How many accounts.")] = 60,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")] = 0,
    effect: options.EffectOption = Effect.PLANTED,
) -> None:
    """Write a small invented dataset in the real layout, with known truth planted."""
    steps.sample(folder, posts, influencers, seed, effect)


@app.command("run", rich_help_panel=TOGETHER, epilog="Example: `postmill run data run --models light`")
def run_all(
    source: options.SourceArgument,
    folder: options.RunArgument,
    metadata: options.MetadataOption = None,
    images: options.ImagesOption = None,
    mapping: options.MappingOption = None,
    influencers: options.InfluencersOption = None,
    models: options.ModelsOption = ModelSet.PAPER,
    model: options.ModelOption = None,
    study: training.StudyOption = None,
    target: training.TargetOption = TargetName.LIKES_AND_COMMENTS,
    device: options.DeviceOption = Device.AUTO,
    precision: options.PrecisionOption = Precision.AUTO,
    workers: options.WorkersOption = 1,
    shard_size: options.ShardSizeOption = None,
    max_entry: options.MaxEntryOption = None,
    raw: options.RawOption = None,
    strict: options.PlannedStrictOption = None,
    salvage: options.PlannedSalvageOption = None,
    pictureless: options.PicturelessOption = None,
    everything: choosing.EverythingOption = False,
    accounts: choosing.AccountsOption = None,
    category: choosing.CategoryOption = None,
    after: choosing.AfterOption = None,
    before: choosing.BeforeOption = None,
    sample: choosing.SampleOption = None,
    seed: choosing.SeedOption = None,
    checksums: options.ChecksumsOption = None,
    header_file: options.HeaderFileOption = None,
    small_disk: options.LeanOption = False,
    follow: options.FollowOption = False,
    evict: options.EvictOption = False,
    yes: options.YesOption = False,
    open_it: opening.OpenOption = False,
    max_faults: options.MaxFaultsOption = None,
) -> None:
    """Do everything on this machine: plan, ingest, encode, train, report.

    Networks are trained on the CPU unless `--device cuda` is named: for few posts it is the faster one. With `--follow`
    parts may still be coming, and with `--lean` no more than a few of the pictures are on the disk at a time.
    """
    extras.demand("encode", "train")
    named, spare = options.overrides(model), options.evict_of(evict, yes)
    chosen = choosing.chosen_with(everything, category, after, before, sample, seed)
    typed = options.planned_with(shard_size, max_entry, raw, strict, salvage, pictureless, chosen)
    work = ("plan", *(("lean",) if small_disk else ("ingest", "encode")), "train", "report")
    with progress(f"run {folder}: {', '.join(work)}", folder) as shown, shown.steps(work, alike=False) as begin:
        begin("plan")
        locations = sources.locate(source, folder, metadata, images, mapping, influencers, header_file)
        with shown.track("run: finding the models", None):
            from postmill.encode.request import find_models

            names = usual(models, named, text_only=locations.text_only)
            encoders = find_models(names, models, named, device, precision, shown)
        run = sources.plan(locations, folder, typed, shown, checksums, await_parts=follow, accounts=accounts)
        begin(work[1])
        if small_disk:
            lean.pack_and_encode(run, encoders, models, named, device, precision, workers, shown, follow, spare)
        else:
            passes.ingest(run, tuple(Stage), share_of("0/1"), workers, shown, follow=follow, evict=spare)
            begin("encode")
            steps.encode(run, (), models, named, device, precision, share_of("0/1"), shown)
        begin("train")
        on = Device.CUDA if device is Device.CUDA else Device.CPU
        recipe = training.recipe_of(study)
        steps.train(run, shown, encoder_models=models, recipe=recipe, target=target, device=on)
        begin("report")
        insights.where_told(run, shown)
        page = results.report(run, shown)
        steps.end(run, max_faults)
    if open_it:
        opening.open_page(page)


@app.command(
    rich_help_panel=STEP_BY_STEP,
    epilog="Example: `postmill plan data run`; a source that lies elsewhere: `--images /mnt/posts_image.zip`",
)
def plan(
    places: options.PlacesArgument,
    metadata: options.MetadataOption = None,
    images: options.ImagesOption = None,
    mapping: options.MappingOption = None,
    influencers: options.InfluencersOption = None,
    shard_size: options.ShardSizeOption = None,
    max_entry: options.MaxEntryOption = None,
    raw: options.RawOption = None,
    strict: options.PlannedStrictOption = None,
    salvage: options.PlannedSalvageOption = None,
    pictureless: options.PicturelessOption = None,
    everything: choosing.EverythingOption = False,
    accounts: choosing.AccountsOption = None,
    category: choosing.CategoryOption = None,
    after: choosing.AfterOption = None,
    before: choosing.BeforeOption = None,
    sample: choosing.SampleOption = None,
    seed: choosing.SeedOption = None,
    checksums: options.ChecksumsOption = None,
    header_file: options.HeaderFileOption = None,
    await_parts: options.AwaitPartsOption = False,
    max_faults: options.MaxFaultsOption = None,
    as_json: commands.JsonOption = False,
) -> None:
    """Join the archives' directories with the mapping and decide which entry goes where. Reads no picture."""
    if len(places) > 2:
        raise UsageError("takes SOURCE and RUN, or RUN alone", place="postmill plan", hint="postmill plan --help")
    source, folder = (None, *places[:-1])[-1], on_disk(places[-1])
    chosen = choosing.chosen_with(everything, category, after, before, sample, seed)
    typed = options.planned_with(shard_size, max_entry, raw, strict, salvage, pictureless, chosen)
    with progress(f"plan {folder}: where the sources lie", folder) as shown:
        locations = sources.locate(source, folder, metadata, images, mapping, influencers, header_file)
        run = sources.plan(locations, folder, typed, shown, checksums, await_parts, accounts)
        steps.end(run, max_faults, answering.planned if as_json else None)


@app.command(
    rich_help_panel=STEP_BY_STEP,
    epilog="Example: `postmill ingest run --workers 4`; one array task of 8: `postmill ingest run --task 3/8`",
)
def ingest(
    folder: options.RunArgument,
    stage: options.StageOption = None,
    parts: options.PartsOption = None,
    shards: options.ShardsOption = None,
    workers: options.WorkersOption = 1,
    task: options.TaskOption = None,
    follow: options.FollowOption = False,
    evict: options.EvictOption = False,
    yes: options.YesOption = False,
    restore: options.RestoreOption = False,
    metadata: options.MetadataOption = None,
    images: options.ImagesOption = None,
    header_file: options.HeaderFileOption = None,
    max_faults: options.MaxFaultsOption = None,
) -> None:
    """Stream the archives into post shards: stages metadata, windows, spanning.

    Ranges choose windows and post shards. Where no stage is named, the metadata is done whole, since every shard needs
    all of it, and posts whose pictures lie in windows that are not done yet wait. Of a run that was planned with
    `--await-parts`, what can be done is done, and what it waits for is said. `--images` names where more parts lie, or
    the same ones now.
    """
    stages = options.chosen(stage, Stage, "--stage") or tuple(Stage)
    share = share_of(task)
    name = stages[0].value if len(stages) == 1 else "ingest"
    with progress(f"ingest {folder}: {', '.join(stages)}", folder) as shown:
        from postmill.ingest.pack.selection import Selection

        run, asked = steps.open_run(folder), Selection(options.range_text(parts), options.range_text(shards))
        with attempt(shown, run, name, task, share, workers):
            run, spare = sources.take_places(run, metadata, images, header_file, shown), options.evict_of(evict, yes)
            passes.ingest(run, stages, share, workers, shown, asked, False, follow, spare, restore)
        steps.end(run, max_faults)


@app.command(rich_help_panel=STEP_BY_STEP, epilog="Example: `postmill mend run`, when a part was fetched again")
def mend(
    folder: options.RunArgument,
    workers: options.WorkersOption = 1,
    header_file: options.HeaderFileOption = None,
) -> None:
    """Put together the posts that wait for a whole copy of a part, where its bytes are others now."""
    run = steps.open_run(folder)
    with progress(f"mend {folder}", folder) as shown:
        sources.take_places(run, None, None, header_file, shown)
        passes.ingest(run, tuple(Stage), WHOLE, workers, shown, mending=True)


@app.command(
    rich_help_panel=STEP_BY_STEP, epilog="Example: `postmill encode run --models light --encoder text --encoder image`"
)
def encode(
    folder: options.RunArgument,
    encoder: options.EncoderOption = None,
    models: options.ModelsOption = ModelSet.PAPER,
    model: options.ModelOption = None,
    device: options.DeviceOption = Device.AUTO,
    precision: options.PrecisionOption = Precision.AUTO,
    per_image: options.PerImageOption = False,
    task: options.TaskOption = None,
) -> None:
    """Turn post shards into embedding shards."""
    encoders, share, models_by_encoder = options.listed(encoder), share_of(task), options.overrides(model)
    needs = None if encoders == (EncoderName.METADATA,) else device
    if encoders or models_by_encoder:  # a mistake in them is answered before anything is said
        from postmill.encode.request import check

        check(encoders, models, models_by_encoder, device, precision)
    with progress(f"encode {folder}: {', '.join(encoders) or 'all encoders'}", folder) as shown:
        from postmill.encode.request import check
        from postmill.shards.state import attempts

        check(encoders, models, models_by_encoder, device, precision)
        run = steps.open_run(folder)
        with attempt(shown, run, attempts.encode_stage(encoders), task, share, device=needs, precision=precision):
            steps.encode(run, encoders, models, models_by_encoder, device, precision, share, shown, per_image)


@app.command(
    rich_help_panel=STEP_BY_STEP,
    epilog="Example: `postmill train run` or, as in the study, `postmill train run --study paper`",
)
def train(
    folder: options.RunArgument,
    model: training.TrainedOption = None,
    models: training.EmbeddingsOption = None,
    study: training.StudyOption = None,
    recipe: training.RecipeOption = RecipeName.POSTMILL,
    features: training.FeaturesOption = FeatureSet.DEFAULT,
    split: training.SplitOption = None,
    target: training.TargetOption = TargetName.LIKES_AND_COMMENTS,
    comment_weight: training.CommentWeightOption = 1,
    seeds: training.SeedsOption = None,
    device: options.DeviceOption = Device.CPU,
    task: options.TaskOption = None,
    as_json: commands.JsonOption = False,
) -> None:
    """Train the ladder of baselines and the fusion, and judge them on held-out posts and accounts."""
    names, splits, share = options.listed(model), options.chosen(split, Split, "--split"), share_of(task)
    recipe = training.recipe_of(study, recipe)
    for name in names:
        registry.rung(name, recipe)  # refuses what there is not
    with progress(f"train {folder}: {', '.join(names) or 'all models'}", folder) as shown:
        run = steps.open_run(folder)
        with attempt(shown, run, "train", task, share):
            done = steps.train(
                run,
                shown,
                names=names,
                encoder_models=models,
                recipe=recipe,
                features=features,
                splits=splits,
                target=target,
                comment_weight=comment_weight,
                seeds=seeds,
                device=device,
                task=share,
            )
        results.trained(run, done, as_json)


app.command(rich_help_panel=STEP_BY_STEP, epilog="Example: `postmill insights run`, then `postmill report run`")(
    insights.insights
)


@app.command(
    rich_help_panel=STEP_BY_STEP,
    epilog="Example: `postmill report run`; for a paper: `postmill report run --figures figures`",
)
def report(
    folder: options.RunArgument,
    other: reporting.OtherRunArgument = None,
    figures: reporting.FiguresOption = None,
    open_it: opening.OpenOption = False,
    as_json: commands.JsonOption = False,
) -> None:
    """Write the report: one self-contained HTML page; of two runs, a page that sets them side by side."""
    opening.check(open_it, as_json)
    if other is not None and figures is not None:
        raise UsageError("goes with one run, and two are named", place="--figures", hint="name one run")
    with progress(f"report {folder}", folder) as shown:
        run = steps.open_run(folder, reading=True)
        if other is None:
            page = results.report(run, shown, figures, as_json)
        else:
            page = results.compare(run, steps.open_run(other, reading=True), shown, as_json)
    if open_it:
        opening.open_page(page)


@app.command(rich_help_panel=RESULTS, epilog="Example: `postmill predict run --model fusion new-run > predictions.csv`")
def predict(
    folder: options.RunArgument,
    posts: options.PostsArgument,
    model: Annotated[
        str, typer.Option("--model", help="Name of a trained model.", autocompletion=completing.models)
    ] = "fusion",
    output: options.OutputOption = None,
    device: options.DeviceOption = Device.CPU,
    as_json: commands.JsonOption = False,
) -> None:
    """Score new posts: log engagement with its 90 % interval, likes and comments as median and as expectation."""
    with progress(f"predict {posts}: {model} of {folder}") as shown:
        results.predict(steps.open_run(folder, reading=True), posts, model, output, device, shown, as_json)


@app.command(rich_help_panel=RESULTS, epilog="Example: `postmill export run --to clip-retrieval index`")
def export(
    folder: options.RunArgument,
    target: options.NewFolderArgument,
    layout: Annotated[Layout, options.one_of(Layout, "--to", "Whose layout; hf: Hugging Face datasets.")],
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder",
            metavar="FOLDER",
            help="Only this folder below embeddings. Repeatable.",
            autocompletion=completing.embeddings,
        ),
    ] = None,
    as_json: commands.JsonOption = False,
) -> None:
    """Write posts and embeddings in the layout of other tools."""
    with progress(f"export {folder} as {layout.value}") as shown:
        run = steps.open_run(folder, reading=True)
        results.export(run, layout, target, options.listed(encoder), shown, as_json)


@app.command(
    rich_help_panel=CHECKS,
    epilog="Example: `postmill status run --watch`; for programs: `postmill status run --json`",
)
def status(
    folder: options.RunArgument,
    as_json: commands.JsonOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every five seconds until Ctrl-C.")] = False,
) -> None:
    """Show how far the run is, from its folder; with Slurm within reach, its jobs too."""
    if as_json and watch:
        raise UsageError("exclude each other", place="--json and --watch", hint="choose one")
    run = steps.open_run(folder, reading=True)
    if as_json:
        checks.status_json(run)
    elif watch:
        checks.watch_status(run)
    else:
        checks.status(run)


@app.command(rich_help_panel=CHECKS, epilog="Example: `postmill verify run`; of a finished run: `--complete`")
def verify(
    folder: options.RunArgument,
    complete: Annotated[bool, typer.Option("--complete", help="What is not done yet is wrong too.")] = False,
    as_json: commands.JsonOption = False,
) -> None:
    """Check every byte, file and row of a run, what each was made from, and the counts against each other."""
    checks.verify(steps.open_run(folder, reading=True), complete, as_json)


@app.command(
    rich_help_panel=CHECKS, epilog="Example: `postmill faults run`, or `postmill faults run --csv > faults.csv`"
)
def faults(
    folder: options.RunArgument,
    csv: Annotated[bool, typer.Option("--csv", help="Every fault as a row of CSV; import it as text.")] = False,
    as_json: commands.JsonOption = False,
) -> None:
    """Show what was wrong with the input, by reason."""
    if as_json and csv:
        raise UsageError("exclude each other", place="--json and --csv", hint="choose one")
    run = steps.open_run(folder, reading=True)
    (answering.faults if as_json else checks.faults_csv if csv else checks.faults)(run)


@app.command(
    rich_help_panel=CHECKS,
    epilog="Example: `postmill inspect posts_image.z07`, or `postmill inspect a.zip --digest > a.jsonl`",
)
def inspect(
    archive: options.ArchiveArgument,
    as_json: commands.JsonOption = False,
    digest: Annotated[bool, typer.Option("--digest", help="Read every entry: a JSON line each, with SHA-256.")] = False,
    strict: options.StrictOption = False,
    salvage: options.SalvageOption = False,
    header_file: options.HeaderFileOption = None,
) -> None:
    """Show what a zip is, split or not, or what a folder holds and what to type then. Exits with 3 on faults."""
    options.level_of(strict, salvage)
    checks.inspect(archive, as_json, digest, strict, salvage, header_file)


app.command(
    rich_help_panel=CLUSTER, epilog="Example: `postmill submit run --partition long --limit 32`; only look: `--dry-run`"
)(slurm.submit)
app.command(rich_help_panel=CLUSTER, epilog="Example: `postmill retry run`, as often as there is something left")(
    slurm.retry
)


@app.callback()
def postmill(_: commands.VersionOption = False) -> None:
    """Take the options that stand before a command."""


if __name__ == "__main__":
    run_app(app)
