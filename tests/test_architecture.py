"""Dependencies go one way, inside packages too, stages meet only on disk, and the house keeps its measures."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("shards", "ingest", "encode", "train", "jobs", "console")
STAGES = ("ingest", "encode", "train")

# What the modules of a room import of ours. A room is a folder, or a module that stands at the top of a package.
ARROWS: dict[str, set[str]] = {
    "shards.runtime": set(),
    "shards.run": {"shards.runtime"},
    "shards.formats": {"shards.run", "shards.runtime"},
    "shards.indicators": {"shards.formats", "shards.run", "shards.runtime"},
    "shards.state": {"shards.formats", "shards.indicators", "shards.run", "shards.runtime"},
    "ingest.remote": {"shards.runtime"},
    "ingest.text": {"shards.runtime"},
    "ingest.zipformat": {"ingest.remote", "ingest.text", "shards.formats", "shards.runtime"},
    "ingest.archive": {"ingest.zipformat", "shards.formats", "shards.run", "shards.runtime"},
    "ingest.source": {
        *("ingest.remote", "ingest.text", "ingest.zipformat"),
        *("shards.formats", "shards.run", "shards.runtime"),
    },
    "ingest.plan": {
        *("ingest.archive", "ingest.source", "ingest.zipformat"),
        *("shards.formats", "shards.run", "shards.runtime"),
    },
    "ingest.pack": {
        *("ingest.source", "ingest.zipformat"),
        *("shards.formats", "shards.run", "shards.runtime", "shards.state"),
    },
    "ingest.survey": {
        *("ingest.archive", "ingest.remote", "ingest.source", "ingest.text", "ingest.zipformat"),
        *("shards.formats", "shards.run", "shards.runtime"),
    },
    "ingest.sample": {"ingest.source", "ingest.zipformat", "shards.run", "shards.runtime"},
    "encode.options": {"shards.indicators"},
    "encode.absence": {"shards.formats"},
    "encode.speed": {"shards.runtime"},
    "encode.precisions": {"encode.options", "shards.runtime"},
    "encode.gpu": {"shards.runtime"},
    "encode.device": {"encode.gpu", "encode.options", "encode.precisions", "shards.runtime"},
    "encode.interface": {"encode.device", "encode.options", "shards.formats", "shards.run", "shards.runtime"},
    "encode.hub": {"shards.runtime"},
    "encode.model_files": {"shards.formats", "shards.run", "shards.runtime"},
    "encode.models": {"encode.hub", "encode.model_files", "encode.options", "shards.runtime"},
    "encode.preparation": {
        *("encode.absence", "encode.device", "encode.interface"),
        *("shards.formats", "shards.run", "shards.runtime"),
    },
    "encode.encoders": {
        *(
            "encode.absence",
            "encode.device",
            "encode.interface",
            "encode.model_files",
            "encode.models",
            "encode.options",
        ),
        *("encode.preparation", "encode.speed"),
        *("shards.formats", "shards.indicators", "shards.run", "shards.runtime"),
    },
    "encode.plugins": {"encode.interface", "encode.options", "shards.runtime"},
    "encode.registry": {"encode.encoders", "encode.interface", "encode.options", "encode.plugins"},
    "encode.request": {
        *("encode.device", "encode.interface", "encode.models", "encode.options", "encode.registry"),
        *("shards.formats", "shards.runtime"),
    },
    "encode.summary": {"shards.formats", "shards.indicators", "shards.run"},
    "encode.spread": {"encode.gpu", "encode.options", "shards.runtime"},
    "encode.child": {"encode.stage", "shards.run", "shards.runtime"},
    "encode.trial": {
        *("encode.device", "encode.interface", "encode.options", "encode.precisions"),
        *("shards.formats", "shards.run", "shards.runtime"),
    },
    "encode.stage": {
        *("encode.device", "encode.encoders", "encode.interface", "encode.models", "encode.options"),
        *("encode.preparation", "encode.registry", "encode.request", "encode.spread", "encode.summary", "encode.trial"),
        *("shards.formats", "shards.run", "shards.runtime", "shards.state"),
    },
    "train.options": set(),
    "train.data": {"train.options", "shards.formats", "shards.run", "shards.runtime"},
    "train.models": {"train.data", "train.options", "shards.formats", "shards.run", "shards.runtime"},
    "train.evaluation": {
        *("train.data", "train.models", "train.options"),
        *("shards.formats", "shards.indicators", "shards.run", "shards.runtime"),
    },
    "train.insights": {
        *("train.data", "train.evaluation", "train.options"),
        *("shards.formats", "shards.indicators", "shards.run", "shards.runtime"),
    },
    "train.report": {
        *("train.data", "train.evaluation", "train.insights", "train.models", "train.options"),
        *("shards.formats", "shards.indicators", "shards.run", "shards.runtime"),
    },
    "train.request": {"train.data", "train.models", "train.options", "shards.formats", "shards.runtime"},
    "train.predict": {
        *("train.data", "train.evaluation", "train.models", "train.options"),
        *("shards.formats", "shards.run", "shards.runtime"),
    },
    "train.stage": {
        *("train.data", "train.evaluation", "train.models", "train.options", "train.request"),
        *("shards.formats", "shards.run", "shards.runtime", "shards.state"),
    },
}
ANYTHING = ("jobs", "console", "cli")  # these may call every stage, and nothing of the above calls them


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    """Each module of ours by its dotted name without ``postmill.``."""
    paths = [path for package in PACKAGES if (root / package).is_dir() for path in (root / package).rglob("*.py")]
    for path in sorted([*paths, root / "cli.py"]):
        yield ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"), path


def imported(path: Path) -> Iterator[str]:
    """What a module imports of ours, in functions too, without ``postmill.``; our names bare are told by a '?'."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module or ''}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.partition(".")[0] == "postmill":
                yield name.partition(".")[2]
            elif name.partition(".")[0] in (*PACKAGES, "cli"):
                yield f"?{name}"


def room(name: str, rooms: frozenset[str]) -> str:
    """The room that the module, or the member of a module, ``name`` belongs to."""
    parts = name.split(".")
    return next((word for n in (2, 1) if (word := ".".join(parts[:n])) in rooms), name)


def wrong_arrows(root: Path) -> dict[str, set[str]]:
    """Per module what it imports and may not."""
    rooms = frozenset([*ARROWS, *ANYTHING])
    wrong = {}
    for name, path in modules(root):
        own = room(name, rooms)
        allowed = set(rooms) if own in ANYTHING or path.name == "__init__.py" else ARROWS.get(own, set()) | {own}
        found = {other for other in imported(path) if room(other, rooms) not in allowed}
        if found or own not in rooms | set(PACKAGES):
            wrong[name] = found
    return wrong


def test_every_module_imports_only_what_its_room_may() -> None:
    assert wrong_arrows(ROOT) == {}


def test_the_arrows_of_the_rooms_have_no_circle_and_keep_the_stages_apart() -> None:
    list(TopologicalSorter(ARROWS).static_order())  # raises CycleError
    for own, others in ARROWS.items():
        package = own.partition(".")[0]
        assert {other.partition(".")[0] for other in others} <= {package, "shards"}, own


@pytest.mark.parametrize(
    ("planted", "statement"),
    [
        ("shards/runtime/errors.py", "from postmill.shards.state import verify"),
        ("train/data/splits.py", "from postmill.train.evaluation.metrics import value"),
        ("ingest/zipformat/space.py", "def late():\n    import postmill.ingest.archive.reader"),
        ("encode/encoders/text.py", "from postmill.train.data import features"),
        ("ingest/pack/stages.py", "from shards.run import folder"),
        ("shards/run/folder.py", "from postmill import cli"),
    ],
)
def test_a_planted_upward_import_is_told(tmp_path: Path, planted: str, statement: str) -> None:
    for _name, path in modules(ROOT):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text() + (statement if str(path.relative_to(ROOT)) == planted else ""))
    assert list(wrong_arrows(tmp_path)) == [planted.removesuffix(".py").replace("/", ".")]


def test_no_module_imports_itself_in_a_circle() -> None:
    names = dict(modules(ROOT))
    graph = {}
    for name, path in names.items():
        if path.name == "__init__.py":
            continue
        known = (
            next((word for word in (other, other.rpartition(".")[0]) if word in names), "") for other in imported(path)
        )
        graph[name] = {other for other in known if other and names[other].name != "__init__.py"}
    list(TopologicalSorter(graph).static_order())


def test_only_publish_puts_files_into_a_run() -> None:
    """What a run folder holds goes through shards/run/publish.py; sample data and archives are not of a run."""
    words = (".write_bytes(", ".write_text(", "np.save(", 'open("w')
    writers = {name for name, path in modules(ROOT) if any(word in path.read_text() for word in words)}
    assert writers <= {"ingest.sample.write"}


def test_modules_and_folders_keep_their_measure() -> None:
    paths = {path for _, path in modules(ROOT)} | {*(ROOT / "tests").rglob("*.py")}
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    assert lines.pop("cli.py") < 450  # a function for every command
    assert {path: count for path, count in lines.items() if count > 300} == {}
    folders = {path.parent for path in paths}
    crowded = {str(folder): count for folder in folders if (count := len([*folder.glob("*.py")])) > 21}  # __init__ too
    assert crowded == {}


def test_every_folder_is_packaged() -> None:
    import tomllib

    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {f"postmill.{name}" for name, path in modules(ROOT) if path.name == "__init__.py"} | {"postmill"}
    assert sorted(stated) == sorted(there)
