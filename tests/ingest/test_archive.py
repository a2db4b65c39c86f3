"""Archives of every kind, whole and hostile, through the one public class."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import struct
import subprocess
import textwrap
import zipfile
import zlib
from pathlib import Path
from typing import Any

import fsspec
import pytest

from ingest import archive as archive_module
from ingest.archive import Archive, Entry, EntryFault, Reason
from shards.errors import PostmillError
from tests.ingest.archives import SPLIT_SETS, needs_7z, needs_zip

GENERATED = [*SPLIT_SETS, "whole.zip", "single-PK00-marker.zip"]


def outcomes(archive: Archive) -> dict[str, bytes | Reason]:
    """What each entry gives, read one by one and checked against one pass in order."""
    found: dict[int, tuple[Entry, bytes | Reason]] = {}
    for entry in archive.entries():
        try:
            found[entry.number] = entry, archive.read(entry)
        except EntryFault as fault:
            found[entry.number] = entry, fault.reason
    passed = list(archive.stream())
    assert [entry.offset for entry, _ in passed] == sorted(entry.offset for entry, _ in passed)
    for entry, data in passed:
        assert found[entry.number] == (entry, data.reason if isinstance(data, EntryFault) else data)
    nowhere = {number for number, (entry, _) in found.items() if entry.offset >= archive.directory.start}
    assert {entry.number for entry, _ in passed} == set(found) - nowhere
    return {f"{entry.name}#{number}": data for number, (entry, data) in found.items()}


def contents(source: Any, **options: Any) -> dict[str, bytes]:
    """The content of each entry of an archive without faults."""
    with Archive.open(source, strict=True, **options) as archive:
        return {name.rpartition("#")[0]: data for name, data in outcomes(archive).items() if isinstance(data, bytes)}


# --- Archives as they should be


@pytest.mark.parametrize("name", GENERATED)
def test_every_generated_set(shared: Path, name: str) -> None:
    members = json.loads((shared / "zips/generated/members.json").read_text())
    found = contents(shared / "zips/generated" / name)
    assert {each: [len(data), hashlib.sha256(data).hexdigest()] for each, data in found.items()} == members


def test_no_generated_set_is_forgotten(shared: Path) -> None:
    expected = json.loads((shared / "zips/generated/EXPECTED.json").read_text())
    assert set(expected) == set(GENERATED) | {f"hostile/{name}.zip" for name in [*HOSTILE, *REFUSED, *MENDED]}


@pytest.mark.parametrize(
    ("split", "whole"),
    [
        ("split_zip_created_by_winrar/split_zip_created_by_winrar", "zip_to_compare_created_by_winrar"),
        ("split_zip_created_by_zip/split_zip_created_by_zip", "zip_to_compare_created_by_zip"),
        ("split_zip_created_by_zip/split_zip_created_by_zip_zip64", "zip_to_compare_created_by_zip_zip64"),
    ],
)
def test_sets_of_winrar_and_info_zip(shared: Path, split: str, whole: str) -> None:
    folder = shared / "zips/commons-compress-477"
    for part in (".z01", ".zip"):
        found = contents(folder / f"{split}{part}")
        with zipfile.ZipFile(folder / Path(split).parent / f"{whole}.zip") as reference:
            assert found == {name: reference.read(name) for name in reference.namelist()}


def test_headers_cut_by_boundaries_as_commons_compress_writes_them(shared: Path) -> None:
    with Archive.open(shared / "zips/generated/cc-writer", strict=True) as archive:
        boundaries = {part.end for part in archive.parts}
        assert any(boundaries & set(range(entry.offset + 1, entry.offset + 30)) for entry in archive.entries())
        assert len(outcomes(archive)) == 3000


def test_real_posts(shared: Path) -> None:
    with Archive.open(shared / "real-posts/Post_images", strict=True) as archive:
        assert (archive.kind, len(archive.parts)) == ("disks", 19)
        pictures = [data for entry, data in archive.stream() if not entry.is_dir]
    assert len(pictures) == 99
    assert all(isinstance(data, bytes) and data.startswith(b"\xff\xd8") for data in pictures)


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, bytes]:
    """Content in a folder `image`: some of it compresses, some does not, some is empty."""
    rng = random.Random(7)
    made = {"image/empty.jpg": b"", "image/user.name-1.jpg": rng.randbytes(150_000)}
    for number in range(40):
        size = rng.randint(1, 9000)
        made[f"image/u{number}-{rng.randint(0, 1 << 60)}.jpg"] = (
            rng.randbytes(size) if number % 2 else b"#caption " * (size // 9)
        )
    for name, data in made.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return made


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["zip", "-q", "-r", "-s", "64k", "a.zip", "image"], marks=needs_zip),
        pytest.param(["zip", "-q", "-r", "-0", "-s", "64k", "a.zip", "image"], marks=needs_zip),
        pytest.param(["zip", "-q", "-r", "-s", "64k", "-fz", "a.zip", "image"], marks=needs_zip),
        pytest.param(["sh", "-c", "zip -q -r - image > a.zip"], marks=needs_zip),
        pytest.param(["sh", "-c", "zip -q -r - image | split -b 40000 -d -a 3 - a.zip."], marks=needs_zip),
        pytest.param(["sh", "-c", "zip -q -r -fz - image > a.zip"], marks=needs_zip),
        pytest.param(["7z", "a", "-tzip", "-v64k", "a.zip", "image"], marks=needs_7z),
        pytest.param(["7z", "a", "-tzip", "-mm=Deflate64", "-v50k", "a.zip", "image"], marks=needs_7z),
    ],
    ids=" ".join,
)
def test_what_real_tools_write(tmp_path: Path, tree: dict[str, bytes], command: list[str]) -> None:
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    found = contents(next(iter(sorted(tmp_path.glob("a.z*")))))
    assert {name: data for name, data in found.items() if not name.endswith("/")} == tree


@needs_zip
def test_zip64_into_a_pipe_where_info_zip_leaves_the_zip64_record_out(tmp_path: Path, tree: dict[str, bytes]) -> None:
    subprocess.run(["sh", "-c", "zip -q -r -fz - image | cat > a.zip"], cwd=tmp_path, check=True)
    assert b"PK\x06\x06" not in (tmp_path / "a.zip").read_bytes()
    with Archive.open(tmp_path / "a.zip") as archive:
        assert "does not say where the directory begins" in archive.directory.warnings[0]
        found = {key.partition("#")[0]: data for key, data in outcomes(archive).items()}
    assert {name: data for name, data in found.items() if not name.endswith("/")} == tree


@needs_zip
def test_an_archive_behind_a_url(tmp_path: Path, tree: dict[str, bytes]) -> None:
    subprocess.run(["zip", "-q", "-r", "-s", "64k", "a.zip", "image"], cwd=tmp_path, check=True)
    memory = fsspec.filesystem("memory")
    for part in tmp_path.glob("a.z*"):
        memory.pipe(f"/{tmp_path.name}/{part.name}", part.read_bytes())
    found = contents(f"memory://{tmp_path.name}/a.zip")
    assert {name: data for name, data in found.items() if not name.endswith("/")} == tree


def test_the_example_of_the_documentation_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.jpg", b"a picture")
    example = (archive_module.__doc__ or "").partition("::\n")[2].partition("\nAn archive")[0]
    scope: dict[str, Any] = {}
    exec(textwrap.dedent(example).replace("Post_images/posts_image.z07", str(tmp_path / "a.zip")), scope)
    assert scope["picture"] == b"a picture"
    assert scope["data"] == b"a picture"
    assert capsys.readouterr().out == "single 1\n"


# --- Hostile archives: each has its answer

HOSTILE: dict[str, list[Reason | bytes]] = {
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
    "dup-names": [b"1", Reason.DUPLICATE_NAME],
    # The set's NFC and NFD names are the same bytes, so the second is a plain duplicate.
    "case-dup": [b"1", b"2", b"3", Reason.DUPLICATE_NAME],
    "crc-bad": [b"1", Reason.CRC_WRONG],
    "usize-lie-small": [Reason.SIZE_LIE],
    "usize-lie-huge": [Reason.TOO_LARGE],
    "csize-past-eof": [Reason.TRUNCATED],
    "offset-huge": [Reason.OFFSET_OUT_OF_RANGE],
    "disk-out-of-range": [Reason.PART_MISSING],
    "overlap-full": [Reason.OVERLAP] * 200,
    "overlap-quoted": [Reason.OVERLAP] * 60,
}
REFUSED = {
    "truncated-tail": "no end of central directory",
    "truncated-mid": "no end of central directory",
}
MENDED = {
    "count-low": "counts 1 entries and the directory holds 3",
    "count-high": "counts 65000 entries and the directory holds 3",
    "two-eocd": "22 bytes behind the archive are left out",
    "eocd-in-comment": None,
    "prefix-junk": "350 bytes stand in front of the archive",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_entries(shared: Path, name: str) -> None:
    path = shared / "zips/generated/hostile" / f"{name}.zip"
    with Archive.open(path) as archive:
        found = outcomes(archive)
        assert list(found.values()) == HOSTILE[name]
        for entry in archive.entries():
            assert all(character.isprintable() for character in entry.name)
            assert entry.detail or entry.fault is None
    with pytest.raises(PostmillError), Archive.open(path, strict=True) as archive:
        list(archive.stream())


def test_a_declared_size_of_2_to_the_60_is_a_lie_even_if_it_is_allowed(shared: Path) -> None:
    with Archive.open(shared / "zips/generated/hostile/usize-lie-huge.zip", max_entry=1 << 62) as archive:
        assert list(outcomes(archive).values()) == [Reason.SIZE_LIE]


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_archives(shared: Path, name: str) -> None:
    with pytest.raises(PostmillError, match=REFUSED[name]) as caught:
        Archive.open(shared / "zips/generated/hostile" / f"{name}.zip")
    assert caught.value.hint


@pytest.mark.parametrize("name", MENDED)
def test_archives_that_can_be_read_with_a_warning(shared: Path, name: str) -> None:
    path = shared / "zips/generated/hostile" / f"{name}.zip"
    members = json.loads((shared / "zips/generated/members.json").read_text())
    with Archive.open(path) as archive:
        found = outcomes(archive)
        assert len(found) == (3 if name.startswith("count") else len(members))
        assert all(isinstance(data, bytes) for data in found.values())
        if not name.startswith("count"):
            digests = {key.rpartition("#")[0]: hashlib.sha256(data).hexdigest() for key, data in found.items()}
            assert digests == {key: digest for key, (_, digest) in members.items()}
        warnings = "; ".join(archive.directory.warnings)
        assert (MENDED[name] or "") in warnings
        assert bool(warnings) == (MENDED[name] is not None)
    if MENDED[name] is not None:
        with pytest.raises(PostmillError), Archive.open(path, strict=True) as archive:
            list(archive.entries())


def test_a_part_of_another_archive_is_named_and_its_entries_are_faults(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    shutil.copytree(shared / "zips/generated/pk-basic", folder)
    folder.chmod(0o755)
    five, six = folder / "pk-basic.z05", folder / "pk-basic.z06"
    five.rename(folder / "x")
    six.rename(five)
    (folder / "x").rename(six)
    with Archive.open(folder) as archive:
        found = outcomes(archive)
        assert any("pk-basic.z05, pk-basic.z06: not the entries" in warning for warning in archive.directory.warnings)
        bad = {entry.number for entry in archive.entries() if archive.space.part_at(entry.offset) in (4, 5)}
        good = [data for key, data in found.items() if int(key.rpartition("#")[2]) not in bad]
        assert sum(isinstance(data, bytes) for data in good) >= len(good) - 1  # one may end on part 5
        wrong = [data for key, data in found.items() if int(key.rpartition("#")[2]) in bad]
        assert wrong
        assert all(isinstance(data, Reason) for data in wrong)
    with pytest.raises(PostmillError, match=r"pk-basic\.z05, pk-basic\.z06"):
        list(Archive.open(folder, strict=True).entries())


def test_a_split_archive_in_which_nothing_is_sound(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr("../x", b"x" * 100)
    subprocess.run(["split", "-b", "60", "-d", "a", "a.z"], cwd=tmp_path, check=True)
    with Archive.open(tmp_path / "a.z00") as opened:
        assert len(opened.parts) > 3
        assert outcomes(opened) == {"../x#0": Reason.NAME_HOSTILE}


# --- The order of things


def shuffled(content: bytes, seed: int) -> bytes:
    """The same zip with its directory in another order."""
    records, at = [], content.index(b"PK\x01\x02")
    start = at
    while content[at : at + 4] == b"PK\x01\x02":
        size = 46 + sum(struct.unpack_from("<3H", content, at + 28))
        records.append(content[at : at + size])
        at += size
    random.Random(seed).shuffle(records)
    return content[:start] + b"".join(records) + content[at:]


@pytest.mark.parametrize("at_once", [1, 7, 1_000_000])
def test_a_directory_in_any_order(tmp_path: Path, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "_AT_ONCE", at_once)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(50):
            archive.writestr(f"{number}", b"%d" % number)
    (tmp_path / "a.zip").write_bytes(shuffled(out.getvalue(), 3))
    with Archive.open(tmp_path / "a.zip", strict=True) as opened:
        assert [entry.name for entry in opened.entries()] != [str(number) for number in range(50)]
        assert [(entry.name, data) for entry, data in opened.stream()] == [
            (str(number), b"%d" % number) for number in range(50)
        ]
        assert all(data == key.partition("#")[0].encode() for key, data in outcomes(opened).items())


@pytest.mark.parametrize("seed", [None, 5])
def test_neighbouring_ranges_give_each_entry_once(tmp_path: Path, seed: int | None) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(30):
            archive.writestr(f"{number}", bytes(number))
    content = out.getvalue() if seed is None else shuffled(out.getvalue(), seed)
    (tmp_path / "a.zip").write_bytes(content)
    with Archive.open(tmp_path / "a.zip") as opened:
        whole = [entry.name for entry, _ in opened.stream()]
        for cut in range(0, len(content), 97):
            parts = [*opened.stream(0, cut), *opened.stream(cut)]
            assert [entry.name for entry, _ in parts] == whole
            assert all(len(data) == int(entry.name) for entry, data in parts if isinstance(data, bytes))
            assert all(entry.offset < cut for entry, _ in opened.stream(0, cut))


def test_raw_is_what_lies_in_the_archive(tmp_path: Path) -> None:
    plain = b"a caption " * 100
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", plain)
    with Archive.open(tmp_path / "a.zip") as opened:
        (entry,) = opened.entries()
        raw = opened.raw(entry)
        assert len(raw) == entry.compressed_size < entry.size == len(plain)
        assert zlib.decompress(raw, -15) == opened.read(entry) == plain


def test_an_entry_above_the_limit_is_a_fault(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large", bytes(1001))
        archive.writestr("small", bytes(1000))
    with Archive.open(tmp_path / "a.zip", max_entry=1000) as opened:
        assert outcomes(opened) == {"large#0": Reason.TOO_LARGE, "small#1": bytes(1000)}


def test_compressed_data_above_the_limit_are_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "BLOCK", 500)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", random.Random(1).randbytes(3000))
    content = bytearray((tmp_path / "a.zip").read_bytes())
    for at in (22, content.index(b"PK\x01\x02") + 24):
        struct.pack_into("<I", content, at, 9)  # the declared size, small, in both headers
    (tmp_path / "a.zip").write_bytes(content)
    with Archive.open(tmp_path / "a.zip", max_entry=1000) as opened:
        assert outcomes(opened) == {"a#0": Reason.TOO_LARGE}
    with Archive.open(tmp_path / "a.zip") as opened:
        assert outcomes(opened) == {"a#0": Reason.SIZE_LIE}


def test_a_long_local_extra_field(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("a")
        info.extra = struct.pack("<HH", 0x9999, 60_000) + bytes(60_000)
        archive.writestr(info, b"data")
        archive.writestr("b", b"more")
    assert contents(tmp_path / "a.zip") == {"a": b"data", "b": b"more"}


def test_a_local_header_that_reaches_into_the_next_entry(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", b"data")
        archive.writestr("b", b"more")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    struct.pack_into("<H", content, 28, 1)  # the local extra field, of which the directory says nothing
    (tmp_path / "a.zip").write_bytes(content)
    with Archive.open(tmp_path / "a.zip") as opened:
        assert outcomes(opened) == {"a#0": Reason.OVERLAP, "b#1": b"more"}


def test_names_that_differ_in_case_or_unicode_form_are_different(tmp_path: Path) -> None:
    names = ["A.jpg", "a.jpg", "\u00e9.jpg", "e\u0301.jpg"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, name.encode())
    assert contents(tmp_path / "a.zip") == {name: name.encode() for name in names}


def test_the_first_of_a_name_keeps_it_whatever_is_wrong_with_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for number in range(4):
            archive.writestr("same" if number % 2 == 0 else f"other{number}", b"%d" % number)
    content = (tmp_path / "a.zip").read_bytes()
    at = content.index(b"PK\x01\x02")
    (tmp_path / "a.zip").write_bytes(content[: at + 8] + b"\x01" + content[at + 9 :])
    with Archive.open(tmp_path / "a.zip") as opened:
        assert outcomes(opened) == {
            "same#0": Reason.ENCRYPTED,
            "other1#1": b"1",
            "same#2": Reason.DUPLICATE_NAME,
            "other3#3": b"3",
        }


def test_batches_and_entries_agree(shared: Path) -> None:
    with Archive.open(shared / "zips/generated/hostile/overlap-quoted.zip") as archive:
        rows = [row for batch in archive.batches() for row in batch.to_pylist()]
        entries = list(archive.entries())
    assert [(row["index"], row["name"], row["fault"], row["detail"]) for row in rows] == [
        (entry.number, entry.name, entry.fault, entry.detail) for entry in entries
    ]
