"""The influencers file: category, followers, followees and number of posts of each account."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from postmill.ingest.source.columns import Columns, find_columns, split_fields
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
_RULE = re.compile(r"[\s='_-]*|#NAME\?")  # the line below the header, as it is or as a spreadsheet has it


@dataclass(frozen=True)
class Influencer:
    """One account: its name as in the archives, and its numbers when the list was crawled.

    None stands for a number out of range, and for what a profile, where there is no list, does not say.
    """

    influencer: str
    category: str | None
    followers: int | None
    followees: int | None
    posts: int | None


def read_influencers(
    path: str, text_hash: TextHash | None = None, *, salvage: bool = False
) -> tuple[list[Influencer], list[Fault]]:
    """Read the influencers file ``path``; return its accounts and the faults of its other rows.

    A first line without a number is the header, and tells the columns if it names them; another one is a row. Of
    several rows for one account the first counts. ``text_hash`` takes what pins the file. With ``salvage`` a file that
    was not copied whole is taken as it is.

    Raises:
        DamagedSource: It ends within a row, or zeros stand where rows were, and not ``salvage``.
        PostmillError: The file cannot be read or has no usable row.
    """
    accounts: dict[str, Influencer] = {}
    faults: list[Fault] = []
    columns: Columns | None = None
    headed = False  # whether the line before was the header
    first = ""  # of the rows that are no account
    for number, line, last in _lines(path, text_hash, salvage):
        if not line.strip():
            continue
        header = columns is None
        columns = columns or find_columns(line, HEADER.split("\t"), path)
        if headed:
            columns, headed = columns.below(line), False
        fields = _wanted(line, columns)
        if _RULE.fullmatch(fields[0]) and not any(fields[1:]):
            continue
        account, wrong = _account(fields)
        if header and account is None and not any(map(is_number, fields)):
            headed = True
            continue
        if account is None and last and not salvage and (accounts or not faults):
            raise torn(path, line.encode("utf-8", "surrogateescape"), number)
        if account is None:
            first = first or f"; its first row is {line[:80]!r}"
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
            f"has no row of account, category, followers, followees and posts{first}",
            place=path,
            hint=f"the dataset's own begins with {HEADER.replace(chr(9), ' <tab> ')}; name the file with --influencers",
        )
    return list(accounts.values()), faults


def category_named(text: str) -> str:
    """Return the category that is written ``text``: in lower case, and without the dataset's mistypings."""
    category = text.lower()
    return CORRECTIONS.get(category, category)


def _lines(path: str, text_hash: TextHash | None, salvage: bool) -> Iterator[tuple[int, str, bool]]:
    """Yield each line of ``path`` with its number, and whether the file ends with it and without a newline.

    Bytes that are no text are surrogates there, which no name may have.
    """
    number = 0
    for block in blocks(path, text_hash=text_hash):
        if not salvage:
            refuse_hole(path, block, number + 1)
        *lines, rest = block.split(b"\n")
        for raw in lines:
            number += 1
            yield number, raw.decode("utf-8", "surrogateescape"), False
        if rest:
            yield number + 1, rest.decode("utf-8", "surrogateescape"), True


def _wanted(line: str, columns: Columns) -> list[str]:
    """Return the fields of a row that tell of its account, or all of them where they are not as many as columns."""
    fields = [field.strip() for field in split_fields(line, columns.delimiter)]
    return [fields[position] for position in columns.positions] if len(fields) == columns.width else fields


def _account(fields: list[str]) -> tuple[Influencer | None, list[FieldFault]]:
    """Return the account of a row, None where it is none, and what is wrong with its numbers."""
    faults: list[FieldFault] = []
    if len(fields) != 2 + len(_COUNTS):
        return None, faults
    name, category, *counts = fields
    if not name or not _is_name(name) or not _is_name(category) or not all(map(is_number, counts)):
        return None, faults
    numbers = [whole_number(*count, MAX_COUNT, faults) for count in zip(_COUNTS, counts, strict=True)]
    return Influencer(name, category_named(category), *numbers), faults


def _is_name(text: str) -> bool:
    return text.isprintable() and len(text) <= MAX_NAME
