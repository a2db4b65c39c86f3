"""Lists of checksums as tools and archives write them, and as nobody should."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from postmill.ingest.source.checksums import ALGORITHMS, read_checksums
from postmill.shards.runtime.errors import UsageError

MD5 = hashlib.md5(b"a part").hexdigest()
SHA1 = hashlib.sha1(b"a part").hexdigest()
SHA256 = hashlib.sha256(b"a part").hexdigest()


def read(path: Path) -> dict[str, list[tuple[str, str]]]:
    digests = read_checksums([str(path)])
    return {name: [(digest.algorithm, digest.value) for digest in stated] for name, stated in digests.items()}


@pytest.mark.parametrize("tool", ["md5sum", "sha1sum", "sha256sum", "sha512sum"])
@pytest.mark.parametrize("options", [[], ["--binary"], ["--tag"]])
@pytest.mark.parametrize("name", ["posts_image.z01", "with blank, and comma.zip"])
def test_what_the_tools_write_is_read(tmp_path: Path, tool: str, options: list[str], name: str) -> None:
    (tmp_path / name).write_bytes(b"a part")
    command = [tool, *options, f"./{name}"]
    (tmp_path / "list").write_bytes(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout)
    algorithm = tool.removesuffix("sum")
    assert read(tmp_path / "list") == {name: [(algorithm, hashlib.new(algorithm, b"a part").hexdigest())]}


@pytest.mark.parametrize(
    "line",
    [
        f"{MD5}  Post_images/posts_image.z01",
        f"{MD5} posts_image.z01",
        f"{MD5.upper()} *posts_image.z01",
        f"MD5 (posts_image.z01) = {MD5}",
        f"MD5(posts_image.z01)= {MD5}",
        f"md5:{MD5} posts_image.z01",
        f"md5:{MD5}  posts_image.z01",
        f"posts_image.z01 md5:{MD5}",
        f"posts_image.z01\tmd5:{MD5}",
        f"posts_image.z01 {MD5}",
        f"posts_image.z01,{MD5}",
        f'"posts_image.z01","{MD5}"',
        f"{MD5};Post_images/posts_image.z01",
        f"{MD5}\tposts_image.z01\t2147483648",
        f"2147483648,2020-04-01T10:00:00Z,posts_image.z01,{MD5}",
        f"name,size,md5\nposts_image.z01,2147483648,{MD5}",
        f"id\tdescription\tfilename\tchecksum\n7\tpictures\tposts_image.z01\t{MD5}",
        f'"Algorithm","Hash","Path"\n"MD5","{MD5.upper()}","C:\\data\\posts_image.z01"',
        f"# made by nobody\n\n{MD5}  posts_image.z01\n                     UNSUPPORTED  a.txt",
    ],
)
def test_a_line_of_a_name_and_a_digest(tmp_path: Path, line: str) -> None:
    (tmp_path / "list").write_text(line + "\n")
    assert read(tmp_path / "list") == {"posts_image.z01": [("md5", MD5)]}


@pytest.mark.parametrize(
    "value",
    [
        {"files": [{"key": "posts_image.z01", "size": 5, "checksum": f"md5:{MD5}", "links": {"self": "https://x"}}]},
        {"entries": [{"key": "posts_image.z01", "checksum": f"md5:{MD5}", "file_id": SHA256[:32]}]},
        [{"filename": "posts_image.z01", "checksum": MD5, "id": SHA1[:32]}],
        {"files": [{"name": "posts_image.z01", "md5Checksum": MD5, "id": "1a2b"}]},
        [{"Path": "Post_images/posts_image.z01", "Size": 5, "Hashes": {"md5": MD5}}],
        {"data": [{"dataFile": {"filename": "posts_image.z01", "checksum": {"type": "MD5", "value": MD5}}}]},
    ],
)
def test_json_of_those_who_hand_out_files(tmp_path: Path, value: object) -> None:
    (tmp_path / "list.json").write_text(json.dumps(value, indent=1))
    assert read(tmp_path / "list.json") == {"posts_image.z01": [("md5", MD5)]}


def test_json_of_one_object_a_line(tmp_path: Path) -> None:
    lines = [json.dumps({"name": f"a.z0{number}", "sha256": SHA256}) for number in (1, 2)]
    (tmp_path / "list").write_text("\n".join(lines))
    assert read(tmp_path / "list") == {"a.z01": [("sha256", SHA256)], "a.z02": [("sha256", SHA256)]}


def test_several_lists_and_algorithms_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.md5").write_bytes(b"\xef\xbb\xbf" + f"{MD5}  x/a.zip\r\n".encode())
    (tmp_path / "a.sha1.gz").write_bytes(gzip.compress(f"{SHA1}  a.zip\n".encode()))
    (tmp_path / "a.txt").write_bytes(f"{SHA256}  a.zip\n".encode("utf-16"))
    digests = read_checksums([str(tmp_path / name) for name in ("a.md5", "a.sha1.gz", "a.txt")])
    assert [digest.algorithm for digest in digests["a.zip"]] == ["md5", "sha1", "sha256"]
    assert set(ALGORITHMS.values()) >= {"md5", "sha1", "sha256"}


@pytest.mark.parametrize("content", ["", "no checksum here\n", "{}", "[1, 2]", '{"name": "a.zip"}', "[" * 100_000])
def test_a_list_without_a_checksum_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "list").write_text(content)
    with pytest.raises(UsageError, match="states no checksum") as caught:
        read(tmp_path / "list")
    assert caught.value.place == str(tmp_path / "list") and caught.value.hint
