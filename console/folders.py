"""What `postmill inspect` says of a folder: what it holds, what of it is not right, and what to type next."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.table import Table

from postmill.console.display.answering import emit_json
from postmill.console.output import out
from postmill.shards.runtime.addresses import is_url, plain
from postmill.shards.runtime.errors import EXIT_FAULTS

if TYPE_CHECKING:
    from postmill.ingest.survey.archives import FoundArchive
    from postmill.ingest.survey.folder import FoundFiles, Survey
    from postmill.ingest.survey.texts import FoundText

_NAMED = 6  # parts in a line


def is_looked_into(source: str) -> bool:
    """Say whether ``source`` is a folder of more than one archive, or may be one behind an address."""
    if is_url(source):
        return "." not in plain(source).partition("://")[2].partition("/")[2].rpartition("/")[2]  # a file has an ending
    if not Path(source).is_dir():
        return False
    from postmill.ingest.survey.folder import is_one_archive

    return not is_one_archive(Path(source))


def inspect_folder(source: str, as_json: bool) -> None:
    """Show what a folder holds, and the command that fits it; exit with 3 where something of it is not right."""
    from postmill.ingest.survey.address import survey_address
    from postmill.ingest.survey.folder import survey

    found = survey_address(source) if is_url(source) else survey(Path(source))
    if as_json:
        emit_json(asdict(found), indent=1)
    else:
        _show(found, plain(source))
    if any(not archive.whole for archive in found.archives) or any(text.doubt for text in found.texts):
        raise typer.Exit(EXIT_FAULTS)


def _show(found: Survey, source: str) -> None:
    table = Table(box=None, show_header=False, title=escape(source), title_justify="left")
    for archive in found.archives:
        _add_archive(table, archive)
    for files in found.files:
        table.add_row(files.source, escape(f"{_count(files)} in {files.place}"))
    for text in found.texts:
        table.add_row(text.source, escape(f"{plain(text.place)}: {_rows(text)}{text.form}{_bytes(text.bytes)}"))
        if text.doubt is not None:
            table.add_row("[red]not right", escape(text.doubt))
    for run in found.runs:
        table.add_row("run", escape(run))
    if table.rows:
        out.print(table)
    for note in found.notes:
        out.print(escape(note), soft_wrap=True, highlight=False)
    if found.command is not None:
        out.print(f"next: {escape(found.command)}", soft_wrap=True, highlight=False)


def _add_archive(table: Table, archive: FoundArchive) -> None:
    names, folder = archive.names, plain(archive.place).removesuffix(archive.names[-1]).rstrip("/") or "."
    parts = names[0] if len(names) == 1 else f"{len(names):,} parts, {names[0]} to {names[-1]}"
    table.add_row(archive.source, escape(f"{parts} in {folder}{_bytes(archive.bytes)}"))
    if archive.within:
        table.add_row("", escape(f"within it: {_listed(archive.within)}"))
    if archive.missing:
        table.add_row("[red]missing", escape(f"{len(archive.missing):,}: {_listed(archive.missing)}"))
    for doubt in (*archive.doubts, *(() if archive.first is None else (archive.first,))):
        table.add_row("[red]not right", escape(doubt))


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _count(files: FoundFiles) -> str:
    return f"{files.files:,} of the first files" if files.more else f"{files.files:,} files"


def _bytes(size: int) -> str:
    """Say how large something is; nothing where a server does not say."""
    return f", {size:,} bytes" if size else ""


def _rows(text: FoundText) -> str:
    return "" if not text.rows else f"{'more than ' if text.more else ''}{text.rows:,} rows, "
