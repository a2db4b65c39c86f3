"""The influencers file: category, followers, followees and number of posts of each account."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.textfile import blocks
from shards.errors import PostmillError
from shards.faults import Fault
from shards.reasons import Reason

HEADER = "Username\tCategory\t#Followers\t#Followees\t#Posts"
# Two rows of the dataset have a mistyped category; both are of fashion accounts.
TYPOS = {"fasion": "fashion", "fashion 0.5": "fashion"}
_MAX_COUNT = 2**53


@dataclass(frozen=True)
class Influencer:
    """One account: its name as in the archives, and its numbers when the list was crawled."""

    influencer: str
    category: str
    followers: int
    followees: int
    posts: int


def read_influencers(path: str) -> tuple[list[Influencer], list[Fault]]:
    """Read the influencers file ``path``; return its accounts and the faults of its other rows.

    Of several rows for one account the first counts.

    Raises:
        PostmillError: The file cannot be read or has no usable row.
    """
    found: dict[str, Influencer] = {}
    faults: list[Fault] = []
    number = 0
    for block in blocks(path):
        for raw in block.splitlines():
            number += 1
            line = raw.decode("utf-8", errors="replace").rstrip("\r\n")
            if number == 1 or not line.strip("= "):
                continue
            account = _parse(line)
            if account is None:
                faults.append(Fault(Reason.MALFORMED_INFLUENCER_ROW, line=number, detail=repr(line[:80])))
            elif account.influencer in found:
                name = account.influencer
                faults.append(Fault(Reason.DUPLICATE_INFLUENCER_ROW, influencer=name, line=number))
            else:
                found[account.influencer] = account
    if not found:
        raise PostmillError(
            "has no row of account, category, followers, followees and posts",
            place=path,
            hint=f"its first line should be {HEADER.replace(chr(9), ' <tab> ')}; name the file with --influencers",
        )
    return list(found.values()), faults


def _parse(line: str) -> Influencer | None:
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) != 5 or not fields[0] or not fields[0].isprintable() or not fields[1].isprintable():
        return None
    numbers = [int(text) for text in fields[2:] if text.isascii() and text.isdigit() and len(text) < 17]
    if len(numbers) != 3 or max(numbers) > _MAX_COUNT:
        return None
    category = fields[1].lower()
    return Influencer(fields[0], TYPOS.get(category, category), numbers[0], numbers[1], numbers[2])
