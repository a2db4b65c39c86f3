"""Hostile archives: each has its answer, by its message."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path

import pytest

from postmill.ingest.archive.reader import Archive
from postmill.ingest.zipformat.faults import EntryFault
from postmill.shards.formats.reasons import Reason
from postmill.shards.runtime.errors import PostmillError
from tests.ingest.archive.reading import outcomes
from tests.ingest.archives import GIVEN, given_only
from tests.ingest.failures import ARCHIVES, ENTRIES, Failure, Oddity, huge, quoting
from tests.ingest.split_sets import SplitSet, digest_of


def check_entries(path: Path, expected: list[bytes | Reason]) -> None:
    """Check what the entries give, that they can be shown, and that none of it passes strictly."""
    with Archive.open(path) as archive:
        assert list(outcomes(archive).values()) == expected
        for entry in archive.entries():
            assert all(character.isprintable() for character in entry.name)
            assert entry.detail or entry.fault is None
    with pytest.raises(PostmillError), Archive.open(path, strict=True) as archive:
        list(archive.stream())


@pytest.mark.parametrize("failure", ENTRIES, ids=lambda failure: failure.message)
def test_what_is_wrong_with_one_entry(tmp_path: Path, failure: Failure) -> None:
    (tmp_path / "a.zip").write_bytes(failure.content())
    check_entries(tmp_path / "a.zip", list(failure.outcomes))
    with Archive.open(tmp_path / "a.zip") as archive:
        messages = []
        for entry in archive.entries():
            try:
                archive.read(entry)
            except EntryFault as fault:
                messages.append(str(fault))
    assert messages[0] == failure.message


@pytest.mark.parametrize("oddity", ARCHIVES, ids=lambda oddity: oddity.message or "nothing")
def test_what_is_wrong_with_an_archive(tmp_path: Path, oddity: Oddity) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(oddity.content())
    if oddity.entries is None:
        with pytest.raises(PostmillError, match=oddity.message) as caught, Archive.open(path) as archive:
            list(archive.entries())
        assert caught.value.hint
        return
    with Archive.open(path) as archive:
        data = outcomes(archive)
        warnings = archive.directory.warnings
    assert len(data) == oddity.entries
    assert all(isinstance(plain, bytes) for plain in data.values())
    if oddity.entries > 3:
        digests = {key.rpartition("#")[0]: digest_of(plain) for key, plain in data.items() if isinstance(plain, bytes)}
        assert digests == SplitSet("whole.zip").contents()
    assert oddity.message in "; ".join(warnings)
    assert bool(warnings) == bool(oddity.message)
    if oddity.message:
        with pytest.raises(PostmillError), Archive.open(path, strict=True) as archive:
            list(archive.entries())


def test_every_reason_of_an_entry_has_a_failure() -> None:
    reasons = list(Reason)
    of_entries = reasons[reasons.index(Reason.NAME_HOSTILE) :]
    assert {failure.message.partition(":")[0] for failure in ENTRIES} == {str(reason) for reason in of_entries}
    for failure in ENTRIES:
        assert Reason(failure.message.partition(":")[0]) in failure.outcomes


def test_a_declared_size_of_2_to_the_60_is_a_lie_even_if_it_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(huge())
    with Archive.open(tmp_path / "a.zip", max_entry=1 << 62) as archive:
        assert list(outcomes(archive).values()) == [Reason.SIZE_LIE]


def test_the_entries_of_a_bomb_are_sound_one_by_one(tmp_path: Path) -> None:
    """So it is the overlap alone that is refused."""
    (tmp_path / "a.zip").write_bytes(content := quoting())
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        for info in archive.infolist()[::20]:
            start = info.header_offset + 34
            plain = zlib.decompress(content[start : start + info.compress_size], -15)
            assert (len(plain), zlib.crc32(plain)) == (info.file_size, info.CRC)


def test_batches_and_entries_agree(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(quoting())
    with Archive.open(tmp_path / "a.zip") as archive:
        rows = [row for batch in archive.batches() for row in batch.to_pylist()]
        entries = list(archive.entries())
    assert [(row["index"], row["name"], row["fault"], row["detail"]) for row in rows] == [
        (entry.number, entry.name, entry.fault, entry.detail) for entry in entries
    ]


# --- The same by another writer, where they lie

GIVEN_ENTRIES: dict[str, list[bytes | Reason]] = {
    "slip-dotdot": [Reason.NAME_HOSTILE],
    "slip-abs": [Reason.NAME_HOSTILE],
    "slip-drive": [Reason.NAME_HOSTILE],
    "slip-unc": [Reason.NAME_HOSTILE],
    "slip-backslash": [Reason.NAME_HOSTILE],
    "name-nul": [Reason.NAME_HOSTILE],
    "name-dot": [Reason.NAME_HOSTILE],
    "name-newline": [Reason.NAME_HOSTILE],
    "name-pax": [Reason.NAME_HOSTILE],
    "name-long": [Reason.NAME_HOSTILE],
    "name-mismatch": [Reason.NAME_MISMATCH],
    "dup-names": [Reason.DUPLICATE_NAME, b"2"],
    # Its NFC and NFD names are the same bytes, so the first is a plain duplicate.
    "case-dup": [b"1", b"2", Reason.DUPLICATE_NAME, b"4"],
    "crc-bad": [b"1", Reason.CRC_WRONG],
    "usize-lie-small": [Reason.SIZE_LIE],
    "usize-lie-huge": [Reason.TOO_LARGE],
    "csize-past-eof": [Reason.TRUNCATED],
    "offset-huge": [Reason.OFFSET_OUT_OF_RANGE],
    "disk-out-of-range": [Reason.PART_MISSING],
    "overlap-full": [Reason.OVERLAP] * 200,
    "overlap-quoted": [Reason.OVERLAP] * 60,
}
GIVEN_REFUSED = {
    "truncated-tail": "no end of central directory",
    "truncated-mid": "no end of central directory",
}
GIVEN_MENDED = {
    "count-low": "counts 1 entries and the directory holds 3",
    "count-high": "counts 65000 entries and the directory holds 3",
    "two-eocd": "22 bytes behind the archive are left out",
    "eocd-in-comment": "",
    "prefix-junk": "350 bytes stand in front of the archive",
}


def given(name: str) -> Path:
    return GIVEN / "generated" / "hostile" / f"{name}.zip"


@given_only
@pytest.mark.parametrize("name", GIVEN_ENTRIES)
def test_given_entries(name: str) -> None:
    check_entries(given(name), GIVEN_ENTRIES[name])


@given_only
@pytest.mark.parametrize("name", GIVEN_REFUSED)
def test_given_archives_that_are_refused(name: str) -> None:
    with pytest.raises(PostmillError, match=GIVEN_REFUSED[name]) as caught:
        Archive.open(given(name))
    assert caught.value.hint


@given_only
@pytest.mark.parametrize("name", GIVEN_MENDED)
def test_given_archives_that_can_be_read_with_a_warning(name: str) -> None:
    with Archive.open(given(name)) as archive:
        data = outcomes(archive)
        warnings = "; ".join(archive.directory.warnings)
    assert all(isinstance(plain, bytes) for plain in data.values())
    if name.startswith("count"):
        assert len(data) == 3
    else:
        digests = {key.rpartition("#")[0]: digest_of(plain) for key, plain in data.items() if isinstance(plain, bytes)}
        assert digests == SplitSet("whole.zip", given=True).contents()
    assert GIVEN_MENDED[name] in warnings
    assert bool(warnings) == bool(GIVEN_MENDED[name])
    if GIVEN_MENDED[name]:
        with pytest.raises(PostmillError), Archive.open(given(name), strict=True) as archive:
            list(archive.entries())


@given_only
def test_no_given_set_is_forgotten() -> None:
    expected = json.loads((GIVEN / "generated" / "EXPECTED.json").read_text())
    hostile = {name.removeprefix("hostile/").removesuffix(".zip") for name in expected if name.startswith("hostile/")}
    assert hostile == {*GIVEN_ENTRIES, *GIVEN_REFUSED, *GIVEN_MENDED}
