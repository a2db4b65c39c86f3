"""The influencers file: category, followers, followees and number of posts of each account."""

from __future__ import annotations

from dataclasses import dataclass

from postmill.ingest.source.field_checks import FieldFault, is_number, whole_number
from postmill.ingest.source.textfile import TextHash, blocks
from postmill.ingest.source.wholeness import refuse_hole, torn
from postmill.shards.formats.bounds import MAX_COUNT, MAX_NAME
from postmill.shards.formats.faults import Fault
from postmill.shards.formats.reasons import Reason
from postmill.shards.runtime.errors import PostmillError

HEADER = "Username\tCategory\t#Followers\t#Followees\t#Posts"
# Two rows of the dataset have a mistyped category; both are of fashion accounts.
CORRECTIONS = {"fasion": "fashion", "fashion 0.5": "fashion"}
_COUNTS = ("followers", "followees", "posts")


@dataclass(frozen=True)
class Influencer:
    """One account: its name as in the archives, and its numbers when the list was crawled, None where out of range."""

    influencer: str
    category: str
    followers: int | None
    followees: int | None
    posts: int | None


def read_influencers(
    path: str, text_hash: TextHash | None = None, *, salvage: bool = False
) -> tuple[list[Influencer], list[Fault]]:
    """Read the influencers file ``path``; return its accounts and the faults of its other rows.

    Of several rows for one account the first counts. ``text_hash`` takes what pins the file. With ``salvage`` a file
    that was not copied whole is taken as it is.

    Raises:
        DamagedSource: It ends within a row, or zeros stand where rows were, and not ``salvage``.
        PostmillError: The file cannot be read or has no usable row.
    """
    accounts: dict[str, Influencer] = {}
    faults: list[Fault] = []
    number = 0
    for block in blocks(path, text_hash=text_hash):
        if not salvage:
            refuse_hole(path, block, number + 1)
        for raw in block.splitlines():
            number += 1
            line = raw.decode("utf-8", errors="replace").rstrip("\r\n")
            if number == 1 or not line.strip("= "):
                continue
            account, wrong = _parse_row(line)
            if account is None and not salvage and raw and block.endswith(raw):
                raise torn(path, block, number)
            if account is None:
                faults.append(Fault(Reason.MALFORMED_INFLUENCER_ROW, line=number, detail=repr(line[:80])))
            elif account.influencer in accounts:
                name = account.influencer
                faults.append(Fault(Reason.DUPLICATE_INFLUENCER_ROW, influencer=name, line=number))
            else:
                accounts[account.influencer] = account
                for fault in wrong:
                    faults.append(Fault(fault.reason, influencer=account.influencer, line=number, detail=fault.detail))
    if not accounts:
        raise PostmillError(
            "has no row of account, category, followers, followees and posts",
            place=path,
            hint=f"its first line should be {HEADER.replace(chr(9), ' <tab> ')}; name the file with --influencers",
        )
    return list(accounts.values()), faults


def category_named(text: str) -> str:
    """Return the category that is written ``text``: in lower case, and without the dataset's mistypings."""
    category = text.lower()
    return CORRECTIONS.get(category, category)


def _parse_row(line: str) -> tuple[Influencer | None, list[FieldFault]]:
    """Return the account of a row, None where it is none, and what is wrong with its numbers."""
    fields = [field.strip() for field in line.split("\t")]
    faults: list[FieldFault] = []
    if len(fields) != 5 or not fields[0] or not all(map(_is_name, fields[:2])) or not all(map(is_number, fields[2:])):
        return None, faults
    numbers = [whole_number(*count, MAX_COUNT, faults) for count in zip(_COUNTS, fields[2:], strict=True)]
    return Influencer(fields[0], category_named(fields[1]), *numbers), faults


def _is_name(text: str) -> bool:
    return text.isprintable() and len(text) <= MAX_NAME
