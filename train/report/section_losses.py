"""What was lost on the way, and why: the ledger of posts, what posts lack, and every fault with what would mend it."""

from __future__ import annotations

from collections.abc import Iterator

from postmill.shards.formats import faults
from postmill.shards.formats.reasons import COPY_FAULTS, Reason
from postmill.train.report.describe import DataSummary
from postmill.train.report.finding import CLAIM, NONE, WEAK, Finding
from postmill.train.report.html import Cell, Table, number_columns, text_columns

MANY_REASONS = 4
_NOT_SEEN = "not looked at"


def answer(data: DataSummary) -> Finding:
    """Return the ledger in a sentence: what was listed, what came of it, and whether that adds up."""
    lost, not_chosen = sum(data.lost.values()), data.not_chosen
    parts = [f"{data.mapped:,} posts mapped = {data.posts:,} in shards", f"{lost:,} lost"]
    if data.waiting:
        parts.append(f"{data.waiting:,} waiting for a whole copy of their part")
    if not_chosen:
        without = f" ({data.without_time:,} of them have no time of publication)" if data.without_time else ""
        parts.append(f"{not_chosen:,} not chosen{without}")
    text = " + ".join(parts) + "."
    if data.adds_up is None:
        return Finding(WEAK, f"{text} It can only add up when all post shards are done.")
    if not data.adds_up:
        return Finding(NONE, f"{text} It does not add up.")
    return Finding(CLAIM, f"{text} It adds up: no post was dropped in silence.{_why(data)}")


def _why(data: DataSummary) -> str:
    """Return why posts were lost, the commonest reasons first, and how many would come back with another plan."""
    if not data.lost:
        return ""
    reasons = [f"{count:,} {_words(reason)}" for reason, count in data.lost.items()]
    more = [f"{len(reasons) - MANY_REASONS:,} reasons more"] if len(reasons) > MANY_REASONS else []
    text = f" Lost: {', '.join([*reasons[:MANY_REASONS], *more])}."
    again = sum(data.lost.get(reason, 0) for reason in COPY_FAULTS)
    if again:
        text += f" Whole copies of their parts would bring back {again:,}."
    if kept := data.lost.get(Reason.NO_IMAGE, 0):
        text += f" Planned with --pictureless, {kept:,} would be kept."
    rest = sum(data.lost.values()) - again - kept
    return text + (f" What would mend {rest:,} stands in the table of faults." if rest else "")


def notes(data: DataSummary) -> Iterator[str]:
    """Yield what is to be said besides the ledger."""
    left_out = sum(data.left_out.values())
    if left_out:
        reasons = ", ".join(f"{count:,} {_words(reason)}" for reason, count in data.left_out.items())
        yield f"Of the posts in shards, {left_out:,} have no target and are neither trained nor tested on: {reasons}."
    if data.faults:
        yield (
            f"{sum(data.faults.values()):,} faults in all, those of posts that are used among them: a fault is of a"
            " row, a post, a picture or an entry of an archive."
        )
    elif data.unusable_images is not None or data.text_only:
        yield "Nothing was wrong with the input."
    else:
        yield (
            "Nothing was wrong with the input, as far as it was looked at: what the pictures hold is seen by encoders"
            " alone, and none has decoded all of them."
        )


def tables(data: DataSummary) -> Iterator[Table]:
    """Yield what was wrong with the input, with what would mend it, and what posts lack."""
    if data.faults:
        yield _faults(data)
    yield _lacks(data)


def _lacks(data: DataSummary) -> Table:
    asked_for = "were not asked for" if data.text_only else "could not be had"
    rows: list[list[Cell]] = [[f"pictures that the mapping lists and that {asked_for}", data.missing_images]]
    if not data.text_only:
        unusable = _NOT_SEEN if data.unusable_images is None else data.unusable_images
        rows.append(["pictures that no encoder can use", unusable])
    rows.append(["posts without any picture", data.without_image])
    rows.append(["posts without a caption", data.without_caption])
    rows += [[f"posts without a target: {_words(reason)}", count] for reason, count in data.left_out.items()]
    if data.times_out_of_range:
        rows.append(["posts with a time of publication out of range, taken as not known", data.times_out_of_range])
    caption = (
        f"Of the {data.posts:,} posts in shards. Lost posts, and pictures of theirs, are not counted here but among the"
        " faults."
    )
    return Table("lacks", "What posts in shards lack", caption, [*text_columns("What"), *number_columns("Count")], rows)


def _faults(data: DataSummary) -> Table:
    rows: list[list[Cell]] = [
        [_words(reason), count, data.lost.get(reason, 0), faults.meaning(reason), faults.remedy(reason)]
        for reason, count in data.faults.items()
    ]
    columns = [
        *text_columns("Fault"),
        *number_columns("Count", "Posts lost"),
        *text_columns("Meaning", "What would mend it"),
    ]
    caption = "What was wrong with the input, by reason. RUN stands for this run's folder."
    return Table("faults", "Faults, and what would mend them", caption, columns, rows, folded=False)


def _words(reason: str) -> str:
    return reason.replace("_", " ")
