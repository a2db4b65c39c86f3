"""The process of a GPU, but that of the second is killed where it would write post shard 3; the first is slow."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from postmill.encode import child, stage

_write, _tell = stage._write, child.Reports.tell
_SLOW_S = 20.0  # for each post shard, unless it is told to stop


def serve(reports: str) -> None:
    def write(run: Any, group: Any, shard: int, *rest: Any) -> None:
        if shard == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        _write(run, group, shard, *rest)

    def tell(to: child.Reports, what: str, **fields: Any) -> None:
        _tell(to, what, **fields)
        if what == "done" and os.environ["CUDA_VISIBLE_DEVICES"] == "none-a":
            time.sleep(_SLOW_S)

    stage._write, child.Reports.tell = write, tell  # type: ignore[method-assign]
    child.serve(reports)
