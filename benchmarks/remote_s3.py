"""What plan and ingest ask of an object store: requests and bytes, counted on the line to a stand-in for S3 (moto).

    python benchmarks/remote_s3.py DIR                   # the dataset of benchmarks/remote.py, made there if it is not

moto holds the dataset in memory and answers slowly, so that seconds say nothing of S3.
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
from collections import Counter
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.ingest_data import make
from benchmarks.remote import measured

_REQUEST = re.compile(rb"(?:^|\r\n\r\n)(GET|HEAD|POST|PUT) /")


def counting(server: int, seen: Counter[str]) -> int:
    """Stand before the port `server`, counting requests and bytes that come back; return the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    lock = threading.Lock()

    def ask(client: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):  # either end has had enough
            while sent := client.recv(1 << 16):
                with lock:
                    seen["requests"] += len(_REQUEST.findall(sent))
                far.sendall(sent)
            far.shutdown(socket.SHUT_WR)

    def carry(client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", server)) as far:
            threading.Thread(target=ask, args=(client, far), daemon=True).start()
            while came := far.recv(1 << 18):
                with lock:
                    seen["bytes"] += len(came)
                client.sendall(came)

    def accept() -> None:
        while True:
            threading.Thread(target=carry, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def main() -> None:
    """Store the dataset, plan and ingest it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--posts", type=int, default=75_000)
    options = parser.parse_args()
    data, run = options.folder / "remote", options.folder / "remote-s3-run"
    if not (data / "image.zip").exists():
        make(data, options.posts, "stored", "least")
    sources = [path for path in data.rglob("*") if (path.is_file() and path.parent != data) or path.suffix == ".txt"]
    size = sum(path.stat().st_size for path in sources)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    store = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        os.environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
        os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
        import s3fs

        system = s3fs.S3FileSystem()
        system.mkdir("bucket")
        for path in sources:
            system.put(str(path), f"bucket/data/{path.relative_to(data)}")
        seen: Counter[str] = Counter()
        os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{counting(port, seen)}"
        print(f"{size / 1e6:,.0f} MB of sources\n")
        print("| shards, MiB | requests | requests/GB | bytes/source |\n|---|---|---|---|")
        for shard in (256, 64):
            seen.clear()
            measured("s3://bucket/data", run, shard)
            requests = seen["requests"]
            print(f"| {shard} | {requests} | {requests / size * 1e9:,.0f} | {seen['bytes'] / size:.3f} |", flush=True)
    finally:
        store.terminate()
    shutil.rmtree(run)


if __name__ == "__main__":
    main()
