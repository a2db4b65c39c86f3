"""What is chosen of a dataset: accounts, categories, a span of time, a sample. It belongs to the plan and is pinned."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, date, datetime
from typing import Any

from postmill.shards.runtime.errors import UsageError

EVERYTHING = "--everything"
_DIGITS = 12  # of a hash in messages


@dataclass(frozen=True)
class Accounts:
    """What pins a list of accounts: the SHA-256 (hexadecimal) of their names, sorted, a line each, and their number."""

    sha256: str
    count: int

    @classmethod
    def of(cls, names: Iterable[str]) -> Accounts:
        """Return what pins ``names``; neither order nor repetition counts."""
        distinct = sorted(set(names))
        lines = "".join(f"{name}\n" for name in distinct)
        return cls(hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest(), len(distinct))


@dataclass(frozen=True)
class Chosen:
    """What a run takes of its dataset: the posts for which all of it holds; everything by default.

    Attributes:
        accounts: Posts of a list of accounts, which the plan keeps in a table.
        categories: Posts of accounts of these categories of the influencers file, sorted; empty: of any.
        after: Posts published on this day, UTC, or later.
        before: Posts published before this day, UTC.
        sample: How many posts, drawn at random of those that are chosen otherwise and can be had.
        seed: Of the sample; 0 where there is none.
    """

    accounts: Accounts | None = None
    categories: tuple[str, ...] = ()
    after: date | None = None
    before: date | None = None
    sample: int | None = None
    seed: int = 0

    @property
    def by_account(self) -> bool:
        """Whether the account of a post decides."""
        return self.accounts is not None or bool(self.categories)

    @property
    def by_time(self) -> bool:
        """Whether the time of a post decides, which only its metadata tell."""
        return self.after is not None or self.before is not None

    def takes(self, taken_at: int | None) -> bool:
        """Say whether a post of this time, in seconds since 1970 UTC, is chosen, as far as times decide.

        One without a time is in no span of time.
        """
        if not self.by_time:
            return True
        return (
            taken_at is not None
            and (self.after is None or taken_at >= _seconds(self.after))
            and (self.before is None or taken_at < _seconds(self.before))
        )

    def words(self, file: str = "FILE") -> str:
        """Return the selection as it is typed, with ``file``, a word of a shell, for that of the accounts."""
        return self._words(f"--accounts {file}")

    def __str__(self) -> str:
        """Return the selection as it is told, with what tells one list of accounts from another."""
        accounts = self.accounts
        named = "" if accounts is None else f"--accounts FILE of {accounts.count:,}, {accounts.sha256[:_DIGITS]}"
        return self._words(named)

    def _words(self, accounts: str) -> str:
        words = [accounts] if self.accounts is not None else []
        words += [f"--category {shlex.quote(category)}" for category in self.categories]
        words += [f"--{name} {day}" for name, day in (("after", self.after), ("before", self.before)) if day]
        if self.sample is not None:
            words.append(f"--sample {self.sample} --seed {self.seed}")
        return " ".join(words) or EVERYTHING

    def to_json(self) -> dict[str, Any]:
        """Return the selection as ``run.json`` has it: what does not decide is left out."""
        stated: dict[str, Any] = {}
        if self.accounts is not None:
            stated["accounts"] = asdict(self.accounts)
        if self.categories:
            stated["categories"] = list(self.categories)
        for name, day in (("after", self.after), ("before", self.before)):
            if day is not None:
                stated[name] = day.isoformat()
        if self.sample is not None:
            stated |= {"sample": self.sample, "seed": self.seed}
        return stated

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Chosen:
        """Return the selection that ``run.json`` states.

        Raises:
            KeyError, TypeError, ValueError: It states none, or one that is not known.
        """
        accounts = value.get("accounts")
        after, before = (date.fromisoformat(value[name]) if name in value else None for name in ("after", "before"))
        chosen = cls(
            accounts=None if accounts is None else Accounts(str(accounts["sha256"]), int(accounts["count"])),
            categories=tuple(map(str, value.get("categories", ()))),
            after=after,
            before=before,
            sample=int(value["sample"]) if "sample" in value else None,
            seed=int(value.get("seed", 0)),
        )
        if chosen == ALL or chosen.to_json() != value:
            raise ValueError("a selection that is none")
        return chosen


ALL = Chosen()
"""Everything."""


@dataclass(frozen=True)
class TypedChosen:
    """A selection as it was typed: None for each part of it that was not. The other fields are those of Chosen.

    Attributes:
        everything: Whether what the run had is let go of.
    """

    everything: bool = False
    accounts: Accounts | None = None
    categories: tuple[str, ...] | None = None
    after: date | None = None
    before: date | None = None
    sample: int | None = None
    seed: int | None = None

    def over(self, known: Chosen) -> Chosen:
        """Return ``known``, what a run has, with what was typed in its place.

        Raises:
            UsageError: A seed was typed, and there is no sample; or there is no day in the span of time.
        """
        typed = {each.name: getattr(self, each.name) for each in fields(Chosen)}
        base = ALL if self.everything else known
        made = replace(base, **{name: value for name, value in typed.items() if value is not None})
        if self.seed is not None and made.sample is None:
            raise UsageError("needs a sample", place="--seed", hint="say of how many posts: --sample 10000")
        if made.after is not None and made.before is not None and made.after >= made.before:
            raise UsageError(
                f"no day is on or after {made.after} and before {made.before}",
                place="--after and --before",
                hint="name a later day with --before, or an earlier one with --after",
            )
        return made


def _seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
