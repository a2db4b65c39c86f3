"""What is said of a figure beside its numbers: what is to be borne in mind of them, and how wide an interval is."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from postmill.shards.run.folder import Run
from postmill.train.evaluation import caveats
from postmill.train.evaluation.caveats import Kind
from postmill.train.evaluation.results import Estimate, ModelResult
from postmill.train.options import Split
from postmill.train.report.formatting import number, span

INTERVALS = "Lines are 95 % intervals over accounts."
SPLITS = {
    Split.INFLUENCER: "accounts not trained on",
    Split.RANDOM: "random split (optimistic)",
    Split.TIME: "later posts",
    Split.TIME_INFLUENCER: "later posts of such accounts",
}
"""The splits in a few words, as legends have them."""

DIGITS = 3
"""After the point, of the numbers in figures."""

_STAND_IN = "Stand-in: "
_WHEREVER = (Kind.INVENTED, Kind.NO_CLAIM, Kind.STAND_IN)


def captioned(*sentences: str) -> str:
    """Return the sentences that say something as one text."""
    return " ".join(sentence for sentence in sentences if sentence)


def borne_in_mind(run: Run, models: Sequence[ModelResult], kinds: Collection[Kind] = _WHEREVER) -> str:
    """Return the caveats of ``kinds`` of what ``models`` reached; of none, those of the data alone.

    Of stand-ins there is one sentence, for a caption has little room; tables name what they stand for.
    """
    said = [caveat.text for caveat in caveats.of_models(run, models) if caveat.kind in kinds]
    others = [text for text in said if not text.startswith(_STAND_IN)]
    encoded = [text.removeprefix(_STAND_IN).partition(" in place of ")[0] for text in said if text not in others]
    return captioned(*others, f"Stand-ins of smaller models: {', '.join(encoded)}." if encoded else "")


def intervals(estimates: Sequence[Estimate]) -> str:
    """Return what lines mean, where there are any."""
    return INTERVALS if any(of.interval is not None for of in estimates) else ""


def rounded(value: float | None, digits: int = DIGITS) -> float | None:
    """Return a number as figures have it; no negative zero."""
    return None if value is None else round(value, digits) + 0.0


def ends(estimate: Estimate) -> tuple[float | None, float | None]:
    """Return the ends of an interval as figures have them, None for both where there is none."""
    low, high = estimate.interval or (None, None)
    return rounded(low), rounded(high)


def in_words(estimate: Estimate, digits: int = 2) -> str:
    """Return a number with its interval, such as ``0.72 (0.63 to 0.79)``."""
    bounds = "" if estimate.interval is None else f" ({span(estimate.interval, digits)})"
    return f"{number(estimate.value, digits)}{bounds}"


def interval_words(estimate: Estimate, digits: int = DIGITS, *, percent: bool = False) -> str:
    """Return an interval, or why there is none."""
    if estimate.interval is None:
        return f"none: {estimate.note}" if estimate.note else "none"
    low, high = estimate.interval
    return f"{low:.1%} to {high:.1%}" if percent else span(estimate.interval, digits)
