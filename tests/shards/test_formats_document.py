"""docs/formats.md held against the code: neither may drift from the other."""

from __future__ import annotations

import dataclasses
import json
import re

import pyarrow as pa
import pytest

from postmill.encode.absence import Absence
from postmill.shards.formats import (
    faults,
    models,
    plan,
    posts,
    reasons,
)
from postmill.shards.formats.encoders import Encoder
from postmill.shards.run import manifests, sealed
from postmill.shards.run.folder import Run
from postmill.train import predict
from tests.shards.document import DOC, columns, rows_after, section, table_of
from tests.shards.golden import MANIFEST, RUN_JSON


@pytest.mark.parametrize(
    ("title", "words", "schema"),
    [
        ("plan/", "**plan/posts.parquet**", plan.POSTS),
        ("plan/", "**plan/entries.parquet**", plan.ENTRIES),
        ("plan/", "**plan/windows.parquet**", plan.WINDOWS),
        ("plan/", "**plan/parts.parquet**", plan.PARTS),
        ("plan/", "**plan/shards.parquet**", plan.SHARDS),
        ("plan/", "**plan/accounts.parquet**", plan.ACCOUNTS),
        ("posts/", "**posts-000012.parquet**", posts.SCHEMA),
        ("Faults", "found in one shard", faults.SCHEMA),
        ("models/NAME/", "`predictions.parquet`: a row", models.PREDICTIONS),
        ("What `postmill predict` writes", "A row for each post", predict.SCHEMA),
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
    named = [row[0].strip("`") for row in rows_after("Units and temporaries", "made anew with its post shard")]
    assert sorted(named) == sorted(json.loads(MANIFEST))
    named = re.findall(r"`([a-z_0-9]+)`", " ".join(row[0] for row in rows_after("run.json", "every later one")))
    assert {*named} >= {*json.loads(RUN_JSON)} - {"sources"}


def test_the_document_lists_exactly_the_reasons_of_the_code() -> None:
    told = {row[0].strip("`"): row[1] for row in rows_after("Faults", "makes a command exit with 3")}
    assert told == {reason.value: meaning for reason, meaning in reasons.MEANING.items()}
    assert set(told) == {reason.value for reason in reasons.Reason}
    absences = section("embeddings/ENCODER.MODEL/").split("Reasons of a row", 1)[1]
    assert re.findall(r"`(\w+)`", absences) == [absence.value for absence in Absence]


def test_the_document_names_the_version() -> None:
    assert manifests.SCHEMA_VERSION == 3 and "format version 3." in DOC
