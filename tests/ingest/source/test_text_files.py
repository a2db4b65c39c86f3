"""Text files in any encoding, with any line ends, however compressed: read, or refused for what they are."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import resource
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from postmill.ingest.source import textfile
from postmill.ingest.source.influencers import read_influencers
from postmill.shards.runtime.errors import PostmillError
from tests.ingest.source.text_files import ACCOUNTS, INFLUENCERS, MAPPING, POSTS, posts, read_accounts

ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "UTF-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16 with a mark": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16 with the other mark": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-16-LE": lambda text: text.encode("utf-16-le"),
    "UTF-16-BE": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: codecs.BOM_UTF32_LE + text.encode("utf-32-le"),
    "UTF-32 with the other mark": lambda text: codecs.BOM_UTF32_BE + text.encode("utf-32-be"),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_encodings_and_line_ends_make_no_difference(
    tmp_path: Path, encode: Callable[[str], bytes], newline: str, compress: Callable[[bytes], bytes]
) -> None:
    assert posts(compress(encode(MAPPING.replace("\n", newline))), tmp_path / "mapping.txt") == (POSTS, [])
    (tmp_path / "influencers.txt").write_bytes(compress(encode(INFLUENCERS.replace("\n", newline))))
    assert read_influencers(str(tmp_path / "influencers.txt")) == (ACCOUNTS, [])


@pytest.mark.parametrize("block", range(1, 9))
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_blocks_may_end_anywhere(tmp_path: Path, block: int, newline: str) -> None:
    path = tmp_path / "text"
    path.write_bytes(codecs.BOM_UTF16_LE + "a\u00e9\U0001f600\nb\n".replace("\n", newline).encode("utf-16-le"))
    assert b"".join(textfile.blocks(str(path), block)).decode() == "a\u00e9\U0001f600\nb\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_files_with_marks_that_were_put_together_are_read(tmp_path: Path, encoding: str, block: int) -> None:
    path = tmp_path / "text"
    path.write_bytes("\ufeffa\u00e9\n\ufeffb\n\nc\n\ufeff\ufeffd\ufeff".encode(encoding))
    assert b"".join(textfile.blocks(str(path), block)).decode() == "a\u00e9\nb\n\nc\nd\ufeff"


def test_half_a_surrogate_pair_is_a_fault_of_its_row(tmp_path: Path) -> None:
    text = MAPPING + "caf\ud83d\t9.info\t['9.jpg']\n"
    content = codecs.BOM_UTF16_LE + text.encode("utf-16-le", "surrogatepass")
    assert posts(content, tmp_path / "mapping.txt") == (POSTS, [5])


@pytest.mark.parametrize("cut", [1, 7])
def test_a_utf16_file_that_ends_within_a_row_is_refused(tmp_path: Path, cut: int) -> None:
    content = codecs.BOM_UTF16_LE + MAPPING.encode("utf-16-le")
    with pytest.raises(PostmillError, match="ends in the middle of a row"):
        posts(content[:-cut], tmp_path / "mapping.txt")


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mapping.txt", content)
    return file.getvalue()


def tarred(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("mapping.txt"), io.BytesIO(content))
    return file.getvalue()


def test_utf16_behind_utf8_is_told(tmp_path: Path) -> None:
    """As `>>` of PowerShell 5 appends."""
    content = MAPPING.encode() + MAPPING.partition("\n")[2].encode("utf-16-le")
    with pytest.raises(PostmillError, match="goes on in another encoding"):
        posts(content, tmp_path / "mapping.txt")


@pytest.mark.parametrize("end", ["\x85", "\u2028", "|"])
def test_another_file_is_told_from_one_that_was_cut(tmp_path: Path, end: str) -> None:
    with pytest.raises(PostmillError, match="is not a mapping file"):
        posts(MAPPING.replace("\n", end).encode(), tmp_path / "mapping.txt")


@pytest.mark.parametrize(
    ("wrap", "cause"),
    [
        (zipped, "is a zip file"),
        (lzma.compress, "is compressed by xz"),
        (bz2.compress, "is compressed by bzip2"),
        (lambda content: gzip.compress(lzma.compress(content)), "is compressed by xz"),
        (lambda content: gzip.compress(gzip.compress(content)), "is compressed twice"),
        (lambda content: gzip.compress(zstandard.compress(content)), "is compressed twice"),
        (lambda content: gzip.compress(tarred(content)), "is a tar archive"),
        (lambda _: b"<!DOCTYPE html>\n<html><body>Quota exceeded</body></html>\n", "is a web page"),
        (lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, wrap: Callable[[bytes], bytes], cause: str) -> None:
    for read in (posts, lambda content, path: read_accounts(content, path.parent)):
        with pytest.raises(PostmillError, match=cause) as caught:
            read(wrap(MAPPING.encode()), tmp_path / "mapping.txt")
        assert caught.value.hint


@pytest.fixture
def long_window(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "mapping.zst"
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=31, enable_ldm=True)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()  # of a length not known before
    path.write_bytes(stream.compress(MAPPING.encode()) + stream.flush())
    assert zstandard.get_frame_parameters(path.read_bytes()).window_size == 1 << 31
    yield path


def test_the_longest_window_of_zstandard_is_read(long_window: Path) -> None:
    assert posts(long_window.read_bytes(), long_window) == (POSTS, [])
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"  # as pzstd begins
    assert posts(skippable + long_window.read_bytes(), long_window) == (POSTS, [])


def test_a_window_that_memory_does_not_allow_is_named(long_window: Path) -> None:
    code = "import sys; from postmill.ingest.source.textfile import blocks; list(blocks(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(long_window)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "a window that takes more memory than there is" in done.stderr
