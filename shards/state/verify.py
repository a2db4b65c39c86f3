"""Whether a run is what it says of itself: every byte of every file, every row, and the counts against each other.

Nothing is taken on trust twice: the bytes of a file are compared with the hash in its manifest, the manifest with the
hash that it carries, the rows and members with the plan, what a unit was made from with what is there now, and the
lists of shards with what follows from the manifests. Nothing that is found ends it, and what cannot be read is found.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from pathlib import Path

from postmill.shards.formats import plan, posts, shard_lists
from postmill.shards.formats.encoders import ENCODER_FILE, away, read_encoder
from postmill.shards.formats.units import shard_name
from postmill.shards.run import manifests, regular, sealed, secret
from postmill.shards.run.checked import anew
from postmill.shards.run.folder import Run
from postmill.shards.run.manifests import Manifest
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Advance, Progress, Silent
from postmill.shards.state import contents
from postmill.shards.state.chain import Chain
from postmill.shards.state.contents import Folder
from postmill.shards.state.discrepancy import Discrepancy, unreadable
from postmill.shards.state.listing import manifests_of, strays, strays_above

_WITH_ITS_OWN_VERSION = "with the version of postmill that made the run, or in a new one: postmill plan SOURCE NEW_RUN"


def verify(run: Run, progress: Progress | None = None) -> Iterator[Discrepancy]:
    """Yield everything that is wrong with ``run``: first the files, then the counts.

    Of a run of an older format, which no command makes anything in any more, the rows are not looked at.
    """
    for discrepancy in itertools.chain(verify_files(run, progress), check_counts(run)):
        yield discrepancy if _is_current(run) else replace(discrepancy, remedy=_WITH_ITS_OWN_VERSION)


def verify_files(run: Run, progress: Progress | None = None) -> Iterator[Discrepancy]:
    """Yield a discrepancy for each file that is missing, altered or too many, and each row that does not fit the plan.

    Each file is read once from front to back. Memory: the tables of one shard. Temporaries of running commands are
    passed over; logs and the secret have no manifest. ``run.json`` was checked when the run was opened.
    """
    planned = contents.planned_units(run)
    chain = None
    if planned is not None and _is_current(run):  # the format before states no inputs
        chain = Chain(run, planned.shards)
    folders = list(contents.folders(run, planned))
    looked_at = [manifests_of(folder) for folder in folders]
    total = sum(state.bytes for units in looked_at for unit in units.found.values() for state in unit.kept.values())
    named: set[Path] = set()  # what is unreadable and named is not named again where something else needs it
    for parent in (run.folder, run.embeddings, run.models):
        yield from _noted(named, strays_above(run, parent))
    if secret.is_ours(run):
        yield from _noted(named, [*strays_above(run, run.secret), *_secret(run)])
    with (progress or Silent()).track("verify", total, "bytes") as advance:
        plan_is_sound = planned is not None
        unsound: set[str] = set()  # post shards that nothing else can be compared with
        for folder, units in zip(folders, looked_at, strict=True):
            known = {folder.path / name for name in folder.others}
            undescribed = list(_encoder_file(run, folder)) if folder.path.parent == run.embeddings else []
            yield from _noted(named, [*undescribed, *units.unreadable])
            if folder.path == run.posts:
                unsound |= units.refused
            loose = [name for name in folder.expected if name not in units.found]  # their files are not strays
            for name in sorted({*folder.expected, *units.found, *units.damaged} - units.refused):
                manifest = units.found.get(name)
                known.update(_paths(folder, name, manifest))
                check = (plan_is_sound or folder.path == run.plan) and name not in unsound and not undescribed
                check = check and _is_current(run)
                linked = chain if plan_is_sound else None
                found = _unit(run, folder, name, manifest, check, advance, linked, named)
                discrepancies = list(_noted(named, found))
                yield from discrepancies
                if discrepancies and folder.path == run.plan:
                    plan_is_sound = False  # what is compared with the plan would only repeat that the plan is wrong
                if discrepancies and folder.path == run.posts:
                    unsound.add(name)
            known.update(folder.path / f"{name}.json" for name in units.refused)
            if not units.unlisted:
                yield from strays(folder, known, loose)
    if planned is not None:
        yield from _shard_lists(run)


def _secret(run: Run) -> Iterator[Discrepancy]:
    """Yield what is wrong with the file of the secret: its content no manifest states."""
    try:
        secret.found(run)
    except PostmillError as error:
        yield Discrepancy(secret.path_of(run), error.cause, error.hint or "")


def _noted(named: set[Path], discrepancies: Iterable[Discrepancy]) -> Iterator[Discrepancy]:
    for discrepancy in discrepancies:
        named.add(discrepancy.path)
        yield discrepancy


def check_counts(run: Run) -> Iterator[Discrepancy]:
    """Yield a discrepancy for each identity of counts that does not hold; the counts are those of the manifests.

    Mapped posts are posts in shards, posts lost to faults, posts that wait for other bytes and posts that are not
    chosen; each shard holds its planned posts, or says why not.
    """
    planned = contents.planned_units(run)
    if planned is None:
        return
    command = f"postmill ingest {run.word}"
    try:
        counts = plan.counts(run)
    except PostmillError:  # said where the plan's manifest is looked at
        return
    packed = waiting = undone = unknown = 0
    lost, not_chosen = counts.lost, counts.not_chosen
    for shard in planned.shards:
        try:
            shard_counts = posts.counts(run, shard.shard)
        except PostmillError:  # likewise
            unknown += shard.posts
            continue
        if shard_counts is None:
            undone += shard.posts
            continue
        packed += shard_counts.posts
        lost += shard_counts.lost
        waiting += shard_counts.waiting
        not_chosen += shard_counts.not_chosen
        if shard_counts.planned != shard.posts:
            path = run.posts / f"{shard_name(shard.shard)}.json"
            stated = f"{shard_counts.posts:,} posts, {shard_counts.lost:,} lost and {shard_counts.waiting:,} waiting"
            stated += f" and {shard_counts.not_chosen} not chosen" if shard_counts.not_chosen else ""
            yield Discrepancy(path, f"{stated} are not the {shard.posts:,} planned", anew(path, command))
    if waiting:
        what = f"{waiting:,} of {counts.mapped_posts:,} mapped posts wait for other bytes of the archive"
        yield Discrepancy(run.folder, what, command, unfinished=True)
    if undone:
        what = f"{undone:,} of {counts.mapped_posts:,} mapped posts wait for ingest"
        yield Discrepancy(run.folder, what, command, unfinished=True)
    elif counts.mapped_posts != packed + lost + waiting + not_chosen and not unknown:
        sentence = (
            f"{counts.mapped_posts:,} mapped posts are not {packed:,} in shards, {lost:,} lost and {waiting:,} waiting"
        )
        sentence += f" and {not_chosen} not chosen" if not_chosen else ""
        yield Discrepancy(run.folder, sentence, "start anew in a new run folder: postmill plan SOURCE NEW")


def _is_current(run: Run) -> bool:
    return run.format_version == manifests.SCHEMA_VERSION


def _paths(folder: Folder, name: str, manifest: Manifest | None) -> Iterator[Path]:
    yield folder.path / f"{name}.json"
    yield from (folder.path / file for file in (folder.files.get(name, ()) if manifest is None else manifest.files))


def _unit(
    run: Run,
    folder: Folder,
    name: str,
    manifest: Manifest | None,
    check: bool,
    advance: Advance,
    chain: Chain | None,
    named: Set[Path],
) -> Iterator[Discrepancy]:
    """Yield what is wrong with one unit: its manifest, its files, and, with ``check``, what stands in them.

    With a ``chain`` its inputs are compared too; what cannot be read of other units, and is ``named``, is passed over.
    """
    path = folder.path / f"{name}.json"
    if manifest is None:
        yield _no_manifest(run, folder, path)
        return
    whole = True
    if manifest.run != run.fingerprint or manifest.unit != name:
        what = f"belongs to unit {manifest.unit} of run {manifest.run[:12]}"
        yield Discrepancy(path, what, anew(path, folder.command))
        whole = False
    elif not folder.may_hold(name):
        yield Discrepancy(path, "there should be no such unit", "move it and its files out of the run folder")
        whole = False
    for file, state in manifest.kept.items():
        try:
            what = manifests.difference(folder.path / file, state, advance)
        except PostmillError as error:
            yield unreadable(folder.path / file, error)
            whole = False
            continue
        except OSError as error:
            yield unreadable(folder.path / file, regular.unreadable(folder.path / file, error))
            whole = False
            continue
        if what:
            yield Discrepancy(folder.path / file, what, anew(folder.path / file, folder.command))
            whole = False
    if not whole:
        return
    try:
        breaks = [] if chain is None else chain.breaks(folder.path, name, manifest)
        for what in breaks:
            yield Discrepancy(path, what, anew(path, folder.command))
        if check and not breaks:
            for file_path, what in folder.check(name, manifest):
                yield Discrepancy(file_path, what, anew(path, folder.command))
    except PostmillError as error:
        place = path if error.place is None else Path(error.place)
        if place not in named:
            yield (
                unreadable(place, error) if error.hint else Discrepancy(place, error.cause, anew(path, folder.command))
            )
    except contents.UNREADABLE as error:
        what = f"what it states cannot be read: {type(error).__name__}: {error}"
        yield Discrepancy(path, what, anew(path, folder.command))


def _no_manifest(run: Run, folder: Folder, path: Path) -> Discrepancy:
    """Return what is said of a unit that has no manifest, or something in its place."""
    try:
        sealed.unseal(regular.read(path))
    except FileNotFoundError:
        unfinished = folder.path != run.plan
        return Discrepancy(path, "missing: this piece of work is not done", folder.command, unfinished)
    except ValueError as error:
        what = f"is damaged ({error}), and says nothing of its files"
        return Discrepancy(path, what, anew(path, folder.command))
    return Discrepancy(path, "is no manifest of this version", anew(path, folder.command))


def _encoder_file(run: Run, folder: Folder) -> Iterator[Discrepancy]:
    path = folder.path / ENCODER_FILE
    try:
        encoder = read_encoder(folder.path)
    except PostmillError as error:
        yield Discrepancy(path, error.cause, error.hint or folder.command)
        return
    if encoder.folder != folder.path.name:
        yield Discrepancy(path, f"describes {encoder.folder}, which is another folder", away(run, folder.path))


def _shard_lists(run: Run) -> Iterator[Discrepancy]:
    """Compare the lists of shards, byte for byte, with what follows from the manifests."""
    command = f"postmill ingest {run.word}"
    try:
        expected = shard_lists.expected(run)
    except contents.UNREADABLE:  # said where the manifests are looked at
        return
    for name, content in expected.items():
        path = run.posts / name
        try:
            if regular.read(path) != content:
                yield Discrepancy(path, "is not what the manifests say", command)
        except FileNotFoundError:
            yield Discrepancy(path, "missing: this piece of work is not done", command, unfinished=True)
        except ValueError as error:
            yield Discrepancy(path, f"is not what the manifests say: {error}", command)
        except PostmillError as error:
            yield unreadable(path, error)
