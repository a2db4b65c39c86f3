"""What lies in the folders of a run: manifests, and strays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from postmill.shards.run import manifests, regular, secret
from postmill.shards.run.folder import Run
from postmill.shards.run.manifests import Manifest
from postmill.shards.run.regular import RUN_FILE
from postmill.shards.run.temporary import TEMPORARY
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.state.contents import Folder
from postmill.shards.state.discrepancy import Discrepancy, unreadable


@dataclass(frozen=True)
class Manifests:
    """What a folder has for manifests.

    Attributes:
        found: The whole ones, by name of unit.
        damaged: Names of units whose manifest is none.
        refused: Names of units whose manifest cannot be read, of which nothing more is said.
        unreadable: What is said of these, and of a folder that cannot be listed.
        unlisted: Whether that is so.
    """

    found: dict[str, Manifest]
    damaged: set[str]
    refused: set[str]
    unreadable: list[Discrepancy]
    unlisted: bool


def manifests_of(folder: Folder) -> Manifests:
    """Return what ``folder`` has for manifests, whatever it is that lies there."""
    units = Manifests({}, set(), set(), [], False)
    try:
        names = list(folder.units())
    except PostmillError as error:
        return Manifests({}, set(), set(folder.expected), [unreadable(folder.path, error)], True)
    for name in names:
        try:
            manifest = manifests.read(folder.path, name)
        except PostmillError as error:
            units.refused.add(name)
            units.unreadable.append(unreadable(folder.path / f"{name}.json", error))
            continue
        if manifest is not None:
            units.found[name] = manifest
        elif folder.may_hold(name):
            units.damaged.add(name)
    return units


def strays_above(run: Run, folder: Path) -> Iterator[Discrepancy]:
    """Yield what does not belong at the top of a run or beside its secret, or into a folder that holds only folders.

    Likewise a folder of these that cannot be listed.
    """
    top = {run.plan, run.spool, run.posts, run.embeddings, run.models, run.insights, run.report, run.secret, run.logs}
    if folder != run.folder and not folder.is_dir():
        return  # a file in its place is named at the top
    try:
        paths = regular.listed(folder)
    except PostmillError as error:
        yield unreadable(folder, error)
        return
    for path in paths:
        known = path in top and path.is_dir() if folder == run.folder else regular.is_folder(path)
        if folder == run.secret:
            known = path == secret.path_of(run)
        if not known and path != run.folder / RUN_FILE and not path.name.startswith(TEMPORARY):
            yield _stray(path)


def strays(folder: Folder, known: set[Path], loose: Sequence[str]) -> Iterator[Discrepancy]:
    """Yield the files of ``folder`` that are neither ``known`` nor of a unit in ``loose``, which has no manifest."""
    if loose and folder.alone:
        return
    units = set(loose)
    below = {path.parent for path in known} - {folder.path}  # of files beside the others, as faults/
    paths = [path for path in regular.listed(folder.path) if path not in below or not regular.is_folder(path)]
    for parent in sorted(below):
        try:
            paths += regular.listed(parent) if regular.is_folder(parent) else []
        except PostmillError as error:
            yield unreadable(parent, error)
    for path in sorted(paths):
        of_loose_unit = _unit(path, folder.path) in units
        if path not in known and not of_loose_unit and not path.name.startswith(TEMPORARY):
            yield _stray(path)


def _unit(path: Path, folder: Path) -> str:
    """Return the name of the unit whose file lies at ``path``: that of posts-000003 in faults/ is 000003.parquet."""
    stem = path.name.partition(".")[0]
    return stem if path.parent == folder else f"{folder.name}-{stem}"


def _stray(path: Path) -> Discrepancy:
    return Discrepancy(path, "is in no manifest", "move it out of the run folder")
