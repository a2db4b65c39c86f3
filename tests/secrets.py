"""What gives the right to read is written and shown nowhere: one check for all tests that plant a password."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq


def assert_hidden(secrets: Iterable[str], *places: Path | str) -> None:
    """Find none of `secrets`, plain, escaped as in an address, or in base64, in `places`: folders, files, or texts.

    Compressed files are looked into: tables, and what tars hold.
    """
    forms = {form for secret in secrets for form in _forms(secret)}
    assert forms and min(map(len, forms)) >= 6, "a secret of a few letters is found by chance"
    for place in places:
        for name, content in contents(place):
            found = [form for form in forms if form in content]
            assert not found, f"{found} in {name}"


def _forms(secret: str) -> Iterator[bytes]:
    plain = secret.encode()
    yield plain
    yield quote(secret, safe="").encode()
    for before in range(
        3
    ):  # base64 of what holds it, wherever it begins there, without the letters that hang on others
        yield base64.b64encode(b"\0" * before + plain)[-(-before * 4 // 3) : -4]


def contents(place: Path | str) -> Iterator[tuple[str, bytes]]:
    if isinstance(place, str):
        yield "what was said", place.encode()
        return
    for path in [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file()):
        content = path.read_bytes()
        yield str(path), str(path.relative_to(place)).encode() + content
        if content[:4] == b"PAR1":
            file = pq.ParquetFile(io.BytesIO(content))
            yield f"{path}, its rows", f"{file.schema_arrow.metadata}{file.read().to_pylist()}".encode()
        elif path.suffix == ".tar":
            with tarfile.open(path) as tar:
                for member in tar:
                    if member.name.endswith(".gz"):
                        extracted = tar.extractfile(member)
                        assert extracted is not None
                        yield f"{member.name} in {path}", gzip.decompress(extracted.read())
