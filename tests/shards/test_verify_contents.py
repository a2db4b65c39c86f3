"""Contents that do not fit are found though the manifest states their hash."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from blake3 import blake3

from postmill.shards.formats import offsets, spool
from postmill.shards.run import publish, sealed
from postmill.shards.run.manifests import FileState
from tests.shards.whole_runs import discrepancies, files, named, one_of_each_kind, replace


def manifest_of(path: Path) -> Path:
    if path.parent.name == "faults":
        return path.parents[1] / f"posts-{path.stem}.json"
    names = ("plan.json", "manifest.json", f"{path.name.partition('.')[0]}.json")
    return next(path.parent / name for name in names if (path.parent / name).exists())


def restate(path: Path) -> None:
    """Let the manifest of the unit that `path` belongs to state what `path` is now, seal and all."""
    manifest = manifest_of(path)
    value = sealed.unseal(manifest.read_bytes())
    content = path.read_bytes()
    state = FileState(len(content), blake3(content).hexdigest())
    value["files"][str(path.relative_to(manifest.parent))] = {"bytes": state.bytes, "blake3": state.blake3}
    replace(manifest, sealed.json_bytes(sealed.seal(value)))


def test_a_row_missing_or_added_is_found_though_the_manifest_states_the_new_hash(folder: Path) -> None:
    tables = [path for path in files(folder) if path.suffix == ".parquet"]
    assert len({path.parent for path in tables}) == 6
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
    assert discrepancies(folder) == []


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
    shards = sorted({entry.shard for entry in spool.read_destinations(path)})
    entries = [entry for shard in shards for entry in spool.read_piece(path, shard, "").entries()]
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
    assert discrepancies(folder) == []
