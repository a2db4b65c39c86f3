"""Whether a run is what it says of itself: every byte of every file, every row, and the counts against each other.

Nothing is taken on trust twice: the bytes of a file are compared with the hash in its manifest, the manifest with the
hash that it carries, the rows and members with the plan, and the lists of shards with what follows from the manifests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from shards import contents, embeddings, listing, manifests, plan, sealed
from shards.contents import Folder
from shards.errors import PostmillError
from shards.manifests import Manifest
from shards.posts import shard_name
from shards.progress import Advance, Progress, Silent
from shards.run import RUN_FILE, Run
from shards.temporary import TEMPORARY


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        path: The file, or the folder where it is about several.
        what: What is wrong with it.
        remedy: What to do about it: a command, or words.
    """

    path: Path
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def verify(run: Run, progress: Progress | None = None) -> Iterator[Finding]:
    """Yield everything that is wrong with ``run``: first the files, then the counts."""
    yield from verify_files(run, progress)
    yield from check_counts(run)


def verify_files(run: Run, progress: Progress | None = None) -> Iterator[Finding]:
    """Yield a finding for each file that is missing, altered or too many, and each row that does not fit the plan.

    Each file is read once from front to back. Memory: the tables of one shard. Temporaries of running commands are
    passed over; logs have no manifest. ``run.json`` was checked when the run was opened.
    """
    wanted = contents.planned(run)
    whole = wanted is not None
    held = [(folder, folder.manifests()) for folder in contents.folders(run, wanted)]
    total = sum(state.bytes for _, units in held for unit in units.values() for state in unit.files.values())
    for parent in (run.folder, run.embeddings, run.models):
        yield from _strays_above(run, parent)
    unsound: set[str] = set()  # post shards that nothing else can be compared with
    with (progress or Silent()).track("verify", total, "bytes") as advance:
        for folder, units in held:
            known = {folder.path / name for name in folder.others}
            undescribed = list(_encoder_file(folder)) if folder.path.parent == run.embeddings else []
            yield from undescribed
            loose = [name for name in folder.expected if name not in units]  # their files cannot be told from strays
            for name in sorted({*folder.expected, *units}):
                known.update(_paths(folder, name, units.get(name)))
                check = (whole or folder.path == run.plan) and name not in unsound and not undescribed
                found = list(_unit(run, folder, name, units.get(name), check, advance))
                yield from found
                if found and folder.path == run.plan:
                    whole = False  # what is compared with the plan would only repeat that the plan is wrong
                if found and folder.path == run.posts:
                    unsound.add(name)
            yield from _strays(folder, known, loose)
    yield from _listings(run, wanted is not None)


def check_counts(run: Run) -> Iterator[Finding]:
    """Yield a finding for each identity of counts that does not hold; the counts are those of the manifests.

    Mapped posts are posts in shards and posts lost to faults; each shard holds its planned posts or lost them.
    """
    wanted = contents.planned(run)
    if wanted is None:
        return
    command = f"postmill ingest {run.word}"
    counts = plan.manifest(run).counts
    found = waiting = 0
    lost = counts["lost"]
    for shard in wanted.shards:
        manifest = manifests.done(run.posts, shard_name(shard.shard), run.fingerprint)
        if manifest is None:
            waiting += shard.posts
            continue
        found += manifest.counts["posts"]
        lost += manifest.counts["lost"]
        if manifest.counts["posts"] + manifest.counts["lost"] != shard.posts:
            path = run.posts / f"{shard_name(shard.shard)}.json"
            held = f"{manifest.counts['posts']} posts and {manifest.counts['lost']} lost"
            yield Finding(path, f"{held} are not the {shard.posts} planned", _anew(path, command))
    if waiting:
        yield Finding(run.folder, f"{waiting} of {counts['mapped_posts']} mapped posts wait for ingest", command)
    elif counts["mapped_posts"] != found + lost:
        sentence = f"{counts['mapped_posts']} mapped posts are not {found} in shards and {lost} lost"
        yield Finding(run.folder, sentence, "start anew in a new run folder: postmill plan SOURCE NEW")


def _paths(folder: Folder, name: str, manifest: Manifest | None) -> Iterator[Path]:
    yield folder.path / f"{name}.json"
    if manifest is not None:
        yield from (folder.path / file for file in manifest.files)


def _unit(
    run: Run, folder: Folder, name: str, manifest: Manifest | None, check: bool, advance: Advance
) -> Iterator[Finding]:
    """Yield what is wrong with one unit: its manifest, its files, and, with ``check``, what stands in them."""
    path = folder.path / f"{name}.json"
    if manifest is None:
        yield Finding(path, _why_no_manifest(path), folder.command)
        return
    if manifest.run != run.fingerprint or manifest.unit != name:
        yield Finding(path, f"belongs to unit {manifest.unit} of run {manifest.run[:12]}", _anew(path, folder.command))
        check = False
    elif folder.closed and name not in folder.expected:
        yield Finding(path, "there should be no such unit", "move it and its files out of the run folder")
        check = False
    for file, state in manifest.files.items():
        what = manifests.difference(folder.path / file, state, advance)
        if what:
            yield Finding(folder.path / file, what, _anew(folder.path / file, folder.command))
            check = False
    if not check:
        return
    try:
        for at, what in folder.check(name, manifest):
            yield Finding(at, what, _anew(path, folder.command))
    except contents.UNREADABLE as error:
        yield Finding(path, f"what it states cannot be read: {error}", _anew(path, folder.command))


def _why_no_manifest(path: Path) -> str:
    try:
        sealed.unseal(path.read_bytes())
    except FileNotFoundError:
        return "missing: this piece of work is not done"
    except (OSError, ValueError) as error:
        return f"is damaged ({error}), and says nothing of its files"
    return "is no manifest of this version"


def _encoder_file(folder: Folder) -> Iterator[Finding]:
    path = folder.path / embeddings.ENCODER_FILE
    try:
        encoder = embeddings.read_encoder(folder.path)
    except PostmillError as error:
        yield Finding(path, error.cause, _anew(path, folder.command))
        return
    if encoder.folder != folder.path.name:
        yield Finding(path, f"describes {encoder.folder}", _anew(path, folder.command))


def _listings(run: Run, planned: bool) -> Iterator[Finding]:
    """Compare the lists of shards, byte for byte, with what follows from the manifests."""
    for name, content in (listing.expected(run) if planned else {}).items():
        path = run.posts / name
        if not path.is_file():
            yield Finding(path, "missing", f"postmill ingest {run.word}")
        elif path.read_bytes() != content:
            yield Finding(path, "is not what the manifests say", f"postmill ingest {run.word}")


def _strays_above(run: Run, folder: Path) -> Iterator[Finding]:
    """Yield what does not belong at the top of a run, or into a folder that holds only folders."""
    top = {run.plan, run.spool, run.posts, run.embeddings, run.models, run.report, run.logs}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        known = path.is_dir() and (folder != run.folder or path in top)
        if not known and path != run.folder / RUN_FILE and not path.name.startswith(TEMPORARY):
            yield _stray(path)


def _strays(folder: Folder, known: set[Path], loose: Sequence[str]) -> Iterator[Finding]:
    """Yield the files of ``folder`` that are neither ``known`` nor of a unit in ``loose``, which has no manifest."""
    if not folder.path.is_dir() or (loose and folder.alone):
        return
    units = set(loose)
    for path in sorted(folder.path.iterdir()):
        of_loose_unit = path.name.partition(".")[0] in units
        if path not in known and not of_loose_unit and not path.name.startswith(TEMPORARY):
            yield _stray(path)


def _stray(path: Path) -> Finding:
    return Finding(path, "is in no manifest", "move it out of the run folder")


def _anew(path: Path, command: str) -> str:
    return f"rm -f {quote(str(path))}; {command}"
