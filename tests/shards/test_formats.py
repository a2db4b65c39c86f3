"""Golden bytes of every format, and docs/formats.md held against the code: neither may drift from the other."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import hashlib
import io
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from encode.encoders import Absence
from ingest import pack
from shards import embeddings, faults, listing, manifests, models, offsets, plan, posts, publish, reasons, sealed, spool
from shards import run as runs
from shards.embeddings import Encoder
from shards.faults import Fault
from shards.run import Run
from shards.spool import SpoolEntry
from shards.tar import TarWriter

DOC = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text()
PLAIN = b"123456789"
CRC = 0xCBF43926  # of PLAIN: the check value of CRC-32 in every catalogue
FAKE_RUN = "f" * 8

TAR_HEADER = (
    b"7.json" + bytes(94) + b"0000644\0" + b"0000000\0" * 2 + b"00000000013\0" + b"00000000000\0" + b"007000\0 " + b"0"
    + bytes(100) + b"ustar\0" + b"00" + bytes(247)
)  # fmt: skip

RUN_JSON = """\
{
 "locations": {
  "images": "/data/a.zip"
 },
 "options": {
  "raw": true
 },
 "schema": 2,
 "sha256": "232040ca02557860545aa2e5e9af4e84d978dd082807bd9de3b7cabe3321d1fd",
 "sources": {
  "images": {
   "end_sha256": "00",
   "parts": [
    [
     "a.zip",
     5
    ]
   ]
  }
 },
 "version": "0.1.0"
}
"""

MANIFEST = """\
{
 "counts": {
  "posts": 1
 },
 "files": {
  "posts-000000.idx": {
   "blake3": "f3586be45a6224025f2d4578d5e9eb56501cb64905ba264a0e90d69f7e39dcb7",
   "bytes": 47
  },
  "posts-000000.tar": {
   "blake3": "92f5d2816c137e2383d5281799e1af017b5f42ea9711c51d9992054cf4897030",
   "bytes": 10240
  }
 },
 "info": {},
 "run": "ffffffff",
 "schema": 2,
 "sha256": "7b139d3d31f13597abbfd59f3f9089363e51c0d504dc8e2095922db05c2e9be6",
 "unit": "posts-000000"
}
"""

IDX = "v1.2 1\njson 512 11 7.json 0.jpg 1536 4 7.0.jpg\n"

SPOOL = """\
504d53504f4f4c31
05000000 ffff 0800 2639f4cb 0900000000000000 0b00000000000000 33343236313533b7b00400
06000000 0100 ffff 00000000 0000000000000000 2600000000000000
    7b22726561736f6e223a20226372635f77726f6e67222c202264657461696c223a202278227d
00000000 0000 0000 2639f4cb 0900000000000000 0900000000000000 313233343536373839
02000000 02000000 0800000000000000 6900000000000000
2c010000 01000000 7100000000000000 2500000000000000
9600000000000000 0200000000000000 504d53504f4f4c31
"""

INDEX_JSON = """\
{
 "__kind__": "wids-shard-index-v1",
 "name": "posts",
 "shardlist": [
  {
   "filesize": 10240,
   "nsamples": 1,
   "url": "posts-000000.tar"
  }
 ],
 "wids_version": 1
}
"""

SIZES_JSON = """\
{
 "posts-000000.tar": 1
}
"""

RECORD_JSON = (
    '{"key":"7","post_id":"7","post_hash":"00","influencer":"ann.lee","owner_id":null,"owner_username":null,'
    '"category":"food","followers":10,"followees":3,"influencer_posts":2,"shortcode":null,"post_type":"GraphImage",'
    '"taken_at":1550000000,"caption":"pão \\"fresco\\"\\n🍞","comments":null,"comments_read":0,"likes":5,'
    '"comment_count":0,"hashtags":["bread"],"tagged_users":[],"is_video":false,"is_sponsored":false,'
    '"is_verified":null,"is_private":null,"width":1080,"height":1350,"aspect_ratio":0.8,'
    '"accessibility_caption":null,"images":["7.jpg"],"missing_images":[]}'
)

ENCODER = Encoder(
    encoder="text",
    models="light",
    model="acme/Mini LM",
    revision="1",
    weights_sha256="00",
    precision="float32",
    dimensions=2,
    dtype="float16",
    scalars=("length",),
    features=(),
    available_before_publication=True,
    stand_in_for="",
    preprocessing={"lower": True},
)

ENCODER_JSON = """\
{
 "available_before_publication": true,
 "dimensions": 2,
 "dtype": "float16",
 "encoder": "text",
 "features": [],
 "model": "acme/Mini LM",
 "models": "light",
 "precision": "float32",
 "preprocessing": {
  "lower": true
 },
 "revision": "1",
 "scalars": [
  "length"
 ],
 "sha256": "62acebc2725c11c29002b523a8a7fcf936a48926e2ef7f35be982ba970774bd5",
 "stand_in_for": "",
 "weights_sha256": "00"
}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(runs, "version", lambda _: "0.1.0")
    sources = {"images": {"parts": [["a.zip", 5]], "end_sha256": "00"}}
    return runs.create_or_check(tmp_path / "run", sources, {"raw": True}, {"images": "/data/a.zip"})


def write_unit(folder: Path, run: str) -> None:
    with publish.unit(folder, "posts-000000", run) as unit:
        tar = TarWriter(unit.file("posts-000000.tar"))
        tar.add(["7.json", "7.0.jpg"], [b'{"key":"7"}', b"\xff\xd8\xff\xd9"])
        tar.close()
        unit.file("posts-000000.idx").write(offsets.index_bytes(tar.members))
        unit.counts.update(posts=1)


def documented(example: str) -> bool:
    """Whether the document shows `example` as a block of its own."""
    return f"\n{example}```\n" in DOC


def test_run_json(run: Run) -> None:
    assert (run.folder / "run.json").read_text() == RUN_JSON
    assert run.fingerprint == "6db3666891d5fc8e9aae72ea8940df3e8884d8d126cec24c3837276b771d1ee1"
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
    assert len(bytes.fromhex(SPOOL)) == 222 and "222 bytes in all" in DOC
    assert documented(SPOOL)
    places = [entry[:3] for entry in spool.read_places(tmp_path / "metadata-000000.spool")]
    assert places == [(2, 5, -1), (2, 6, 1), (300, 0, 0)]


def test_a_raw_member() -> None:
    deflated = bytes.fromhex("33343236313533b7b00400")
    member = pack._gzip(SpoolEntry(0, 0, -1, 8, CRC, 9, deflated), PLAIN)
    assert member.hex() == "1f8b08000000000000ff" + "33343236313533b7b00400" + "2639f4cb" + "09000000"
    assert "`1f8b08000000000000ff`" in DOC and gzip.decompress(member) == PLAIN
    stored = pack._gzip(SpoolEntry(0, 0, -1, 0, CRC, 9, PLAIN), PLAIN)
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
    write_unit(run.posts, run.fingerprint)
    listing.write(run)
    assert (run.posts / "index.json").read_text() == INDEX_JSON
    assert (run.posts / "sizes.json").read_text() == SIZES_JSON
    assert documented(INDEX_JSON) and documented(SIZES_JSON)
    (run.posts / "posts-000000.tar").unlink()
    (run.posts / "index.json").unlink()
    listing.write(run)  # as long as a shard is not done there is nothing to list
    assert not (run.posts / "index.json").exists()


def test_encoder_json_and_an_embedding_shard(run: Run) -> None:
    folder = embeddings.pin(run, ENCODER)
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
    assert manifest is not None and manifest.info == {"encoder": ENCODER.fingerprint}
    assert manifest.counts == {"posts": 2, "present": 1, "absent": 1}


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


# The document against the code


def section(title: str) -> str:
    """The text under the heading `title`."""
    return DOC.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows_after(title: str, words: str) -> list[list[str]]:
    """The cells of the first table after `words` in a section, without its head."""
    anchor = r"\s+".join(map(re.escape, words.split()))  # wherever its lines break
    lines = re.split(anchor, section(title), maxsplit=1)[1].splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("|"))
    found = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def table_of(title: str, words: str) -> list[tuple[str, str, bool]]:
    """Name, type and whether it may be null of each column that the document gives."""
    return [(row[0].strip("` "), row[1], row[2] == "yes") for row in rows_after(title, words)]


def columns(schema: pa.Schema) -> list[tuple[str, str, bool]]:
    """The same of a schema."""

    def kind(type_: pa.DataType) -> str:
        return f"list of {type_.value_type}" if pa.types.is_list(type_) else str(type_)

    return [(field.name, kind(field.type), field.nullable) for field in schema]


@pytest.mark.parametrize(
    ("title", "words", "schema"),
    [
        ("plan/", "**plan/posts.parquet**", plan.POSTS),
        ("plan/", "**plan/entries.parquet**", plan.ENTRIES),
        ("plan/", "**plan/windows.parquet**", plan.WINDOWS),
        ("plan/", "**plan/shards.parquet**", plan.SHARDS),
        ("posts/", "**posts-000012.parquet**", posts.SCHEMA),
        ("Faults", "found in one shard", faults.SCHEMA),
        ("models/NAME/", "`predictions.parquet`: a row", models.PREDICTIONS),
    ],
)
def test_the_document_lists_exactly_the_columns_of_the_code(title: str, words: str, schema: pa.Schema) -> None:
    assert table_of(title, words) == columns(schema)


def test_the_document_gives_the_meaning_of_every_field_of_a_record() -> None:
    told = {row[0].strip("`"): row[3] for row in rows_after("posts/", "**posts-000012.parquet**")}
    assert told == {field.name: field.metadata[b"meaning"].decode() for field in posts.SCHEMA}


def test_the_document_lists_exactly_the_other_fields_of_the_code(run: Run) -> None:
    named = [row[0].strip("`") for row in rows_after("embeddings/ENCODER.MODEL/", "never shares the folder")]
    assert named == [*(field.name for field in dataclasses.fields(Encoder)), sealed.SEAL]
    named = [row[0].strip("`") for row in rows_after("Units and temporaries", "reads on")]
    assert sorted(named) == sorted(json.loads(MANIFEST))
    named = re.findall(r"`([a-z_0-9]+)`", " ".join(row[0] for row in rows_after("run.json", "every later one")))
    assert {*named} >= {*json.loads(RUN_JSON)} - {"sources"}


def test_the_document_lists_exactly_the_reasons_of_the_code() -> None:
    told = {row[0].strip("`"): row[1] for row in rows_after("Faults", "has more than N faults")}
    assert told == {reason.value: meaning for reason, meaning in reasons.MEANING.items()}
    assert set(told) == {reason.value for reason in reasons.Reason}
    absences = section("embeddings/ENCODER.MODEL/").split("Reasons of a row", 1)[1]
    assert re.findall(r"`(\w+)`", absences) == [absence.value for absence in Absence]


def test_the_document_names_the_version() -> None:
    assert manifests.SCHEMA_VERSION == 2 and "format version 2." in DOC


# Faults as CSV


def test_faults_as_csv_of_odd_texts(run: Run) -> None:
    odd = ['a,"b"', "line\nbreak\r\nand\rmore", '=HYPERLINK("http://x")', "-1+1", "é \u2028 \x00", "", " blank "]
    found = [Fault("no_image", True, text, text, "images", text, n, text) for n, text in enumerate(odd)]
    with publish.unit(run.plan, plan.NAME, run.fingerprint) as unit:
        unit.table("shards.parquet", pa.Table.from_pylist([], schema=plan.SHARDS))
        unit.table("faults.parquet", faults.table([*found, Fault("unmapped_image")]))
    content = b"".join(faults.faults_csv(run))
    assert content.endswith(b"\r\nplan,unmapped_image,False,,,,,,\r\n")
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    assert rows[0] == ["unit", *faults.SCHEMA.names]
    assert rows[1:-1] == [["plan", "no_image", "True", t, t, "images", t, str(n), t] for n, t in enumerate(odd)]
