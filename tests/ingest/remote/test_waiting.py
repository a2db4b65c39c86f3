"""A command that waits for a server says so, and can be stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from tests.commands import postmill
from tests.web import Request, Trouble, serving


@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_ends_a_command_that_waits_for_a_server(tmp_path: Path, workers: int) -> None:
    write_sample(tmp_path / "data", posts=60, influencers=5, part_size=100 << 10)
    trouble: list[Trouble] = []

    def happens(request: Request) -> Trouble | None:
        return next(iter(trouble), None)

    with serving(tmp_path / "data", happens=happens) as host:
        assert postmill("plan", f"http://{host}", tmp_path / "run") == 0
        trouble.append(Trouble(429, {"Retry-After": "300"}))
        command = [sys.executable, "-m", "postmill.cli", "ingest", tmp_path / "run", "--workers", str(workers)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if "429 Too Many Requests; asked again in 30" in line:
                    process.send_signal(signal.SIGTERM)
                    break
            said = process.stderr.read()
    assert process.returncode == 75 and "stopped by SIGTERM" in said
