"""The accounts whose posts a plan takes: those of a list, of which the plan keeps a table, and those of categories.

A list is as people keep them, a name a line, or the table of one that a plan has kept.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from postmill.ingest.source.influencers import Influencer
from postmill.ingest.source.textfile import blocks
from postmill.shards.formats import plan
from postmill.shards.formats.bounds import MAX_NAME
from postmill.shards.run import manifests, parquet
from postmill.shards.run.chosen import Accounts, Chosen
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError, UsageError, unknown
from postmill.shards.runtime.progress import Progress

_PARQUET = b"PAR1"
_NAMED = 10  # in a message, at most


def read_accounts(path: str) -> list[str]:
    """Return the accounts of ``path``, each once, in their order.

    Blank lines count for nothing, nor does what follows a ``#``, a byte order mark, or the ``@`` before a name. The
    accounts.parquet of a plan is read too.

    Raises:
        UsageError: A line is no name, or the file has none.
        PostmillError: The file cannot be read.
    """
    content = b"".join(blocks(path))
    if content.startswith(_PARQUET):
        return _of_plan(path, content)
    names = []
    for number, raw in enumerate(content.removeprefix(BOM_UTF8).splitlines(), 1):
        text = raw.partition(b"#")[0].decode("utf-8", errors="replace").strip()
        name = text.removeprefix("@")
        if text and (not name or not name.isprintable() or len(name) > MAX_NAME or len(name.split()) > 1):
            raise UsageError(
                f"line {number} is no name of an account: {text[:80]!r}",
                place=path,
                hint="write one account a line, as the mapping has it, and nothing else but # comments",
            )
        if name:
            names.append(name)
    if not names:
        raise UsageError("names no account", place=path, hint="write one account a line, as the mapping has it")
    return list(dict.fromkeys(names))


def listed_in_plan(run: Run) -> list[str]:
    """Return the list of accounts that the plan of ``run`` keeps, so that it can be made anew without the file.

    Raises:
        UsageError: There is no plan any more, or it has another list than ``run.json`` says.
        PostmillError: The table is damaged.
    """
    kept: list[str] = []
    if manifests.done(run.plan, plan.NAME, run.fingerprint) is not None:
        kept = plan.accounts(run)["influencer"].to_pylist()
    if Accounts.of(kept) != run.options.chosen.accounts:
        raise UsageError(
            "was planned with a list of accounts, which stood in its plan alone, and is not there any more",
            place=run.folder,
            hint=f"give it again: postmill plan {run.word} --accounts FILE",
        )
    return kept


def chosen_accounts(chosen: Chosen, listed: Sequence[str] | None, accounts: Iterable[Influencer]) -> set[str]:
    """Return the accounts whose posts are taken, of a selection that is by account.

    Args:
        chosen: What is asked for.
        listed: The list of accounts, if there is one.
        accounts: Those of the influencers file.

    Raises:
        UsageError: No account is of one of the categories.
    """
    if not chosen.categories:
        return set(listed or ())
    of_category: dict[str, set[str]] = {}
    for account in accounts:
        if account.category is not None:
            of_category.setdefault(account.category, set()).add(account.influencer)
    for category in chosen.categories:
        if category not in of_category:
            raise unknown(category, sorted(of_category), place="--category", what="the categories of influencers.txt")
    names = set().union(*(of_category[category] for category in chosen.categories))
    return names if listed is None else names.intersection(listed)


def say_which_are_unmapped(posts: Mapping[str, int], progress: Progress) -> None:
    """Note which accounts of the list have no row in the mapping.

    Args:
        posts: Of each account how many posts are mapped.
        progress: Told of it.
    """
    unmapped = [name for name, count in posts.items() if not count]
    if unmapped:
        more = f" and {len(unmapped) - _NAMED:,} more" if len(unmapped) > _NAMED else ""
        progress.note(
            f"--accounts: {len(unmapped):,} of {len(posts):,} accounts have no post in the mapping: "
            f"{', '.join(unmapped[:_NAMED])}{more}"
        )


def _of_plan(path: str, content: bytes) -> list[str]:
    try:
        return list(parquet.parsed(content, [plan.ACCOUNTS.names[0]])[0].to_pylist())
    except pa.ArrowException as error:
        raise PostmillError(
            f"is no table of accounts: {error}", place=path, hint="give a text file, one account a line"
        ) from error
