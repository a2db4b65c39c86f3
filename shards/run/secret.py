"""The secret of a run: the key of the hashes that stand for accounts and posts in what may be shared.

A hash without one hides nobody: names of accounts and ids of posts are public lists, and whoever hashes a whole list
finds every name again. So 32 random bytes lie in ``secret/names.key``, made with the first model and readable by their
owner alone. They are no part of what a run pins and stand in no manifest, so that nothing that is handed on tells them.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from postmill.shards.run import publish, regular, temporary
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError

FILE = "names.key"
BYTES = 32


@dataclass(frozen=True)
class Secret:
    """A secret, of which nothing is shown where this is printed.

    Attributes:
        key: :data:`BYTES` bytes.
    """

    key: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Tells it from other secrets without telling anything of it, 32 hexadecimal digits."""
        return self.digest("fingerprint", "").hex()[:32]

    def digest(self, kind: str, name: str) -> bytes:
        """Return the HMAC-SHA256 (RFC 2104) of ``kind``, a zero byte and ``name``."""
        return hmac.digest(self.key, f"{kind}\0{name}".encode("utf-8", "surrogatepass"), "sha256")


def path_of(run: Run) -> Path:
    """Return where the run's secret lies."""
    return run.secret / FILE


def is_ours(run: Run) -> bool:
    """Say whether there is a secret's folder that is the user's own: another's is not to be looked into."""
    try:
        return run.secret.stat().st_uid == os.geteuid()
    except OSError:
        return False


def of_run(run: Run) -> Secret:
    """Return the run's secret, which is made where there is none; of several workers the first one's is everyone's.

    Raises:
        PostmillError: What lies there is no regular file, is not 32 bytes long, may be read by others than its owner,
            or cannot be read; or the folder cannot be written.
    """
    there = found(run)
    if there is None:
        _make(run)
        there = found(run)
    if there is None:
        raise PostmillError("was removed while it was made", place=path_of(run), hint="run the same command again")
    return there


def found(run: Run) -> Secret | None:
    """Return the run's secret, None where there is none.

    Raises:
        PostmillError: As of :func:`of_run`, but for writing.
    """
    path = path_of(run)
    try:
        with regular.opened(path) as file:
            mode, key = os.fstat(file.fileno()).st_mode, file.read(BYTES + 1) or b""
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise regular.unreadable(path, error) from error
    if len(key) != BYTES:
        raise _damaged(path)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PostmillError(
            f"may be read by others (mode {stat.S_IMODE(mode):04o}), who could tell whom the predictions are of",
            place=path,
            hint="where the file system knows of permissions: chmod 600 -- " + quote(str(path)),
        )
    return Secret(key)


def _make(run: Run) -> None:
    """Make a secret in a folder of its own, whose name is given to it when it is whole, unless there is one by then."""
    temporary.sweep(run.folder, below=False)
    with publish.writing(path_of(run)), temporary.scratch(run.folder) as scratch:
        made = scratch / run.secret.name
        made.mkdir(mode=0o700)
        fd = os.open(made / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, secrets.token_bytes(BYTES))
            os.fsync(fd)
        finally:
            os.close(fd)
        publish.sync_folder(made)
        publish.put_folder(made, run.secret)


def _damaged(path: Path) -> PostmillError:
    return PostmillError(
        f"is not the {BYTES} bytes of a secret",
        place=path,
        hint="restore it from a copy; or run the same command again, which makes another one and trains all models "
        f"anew, when it is gone: rm -f -- {quote(str(path))}",
    )
