"""Where commands write: on disks. Addresses are read from, and told apart from paths before anything is made."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from postmill.shards.runtime.addresses import is_url, plain
from postmill.shards.runtime.errors import UsageError

_COPY = {
    "s3": "aws s3 cp --recursive {here} {there}",
    "gs": "gcloud storage cp --recursive {here} {there}",
    "gcs": "gcloud storage cp --recursive {here} {there}",
    "hf": "hf upload REPOSITORY {here}",
    "sftp": "rsync -a {here}/ {host}:{path}/",
    "ssh": "rsync -a {here}/ {host}:{path}/",
}
_ANY_COPY = "rclone copy {here} REMOTE:{path}"  # which is told by `rclone config` what REMOTE is


def on_disk(text: str) -> Path:
    """Return what was typed for a folder or a file to write, or for a run, as a path.

    Raises:
        UsageError: It is an address.
    """
    if is_url(text):
        raise UsageError(
            "is an address: runs, exports and tables lie on a disk",
            place=text,
            hint=f"name a place on a disk, and copy it when it is done: {_copy('FOLDER', plain(text))}",
        )
    return Path(text)


def _copy(here: str, there: str) -> str:
    protocol, _, rest = there.partition("://")
    host, _, path = rest.partition("/")
    template = _COPY.get(protocol.lower(), _ANY_COPY)
    path = f"/{path}" if "{host}" in template else path
    return template.format(here=here, there=quote(there), host=quote(host), path=quote(path))
