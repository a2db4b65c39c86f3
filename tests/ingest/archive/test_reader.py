"""Archives of every kind as they should be, in any order and of any size, through the one public class."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import textwrap
import zipfile
import zlib
from pathlib import Path
from typing import Any

import fsspec
import pytest

from postmill.ingest.archive import reader as reader_module
from postmill.ingest.archive.reader import Archive
from postmill.shards.formats.reasons import Reason
from postmill.shards.runtime.errors import PostmillError
from tests.ingest.archive.reading import contents, outcomes
from tests.ingest.archives import GIVEN, given_only, needs_7z, needs_zip
from tests.ingest.split_sets import OF_TREE, SplitSet, digest_of, sets

# --- Archives as they should be


@pytest.mark.parametrize("split_set", sets(OF_TREE))
def test_every_kind_of_set(tmp_path: Path, split_set: SplitSet) -> None:
    parts = split_set.put(tmp_path / "set")
    digests = {name: digest_of(data) for name, data in contents(parts[len(parts) // 2]).items()}
    assert digests == split_set.contents()


@needs_7z
@pytest.mark.parametrize("name", ["pk-basic", "pk-nomarker", "pk-zip64", "pk-bit3", "raw-split", "whole.zip"])
def test_seven_zip_finds_our_sets_sound(tmp_path: Path, name: str) -> None:
    """Our writer's, which the tests stand on."""
    parts = SplitSet(name).put(tmp_path / "set")
    done = subprocess.run(
        ["7z", "t", parts[0 if name == "raw-split" else -1]], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "Files: 123" in done.stdout) == (0, True), done.stdout


@pytest.mark.parametrize("split_set", sets(["cc-writer"]))
def test_headers_cut_by_boundaries_as_commons_compress_writes_them(tmp_path: Path, split_set: SplitSet) -> None:
    split_set.put(tmp_path / "set")
    with Archive.open(tmp_path / "set", strict=True) as archive:
        boundaries = {part.end for part in archive.parts}
        assert any(boundaries & set(range(entry.offset + 1, entry.offset + 30)) for entry in archive.entries())
        assert len(outcomes(archive)) == 3000


@given_only
@pytest.mark.parametrize(
    ("split", "unsplit"),
    [
        ("split_zip_created_by_winrar/split_zip_created_by_winrar", "zip_to_compare_created_by_winrar"),
        ("split_zip_created_by_zip/split_zip_created_by_zip", "zip_to_compare_created_by_zip"),
        ("split_zip_created_by_zip/split_zip_created_by_zip_zip64", "zip_to_compare_created_by_zip_zip64"),
    ],
)
def test_given_sets_of_winrar_and_info_zip(split: str, unsplit: str) -> None:
    folder = GIVEN / "commons-compress-477"
    for part in (".z01", ".zip"):
        data = contents(folder / f"{split}{part}")
        with zipfile.ZipFile(folder / Path(split).parent / f"{unsplit}.zip") as reference:
            assert data == {name: reference.read(name) for name in reference.namelist()}


@given_only
def test_given_pictures_of_real_posts() -> None:
    with Archive.open(GIVEN.parent / "real-posts" / "Post_images", strict=True) as archive:
        assert (archive.kind, len(archive.parts)) == ("disks", 19)
        pictures = [data for entry, data in archive.stream() if not entry.is_dir]
    assert len(pictures) == 99
    assert all(isinstance(data, bytes) and data.startswith(b"\xff\xd8") for data in pictures)


@pytest.mark.parametrize("split_set", sets(["pk-basic"]))
def test_a_part_of_another_archive_is_named_and_its_entries_are_faults(tmp_path: Path, split_set: SplitSet) -> None:
    folder = tmp_path / "set"
    parts = split_set.put(folder)
    five, six = parts[4], parts[5]
    five.rename(folder / "x")
    six.rename(five)
    (folder / "x").rename(six)
    with Archive.open(folder) as archive:
        data = outcomes(archive)
        warnings = archive.directory.warnings
        assert any(f"{five.name}, {six.name}: not the entries" in warning for warning in warnings)
        bad = {entry.number for entry in archive.entries() if archive.space.part_at(entry.offset) in (4, 5)}
        good = [plain for key, plain in data.items() if int(key.rpartition("#")[2]) not in bad]
        assert sum(isinstance(plain, bytes) for plain in good) >= len(good) - 1  # one may end on part 5
        wrong = [plain for key, plain in data.items() if int(key.rpartition("#")[2]) in bad]
        assert wrong
        assert all(isinstance(plain, Reason) for plain in wrong)
    with pytest.raises(PostmillError, match=rf"{five.stem}\.z05, {six.stem}\.z06"):
        list(Archive.open(folder, strict=True).entries())


def test_a_split_archive_in_which_nothing_is_sound(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr("../x", b"x" * 100)
    subprocess.run(["split", "-b", "60", "-d", "a", "a.z"], cwd=tmp_path, check=True)
    with Archive.open(tmp_path / "a.z00") as opened:
        assert len(opened.parts) > 3
        assert outcomes(opened) == {"../x#0": Reason.NAME_HOSTILE}


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
    data = contents(next(iter(sorted(tmp_path.glob("a.z*")))))
    assert {name: plain for name, plain in data.items() if not name.endswith("/")} == tree


@needs_zip
def test_zip64_into_a_pipe_where_info_zip_leaves_the_zip64_record_out(tmp_path: Path, tree: dict[str, bytes]) -> None:
    subprocess.run(["sh", "-c", "zip -q -r -fz - image | cat > a.zip"], cwd=tmp_path, check=True)
    assert b"PK\x06\x06" not in (tmp_path / "a.zip").read_bytes()
    with Archive.open(tmp_path / "a.zip") as archive:
        assert "does not say where the directory begins" in archive.directory.warnings[0]
        data = {key.partition("#")[0]: plain for key, plain in outcomes(archive).items()}
    assert {name: plain for name, plain in data.items() if not name.endswith("/")} == tree


@needs_zip
def test_an_archive_behind_a_url(tmp_path: Path, tree: dict[str, bytes]) -> None:
    subprocess.run(["zip", "-q", "-r", "-s", "64k", "a.zip", "image"], cwd=tmp_path, check=True)
    memory = fsspec.filesystem("memory")
    for part in tmp_path.glob("a.z*"):
        memory.pipe(f"/{tmp_path.name}/{part.name}", part.read_bytes())
    data = contents(f"memory://{tmp_path.name}/a.zip")
    assert {name: plain for name, plain in data.items() if not name.endswith("/")} == tree


def test_the_example_of_the_documentation_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.jpg", b"a picture")
    example = (reader_module.__doc__ or "").partition("::\n")[2].partition("\nAn archive")[0]
    scope: dict[str, Any] = {}
    exec(textwrap.dedent(example).replace("Post_images/posts_image.z07", str(tmp_path / "a.zip")), scope)
    assert scope["picture"] == b"a picture"
    assert scope["data"] == b"a picture"
    assert capsys.readouterr().out == "single 1\n"


# --- The order of things


def shuffled(content: bytes, seed: int) -> bytes:
    """The same zip with its directory in another order."""
    records, position = [], content.index(b"PK\x01\x02")
    start = position
    while content[position : position + 4] == b"PK\x01\x02":
        size = 46 + sum(struct.unpack_from("<3H", content, position + 28))
        records.append(content[position : position + size])
        position += size
    random.Random(seed).shuffle(records)
    return content[:start] + b"".join(records) + content[position:]


@pytest.mark.parametrize("at_once", [1, 7, 1_000_000])
def test_a_directory_in_any_order(tmp_path: Path, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "_SORTED_AT_ONCE", at_once)
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
        names = [entry.name for entry, _ in opened.stream()]
        for cut in range(0, len(content), 97):
            parts = [*opened.stream(0, cut), *opened.stream(cut)]
            assert [entry.name for entry, _ in parts] == names
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
    monkeypatch.setattr(reader_module, "BLOCK", 500)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", random.Random(1).randbytes(3000))
    content = bytearray((tmp_path / "a.zip").read_bytes())
    for position in (22, content.index(b"PK\x01\x02") + 24):
        struct.pack_into("<I", content, position, 9)  # the declared size, small, in both headers
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


def test_names_that_differ_in_case_or_unicode_form_are_different(tmp_path: Path) -> None:
    names = ["A.jpg", "a.jpg", "\u00e9.jpg", "e\u0301.jpg"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, name.encode())
    assert contents(tmp_path / "a.zip") == {name: name.encode() for name in names}


def test_the_last_of_a_name_keeps_it_whatever_is_wrong_with_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for number in range(4):
            archive.writestr("same" if number % 2 == 0 else f"other{number}", b"%d" % number)
    content = (tmp_path / "a.zip").read_bytes()
    position = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4) + 4)
    (tmp_path / "a.zip").write_bytes(content[: position + 8] + b"\x01" + content[position + 9 :])
    with Archive.open(tmp_path / "a.zip") as opened:
        assert outcomes(opened) == {
            "same#0": Reason.DUPLICATE_NAME,
            "other1#1": b"1",
            "same#2": Reason.ENCRYPTED,
            "other3#3": b"3",
        }
