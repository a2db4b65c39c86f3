"""The dataset as others pack it again: whatever wrote its archives, the posts are the same."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from postmill.ingest.archive.reader import Archive
from postmill.ingest.plan.make import make_plan
from postmill.ingest.source.layout import discover
from postmill.shards.run.options import Options
from postmill.shards.runtime.errors import PostmillError
from tests.ingest.archives import needs_7z, needs_zip
from tests.ingest.pack.packing import members, run_all

Entries = dict[str, bytes]  # plain bytes by name, in order
Writer = Callable[[Path, Entries], None]  # writes the archive whose last part, or first slice, is named after that path

ARCHIVES = (Path("Post_metadata/posts_info.zip"), Path("Post_images/posts_image.zip"))


def repack(root: Path, copy: Path, write: Writer) -> Path:
    """Copy the dataset, its archives written anew."""
    shutil.copytree(root, copy)
    for path in ARCHIVES:
        with Archive.open(root / path) as archive:
            entries = {entry.name: archive.read(entry) for entry in archive.entries() if not entry.is_dir}
        shutil.rmtree((copy / path).parent)
        (copy / path).parent.mkdir()
        write(copy / path, entries)
    return copy


def contents(root: Path, run: Path) -> dict[str, bytes]:
    """What comes of a dataset: all members of its shards, metadata as they were before they were packed."""
    packed = members(run_all(root, run))
    return {name: gzip.decompress(data) if name.endswith(".gz") else data for name, data in packed.items()}


def by_zipfile(
    prefix: str = "", separator: str = "/", host: int = 3, method: int = zipfile.ZIP_DEFLATED, folders: bool = True
) -> Writer:
    """The names as given, folders among them, as a writer on that host has them."""

    def write(path: Path, entries: Entries) -> None:
        names = dict.fromkeys(name.rpartition("/")[0] + "/" for name in entries) if folders else {}
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in {**dict.fromkeys(names, b""), **entries}.items():
                info = zipfile.ZipInfo("x")
                info.filename, info.create_system = prefix + name.replace("/", separator), host
                info.compress_type = method
                archive.writestr(info, data)

    return write


def by_tool(command: str) -> Writer:
    """The entries as the files of a folder, given to a program that knows the archive as `$0`."""

    def write(path: Path, entries: Entries) -> None:
        files = path.with_suffix(".files")
        for name, data in entries.items():
            (files / name).parent.mkdir(parents=True, exist_ok=True)
            (files / name).write_bytes(data)
        subprocess.run(["sh", "-c", command, str(path)], cwd=files, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(files)

    return write


@pytest.fixture(scope="module")
def expected() -> dict[str, bytes]:
    """What comes of the dataset as it was; filled by the first test."""
    return {}


@pytest.fixture
def check(
    carousels: tuple[Path, dict[str, bytes]], expected: dict[str, bytes], tmp_path: Path
) -> Callable[[Writer], None]:
    """Check that the dataset packed by a writer gives the same posts."""

    def same(write: Writer) -> None:
        if not expected:
            expected.update(contents(carousels[0], tmp_path / "run"))
        assert contents(repack(carousels[0], tmp_path / "copy", write), tmp_path / "other") == expected

    return same


def with_two_separators(path: Path, entries: Entries) -> None:
    """Backslashes in the local headers alone."""
    by_zipfile(separator="\\")(path, entries)
    content = path.read_bytes()
    start = int.from_bytes(content[-6:-2], "little")
    directory = content[start:].replace(b"info\\", b"info/").replace(b"image\\", b"image/")
    path.write_bytes(content[:start] + directory)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(with_two_separators, id="both separators"),
        pytest.param(by_zipfile(separator="\\", host=0), id="PowerShell 5"),
        pytest.param(by_zipfile(separator="\\", host=3), id="Go on Windows"),
        pytest.param(by_zipfile(prefix="./"), id="bsdtar"),
        pytest.param(by_zipfile(prefix=".\\", separator="\\", host=0), id="both"),
        pytest.param(by_zipfile(prefix="Instagram influencer dataset/"), id="in a folder"),
    ],
)
def test_names_as_other_writers_have_them(check: Callable[[Writer], None], write: Writer) -> None:
    check(write)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(by_zipfile(method=zipfile.ZIP_BZIP2), id="zipfile bzip2"),
        pytest.param(by_zipfile(method=zipfile.ZIP_LZMA), id="zipfile lzma"),
        pytest.param(by_tool('zip -qr -Z bzip2 -s 64k "$0" .'), id="zip bzip2", marks=needs_zip),
        *(
            pytest.param(by_tool(f'7z a -tzip -mm={method} -mx=9 "$0" .'), id=f"7z {method}", marks=needs_7z)
            for method in ("BZip2", "LZMA", "XZ", "Deflate64")
        ),
    ],
)
def test_methods_as_other_writers_have_them(check: Callable[[Writer], None], write: Writer) -> None:
    check(write)


def by_finder(path: Path, entries: Entries) -> None:
    """With a companion of each file, in a folder of its own or beside it."""
    companions = [name.replace("/", "/._") for name in entries]
    names = [*companions[:3], *(f"__MACOSX/{name}" for name in companions[3:])]
    by_zipfile()(path, {**entries, **dict.fromkeys(names, b"\0\5\x16\7")})


def test_companions_of_macos_are_left_out_and_told_once(
    carousels: tuple[Path, dict[str, bytes]],
    check: Callable[[Writer], None],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level("INFO")
    check(by_finder)
    caplog.clear()
    _, counts = make_plan(discover(str(tmp_path / "copy")), tmp_path / "again", Options())
    assert counts.faults == 0
    assert [record.message for record in caplog.records if "macOS" in record.message] == [
        f"{archive} archive: {number} files that macOS put beside others (__MACOSX, ._NAME) are left out"
        for archive, number in (("metadata", 60), ("images", 100))
    ]


def joined(path: Path, entries: Entries) -> None:
    by_tool('zip -qr -s 64k "$0" .')(path, entries)
    parts = [*sorted(path.parent.glob("*.z0?")), path]
    content = b"".join(part.read_bytes() for part in parts)
    for part in parts:
        part.unlink()
    path.write_bytes(content)


def rubyzip(path: Path, entries: Entries) -> None:
    by_zipfile()(path, entries)
    content = b"PK\7\x08" + path.read_bytes()
    path.unlink()
    for number, start in enumerate(range(0, len(content), 50_000), 1):
        path.with_name(f"{path.name}.{number:03d}").write_bytes(content[start : start + 50_000])


def renamed(path: Path, entries: Entries) -> None:
    by_tool('zip -qr -s 64k "$0" .')(path, entries)
    for part in path.parent.glob("*.z0?"):
        part.rename(f"{part}.zip")
        part.with_name(f"._{part.name}.zip").write_bytes(b"\0\5\x16\7")


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(joined, id="joined with cat", marks=needs_zip),
        pytest.param(rubyzip, id="rubyzip"),
        pytest.param(renamed, id="renamed by a browser", marks=needs_zip),
        *(
            pytest.param(by_tool(f'zip -qr "$0" . && split -b 50k {options} && rm "$0"'), id=options, marks=needs_zip)
            for options in ('"$0" "$0".part-', '-d "$0" "$0".part', '-d "$0" "$0"-', '"$0" "$0"', '"$0" "$0"_')
        ),
    ],
)
def test_parts_as_people_make_them(check: Callable[[Writer], None], write: Writer) -> None:
    check(write)


@pytest.mark.parametrize(
    ("write", "told", "hint"),
    [
        (by_zipfile("../"), "of the 60 files of the metadata archive 60 are left out: 60 name_hostile", "plain names"),
        (by_zipfile("../"), "such as ../info/ann-", "plain names"),
        (
            by_zipfile("x/", "_", folders=False),
            "the metadata archive has 60 files, such as x/info_ann-",
            "belong together",
        ),
    ],
)
def test_where_no_post_is_found_it_is_said_what_hides_them(
    carousels: tuple[Path, dict[str, bytes]], tmp_path: Path, write: Writer, told: str, hint: str
) -> None:
    root = repack(carousels[0], tmp_path / "copy", write)
    with pytest.raises(PostmillError, match="none of the 60 mapped posts") as caught:
        make_plan(discover(str(root)), tmp_path / "run", Options())
    assert told in caught.value.cause
    assert hint in (caught.value.hint or "")
