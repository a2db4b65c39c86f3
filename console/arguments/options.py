"""The options that several commands have. What is chosen of a closed set is named in the help and completed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from postmill.console.arguments.places import on_disk
from postmill.console.display import completing
from postmill.console.waiting import Evict
from postmill.encode.options import EMOTION_MODELS, EncoderName, ModelSet, Precision
from postmill.ingest.sample.effect import Effect
from postmill.shards.formats.choices import Stage
from postmill.shards.run.chosen import TypedChosen
from postmill.shards.run.options import MAX_ENTRY, SHARD_BYTES, Level, TypedOptions
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import UsageError, unknown

_WIDE = 60  # of a list of names that stands in the help where other options have their type
Choice = TypeVar("Choice", bound=StrEnum)


def one_of(kind: type[Choice], option: str, help_text: str) -> Any:
    """Return an option that takes one of ``kind``.

    Args:
        kind: The closed set.
        option: Its name, such as ``--device``.
        help_text: What it is for.
    """

    def parse(value: str) -> Choice:
        if value not in set(kind):
            raise unknown(value, kind, place=option)
        return kind(value)

    return typer.Option(option, parser=parse, metavar=f"[{'|'.join(kind)}]", help=help_text, autocompletion=_of(kind))


def list_of(kind: Iterable[str], option: str, help_text: str) -> Any:
    """Return an option that takes several of ``kind``, each by itself; :func:`listed` reads what was given."""
    names = list(kind)
    metavar = f"[{'|'.join(names)}]"
    if len(metavar) > _WIDE:
        metavar, help_text = "NAME", f"{help_text} One of {', '.join(names)}."
    return typer.Option(option, metavar=metavar, help=f"{help_text} Repeatable.", autocompletion=_of(names))


def listed(values: Iterable[str] | None) -> tuple[str, ...]:
    """Return the values of an option that is repeatable, each once; a list with commas is read too."""
    words = (word.strip() for value in values or () for word in value.split(","))
    return tuple(dict.fromkeys(word for word in words if word))


def range_text(values: Iterable[str] | None) -> str | None:
    """Return the ranges of an option that is repeatable as one text, None where it was not given."""
    return ",".join(listed(values)) or None


def chosen(values: Iterable[str] | None, kind: type[Choice], option: str) -> tuple[Choice, ...]:
    """Return :func:`listed` values as members of the closed set ``kind``.

    Raises:
        UsageError: One of them is not in it.
    """
    names = listed(values)
    for name in names:
        if name not in set(kind):
            raise unknown(name, kind, place=option)
    return tuple(kind(name) for name in names)


def overrides(pairs: Iterable[str] | None) -> dict[str, str]:
    """Read ``--model ENCODER=MODEL`` options.

    Raises:
        UsageError: One is not of that form.
    """
    models: dict[str, str] = {}
    for pair in pairs or ():
        encoder, equals, model = pair.partition("=")
        if not equals or not encoder or not model:
            raise UsageError(f"{pair!r} names no model", place="--model", hint="write --model text=/path/to/folder")
        models[encoder] = model
    return models


def planned_with(
    shard_size: int | None,
    max_entry: int | None,
    raw: bool | None,
    strict: bool | None,
    salvage: bool | None,
    pictureless: bool | None,
    chosen: TypedChosen,
) -> TypedOptions:
    """Read the options that a run is planned with; sizes in MiB, None for what was not typed.

    Raises:
        UsageError: Two of them exclude each other.
    """
    shard_bytes, entry_bytes = (None if size is None else size << 20 for size in (shard_size, max_entry))
    return TypedOptions(shard_bytes, entry_bytes, raw, level_of(strict, salvage), pictureless, chosen)


def level_of(strict: bool | None, salvage: bool | None) -> Level | None:
    """Read the two options that set how much contradiction in an archive is borne; None where neither was typed.

    Raises:
        UsageError: Both are given.
    """
    if strict and salvage:
        raise UsageError("exclude each other", place="--strict and --salvage", hint="choose one")
    if strict is None and salvage is None:
        return None
    return Level.STRICT if strict else Level.SALVAGE if salvage else Level.DEFAULT


def evict_of(evict: bool, yes: bool) -> Evict:
    """Read ``--evict`` and ``--yes``.

    Raises:
        UsageError: Nothing is named that could be deleted.
    """
    if yes and not evict:
        raise UsageError("says yes to nothing", place="--yes", hint="write --evict --yes")
    return Evict.DELETE if yes else Evict.LIST if evict else Evict.NOTHING


def _of(names: Iterable[str]) -> Callable[[str], list[str]]:
    words = [str(name) for name in names]
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Folder or address with influencers.txt, the mapping file, Post_metadata/ and Post_images/.",
    ),
]
RunArgument = Annotated[
    Path, typer.Argument(parser=on_disk, metavar="RUN", help="The run folder.", autocompletion=completing.runs)
]
PlacesArgument = Annotated[
    list[str],
    typer.Argument(metavar="[SOURCE] RUN", help="The dataset's folder or address, if it must be named; the run."),
]
EffectOption = Annotated[Effect, one_of(Effect, "--effect", "Whether what a post shows bears on its engagement.")]
NewFolderArgument = Annotated[Path, typer.Argument(parser=on_disk, metavar="DIR", help="A new or empty folder.")]
PostsArgument = Annotated[
    Path,
    typer.Argument(
        parser=on_disk,
        metavar="POSTS",
        help="Another run folder, or one of its post shards.",
        autocompletion=completing.runs,
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        parser=on_disk,
        metavar="FILE",
        help="A .parquet or .csv file; default: CSV here. Its keys name the posts: for joining, not for sharing.",
    ),
]
MetadataOption = Annotated[
    list[str] | None,
    typer.Option("--metadata", metavar="PLACE", help="Any part of the metadata archive, or as --images. Repeatable."),
]
ImagesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--images",
        metavar="PLACE",
        help="Any part of the picture archive, its folder, or a list with NAME ADDRESS on each line; none: text only. "
        "Repeatable, where parts lie apart.",
    ),
]
MappingOption = Annotated[
    str | None, typer.Option("--mapping", help="The mapping file, plain, .gz or .zst; none: names.")
]
InfluencersOption = Annotated[str | None, typer.Option("--influencers", help="The influencers file; none: without.")]
HeaderFileOption = Annotated[
    Path | None,
    typer.Option("--header-file", metavar="FILE", help="Headers for http addresses, a line each; for your eyes only."),
]
# What a run is planned with has no default here: what is not typed, a run that is there knows.
ShardSizeOption = Annotated[
    int | None,
    typer.Option(
        "--shard-size",
        min=1,
        help=f"Picture bytes of a post shard, in MiB; a worker holds one. Default: {SHARD_BYTES >> 20}.",
    ),
]
MaxEntryOption = Annotated[
    int | None,
    typer.Option("--max-entry", min=1, help=f"Largest entry that is taken, in MiB. Default: {MAX_ENTRY >> 20}."),
]
RawOption = Annotated[
    bool | None,
    typer.Option("--raw/--no-raw", help="Keep the original metadata bytes in the shards. Default: keep them."),
]
PicturelessOption = Annotated[
    bool | None,
    typer.Option("--pictureless/--no-pictureless", help="Keep posts without any picture. Default: lost."),
]
PlannedStrictOption = Annotated[
    bool | None, typer.Option("--strict/--no-strict", help="Any contradiction in an archive is an error.")
]
PlannedSalvageOption = Annotated[
    bool | None,
    typer.Option("--salvage/--no-salvage", help="Go on without parts that are missing, and rebuild a lost directory."),
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Any contradiction in an archive is an error.")]
SalvageOption = Annotated[
    bool, typer.Option("--salvage", help="Go on without parts that are missing, and rebuild a lost directory.")
]
ChecksumsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--checksums", metavar="FILE", help="A list of md5, sha1, sha256 or sha512 to check first. Repeatable."
    ),
]
AwaitPartsOption = Annotated[
    bool, typer.Option("--await-parts", help="Parts may come later: only those with the directory must be here.")
]
FollowOption = Annotated[bool, typer.Option("--follow", help="Go on as awaited parts come, until all have.")]
EvictOption = Annotated[
    bool, typer.Option("--evict", help="Name the parts that nothing needs any more; with `--yes`, delete them.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Delete what `--evict` names.")]
LeanOption = Annotated[
    bool,
    typer.Option(
        "--lean", help="For a small disk: pack and encode a few shards at a time, and drop their tars. Records stay."
    ),
]
RestoreOption = Annotated[
    bool, typer.Option("--restore", help="Pack again the shards whose tars `run --lean` dropped, from the archives.")
]
MaxFaultsOption = Annotated[
    int | None, typer.Option("--max-faults", min=0, help="Exit with 3 if there are more faults than this.")
]
StageOption = Annotated[list[str] | None, list_of(Stage, "--stage", "Only this stage.")]
PartsOption = Annotated[
    list[str] | None,
    typer.Option("--parts", help="Only what ends in these of the stage's archive: z01-z10. Repeatable."),
]
ShardsOption = Annotated[list[str] | None, typer.Option("--shards", help="Only these post shards: 0-99. Repeatable.")]
WorkersOption = Annotated[int, typer.Option("--workers", min=1, help="Processes that work at once.")]
TaskOption = Annotated[
    str | None, typer.Option("--task", metavar="K/N", help="Do share K (from 0) of N; default: the array task's.")
]
EncoderOption = Annotated[
    list[str] | None, list_of(EncoderName, "--encoder", "Only this encoder, or one of another package.")
]
GpuEncoderOption = Annotated[
    list[str] | None, list_of(EncoderName, "--gpu-encoder", "An encoder that gets a GPU; default: image.")
]
VenvOption = Annotated[
    Path | None, typer.Option("--venv", help="Virtual environment of the tasks; default: this command's own.")
]
ModelsOption = Annotated[
    ModelSet, one_of(ModelSet, "--models", "paper: the study's models; light: small packaged stand-ins.")
]
ModelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="ENCODER=MODEL",
        help="Hub id or local folder for text, sentiment, sentiment-multilingual, image or emotion; for emotion also "
        f"{', '.join(EMOTION_MODELS)}. Repeatable.",
    ),
]
DeviceOption = Annotated[Device, one_of(Device, "--device", "Where models run; auto: a GPU where there is one.")]
PrecisionOption = Annotated[
    Precision,
    one_of(Precision, "--precision", "Number format; auto: as begun, else float16 on CUDA, and on the CPU by a trial."),
]
PerImageOption = Annotated[
    bool, typer.Option("--per-image", help="Keep a vector for each picture, beside that of the post.")
]
AgainOption = Annotated[bool, typer.Option("--again", help="Also tasks that failed three times.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the scripts, submit nothing.")]
GresOption = Annotated[str, typer.Option("--gres", help="What such an encoder asks for; '' where there is no GPU.")]
SbatchOption = Annotated[
    list[str] | None, typer.Option("--sbatch", help="A further option: `--sbatch=--qos=high`. Repeatable.")
]
ArchiveArgument = Annotated[
    list[str], typer.Argument(metavar="ARCHIVE", help="Any part, a glob, a URL, a list, or all; a folder.")
]
