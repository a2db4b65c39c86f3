"""What may be shared of a run names nobody: tried as somebody would who has the lists of accounts and posts.

The attack makes every hash of every name and id that the code makes or has made, and the usual ones besides, and looks
for them in all that a run publishes. That it would find what is there to be found is tried too.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import re
import shutil
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from postmill.shards.formats.choices import Layout
from postmill.shards.formats.export import export
from postmill.shards.run import folder as runs
from postmill.shards.run import secret
from postmill.shards.run.folder import Run
from postmill.train.data import dataset, hashing
from postmill.train.data.target import Definition
from postmill.train.report.figures.files import write_figures
from postmill.train.report.page import write_report
from postmill.train.stage import train_run
from tests.secrets import contents
from tests.train.conftest import encoder, record, write_embeddings, write_posts

ACCOUNTS, POSTS = 60, 420
SHORTCODE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
NAMES = [f"{first}.{last}x" for first, last in itertools.product(("ann", "bo", "cy"), "abcdefghijklmnopqrst")]
IDS = [str(1_639_145_619_102_176_348 + 97_531_246_813 * n) for n in range(POSTS)]


def owner(account: int) -> str:
    return str(70_000_000 + 13 * account)


def made(folder: Path) -> Run:
    random = np.random.default_rng(8)
    account = np.concatenate([np.arange(ACCOUNTS), random.integers(ACCOUNTS, size=POSTS - ACCOUNTS)])
    records = [
        record(
            key,
            influencer=NAMES[account[n]],
            owner_id=owner(int(account[n])),
            category="food" if account[n] % 3 else "art",
            caption=f"words of post {n}",
            likes=int(random.lognormal(6, 1)),
            taken_at=1_500_000_000 + 3_600 * n,
            images=[f"{n}.jpg"],
        )
        for n, key in enumerate(IDS)
    ]
    run = write_posts(folder, records, 2)
    shutil.rmtree(run.secret)  # each is to have a secret of its own
    names = ("log_followers", "width", "category_food", "caption_length")
    metadata = encoder("metadata", 4, models="paper", features=names, dtype="float32", stand_in_for="")
    write_embeddings(run, metadata, random.normal(size=(POSTS, 4)), np.ones(POSTS, dtype=bool))
    return run


def trained(folder: Path) -> Run:
    run = made(folder)
    train_run(run, names=["mean", "followers", "history", "metadata"], seeds=5, split_names=("influencer", "random"))
    write_report(run)
    write_figures(run, run.folder.parent / "figures")
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("published") / "run")


def published(run: Run) -> list[Path]:
    """What people hand on: all that training and report wrote, figures for a paper too, and what the run pins."""
    folders = (run.models, run.report, run.folder.parent / "figures")
    return [run.folder / "run.json", *sorted(p for f in folders for p in f.rglob("*") if p.is_file())]


@dataclass(frozen=True)
class Attack:
    """Somebody with the public lists, the code, and what was published; ``keys`` are what hashes may be keyed with."""

    fingerprints: Sequence[str]
    keys: Sequence[bytes]

    @classmethod
    def on(cls, run: Run, *keys: bytes) -> Attack:
        """With whatever a card, the page or the settings of a model print as a fingerprint."""
        cards = b"".join(path.read_bytes() for path in published(run) if path.name in ("card.md", "index.html"))
        settings = json.loads((run.models / "mean" / "metrics.json").read_bytes())["settings"]
        cards = re.sub(rb"<script.*?</script>|<[^>]*>", b" ", cards, flags=re.DOTALL)  # of the page what it says alone
        printed = [found.decode() for found in re.findall(rb"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b", cards)]
        fingerprints = list(dict.fromkeys([run.fingerprint, settings["pseudonyms"], settings["posts"], *printed]))
        assert 4 <= len(fingerprints) < 12
        known = [*keys, b"postmill", b"", *(word.encode() for word in fingerprints)]
        return cls(fingerprints, [*known, *(bytes.fromhex(word) for word in fingerprints)])

    def hashes(self, name: str, kinds: Sequence[str]) -> Iterator[bytes]:
        """Every digest of ``name`` that the code makes, has made, or that one would think of."""
        plain = name.encode()
        told = [plain, *(f"{kind}{between}{name}".encode() for kind in kinds for between in ("", "\0", ":"))]
        for text in told:
            for algorithm in (hashlib.md5, hashlib.sha1, hashlib.sha256):
                yield algorithm(text).digest()
            for size in (8, 16):
                yield hashlib.blake2b(text, digest_size=size).digest()
                for key in self.keys:
                    yield hashlib.blake2b(text, digest_size=size, key=key[:64]).digest()
            for key in self.keys:
                yield hmac.digest(key, text, "sha256")
        for kind in kinds:
            yield hashing.hash64(kind, name).to_bytes(8, "big")
            for word in self.fingerprints:
                yield hashing.hash64(kind, word, name).to_bytes(8, "big")

    def tokens(self, names: Sequence[str], kinds: Sequence[str]) -> set[str]:
        """What of a thing with these names and ids may stand in a file, as text: 16 or 32 digits of digests too."""
        found = {*names, *(shortcode(int(name)) for name in names if name.isdigit())}
        for name in names:
            for digest in self.hashes(name, kinds):
                for part in (digest[:8], digest[:8][::-1], digest[:16]):
                    found |= {part.hex(), str(int.from_bytes(part, "big"))}
        return found

    def named(self, run: Run) -> tuple[int, int]:
        """How many accounts and how many posts are named by what the run publishes."""
        text = b"\n".join(content for path in published(run) for _, content in contents(path))
        words = {word.decode() for word in re.findall(rb"[A-Za-z0-9_.-]{4,}", text)}
        data = dataset.load(run, Definition())  # as anybody can, who has the posts
        joined = dict(zip(data.keys.to_pylist(), data.accounts.tolist(), strict=True))
        account_of = {key: str(joined[key]) for key in joined}
        ids = [[NAMES[n], owner(n), str(hashing.hash64("unit", NAMES[n]))] for n in range(ACCOUNTS)]
        for n in range(ACCOUNTS):  # the first posts are one of each account
            ids[n].append(account_of[IDS[n]])
        accounts = sum(bool(self.tokens(of, ("account", "unit")) & words) for of in ids)
        posts = sum(bool(self.tokens([key], ("post", "unit")) & words) for key in IDS)
        return accounts, posts


def shortcode(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 64)
        digits = SHORTCODE[digit] + digits
    return digits


def test_a_shortcode_is_the_number_of_a_post() -> None:
    assert shortcode(1_639_145_619_102_176_348) == "Ba_akGJuRRc"


def test_nothing_published_names_an_account_or_a_post(run: Run) -> None:
    assert {path.name for path in published(run)} >= {
        "predictions.parquet",
        "metrics.json",
        "card.md",
        "index.html",
        "data-card.md",
    } | {"headline.svg", "flow.csv"}
    assert Attack.on(run).named(run) == (0, 0)


def test_the_attack_names_all_of_them_with_the_secret(run: Run) -> None:
    assert Attack.on(run, secret.of_run(run).key).named(run) == (ACCOUNTS, POSTS)


def test_the_attack_names_all_of_them_by_a_key_that_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As predictions once named them: the account by a hash whose key stands in the card, the post by its own id."""
    opened: list[str] = []

    def accounts(self: hashing.Pseudonyms, of: np.ndarray) -> np.ndarray:
        distinct, inverse = np.unique(of, return_inverse=True)
        return np.array([hashing.hash64("account", opened[0], str(one)) for one in distinct], np.uint64)[inverse]

    monkeypatch.setattr(hashing.Pseudonyms, "accounts", accounts)
    monkeypatch.setattr(hashing.Pseudonyms, "posts", lambda self, keys: pa.array(keys))
    run = made(tmp_path / "run")
    opened.append(run.fingerprint)
    train_run(run, names=["mean"], seeds=5, split_names=("influencer",))
    assert Attack.on(run).named(run) == (ACCOUNTS, POSTS)


def test_the_secret_is_in_its_own_file_alone(run: Run, tmp_path: Path) -> None:
    export(run, Layout.CSV, tmp_path / "csv")
    key = secret.of_run(run).key
    forms = [key, key.hex().encode(), key.hex().upper().encode(), repr(key).encode()]
    forms += [coded(b"\0" * n + key)[-(-n * 4 // 3) : -4] for coded in (b64encode, urlsafe_b64encode) for n in range(3)]
    forms += [str(int.from_bytes(key, order)).encode() for order in ("big", "little")]  # type: ignore[arg-type]
    holding = [
        path.relative_to(folder)
        for folder in (run.folder, tmp_path / "csv")
        for path in folder.rglob("*")
        if path.is_file() and any(form in content for _, content in contents(path) for form in forms)
    ]
    assert holding == [Path("secret/names.key")]
    opened = runs.open_run(run.folder)
    assert key.hex() not in repr(opened) and "names.key" not in (run.folder / "run.json").read_text()


def test_the_order_of_the_rows_is_not_that_of_the_posts(run: Run) -> None:
    table = pq.read_table(run.models / "mean" / "predictions.parquet")
    names = dict(
        zip(hashing.Pseudonyms(secret.of_run(run)).posts(pa.array(IDS)).to_pylist(), range(POSTS), strict=True)
    )
    rows = [names[key] for key in table.filter(pc.equal(table["seed"], 0))["key"].to_pylist()]
    assert rows != sorted(rows) and abs(np.corrcoef(rows, range(len(rows)))[0, 1]) < 0.35
