"""A run of format 2, which had no inputs, blocks and copies: it is read, and nothing is made in it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from blake3 import blake3

from postmill.ingest.sample.write import write_sample
from postmill.shards.formats.faults import OF_COPIES
from postmill.shards.run import sealed
from tests.commands import postmill, refused

READING = [["status"], ["faults"], ["report"], ["export", "TARGET", "--to", "csv"], ["verify"]]
WRITING = [["ingest"], ["encode", "--models", "light"], ["train"], ["submit", "--dry-run"], ["plan"]]


def stated(path: Path) -> dict[str, Any]:
    return sealed.unseal(path.read_bytes())


def put(path: Path, value: dict[str, Any]) -> None:
    path.write_bytes(sealed.json_bytes(sealed.seal(value)))


def as_format_2(run: Path) -> None:
    """Rewrite what tells the formats apart: `run.json`, all manifests, and the tables of faults."""
    value = {**stated(run / "run.json"), "schema": 2, "version": "0.1.0"}
    for name in ("mapping", "influencers"):
        text = value["sources"][name]
        value["sources"][name] = {"bytes": text["bytes"], "ends_sha256": text["sha256"]}
    put(run / "run.json", value)
    fingerprint = sealed.canonical_hash({name: value[name] for name in value if name != "locations"})
    for path in sorted((run / "posts" / "faults").glob("*.parquet")):
        path.rename(run / "posts" / f"posts-{path.stem}.faults.parquet")
    (run / "posts" / "faults").rmdir()
    for table in (run / "plan" / "faults.parquet", *(run / "posts").glob("*.faults.parquet")):
        pq.write_table(pq.read_table(table).drop_columns(list(OF_COPIES)), table, compression="zstd", version="2.6")
    for path in run.rglob("*.json"):
        manifest = {} if path.name in ("run.json", "sizes.json") else _manifest(path)
        if "unit" not in manifest:
            continue
        names = [
            name.replace("faults/", "posts-").replace(".parquet", ".faults.parquet") if "faults/" in name else name
            for name in manifest["files"]
        ]
        manifest.pop("inputs")
        manifest["counts"] = {k: v for k, v in manifest["counts"].items() if k not in ("waiting", "misfits")}
        manifest["info"].pop("pinned", None)
        files = {name: (path.parent / name).read_bytes() for name in names}
        manifest["files"] = {name: {"bytes": len(b), "blake3": blake3(b).hexdigest()} for name, b in files.items()}
        put(path, {**manifest, "schema": 2, "run": fingerprint})


def _manifest(path: Path) -> dict[str, Any]:
    try:
        return stated(path)
    except ValueError:  # a list of shards, which is not sealed
        return {}


def digests(run: Path) -> dict[str, str]:
    """What the run holds outside its report, which reading commands write."""
    paths = [path for path in run.rglob("*") if path.is_file() and path.parent.name != "report"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    write_sample(folder / "data", posts=160, influencers=14, seed=3)
    run = folder / "run"
    postmill("plan", folder / "data", run)
    postmill("ingest", run)
    postmill("encode", run, "--encoder", "metadata")
    postmill("train", run, "--model", "followers")
    as_format_2(run)
    return run


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_it_is_read(old: Path, words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = digests(old)
    rest = [str(tmp_path / "target") if word == "TARGET" else word for word in words[1:]]
    assert postmill(words[0], old, *rest) == 0
    assert digests(old) == before


def test_verify_says_what_it_cannot_judge(old: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert postmill("verify", old) == 0
    assert "cannot be judged, for it is of format 2" in capfd.readouterr().out


@pytest.mark.parametrize("words", WRITING, ids=lambda words: words[0])
def test_nothing_is_made_in_it(old: Path, words: list[str]) -> None:
    before = digests(old)
    error = refused(words[0], old, *words[1:])
    assert "(format 2)" in error.cause and error.exit_code == 2
    assert digests(old) == before


def test_what_is_wrong_with_it_is_not_mended_by_a_command_of_another_format(
    old: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tar = next((old / "posts").glob("*.tar"))
    content = tar.read_bytes()
    tar.write_bytes(content[:-1] + b"x")
    refused("verify", old)
    said = capfd.readouterr().err
    tar.write_bytes(content)
    assert str(tar) in said and "rm -f" not in said and "with the version of postmill that made the run" in said
