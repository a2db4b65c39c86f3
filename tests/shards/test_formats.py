"""Golden bytes of every format: what is on disk is what docs/formats.md says."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from postmill.ingest.pack.post import gzip_member
from postmill.shards.formats import (
    embeddings,
    faults,
    offsets,
    plan,
    posts,
    shard_lists,
    spool,
)
from postmill.shards.formats.encoders import pin_encoder
from postmill.shards.formats.faults import Fault
from postmill.shards.formats.spool import SpoolEntry
from postmill.shards.formats.tar import TarWriter
from postmill.shards.run import manifests, publish, sealed
from postmill.shards.run.folder import Run
from tests.runs import plan_counts, shard_counts
from tests.shards.document import DOC, columns, documented, table_of
from tests.shards.golden import (
    CRC,
    ENCODER,
    ENCODER_JSON,
    FAKE_RUN,
    IDX,
    INDEX_JSON,
    MANIFEST,
    PLAIN,
    RECORD_JSON,
    RUN_JSON,
    SIZES_JSON,
    SPOOL,
    TAR_HEADER,
)


def write_unit(folder: Path, run: str) -> None:
    with publish.unit(folder, "posts-000000", run) as unit:
        tar = TarWriter(unit.file("posts-000000.tar"))
        tar.add(["7.json", "7.0.jpg"], [b'{"key":"7"}', b"\xff\xd8\xff\xd9"])
        tar.close()
        unit.file("posts-000000.idx").write(offsets.index_bytes(tar.members))
        shard_counts(1, images=1).put(unit)


def test_run_json(run: Run) -> None:
    assert (run.folder / "run.json").read_text() == RUN_JSON
    assert run.fingerprint == "f98473bd2727589dcd29e08c5dbd6f1c83beab7328433a0349e9f13d857a957a"
    assert documented(RUN_JSON) and run.fingerprint in DOC


def test_a_manifest(tmp_path: Path) -> None:
    write_unit(tmp_path, FAKE_RUN)
    assert (tmp_path / "posts-000000.json").read_text() == MANIFEST
    assert documented(MANIFEST)


def test_the_seal_from_the_words_of_the_document_alone() -> None:
    """The hash of the compact JSON, written out by hand."""
    text = '{"counts":{},"unit":"é"}'
    content = sealed.json_bytes(sealed.seal({"unit": "é", "counts": {}}))
    seal = hashlib.sha256(text.encode()).hexdigest()
    assert content.decode() == f'{{\n "counts": {{}},\n "sha256": "{seal}",\n "unit": "é"\n}}\n'


def test_a_tar_and_its_index(tmp_path: Path) -> None:
    write_unit(tmp_path, FAKE_RUN)
    tar = (tmp_path / "posts-000000.tar").read_bytes()
    assert len(TAR_HEADER) == 512 and tar[:512] == TAR_HEADER
    assert tar[512:1024] == b'{"key":"7"}' + bytes(501)
    assert tar[1024:1031] == b"7.0.jpg" and tar[1148:1160] == b"00000000004\0" and tar[1172:1180] == b"006745\0 "
    assert tar[1536:] == b"\xff\xd8\xff\xd9" + bytes(10240 - 1540)
    assert (tmp_path / "posts-000000.idx").read_text() == IDX
    assert documented(IDX)


def test_a_spool(tmp_path: Path) -> None:
    deflated = zlib.compressobj(9, wbits=-15)
    data = deflated.compress(PLAIN) + deflated.flush()
    entries = [
        SpoolEntry(2, 5, -1, 8, CRC, 9, data),
        spool.faulty(2, 6, 1, "crc_wrong", "x"),
        SpoolEntry(300, 0, 0, 0, CRC, 9, PLAIN),
    ]
    with publish.unit(tmp_path, "metadata-000000", FAKE_RUN) as unit:
        spool.write(unit.file("metadata-000000.spool"), entries)
    assert (tmp_path / "metadata-000000.spool").read_bytes() == bytes.fromhex(SPOOL)
    assert len(bytes.fromhex(SPOOL)) == 234 and "234 bytes in all" in DOC
    assert documented(SPOOL)
    places = [entry[:3] for entry in spool.read_destinations(tmp_path / "metadata-000000.spool")]
    assert places == [(2, 5, -1), (2, 6, 1), (300, 0, 0)]


def test_a_raw_member() -> None:
    deflated = bytes.fromhex("33343236313533b7b00400")
    member = gzip_member(SpoolEntry(0, 0, -1, 8, CRC, 9, deflated), PLAIN)
    assert member.hex() == "1f8b08000000000000ff" + "33343236313533b7b00400" + "2639f4cb" + "09000000"
    assert "`1f8b08000000000000ff`" in DOC and gzip.decompress(member) == PLAIN
    stored = gzip_member(SpoolEntry(0, 0, -1, 0, CRC, 9, PLAIN), PLAIN)
    assert gzip.decompress(stored) == PLAIN and stored[:10] == member[:10]


def test_a_record() -> None:
    record = dict.fromkeys(reversed(posts.SCHEMA.names))  # the order of the fields is the schema's, not the caller's
    record |= dict(key="7", post_id="7", post_hash="00", influencer="ann.lee", category="food", followers=10)
    record |= dict(followees=3, influencer_posts=2, post_type="GraphImage", taken_at=1_550_000_000)
    record |= dict(caption='pão "fresco"\n🍞', comments_read=0, likes=5, comment_count=0, hashtags=["bread"])
    record |= dict(tagged_users=[], is_video=False, is_sponsored=False, width=1080, height=1350, aspect_ratio=0.8)
    record |= dict(images=["7.jpg"], missing_images=[])
    assert posts.record_json(record).decode() == RECORD_JSON
    assert posts.records_table([record]).to_pylist() == [{name: record[name] for name in posts.SCHEMA.names}]


def test_the_lists_of_shards(run: Run) -> None:
    shard = dict(shard=0, kind="window", window=0, posts=1, images=1, image_bytes=4, last_part=0)
    with publish.unit(run.plan, plan.NAME, run.fingerprint) as unit:
        unit.table("shards.parquet", pa.Table.from_pylist([shard], schema=plan.SHARDS))
        plan_counts(shards=1).put(unit)
    write_unit(run.posts, run.fingerprint)
    shard_lists.write(run)
    assert (run.posts / "index.json").read_text() == INDEX_JSON
    assert (run.posts / "sizes.json").read_text() == SIZES_JSON
    assert documented(INDEX_JSON) and documented(SIZES_JSON)
    (run.posts / "posts-000000.tar").unlink()
    (run.posts / "index.json").unlink()
    shard_lists.write(run)  # as long as a shard is not done there is nothing to list
    assert not (run.posts / "index.json").exists()


def test_encoder_json_and_an_embedding_shard(run: Run) -> None:
    write_unit(run.posts, run.fingerprint)
    folder = pin_encoder(run, ENCODER)
    assert folder.name == "text.Mini-LM"
    assert (folder / "encoder.json").read_text() == ENCODER_JSON
    assert f'"sha256": "{ENCODER.fingerprint}"' in ENCODER_JSON
    vectors = np.array([[1, -2], [9, 9]], dtype=np.float32)
    embeddings.write(run, ENCODER, 0, ["7", "8"], [None, "no_caption"], vectors, {"length": pa.array([3, None])})
    header = "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 2), }"
    npy = b"\x93NUMPY\x01\x00\x76\x00" + header.encode().ljust(117) + b"\n" + bytes.fromhex("003c00c000000000")
    assert (folder / "posts-000000.npy").read_bytes() == npy
    table = pq.read_table(folder / "posts-000000.parquet")
    assert table.to_pylist() == [
        {"key": "7", "present": True, "reason": None, "length": 3},
        {"key": "8", "present": False, "reason": "no_caption", "length": None},
    ]
    assert columns(table.schema)[:3] == table_of("embeddings/ENCODER.MODEL/", "`posts-000012.parquet`: the columns")
    manifest = manifests.done(folder, "posts-000000", run.fingerprint)
    assert manifest is not None
    options = ["--encoder", "text", "--models", "light", "--precision", "float32"]
    assert manifest.info == {"encoder": ENCODER.fingerprint, "options": options}
    assert manifest.counts == {"posts": 2, "present": 1, "absent": 1}
    made_from = manifests.done(run.posts, "posts-000000", run.fingerprint)
    assert made_from is not None and manifest.inputs == {"posts": manifests.contents_hash(made_from)}


@pytest.mark.parametrize("rows", [0, 3])
def test_parquet_options(tmp_path: Path, rows: int) -> None:
    """What does not depend on the version of pyarrow; the bytes do, and `constraints.txt` pins it."""
    table = faults.table([Fault("no_image", True, "ann", str(n)) for n in range(rows)])
    with publish.unit(tmp_path, "unit", FAKE_RUN) as unit:
        unit.table("a.parquet", table)
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert file.metadata.format_version == "2.6" and file.schema_arrow.equals(faults.SCHEMA)
    assert file.read().equals(table) and b"ARROW:schema" in file.metadata.metadata
    if rows:
        group = file.metadata.row_group(0)
        assert {group.column(n).compression for n in range(group.num_columns)} == {"ZSTD"}
    fields = pq.read_schema(write_records(tmp_path))
    assert {field.name: field.metadata[b"meaning"] for field in fields} == {
        field.name: field.metadata[b"meaning"] for field in posts.SCHEMA
    }


def write_records(folder: Path) -> Path:
    with publish.unit(folder, "records", FAKE_RUN) as unit:
        unit.table("records.parquet", posts.records_table([]))
    return folder / "records.parquet"


def test_faults_as_csv_of_odd_texts(run: Run) -> None:
    odd = ['a,"b"', "line\nbreak\r\nand\rmore", '=HYPERLINK("http://x")', "-1+1", "é \u2028 \x00", "", " blank "]
    found = [Fault("no_image", True, text, text, "images", text, n, text) for n, text in enumerate(odd)]
    with publish.unit(run.plan, plan.NAME, run.fingerprint) as unit:
        unit.table("shards.parquet", pa.Table.from_pylist([], schema=plan.SHARDS))
        unit.table("faults.parquet", faults.table([*found, Fault("unmapped_image")]))
        plan_counts().put(unit)
    content = b"".join(faults.faults_csv(run))
    assert content.endswith(b"\r\nplan,unmapped_image,False,,,,,,,False,,,\r\n")
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    assert rows[0] == ["unit", *faults.SCHEMA.names]
    more = ["False", "", "", ""]
    assert rows[1:-1] == [["plan", "no_image", "True", t, t, "images", t, str(n), t, *more] for n, t in enumerate(odd)]
