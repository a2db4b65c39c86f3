"""How commands answer to programs that ask with ``--json``: one object to standard output, and nothing else there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from postmill.console.display.answers import Caution, Failed, Failure, Faults, Finding, Number, Planned, Reached
from postmill.console.output import out
from postmill.console.streams import emit
from postmill.shards.runtime.addresses import redacted
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.printable import printable_json

if TYPE_CHECKING:
    from postmill.shards.run.folder import Run
    from postmill.shards.state.discrepancy import Discrepancy
    from postmill.train.evaluation.results import Estimate, ResultRow


def answer(value: Any) -> None:
    """Print one of the classes of :mod:`.answers` as the JSON object that a command answers with."""
    emit_json(asdict(value), indent=1)


def emit_json(value: Mapping[str, Any], indent: int | None = None) -> None:
    """Print ``value`` as JSON in UTF-8; half a character, as in a name that is not UTF-8, as JSON's escape."""
    out.answered = True
    text = printable_json(json.dumps(value, indent=indent, ensure_ascii=False))
    emit((text + "\n").encode("utf-8", "backslashreplace"))


def failed(cause: str, place: str | None, hint: str | None, code: int) -> None:
    """Answer with an error, without what is secret in an address, where nothing has been answered yet."""
    if out.answered:
        return
    where, next_step = (None if words is None else redacted(words) for words in (place, hint))
    try:
        answer(Failure(Failed(redacted(cause), where, next_step, code)))
    except (PostmillError, BrokenPipeError):  # it stands on standard error, and the exit code tells it too
        return


def planned(run: Run) -> None:
    """Answer with what the plan of ``run`` holds."""
    from postmill.shards.formats import plan
    from postmill.shards.state.room import foretold

    room = foretold(run)
    answer(Planned(str(run.folder), run.invented, plan.counts(run), room.whole, room.lean(1)))


def faults(run: Run) -> None:
    """Answer with what was wrong with the input, by reason."""
    from postmill.shards.formats.faults import count_faults

    counted = tuple(count_faults(run))
    answer(Faults(str(run.folder), sum(each.faults for each in counted), counted))


def finding(discrepancy: Discrepancy) -> Finding:
    """Return what is wrong, or not done yet, in words of its own."""
    return Finding(str(discrepancy.path), discrepancy.what, discrepancy.remedy)


def results(run: Run) -> tuple[tuple[Reached, ...], tuple[Caution, ...]]:
    """Return what the models of ``run`` reached, and what is to be borne in mind of that.

    Raises:
        PostmillError: A model's ``metrics.json`` cannot be read.
    """
    from postmill.train.evaluation import caveats
    from postmill.train.evaluation import results as evaluation
    from postmill.train.options import Split

    models = evaluation.read_results(run)
    reached = [
        cell
        for definition, of_target in evaluation.by_target(models).items()
        for split in Split
        for row in evaluation.rows_of(of_target, split)
        for cell in _cells(row, definition.formula)
    ]
    said = [Caution(caveat.kind, caveat.text) for caveat in caveats.of_models(run, models)]
    return tuple(reached), tuple(said)


def _cells(row: ResultRow, target: str) -> Iterator[Reached]:
    for metric, estimate in row.estimates.items():
        yield Reached(
            model=row.model,
            target=target,
            split=row.split,
            metric=metric,
            known=_number(estimate),
            first_post=_number(row.first_post[metric]) if metric in row.first_post else None,
            shuffled=estimate.shuffled,
            mean=estimate.mean,
            std=estimate.std,
            seeds=row.seeds,
            test_posts=row.test_posts,
            test_accounts=row.test_accounts,
            sees_comments=row.leaks,
        )


def _number(estimate: Estimate) -> Number:
    interval = None if estimate.interval is None else (estimate.interval.low, estimate.interval.high)
    return Number(estimate.value, interval, estimate.note)
