"""The process of a GPU, but one that is killed where it would write post shard 3."""

from __future__ import annotations

import os
import signal
from typing import Any

from postmill.encode import child, stage

_write = stage._write


def serve(reports: str) -> None:
    def write(run: Any, group: Any, shard: int, *rest: Any) -> None:
        if shard == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        _write(run, group, shard, *rest)

    stage._write = write
    child.serve(reports)
