"""The accounts whose posts a plan takes: those of a list, of which the plan keeps a table, and those of categories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from postmill.ingest.source.influencers import Influencer
from postmill.shards.formats import plan
from postmill.shards.run import manifests
from postmill.shards.run.chosen import Accounts, Chosen
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import UsageError, unknown
from postmill.shards.runtime.progress import Progress

_NAMED = 10  # in a message, at most


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
