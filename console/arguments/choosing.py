"""The options with which a part of a dataset is chosen, and how they are read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Annotated

import typer

from postmill.console.arguments.options import listed
from postmill.shards.run.chosen import EVERYTHING, Accounts, TypedChosen
from postmill.shards.runtime.errors import UsageError

EverythingOption = Annotated[
    bool, typer.Option(EVERYTHING, help="All posts again, where the run was planned with a part of them.")
]
AccountsOption = Annotated[
    str | None, typer.Option("--accounts", metavar="FILE", help="Only posts of these accounts, a name a line.")
]
CategoryOption = Annotated[
    list[str] | None,
    typer.Option("--category", metavar="NAME", help="Only posts of accounts of this category. Repeatable."),
]
AfterOption = Annotated[
    str | None, typer.Option("--after", metavar="DATE", help="Only posts of this day (UTC) or later: 2018-01-31.")
]
BeforeOption = Annotated[
    str | None, typer.Option("--before", metavar="DATE", help="Only posts of earlier days (UTC) than 2018-02-01.")
]
SampleOption = Annotated[
    int | None, typer.Option("--sample", min=1, metavar="N", help="Only N of the posts that are chosen otherwise.")
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="Of the sample: the same seed draws the same posts. Default: 0.")
]


def chosen_with(
    everything: bool,
    category: Iterable[str] | None,
    after: str | None,
    before: str | None,
    sample: int | None,
    seed: int | None,
) -> TypedChosen:
    """Read the options that choose posts, but for the file of accounts.

    Raises:
        UsageError: What should be a day is none.
    """
    days = _day(after, "--after"), _day(before, "--before")
    return TypedChosen(everything, None, listed(category) or None, *days, sample, seed)


def looked_up(typed: TypedChosen, accounts: str | None) -> tuple[TypedChosen, list[str] | None]:
    """Return what was typed with the hash of the accounts, and categories without mistypings; and the accounts.

    Args:
        typed: As it was typed.
        accounts: The file of ``--accounts``, if it was typed.

    Raises:
        UsageError: The file is no list of accounts.
        PostmillError: It cannot be read.
    """
    from postmill.ingest.plan.accounts import read_accounts
    from postmill.ingest.source.influencers import category_named

    names = None if accounts is None else read_accounts(accounts)
    if names is not None:
        typed = replace(typed, accounts=Accounts.of(names))
    if typed.categories is not None:
        typed = replace(typed, categories=tuple(sorted({*map(category_named, typed.categories)})))
    return typed, names


def _day(text: str | None, option: str) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no day", place=option, hint=f"write year-month-day: {option} 2018-01-31"
        ) from None
