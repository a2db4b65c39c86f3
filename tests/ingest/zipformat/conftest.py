"""Fixtures of the tests of the format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postmill.ingest.zipformat.space import AddressSpace, lay_out
from tests.ingest.zipformat.directories import OpenSpace


@pytest.fixture
def open_space(tmp_path: Path) -> Iterator[OpenSpace]:
    """Write parts and open them as one space."""
    spaces: list[AddressSpace] = []

    def write(*parts: bytes) -> AddressSpace:
        files = []
        for number, content in enumerate(parts):
            path = tmp_path / f"part{number}"
            path.write_bytes(content)
            files.append((str(path), len(content)))
        spaces.append(AddressSpace(lay_out(files)))
        return spaces[-1]

    yield write
    for space in spaces:
        space.close()
