"""The report of a run: one page that loads nothing, names no one, and says what its numbers can and cannot show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path

from shards import publish, temporary
from shards.progress import Progress, Silent
from shards.run import Run
from train import describe, findings, page, report_data, report_models, report_results, report_steps, results
from train.describe import DataSummary
from train.page import Markup
from train.results import ModelResult

UNIT, FILE = "index", "index.html"


@dataclass(frozen=True)
class Report:
    """Where the report lies, and whether this call changed it."""

    path: Path
    written: bool


def write_report(run: Run, progress: Progress | None = None) -> Report:
    """Write ``report/index.html`` from the run's records, faults, and finished models, unless it says so already.

    Raises:
        UsageError: There is no finished plan.
        PostmillError: A shard or a model cannot be read, or the disk is full.
    """
    progress = progress or Silent()
    if run.report.is_dir():
        temporary.sweep(run.report)
    with progress.track("report", 1, "page") as advance:
        found = results.read_results(run)
        weights = {float(result.metrics["settings"]["comment_weight"]) for result in found}
        data = describe.describe(run, min(weights, default=1.0))
        html = render(run, data, found)
        with publish.unit(run.report, UNIT, run.fingerprint) as unit:
            unit.file(FILE).write(html.encode())
            unit.counts.update(models=len(found), posts=data.posts)
        advance(1)
    return Report(run.report / FILE, unit.published)


def render(run: Run, data: DataSummary, found: Sequence[ModelResult]) -> str:
    """Return the page as HTML."""
    rows = [row for split in report_results.TITLES for row in results.rows_of(found, split)]
    comparison = results.compare_fusion(run, found, "influencer")
    leaking = [result for result in found if result.metrics["leak"]]
    gained = results.gains(run, found)
    told = findings.findings(rows, comparison, leaking, gained)
    main = [_findings(told, findings.limits(data, rows, found))]
    if rows:
        main += [report_results.section(rows, found), report_steps.section(gained, found)]
        main.append(report_results.figures(run, found))
    main.append(report_data.section(data))
    if found:
        main.append(report_models.section(found))
    main.append(report_models.method(found))
    return page.page(f"postmill report {run.fingerprint[:12]}", _header(run, data, found), main, _footer(run, found))


def _header(run: Run, data: DataSummary, found: Sequence[ModelResult]) -> str:
    dates = "" if data.first is None or data.last is None else f", posts of {_day(data.first)} to {_day(data.last)}"
    shards = f"{data.shards:,}" if data.complete else f"{data.shards:,} of {data.planned_shards:,}"
    counts = {"posts": data.posts, "accounts": data.accounts, "pictures": data.images}
    return (
        "<h1>How well can engagement be predicted?</h1>"
        + page.paragraph(f"postmill {version('postmill')}, run {run.fingerprint[:12]}{dates}", "sub")
        + page.facts([*counts.items(), ("post shards", shards), ("models", len(found))])
        + _notices(data, found)
    )


def _notices(data: DataSummary, found: Sequence[ModelResult]) -> str:
    """Return what a reader must not miss: stand-ins, unfinished work, counts and models that do not fit."""
    said = [
        f"Stand-in: {modality} was encoded by {encoder['model']} in place of {encoder['stand_in_for']}."
        for modality, encoder in report_models.encoders(found)
        if encoder["stand_in_for"]
    ]
    if not data.complete:
        said.append(f"Unfinished: {data.shards:,} of {data.planned_shards:,} post shards are done.")
    if data.adds_up is False:
        said.append("The counts of posts do not add up: run postmill verify before trusting this page.")
    if len({(r.metrics["settings"]["posts"], r.metrics["settings"]["comment_weight"]) for r in found}) > 1:
        said.append(
            "These models were not all trained on the same posts and target: train again before comparing them."
        )
    lines = map(page.paragraph, dict.fromkeys(said))
    return f'<div class="notice" role="note">{"".join(lines)}</div>' if said else ""


def _findings(told: Sequence[findings.Finding], limits: Sequence[str]) -> str:
    points = "".join(f'<li class="{finding.strength}">{escape(finding.text)}</li>' for finding in told)
    return page.section(
        "findings",
        "What this run shows",
        f'<ul class="findings">{points}</ul>',
        "<h3>What it cannot show</h3>",
        page.listing(limits),
    )


def _footer(run: Run, found: Sequence[ModelResult]) -> str:
    settings = {result.name: result.metrics["settings_fingerprint"][:16] for result in found}
    listed = page.listing(Markup(f"{escape(name)} <code>{escape(held)}</code>") for name, held in settings.items())
    return (
        f"<p>postmill {escape(version('postmill'))}. Run <code>{escape(run.fingerprint)}</code>. The numbers are in"
        " <code>models/*/metrics.json</code>, the predictions in <code>models/*/predictions.parquet</code>.</p>"
        + (page.details("Fingerprints of the models' settings", listed) if found else "")
    )


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
