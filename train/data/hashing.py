"""Keyed hashes of names: they stand for names where these must not be, and hold in every process and release."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from postmill.train.data.arrays import Ids

KEY = b"postmill"
"""Of every keyed hash: another one would change every split and every number that was ever reported."""


def hash64(*parts: str) -> int:
    """Return the first 64 bits of the keyed BLAKE2b of ``parts``, which are kept apart by their lengths."""
    text = "".join([f"{len(part)}:{part}" for part in parts])
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=KEY).digest()
    return int.from_bytes(digest, "little")


def hashes(kind: str, names: pa.Array) -> Ids:
    """Return :func:`hash64` of ``kind`` and each of N strings, none of them null, shape (N,)."""
    encoded = names.dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    of_distinct = np.fromiter((hash64(kind, name) for name in distinct), dtype=np.uint64, count=len(distinct))
    hashed: Ids = of_distinct[encoded.indices.to_numpy()]
    return hashed


def name_hashes(names: pa.Array) -> Ids:
    """Return the hash of each of N names, of accounts or of posts, by which a group is known, shape (N,)."""
    return hashes("unit", names)
