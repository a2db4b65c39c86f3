"""The neighbours of a part behind an address, probed for by name, because not every server lists a folder."""

from __future__ import annotations

from collections.abc import Sequence

from postmill.ingest.remote import files as remote_files
from postmill.ingest.remote.files import Forbidden
from postmill.ingest.zipformat.part_names import LAST, MOST_PARTS, file_name, parse_name
from postmill.shards.runtime.addresses import split
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.progress import log

_MANY = 1_000  # parts: behind a URL, so many may be those of a server that has a page for every name


def with_neighbours(url: str, patience: int) -> list[tuple[str, int]]:
    """Return the parts, address and size in bytes, of the archive of which ``url`` names one.

    Gives up after ``patience`` names in a row that are not there.

    Raises:
        UsageError: Nothing is there, or the server answers for whatever name.
        RequestError: It cannot be asked for.
    """
    name = parse_name(url)
    if name is None:
        size = remote_files.size(url)
        if size is None:
            raise _nothing(url, "check the list of parts")
        return [(url, size)]
    example, last = name, None
    if name.scheme.last:
        upper = file_name(url)[len(name.stem) :].isupper()
        suffix = name.scheme.last.upper() if upper else name.scheme.last
        last = name.folder + name.stem + suffix + split(url)[1]
        if name.number == LAST:
            example = name.first(upper=upper)
    sizes = {url: remote_files.size(url)}  # first, so that an error of the server names this address
    forbidden: list[Forbidden] = []
    known = name.number if name.number != LAST else 0
    absent = 0
    for number in range(MOST_PARTS):
        neighbour = example.spelled(number)
        if neighbour not in sizes:
            sizes[neighbour] = size_if_allowed(neighbour, forbidden)
        absent = absent + 1 if sizes[neighbour] is None else 0
        if number == _MANY and remote_files.size(example.spelled(MOST_PARTS - 1)) is not None:
            raise UsageError(
                "the server answers that there is a file of whatever name", place=url, hint="download the parts first"
            )
        if absent >= patience and number > known:
            break
    if last is not None and last not in sizes:
        sizes[last] = size_if_allowed(last, forbidden)
    say_forbidden(forbidden)
    files = [(path, size) for path, size in sizes.items() if size is not None]
    if not files:
        raise _nothing(url, "check the address, and that you may read it; name any part of the archive")
    return files


def size_if_allowed(url: str, forbidden: list[Forbidden]) -> int | None:
    """Ask for the size of what may be a neighbour; that it may not be read is put down in ``forbidden``."""
    try:
        return remote_files.size(url)
    except Forbidden as error:
        forbidden.append(error)
        return None


def say_forbidden(forbidden: Sequence[Forbidden]) -> None:
    """Say which neighbours may not be read: object stores say so of what is not there, and others of what is."""
    if forbidden:
        more = f", and {len(forbidden) - 1} more" if len(forbidden) > 1 else ""
        log.info("%s%s: taken as not there, for object stores say that of what is not there", forbidden[0], more)


def _nothing(url: str, hint: str) -> UsageError:
    return UsageError("there is no such file", place=url, hint=hint)
