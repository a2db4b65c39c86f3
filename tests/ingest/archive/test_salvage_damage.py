"""Salvage of archives that were cut anywhere, hold zips, or are damaged: exactly what lies there whole, in bounds."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from postmill.ingest.archive import salvage_extent as extent_module
from postmill.ingest.archive.reader import Archive
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.formats.reasons import Reason
from postmill.shards.runtime.errors import PostmillError
from tests.ingest.appnote import Member, local
from tests.ingest.archive.rescue import cut_everywhere, extents, rescue
from tests.ingest.archives import GIVEN, given_only, needs_zip
from tests.ingest.failures import zipped_tree
from tests.ingest.split_sets import SplitSet, digest_of

# --- Cuts, zips within zips, and damage


@needs_zip
@pytest.mark.parametrize("options", [[], ["-0"], ["-fd"], ["-0", "-fd"], ["-fz"]])
def test_a_cut_at_every_byte(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "d").mkdir()
    for number, data in enumerate([b"first" * 9, b"", b"third"]):
        (tmp_path / "d" / str(number)).write_bytes(data)
    subprocess.run(["zip", "-q", "-r", "-D", "-X", *options, "a.zip", "d"], cwd=tmp_path, check=True)
    cut_everywhere(tmp_path / "a.zip", extents(tmp_path / "a.zip"), range(1, (tmp_path / "a.zip").stat().st_size))


def nested(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


INNER = nested({"inner-1": b"one" * 50, "inner-2": b"two" * 50})


def test_the_entries_of_a_stored_zip_are_not_the_archives(tmp_path: Path) -> None:
    tree = {"a": b"x" * 99, "inner.zip": INNER, "b": b"y" * 99, "last.zip": INNER}
    (tmp_path / "a.zip").write_bytes(nested(tree))
    cut_everywhere(tmp_path / "a.zip", extents(tmp_path / "a.zip"), range(1, len(nested(tree)), 7))


def test_an_archive_that_ends_with_a_stored_zip_does_not_become_it(tmp_path: Path) -> None:
    content = nested({"a": b"x" * 99, "inner.zip": INNER})
    (tmp_path / "a.zip").write_bytes(content[: content.rindex(b"PK\x05\x06", 0, len(content) - 22) + 22])
    saved = rescue(tmp_path / "a.zip")
    assert saved.good == {"a": b"x" * 99, "inner.zip": INNER}
    assert "to a zip within" in saved.warnings


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("descriptor", [False, True])
def test_garbage_between_entries(tmp_path: Path, method: int, descriptor: bool) -> None:
    tree = {str(number): random.Random(number).randbytes(200) + bytes(200) for number in range(5)}
    members = [Member(name, data, method, "signed narrow" if descriptor else None) for name, data in tree.items()]
    content = b"".join(local(replace(member, gap=random.Random(7).randbytes(50))) for member in members)
    (tmp_path / "a.zip").write_bytes(content)
    saved = rescue(tmp_path / "a.zip")
    assert (saved.good, saved.faults) == (tree, {})
    assert "250 bytes belong to no entry that could be found: 50 at byte 0 of a.zip, 50 at byte" in saved.warnings


def test_a_damaged_byte_anywhere_costs_one_entry(tmp_path: Path) -> None:
    tree = {f"name-{number}": bytes([number]) * 40 for number in range(3)}
    after = local(Member("after", random.Random(3).randbytes(3000), 0))
    for method in (0, 8):
        for descriptor in (None, "signed narrow"):
            content = b"".join(local(Member(name, data, method, descriptor)) for name, data in tree.items())
            first = len(local(Member("name-0", tree["name-0"], method, descriptor)))
            for position in range(first, len(content) - first):
                damaged = bytearray(content)
                damaged[position] ^= 0x41
                (tmp_path / "a.zip").write_bytes(damaged + after)
                saved = rescue(tmp_path / "a.zip")
                assert {"name-0", "name-2", "after"} <= set(saved.good), (method, descriptor, position - first)
                assert all(data in tree.values() for name, data in saved.good.items() if name != "after")


def test_a_size_that_leads_astray_is_found_out(tmp_path: Path) -> None:
    for delta in (-5, 5, 1000, 1 << 30):
        content = bytearray(local(Member("a", b"text " * 99, 8)))
        size = struct.unpack_from("<I", content, 18)[0]
        struct.pack_into("<I", content, 18, size + delta)
        content += local(Member("b", b"more", 8))
        (tmp_path / "a.zip").write_bytes(content)
        saved = rescue(tmp_path / "a.zip")
        assert saved.good == {"b": b"more"}
        assert set(saved.faults) == {"a"}


@pytest.mark.parametrize("kept", ["all but the end", "half"])
def test_an_archive_without_an_end(tmp_path: Path, kept: str) -> None:
    content = zipped_tree()[:-500] if kept == "all but the end" else zipped_tree()[: len(zipped_tree()) // 2]
    (tmp_path / "whole.zip").write_bytes(zipped_tree())
    known = extents(tmp_path / "whole.zip")
    (tmp_path / "a.zip").write_bytes(content)
    saved = rescue(tmp_path / "a.zip")
    inside = {name: extent.data for name, extent in known.items() if extent.end <= len(content)}
    assert saved.good == inside
    assert len(inside) == 123 or kept == "half"
    assert list(saved.faults.values()) == [Reason.TRUNCATED] * (kept == "half")


@given_only
@pytest.mark.parametrize(("name", "count"), [("truncated-tail", 123), ("truncated-mid", 86)])
def test_given_archives_without_an_end(name: str, count: int) -> None:
    saved = rescue(GIVEN / "generated" / "hostile" / f"{name}.zip")
    members = SplitSet("whole.zip", given=True).contents()
    assert {name: digest_of(data) for name, data in saved.good.items()}.items() <= members.items()
    assert len(saved.good) == count
    assert list(saved.faults.values()) == [Reason.TRUNCATED] * (count < 123)


def test_a_damaged_directory_is_replaced(tmp_path: Path) -> None:
    tree = {str(number): b"%d" % number for number in range(9)}
    content = bytearray(nested(tree))
    position = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
    content[position] ^= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(PostmillError, match="damaged"), Archive.open(tmp_path / "a.zip") as archive:
        list(archive.entries())
    saved = rescue(tmp_path / "a.zip")
    assert saved.good == tree
    assert "damaged" in saved.warnings


def test_what_is_no_zip_has_no_entries(tmp_path: Path) -> None:
    for content in (b"PK", b"hello" * 1000, b"PK\x05\x06" + bytes(10), b"PK\x03\x04" * 999, b"PK\x01\x02" * 999):
        (tmp_path / "a.zip").write_bytes(content)
        saved = rescue(tmp_path / "a.zip")
        assert (saved.good, saved.faults) == ({}, {})


def test_encrypted_and_foreign_entries_are_named(tmp_path: Path) -> None:
    content = bytearray(local(Member("a", b"secret", 0)) + local(Member("b", b"other", 0)) + local(Member("c", b"", 0)))
    content[6] |= 1
    content[content.index(b"PK\x03\x04", 4) + 8] = 98
    (tmp_path / "a.zip").write_bytes(content)
    saved = rescue(tmp_path / "a.zip")
    assert saved.faults == {"a": Reason.ENCRYPTED, "b": Reason.METHOD_UNSUPPORTED}
    assert saved.good == {"c": b""}


# --- Bounds


def test_a_large_sparse_archive_is_read_in_small_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 5 << 30
    sizes = struct.pack("<HHQQ", 1, 16, size, size)
    head = struct.pack("<4s5H3I2H", b"PK\3\4", 45, 0, 0, 0, 33, 0, 0xFFFFFFFF, 0xFFFFFFFF, 5, len(sizes))
    with (tmp_path / "a.zip").open("wb") as file:
        file.write(head + b"large" + sizes)
        file.seek(size, io.SEEK_CUR)
        file.write(local(Member("b", b"after", 0)))
    reads: list[int] = []
    real = AddressSpace.readinto

    def noted(self: AddressSpace, offset: int, buffer: memoryview) -> None:
        reads.append(len(buffer))
        real(self, offset, buffer)

    monkeypatch.setattr(AddressSpace, "readinto", noted)
    with Archive.open(tmp_path / "a.zip", salvage=True) as archive:
        assert [(entry.name, entry.size) for entry in archive.entries()] == [("large", size), ("b", 5)]
    assert max(reads) <= 1 << 20
    assert sum(reads) < 4 << 20


def test_headers_that_each_claim_the_rest_do_not_take_forever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extent_module, "LARGEST_READ", 1 << 20)
    header = local(Member("x", b"", 0))
    count = 20_000
    content = bytearray(header * count)
    for number in range(count):
        rest = max(len(content) - (number + 1) * len(header) - 7, 0)
        struct.pack_into("<III", content, number * len(header) + 14, 1, rest, rest)
    (tmp_path / "a.zip").write_bytes(content)
    reads: list[int] = []
    real = AddressSpace.readinto

    def noted(self: AddressSpace, offset: int, buffer: memoryview) -> None:
        reads.append(len(buffer))
        real(self, offset, buffer)

    monkeypatch.setattr(AddressSpace, "readinto", noted)
    with Archive.open(tmp_path / "a.zip", salvage=True) as archive:
        assert archive.directory.entries == count
    assert sum(reads) < 40 * len(content)
