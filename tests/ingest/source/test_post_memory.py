"""What one metadata entry may cost in memory: a few times its size, whatever is in it."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from postmill.ingest.source.post_fields import parse_info
from postmill.ingest.source.post_json import NotAPost

SIZE = 16 << 20  # of each file, bytes
TIMES = 24  # of them orjson asks for 16 to write a text, and uses two


@pytest.fixture(autouse=True)
def _traced() -> Iterator[None]:
    gc.collect()
    gc.disable()  # as while posts are packed
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


def filled(before: str, repeated: str, after: str) -> bytes:
    return f"{before}{repeated * (SIZE // len(repeated))}{after}".encode()


def captioned(start: str, repeated: str) -> bytes:
    before = f'{{"shortcode": "x", "edge_media_to_caption": {{"edges": [{{"node": {{"text": "{start}'
    return filled(before, repeated, '"}}]}}')


def listed(field: str, value: str) -> bytes:
    return filled(f'{{"shortcode": "x", "{field}": {{"edges": [', f"{value},", "{}]}}")


@pytest.mark.parametrize(
    "make",
    [
        lambda: captioned("", "#ab "),
        lambda: captioned("\\ud83d", "#ab "),
        lambda: captioned("", "\\ud83d"),
        lambda: captioned("", "\\u00e9"),
        lambda: listed("edge_media_to_comment", '{"node":{"text":"yes"}}'),
        lambda: listed("edge_media_to_tagged_user", '{"node":{"user":{"username":"bob"}}}'),
        lambda: listed("other", "{}"),
        lambda: filled('{"shortcode": "', "a", '"}'),
        lambda: filled("[", "[],", "0]"),
        lambda: b"[" * SIZE,
        lambda: b'"\\ud83d' * (SIZE // 8),
    ],
    ids=["hashtags", "half emoji", "halves", "escapes", "comments", "tagged", "values", "name", "lists", "deep", "cut"],
)
def test_a_file_costs_a_few_times_its_size_and_leaves_nothing(make: Callable[[], bytes]) -> None:
    data = make()
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    try:
        kept = parse_info(data)
    except NotAPost:
        kept = None
    after, peak = tracemalloc.get_traced_memory()
    assert peak - before < TIMES * SIZE
    assert after - before < SIZE // 4, kept
