"""What gives the right to read a run's addresses, kept for the user alone: never in the run, which is handed on.

A presigned address or a password is in the address that `postmill plan` was given, and ingest, in other processes and
on other nodes, needs it. It goes, as ``~/.netrc`` does, into a file of the user's home that nobody else may read; the
next address that is given replaces it. Of a file of headers (:mod:`postmill.ingest.remote.headers`) only its name does.
"""

from __future__ import annotations

import json
from pathlib import Path

from postmill.ingest.remote import headers
from postmill.shards.run import publish
from postmill.shards.run.sealed import json_bytes
from postmill.shards.run.sources import Locations
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.shards.runtime.progress import Progress, log

_HEADERS = "headers"
FOLDER = ".local/state/postmill/addresses"  # in the home, where programs keep what is neither settings nor data


def keep(fingerprint: str, locations: Locations, progress: Progress) -> None:
    """Keep ``locations``, the addresses of a run as they were given, if there is something secret in them.

    So is the name of the file of headers that is in force. Where there is no home that can be written they are not
    kept, which is said: ingest then asks for them.
    """
    path = _path(fingerprint)
    try:
        headers_file = headers.file()
        if locations == locations.plain() and headers_file is None:
            if path is not None and path.exists():
                publish.remove(path)
            return
        if path is None:
            raise PostmillError("there is no home")
        _make_private(path.parent)
        named = {} if headers_file is None else {_HEADERS: str(headers_file.absolute())}
        publish.put_bytes(path, json_bytes({**locations.stated(), **named}), private=True)
    except PostmillError as error:
        progress.note(f"what gives the right to read the sources is not kept, and ingest will ask for it: {error}")
        return
    what = "what gives the right" if headers_file is None else f"the name of {headers_file}, which gives the right"
    progress.note(f"{what} to read the sources is kept for you alone in {path}, not in the run")


def recall(fingerprint: str, seen: Locations) -> Locations:
    """Return where the sources of a run were last ``seen``, with what was kept of how they are read.

    The headers of the file whose name was kept are in force from then on; if it cannot be used any more, that is said.
    """
    path = _path(fingerprint)
    named = None
    try:
        stated = {} if path is None else json.loads(path.read_bytes())
        kept = Locations.from_json(stated)
        named = stated.get(_HEADERS)
    except (OSError, ValueError, KeyError, TypeError):
        kept = seen
    # Another run of the same sources may have been told of another place.
    there = kept.plain() == seen.plain()
    try:
        headers.use(Path(named) if isinstance(named, str) and there else None, typed=False)
    except UsageError as error:  # what is asked for may be there, or be open to all, without
        log.warning("%s; asked without these headers", error)
    return kept if there else seen


def _path(fingerprint: str) -> Path | None:
    try:
        return Path.home() / FOLDER / f"{fingerprint[:32]}.json"
    except RuntimeError:  # no HOME, and no entry of the user
        return None


def _make_private(folder: Path) -> None:
    with publish.writing(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
