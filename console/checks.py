"""What commands show of a run or an archive without changing it."""

from __future__ import annotations

import signal
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from postmill.console import folders
from postmill.console.display import answering
from postmill.console.display.answering import emit_json
from postmill.console.display.answers import Finding, Verified
from postmill.console.output import err, out, progress
from postmill.console.streams import emit, flush
from postmill.console.waiting import say_what_is_awaited, say_what_is_dropped
from postmill.shards.run.manifests import SCHEMA_VERSION
from postmill.shards.runtime import interrupt
from postmill.shards.runtime.errors import EXIT_FAULTS, Interrupted, PostmillError
from postmill.shards.runtime.printable import printable

if TYPE_CHECKING:
    from postmill.ingest.archive.inspect import Description
    from postmill.shards.run.folder import Run

_WATCH_S = 5.0


def status(run: Run) -> None:
    """Show how far the run is, and its jobs where there is a scheduler within reach."""
    from postmill.jobs import show, submit
    from postmill.shards.state import status as statuses

    read = statuses.read(run)
    out.print(show.status_view(str(run.folder), read, submit.reachable(run), _columns()), soft_wrap=not out.is_terminal)
    if run.format_version == SCHEMA_VERSION:
        say_what_is_awaited(run)
        say_what_is_dropped(run, read.dropped)


def watch_status(run: Run, interval: float = _WATCH_S) -> None:
    """Show it anew every five seconds until Ctrl-C; where that is no terminal, whenever something is another.

    Args:
        run: The run.
        interval: Seconds between two looks.
    """
    from postmill.jobs import show, submit
    from postmill.shards.state import status as statuses

    shown = None
    try:
        with Live(console=out, auto_refresh=False) if out.is_terminal else nullcontext() as live:
            while True:
                read, jobs = statuses.read(run), submit.reachable(run)
                if live is not None:
                    view = show.status_view(str(run.folder), read, jobs, out.width, out.height - 1)
                    live.update(view, refresh=True)
                elif (now := show.state_of(read, jobs)) != shown:
                    shown = now
                    name = f"{run.folder}, {time.strftime('%H:%M:%S')}"
                    out.print(show.status_view(name, read, jobs), soft_wrap=True)
                    flush()
                time.sleep(interval)
    except Interrupted:
        if not interrupt.answer(signal.SIGINT):
            raise


def _columns() -> int | None:
    """Return the columns of the terminal, None where it is none: what reads a pipe wants all."""
    return out.width if out.is_terminal else None


def status_json(run: Run) -> None:
    """Print how far the run is as one JSON object."""
    from postmill.jobs import show, submit
    from postmill.shards.state import status as statuses

    shown = show.as_json(statuses.read(run), submit.reachable(run))
    emit_json(shown, indent=1)


def verify(run: Run, complete: bool = False, as_json: bool = False) -> None:
    """Show what is wrong with the run, and what mends it; and, in a line for each command, what is not done yet.

    Args:
        run: The run.
        complete: Whether what is not done yet is wrong.
        as_json: Whether a program asks.

    Raises:
        PostmillError: Something is wrong.
    """
    from postmill.shards.state import status as statuses
    from postmill.shards.state.verify import verify as verify_run

    wrong: list[Finding] = []
    undone: list[Finding] = []
    with progress() as shown:
        for discrepancy in verify_run(run, shown):
            found = answering.finding(discrepancy)
            if discrepancy.unfinished and not complete:
                undone.append(found)
                continue
            wrong.append(found)
            err.print(escape(str(discrepancy)), style="red", highlight=False)
            err.print("  mend: " + escape(found.mend), highlight=False)
    _say_what_is_undone(undone)
    judged = run.format_version == SCHEMA_VERSION
    if as_json:
        answering.answer(Verified(str(run.folder), not wrong, tuple(wrong), tuple(undone), judged))
    if wrong:
        raise PostmillError(
            f"{len(wrong):,} things are wrong",
            place=run.folder,
            hint="do what stands under each: what is deleted is made anew, with the same bytes",
        )
    name = escape(str(run.folder))
    if not judged:
        out.print(
            f"{name}: every byte is what its manifest states, and the counts add up; whether its rows are those of the "
            f"plan cannot be judged, for it is of format {run.format_version}"
        )
        return
    say_what_is_dropped(run, statuses.read(run).dropped)
    of = "of what is done " if undone else ""
    out.note(f"{name}: every byte, file and row {of}is as it should be, and the counts add up")


def _say_what_is_undone(undone: list[Finding]) -> None:
    """Say the first of what each command would do."""
    for command in dict.fromkeys(found.mend for found in undone):
        first, *others = (found for found in undone if found.mend == command)
        more = f", and {len(others):,} more" if others else ""
        line = f"not done yet: {escape(f'{first.place}: {first.cause}')}{more}; to go on: {escape(command)}"
        out.print(line, highlight=False)


def faults(run: Run) -> None:
    """Show what was wrong with the input, by reason."""
    from postmill.shards.formats.faults import count_faults

    table = Table("reason", title=f"Faults of {escape(str(run.folder))}", title_justify="left")
    for heading in ("faults", "posts lost"):
        table.add_column(heading, justify="right")
    table.add_column("meaning")
    for row in count_faults(run):
        table.add_row(row.reason, f"{row.faults:,}", f"{row.lost:,}", row.meaning)
    out.print(table if table.rows else "no faults")


def faults_csv(run: Run) -> None:
    """Print every fault as CSV, as bytes: the same in every locale, and to a file what stands in the tables.

    To a terminal nothing goes that controls it.
    """
    from postmill.shards.formats.faults import faults_csv as csv_of

    shown = out.is_terminal
    for piece in csv_of(run):
        emit(printable(piece.decode().replace("\r\n", "\n")).encode() if shown else piece)


def inspect(
    source: list[str], as_json: bool, digest: bool, strict: bool, salvage: bool, headers: Path | None = None
) -> None:
    """Show what a zip is, what each of its entries holds, or what a folder is of; exit with 3 if there are faults."""
    from postmill.ingest.archive.inspect import describe, digests
    from postmill.ingest.archive.reader import Archive
    from postmill.ingest.remote.headers import use

    use(headers)
    if len(source) == 1 and not (digest or strict or salvage) and folders.is_looked_into(source[0]):
        folders.inspect_folder(source[0], as_json)
        return
    parts = source if len(source) > 1 else source[0]
    with progress() as shown, Archive.open(parts, strict=strict, salvage=salvage) as archive:
        if digest:
            faulty = 0
            for line in digests(archive, shown):
                faulty += "fault" in line
                emit_json(line)
        else:
            description = describe(archive, shown)
            faulty = sum(description.faults.values())
            if as_json:
                emit_json(asdict(description), indent=1)
            else:
                out.print(archive_view(description))
    if faulty:
        raise typer.Exit(EXIT_FAULTS)


def archive_view(archive: Description) -> Table:
    """Return what an archive is: kind, parts, files, methods, faults, warnings."""
    from postmill.ingest.archive.inspect import KINDS
    from postmill.shards.formats.faults import meaning

    table = Table(box=None, show_header=False)
    sizes = [size for _, size in archive.parts]
    first, last = (escape(archive.parts[index][0]) for index in (0, -1))
    table.add_row("kind", KINDS[archive.kind] + (", ZIP64" if archive.zip64 else ""))
    table.add_row("parts", f"{len(sizes):,}: {first}" + (f" to {last}" if len(sizes) > 1 else ""))
    table.add_row("part sizes", f"{min(sizes):,} to {max(sizes):,} bytes, {sum(sizes):,} in all")
    table.add_row("files", f"{archive.files:,}, and {archive.folders:,} folders")
    table.add_row("plain size", f"{archive.size:,} bytes from {archive.compressed_size:,}")
    table.add_row("methods", ", ".join(f"{name} {count:,}" for name, count in archive.methods.items()) or "none")
    for reason, count in archive.faults.items():
        table.add_row("[red]fault", f"{reason} {count:,}: {meaning(reason)}")
    for warning in archive.warnings:
        table.add_row("[yellow]warning", escape(warning))
    return table
