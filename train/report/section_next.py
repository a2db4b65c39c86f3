"""What next: the commands that this run asks for, and those that take its results elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from shlex import quote

from postmill.shards.run.folder import Run
from postmill.train.evaluation import intervals
from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.results import ModelResult, ResultRow
from postmill.train.report.describe import DataSummary
from postmill.train.report.finding import NONE, WEAK, Finding
from postmill.train.report.section import Command


def commands(run: Run, data: DataSummary, models: Sequence[ModelResult], row: ResultRow | None) -> Iterator[Command]:
    """Yield what to type, in the folder that holds the run's: first what is lacking, then what can be done with it.

    Args:
        run: The run.
        data: Its data.
        models: Its models.
        row: Of the model that the headline is about; None where there is none.
    """
    word = quote(run.folder.resolve().name)
    if not data.complete:
        yield Command("Finish the post shards that are missing", f"postmill ingest {word}")
    if data.waiting:
        yield Command("Look again at posts that waited, when a part was fetched again", f"postmill mend {word}")
    if data.adds_up is False:
        yield Command("Find what is wrong with the counts", f"postmill verify {word}")
    if any(encoder.stand_in_for for result in models for encoder in result.encoders.values()):
        yield Command(
            "Encode with the study's own models in place of the stand-ins, and train on that",
            _with_the_papers_models(word),
        )
    if not models:
        yield Command("Train the ladder of models", f"postmill train {word}")
    if data.faults:
        yield Command(
            "See every fault, with the entry and the post that it is of", f"postmill faults {word} --csv > faults.csv"
        )
    if models:
        name = models[-1].name if row is None else row.model
        yield Command(
            "Predict the posts of a run, with an interval each (of this run's own they are in-sample)",
            f"postmill predict {word} {word} --model {quote(name)} --output predictions.csv",
        )
        yield Command(
            "Take every figure and the table of results into a paper", f"postmill report {word} --figures figures"
        )
    yield Command("Take posts and embeddings to other tools", f"postmill export {word} exported --to csv")
    yield Command("Check every byte that this page rests on", f"postmill verify {word}")


def answer(run: Run, data: DataSummary, models: Sequence[ModelResult], row: ResultRow | None) -> tuple[Finding, str]:
    """Return the most useful next step in a sentence, and its command; empty where it takes more than one."""
    word = quote(run.folder.resolve().name)
    if not data.complete:
        return Finding(NONE, "Finish the run: some post shards are not done."), f"postmill ingest {word}"
    if not models:
        return Finding(NONE, "Train models: there are none yet."), f"postmill train {word}"
    if row is None or row[HEADLINE].interval is None:
        few = f"with fewer than {intervals.MIN_ACCOUNTS} accounts in a test nothing can be claimed"
        return Finding(NONE, f"Get more accounts: {few}."), ""
    if any(encoder.stand_in_for for result in models for encoder in result.encoders.values()):
        text = "Encode with the study's own models, for stand-ins made these numbers. More commands are below."
        return Finding(WEAK, text), _with_the_papers_models(word)
    text = "Take figures, predictions and embeddings out of the run. More commands are below."
    return Finding(WEAK, text), f"postmill report {word} --figures figures"


def _with_the_papers_models(word: str) -> str:
    return f"postmill encode {word} && postmill train {word} --models paper"
