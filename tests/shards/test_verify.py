"""Nothing in a run can change, go or come without `postmill verify` naming it."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from blake3 import blake3

from encode.encode import encode_run
from ingest.prepare import prepare
from ingest.sample import write_sample
from ingest.source import discover
from ingest.stages import ingest
from shards import embeddings, manifests, offsets, plan, publish, sealed, spool
from shards import run as runs
from shards.errors import PostmillError
from shards.manifests import FileState
from shards.verify import Finding, check_counts, verify
from train.report import write_report
from train.stage import train_run

CLI = Path(__file__).resolve().parents[2] / "cli.py"


def everything(source: Path, folder: Path) -> None:
    """Do the whole job, with two encoders (vectors, scalars alone) and one model."""
    run, _ = prepare(discover(str(source)), folder, shard_bytes=1 << 20)
    for _ in ingest(run):
        pass
    encode_run(run, encoders=["metadata", "sentiment"], models="light", device="cpu")
    train_run(run, names=["followers"])
    write_report(run)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "data"
    write_sample(folder, posts=160, influencers=14, seed=3)
    return folder


@pytest.fixture(scope="module")
def pristine(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine") / "run"
    everything(source, folder)
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A copy of the run made of hard links: a test replaces a file, it never writes into one."""
    return Path(shutil.copytree(pristine, tmp_path / "run", copy_function=os.link))


def findings(folder: Path) -> list[Finding]:
    return list(verify(runs.open_run(folder)))


def named(folder: Path) -> set[Path]:
    """The files that verify names, or that opening the run refuses."""
    try:
        return {finding.path for finding in findings(folder)}
    except PostmillError as error:
        return {Path(str(error.place))}


def files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def digests(folder: Path) -> dict[Path, str]:
    return {path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest() for path in files(folder)}


def one_of_each_kind(folder: Path) -> list[Path]:
    """One file of each kind: the last of each folder with its suffix, and for spools with its prefix."""
    kinds = {}
    for path in files(folder):
        prefix = path.name.partition("-")[0] if path.parent.name in ("posts", "spool") else path.parent
        single = path.name if path.parent.name in ("plan", "followers", "report", "run") else ""
        kinds[prefix, single, path.name.partition(".")[2]] = path
    return list(kinds.values())


def replace(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)


@contextmanager
def spoilt(path: Path, content: bytes | None) -> Iterator[None]:
    """Give `path` other content for the block, or none."""
    held = path.read_bytes() if path.exists() else None
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    yield
    path.unlink(missing_ok=True)
    if held is not None:
        path.write_bytes(held)


def manifest_of(path: Path) -> Path:
    names = ("plan.json", "manifest.json", f"{path.name.partition('.')[0]}.json")
    return next(path.parent / name for name in names if (path.parent / name).exists())


def restate(path: Path) -> None:
    """Let the manifest of the unit that `path` belongs to state what `path` is now, seal and all."""
    manifest = manifest_of(path)
    value = sealed.unseal(manifest.read_bytes())
    content = path.read_bytes()
    state = FileState(len(content), blake3(content).hexdigest())
    value["files"][path.name] = {"bytes": state.bytes, "blake3": state.blake3}
    replace(manifest, sealed.json_bytes(sealed.seal(value)))


def test_an_untouched_run_is_as_it_should_be(pristine: Path) -> None:
    assert findings(pristine) == []
    kinds = {path.name.partition(".")[2] if path.parent.name == "posts" else path.name for path in files(pristine)}
    assert kinds >= {"run.json", "plan.json", "tar", "idx", "parquet", "json", "faults.parquet", "encoder.json"}
    assert kinds >= {"posts-000000.npy", "model.safetensors", "predictions.parquet", "manifest.json", "index.html"}
    assert kinds >= {"metadata-000000.spool", "window-000000.spool", "metrics.json"}


def test_any_flipped_missing_or_added_byte_of_any_file_is_found(folder: Path) -> None:
    random_ = random.Random(4)
    for path in one_of_each_kind(folder):
        content = path.read_bytes()
        places = {random_.choice([0, len(content) - 1]), *(random_.randrange(len(content)) for _ in range(2))}
        attacks = [content[:-1], content + b"\n"]
        for place in places:
            flipped = bytearray(content)
            flipped[place] ^= 1 << random_.randrange(8)
            attacks.append(bytes(flipped))
        for attack in attacks:
            with spoilt(path, attack):
                assert path in named(folder), path
    assert findings(folder) == []


def test_blanks_in_a_manifest_count(folder: Path) -> None:
    for name in ("run.json", "plan/plan.json", "posts/index.json", "embeddings/metadata/encoder.json"):
        with spoilt(folder / name, (folder / name).read_bytes().replace(b": ", b":  ", 1)):
            assert named(folder) == {folder / name}


def test_a_missing_file_is_found(folder: Path) -> None:
    for path in one_of_each_kind(folder):
        with spoilt(path, None):
            assert (folder if path.name == "run.json" else path) in named(folder)
    assert findings(folder) == []


def test_a_stray_file_is_found(folder: Path) -> None:
    places = [folder, *(path for path in sorted(folder.rglob("*")) if path.is_dir())]
    assert len(places) == 10
    for place in places:
        for stray in (place / "stray.bin", place / "stray.json", place / "posts-000099.tar"):
            with spoilt(stray, b"{}"):
                assert named(folder) == {stray}
        manifest = next((path for path in place.glob("*-000000.json")), None)
        if manifest is not None:  # a whole unit too many
            stray = place / manifest.name.replace("000000", "000099")
            value = {**sealed.unseal(manifest.read_bytes()), "unit": stray.stem, "files": {}}
            with spoilt(stray, sealed.json_bytes(sealed.seal(value))):
                assert named(folder) == {stray}
            with spoilt(stray, manifest.read_bytes()):  # and one under another's name
                assert named(folder) == {stray}
    (folder / "posts" / "sub").mkdir()
    (folder / "posts" / ".tmp-posts-000000.tar-01234567").write_bytes(b"of a running command")
    assert named(folder) == {folder / "posts" / "sub"}


def test_a_row_missing_or_added_is_found_though_the_manifest_states_the_new_hash(folder: Path) -> None:
    tables = [path for path in files(folder) if path.suffix == ".parquet"]
    assert len({path.parent for path in tables}) == 5
    for path in tables:
        table = pq.read_table(path)
        for attack in (table.slice(1), pa.concat_tables([table, table.slice(table.num_rows - 1)])):
            manifest = manifest_of(path)
            held = manifest.read_bytes()
            content = path.read_bytes()
            path.unlink()
            pq.write_table(attack, path, compression="zstd", version="2.6")
            restate(path)
            assert path in named(folder), path
            replace(path, content)
            replace(manifest, held)
    assert findings(folder) == []


def tar_without(content: bytes, index: list[offsets.Member]) -> bytes:
    """The tar without one member."""
    (member,) = index
    end = member.offset + member.size + -member.size % 512
    return content[: member.offset - 512] + content[end:] + bytes(end - member.offset + 512)


def without_a_member(run: Path) -> Path:
    path = run / "posts" / "posts-000000.tar"
    samples = list(offsets.read_index(path.with_suffix(".idx")))
    replace(path, tar_without(path.read_bytes(), samples[3][-1:]))
    return path


def without_a_line_of_the_index(run: Path) -> Path:
    path = run / "posts" / "posts-000000.idx"
    samples = list(offsets.read_index(path))
    del samples[-1]
    replace(path, offsets.index_bytes([member for sample in samples for member in sample]))
    return path


def with_members_exchanged(run: Path) -> Path:
    path = run / "posts" / "posts-000000.idx"
    members = [member for sample in offsets.read_index(path) for member in sample]
    a, b = members[0], members[3]
    members[0], members[3] = a._replace(offset=b.offset), b._replace(offset=a.offset)
    replace(path, offsets.index_bytes(members))
    return run / "posts" / "posts-000000.tar"


def without_an_entry_of_a_spool(run: Path) -> Path:
    path = run / "spool" / "metadata-000000.spool"
    shards = sorted({entry.shard for entry in spool.read_places(path)})
    entries = [entry for shard in shards for entry in spool.read_piece(path, shard)]
    with publish.unit(run.parent / "scratch", "unit", "") as unit:
        spool.write(unit.file("a.spool"), entries[:-1])
    replace(path, (run.parent / "scratch" / "a.spool").read_bytes())
    return path


def without_a_vector(run: Path) -> Path:
    path = run / "embeddings" / "metadata" / "posts-000000.npy"
    vectors = np.load(path)
    path.unlink()
    np.save(path, vectors[1:])
    return path


def with_a_record_altered(run: Path) -> Path:
    path = run / "posts" / "posts-000000.parquet"
    table = pq.read_table(path)
    likes = pa.array([1, *table["likes"].to_pylist()[1:]], pa.int64())
    path.unlink()
    pq.write_table(table.set_column(table.schema.get_field_index("likes"), table.schema.field("likes"), likes), path)
    return run / "posts" / "posts-000000.tar"


@pytest.mark.parametrize(
    "attack",
    [
        without_a_member,
        without_a_line_of_the_index,
        with_members_exchanged,
        without_an_entry_of_a_spool,
        without_a_vector,
        with_a_record_altered,
    ],
)
def test_contents_that_do_not_fit_are_found_though_the_manifest_states_the_new_hash(
    folder: Path, attack: Callable[[Path], Path]
) -> None:
    before = {path: path.stat().st_ino for path in files(folder)}
    found_in = attack(folder)
    (altered,) = (path for path in files(folder) if before[path] != path.stat().st_ino)
    restate(altered)
    found = named(folder)
    assert found_in in found or altered.with_suffix(".json") in found


def test_nothing_in_a_file_stops_verify_though_the_manifest_states_the_new_hash(folder: Path) -> None:
    random_ = random.Random(9)
    kinds = [path for path in one_of_each_kind(folder) if path.suffix in (".parquet", ".npy", ".spool", ".idx", ".tar")]
    assert len(kinds) >= 12
    for path in kinds:
        content, manifest = path.read_bytes(), manifest_of(path)
        stated = manifest.read_bytes()
        torn = random_.randrange(len(content))
        ends = (content[:8] + random_.randbytes(len(content) - 8), content[:-60] + random_.randbytes(60))
        for attack in (random_.choice(ends), content[:torn] + content[torn + 9 :], b""):
            replace(path, attack)
            restate(path)
            named(folder)
            replace(path, content)
            replace(manifest, stated)
    assert findings(folder) == []


def restated(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    path = folder / name
    value = sealed.unseal(path.read_bytes())
    change(value)
    replace(path, sealed.json_bytes(sealed.seal(value)))
    return path


def test_the_counts_identity(folder: Path) -> None:
    assert list(check_counts(runs.open_run(folder))) == []

    def one_more(value: dict[str, Any]) -> None:
        value["counts"]["mapped_posts"] += 1

    restated(folder, "plan/plan.json", one_more)
    mapped = manifests.read(folder / "plan", "plan").counts["mapped_posts"]  # type: ignore[union-attr]
    (finding,) = check_counts(runs.open_run(folder))
    assert f"{mapped} mapped posts are not" in finding.what
    assert folder / "plan" / "plan.json" in named(folder)


def test_posts_of_a_shard_and_lost_ones_are_those_planned(folder: Path) -> None:
    def one_less(value: dict[str, Any]) -> None:
        value["counts"]["posts"] -= 1

    path = restated(folder, "posts/posts-000001.json", one_less)
    (finding, total) = check_counts(runs.open_run(folder))
    assert finding.path == path and "planned" in finding.what and "mapped posts" in total.what


def test_embeddings_of_another_encoder_are_found(folder: Path) -> None:
    def another(value: dict[str, Any]) -> None:
        value["precision"] = "float8"

    restated(folder, "embeddings/metadata/encoder.json", another)
    assert {path.name for path in named(folder)} == {path.name for path in (folder / "posts").glob("posts-*.json")}


def test_what_is_not_done_yet_is_said_with_the_command_that_does_it(source: Path, tmp_path: Path) -> None:
    run, _ = prepare(discover(str(source)), tmp_path / "run", shard_bytes=1 << 20)
    found = findings(run.folder)
    assert {finding.path.parent for finding in found[:-1]} == {run.spool, run.posts}
    assert {finding.remedy for finding in found} == {f"postmill ingest {run.word}"}
    assert "mapped posts wait" in found[-1].what


def test_the_remedies_make_the_same_bytes_again(source: Path, pristine: Path, folder: Path) -> None:
    wrong = (
        "plan/entries.parquet",
        "spool/metadata-000000.spool",
        "posts/posts-000001.tar",
        "spool/window-000000.json",
        "posts/index.json",
        "embeddings/metadata/encoder.json",
        "embeddings/metadata/posts-000000.npy",
        "embeddings/sentiment/posts-000002.parquet",
        "models/followers/predictions.parquet",
        "report/index.html",
    )
    wrong = tuple(name.replace("sentiment/", f"{_folder_of(pristine, 'sentiment')}/") for name in wrong)
    for name in wrong:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 4
        replace(folder / name, bytes(content))
    found = {finding.path: finding.remedy for finding in findings(folder)}
    assert set(found) == {folder / name for name in wrong}
    for path, remedy in found.items():
        delete, _, command = remedy.rpartition("; ")
        assert delete in ("", f"rm -f {path}") and command.startswith("postmill ")
        if delete:
            path.unlink()
    everything(source, folder)
    assert findings(folder) == []
    assert digests(folder) == digests(pristine)


def _folder_of(run: Path, encoder: str) -> str:
    (found,) = (each.folder for each in embeddings.encoders(runs.open_run(run)) if each.encoder == encoder)
    return found


def test_the_command_names_the_file_and_what_mends_it_and_exits_with_1(folder: Path) -> None:
    path = folder / "posts" / "posts-000001.faults.parquet"
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    replace(path, bytes(content))
    done = subprocess.run([sys.executable, str(CLI), "verify", str(folder)], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{path}: BLAKE3 differs from the manifest's" in done.stderr
    assert f"mend: rm -f {path}; postmill ingest {folder}" in done.stderr and "1 things are wrong" in done.stderr


def test_the_lists_of_shards_are_written_anew_where_they_differ(folder: Path) -> None:
    index = folder / "posts" / "index.json"
    held = index.read_bytes()
    replace(index, held.replace(b'"nsamples": 6', b'"nsamples": 7'))
    run = runs.open_run(folder)
    assert [finding.path for finding in verify(run)] == [index]
    list(ingest(run))
    assert index.read_bytes() == held


def test_bytes_read_are_told_to_the_progress(pristine: Path) -> None:
    from shards.progress import Silent

    told: list[int] = []

    class Counting(Silent):
        @contextmanager
        def track(self, label: str, total: int | None, unit: str = "") -> Iterator[Callable[[int], None]]:
            told.append(total or 0)
            yield lambda n: told.append(-n)

    run = runs.open_run(pristine)
    assert list(verify(run, Counting())) == []
    assert sum(told) == 0 and told[0] > sum(path.stat().st_size for path in run.posts.glob("*.tar"))
    assert len(plan.shards(run)) > 1
