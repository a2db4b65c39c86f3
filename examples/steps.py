"""The steps of `postmill run` as functions: from a dataset to a report, with two encoders and two models.

python examples/steps.py SOURCE RUN
"""

from __future__ import annotations

import sys
from pathlib import Path

from postmill import PostmillError
from postmill.encode.options import EncoderName, ModelSet
from postmill.encode.stage import encode_run
from postmill.ingest.pack.stages import ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.source.layout import discover
from postmill.train.options import Split
from postmill.train.report.page import write_report
from postmill.train.stage import train_run


def main(source: str, folder: Path) -> None:
    run, counts = make_plan(discover(source), folder)
    print(f"planned: {counts.planned_posts} of {counts.mapped_posts} posts, {counts.lost} lost")
    for stage in ingest(run):
        print(f"{stage.stage.value}: {stage.done} pieces")
    encode_run(run, encoders=[EncoderName.SENTIMENT, EncoderName.METADATA], models=ModelSet.LIGHT)
    train_run(run, names=["followers", "history"], split_names=[Split.INFLUENCER])
    print(f"report: {write_report(run).path}")


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]))
    except PostmillError as error:
        raise SystemExit(f"{error}\nnext: {error.hint}") from error
