"""Hashes of names: by which training tells accounts and posts apart, and which stand for them in what is shared.

The first have a key that everybody knows, and hold in every process and release, so that all workers divide the posts
alike; they hide nothing. The second have the secret of the run, and hold within the run alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from postmill.shards.run.secret import Secret
from postmill.train.data.arrays import Ids

ACCOUNT_BYTES, POST_BYTES = 8, 16
"""How much is kept of the HMAC of an account and of a post: two of 10 million posts are alike once in 10 to the 25."""

_AT_ONCE = 1 << 16

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


@dataclass(frozen=True)
class Pseudonyms:
    """What stands for accounts and posts in the predictions of a run.

    Attributes:
        secret: Of the run.
    """

    secret: Secret

    def accounts(self, accounts: Ids) -> Ids:
        """Return what stands for each of N accounts: the first 64 bits of an HMAC, shape (N,)."""
        distinct, inverse = np.unique(accounts, return_inverse=True)
        digests = (self.secret.digest("account", str(account))[:ACCOUNT_BYTES] for account in distinct.tolist())
        named = np.fromiter((int.from_bytes(digest, "big") for digest in digests), np.uint64, count=len(distinct))
        pseudonyms: Ids = named[inverse]
        return pseudonyms

    def posts(self, keys: pa.Array) -> pa.Array:
        """Return what stands for each of N keys of posts: the first 128 bits of an HMAC, as 32 hexadecimal digits."""
        return pa.concat_arrays(list(self._posts(keys))) if len(keys) else pa.array([], pa.string())

    def _posts(self, keys: pa.Array) -> Iterator[pa.Array]:
        for start in range(0, len(keys), _AT_ONCE):
            names = keys.slice(start, _AT_ONCE).to_pylist()
            yield pa.array([self.secret.digest("post", name)[:POST_BYTES].hex() for name in names], pa.string())
