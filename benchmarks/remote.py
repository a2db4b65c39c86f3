"""What it costs that the sources lie behind addresses: time, requests and bytes against the same from local files.

    python benchmarks/remote.py DIR                      # 75,000 posts, 1.4 GB; DIR on a disk with 8 GB free
    python benchmarks/remote.py DIR --posts 20000 --latency 0.2

A server of one process gives files in ranges over loopback, by `sendfile`; with latency it lets that much time pass
before it answers a request, which is what a round trip costs where the connection is kept. `plan` and all of `ingest`
by one worker, of a dataset of stored pictures in the mix of the real one; the best of the repeats counts. Requests and
bytes are those of both commands, text files and sizes included.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Process, Value
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.ingest_data import make

CLI = [sys.executable, "-m", "postmill.cli"]
_SHARDS = (256, 64)  # MiB: the default, and many small windows
_REQUEST = re.compile(rb"(\w+) (\S+) HTTP/1.1\r\n(?:.*\r\nRange: bytes=(\d+)-(\d*)\r\n)?", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Cost:
    """Seconds of both commands, and of `ingest` alone; requests, and bytes of bodies."""

    seconds: float
    ingest: float
    requests: int = 0
    bytes: int = 0


@contextmanager
def serving(folder: Path, latency: float, requests: Any, sent: Any) -> Iterator[str]:
    """Serve ``folder`` in a process of its own, ``latency`` seconds after a request; count requests and bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    process = Process(target=_serve, args=(listener, folder, latency, requests, sent), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        process.kill()
        process.join()


def _serve(listener: socket.socket, folder: Path, latency: float, requests: Any, sent: Any) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        arguments = (connection, folder, latency, requests, sent)
        threading.Thread(target=_converse, args=arguments, daemon=True).start()


def _converse(connection: socket.socket, folder: Path, latency: float, requests: Any, sent: Any) -> None:
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            try:
                more = connection.recv(1 << 16)
            except ConnectionResetError:  # of an answer that was not wanted to its end
                return
            if not more:
                return
            received += more
        head, _, received = received.partition(b"\r\n\r\n")
        asked = _REQUEST.match(head + b"\r\n")
        assert asked is not None
        path = folder / asked[2].decode().lstrip("/")
        time.sleep(latency)
        with requests.get_lock():
            requests.value += 1
        if not path.is_file():
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            continue
        size = path.stat().st_size
        first = int(asked[3] or 0)
        last = min(int(asked[4]), size - 1) if asked[4] else size - 1
        status = f"206 Partial Content\r\nContent-Range: bytes {first}-{last}/{size}" if asked[3] else "200 OK"
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {last + 1 - first}\r\n\r\n".encode())
        if asked[1] == b"HEAD":
            continue
        with path.open("rb") as file:
            while first <= last:
                done = os.sendfile(connection.fileno(), file.fileno(), first, min(last + 1 - first, 1 << 20))
                first += done
                with sent.get_lock():
                    sent.value += done


def measured(source: str, run: Path, shard: int) -> Cost:
    """Plan and ingest ``source`` into a new ``run``."""
    shutil.rmtree(run, ignore_errors=True)
    times = []
    for words in (["plan", source, str(run), "--shard-size", str(shard)], ["ingest", str(run)]):
        started = time.perf_counter()
        subprocess.run([*CLI, *words], check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return Cost(sum(times), times[1])


def main() -> None:
    """Make the dataset where it is not there, run everything, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--posts", type=int, default=75_000)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds")
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"), help="a folder in memory, for outputs")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    data, run = options.folder / "remote", options.memory / "postmill-remote"
    if not (data / "image.zip").exists():
        make(data, options.posts, "stored", "least")
    sources = [path for path in data.rglob("*") if (path.is_file() and path.parent != data) or path.suffix == ".txt"]
    size = sum(path.stat().st_size for path in sources)
    print(f"{size / 1e6:,.0f} MB of sources\n")
    print("| source | shards, MiB | plan and ingest, s | ingest, s | MB/s | of local | requests/GB | bytes/source |")
    print("|---|---|---|---|---|---|---|---|")
    for shard in _SHARDS:
        costs: dict[str, list[Cost]] = {}
        for _ in range(options.repeats):  # in turn, for a machine is not equally fast all the time
            costs.setdefault("local files", []).append(measured(str(data), run, shard))
            for latency in (0.0, options.latency):
                requests, sent = Value("q", 0), Value("q", 0)
                with serving(data, latency, requests, sent) as address:
                    cost = measured(address, run, shard)
                name = f"loopback, {latency * 1e3:.0f} ms later" if latency else "loopback"
                costs.setdefault(name, []).append(Cost(cost.seconds, cost.ingest, requests.value, sent.value))
        local = _best(costs["local files"])
        for name, all_of_it in costs.items():
            _show(name, shard, _best(all_of_it), local, size)
    shutil.rmtree(run)


def _best(costs: list[Cost]) -> Cost:
    return min(costs, key=lambda cost: cost.ingest)


def _show(name: str, shard: int, cost: Cost, local: Cost, size: int) -> None:
    asked = f"{cost.requests / size * 1e9:,.0f} | {cost.bytes / size:.3f}" if cost.requests else "|"
    print(
        f"| {name} | {shard} | {cost.seconds:.2f} | {cost.ingest:.2f} | {size / cost.ingest / 1e6:,.0f} "
        f"| {local.ingest / cost.ingest:.2f} | {asked} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
