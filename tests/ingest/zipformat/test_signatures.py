"""The constants of the format: as APPNOTE counts them, and in one place."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np

from postmill.ingest.zipformat import signatures

INGEST = Path(signatures.__file__).resolve().parents[1]


def test_records_have_the_length_that_appnote_gives_them() -> None:
    lengths = {
        "LOCAL_HEADER": 30,
        "DIRECTORY_RECORD": 46,
        "DESCRIPTOR": 12,
        "ZIP64_DESCRIPTOR": 20,
        "ZIP64_END": 56,
        "ZIP64_LOCATOR": 20,
        "END": 22,
        "EXTRA_HEADER": 4,
    }
    assert {name: getattr(signatures, name).size for name in lengths} == lengths


def test_a_record_is_the_same_to_struct_and_to_numpy() -> None:
    for record, fields in (
        (signatures.LOCAL_HEADER, signatures.LOCAL_FIELDS),
        (signatures.DIRECTORY_RECORD, signatures.RECORD_FIELDS),
    ):
        raw = bytes(range(7, 7 + record.size))
        signature, *values = record.unpack(raw)
        assert (int.from_bytes(signature, "little"), *values) == np.frombuffer(raw, fields)[0].item()


def test_the_lengths_within_a_record_are_its_last_and_its_own() -> None:
    local, record = (bytes(range(7, 7 + size)) for size in (30, 46))
    assert signatures.LOCAL_LENGTHS.unpack_from(local) == signatures.LOCAL_HEADER.unpack(local)[-2:]
    fields = np.frombuffer(record, signatures.RECORD_FIELDS)[0]
    lengths = tuple(int(fields[name]) for name in ("name_length", "extra_length", "comment_length"))
    assert signatures.RECORD_LENGTHS.unpack_from(record) == lengths


def test_no_other_module_of_the_reader_spells_a_signature_or_a_sentinel() -> None:
    known = [value for value in vars(signatures).values() if isinstance(value, bytes)]
    numbers = {struct.unpack("<I", value)[0] for value in known}
    for folder in ("zipformat", "archive"):
        for path in (INGEST / folder).glob("*.py"):
            code = re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL)
            if path.name != "signatures.py":
                assert not re.search(r'b"PK|0xFFFF_?FFFF', code), path
                spelled = {int(number, 16) for number in re.findall(r"0x[0-9A-Fa-f_]+", code)}
                assert not spelled & numbers, path
