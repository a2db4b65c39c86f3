"""What a download, a checkout or a disk does to a part of an archive, each as a function of the part's path."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path], None]

PAGE = b"\r\n<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head></html>"
DENIED = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 65536\n"


def replaced(content: bytes) -> Damage:
    return lambda part: _put(part, content)


def cut(share: float) -> Damage:
    return lambda part: os.truncate(part, int(part.stat().st_size * share))


def cut_bytes(count: int) -> Damage:
    return lambda part: os.truncate(part, part.stat().st_size - count)


def filled(byte: Callable[[int], bytes], share: float = 0.0) -> Damage:
    """Keep the first ``share`` of the part, and fill the rest."""

    def do(part: Path) -> None:
        content = part.read_bytes()
        kept = int(len(content) * share)
        _put(part, content[:kept] + byte(len(content) - kept))

    return do


ZEROS = filled(bytes)
ZEROS_AT_THE_END = filled(bytes, 0.5)
NOISE = filled(random.Random(5).randbytes)


def _put(part: Path, content: bytes) -> None:
    part.unlink()  # which may be a link
    part.write_bytes(content)
