"""What an archive gives: each entry read alone and all of them streamed, which must be the same."""

from __future__ import annotations

from typing import Any

from postmill.ingest.archive.entries import Entry
from postmill.ingest.archive.reader import Archive
from postmill.ingest.zipformat.faults import EntryFault
from postmill.shards.formats.reasons import Reason


def outcomes(archive: Archive) -> dict[str, bytes | Reason]:
    """What each entry gives, read one by one and checked against one pass in order; keys are `name#number`."""
    alone: dict[int, tuple[Entry, bytes | Reason]] = {}
    for entry in archive.entries():
        try:
            alone[entry.number] = entry, archive.read(entry)
        except EntryFault as fault:
            alone[entry.number] = entry, fault.reason
    streamed = list(archive.stream())
    assert [entry.offset for entry, _ in streamed] == sorted(entry.offset for entry, _ in streamed)
    for entry, data in streamed:
        assert alone[entry.number] == (entry, data.reason if isinstance(data, EntryFault) else data)
    nowhere = {number for number, (entry, _) in alone.items() if entry.offset >= archive.directory.start}
    assert {entry.number for entry, _ in streamed} == set(alone) - nowhere
    return {f"{entry.name}#{number}": data for number, (entry, data) in alone.items()}


def contents(source: Any, **options: Any) -> dict[str, bytes]:
    """The content of each entry of an archive without faults."""
    with Archive.open(source, strict=True, **options) as archive:
        return {name.rpartition("#")[0]: data for name, data in outcomes(archive).items() if isinstance(data, bytes)}
