"""Downloading from a hub: a small server that speaks just enough of its protocol, and the real client."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

MODEL = "lab/model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SMALL = {"config.json": b'{"a": 1}', "1_Pooling/config.json": b'{"b": 2}', "README.md": b"hello", "x.onnx": b"onnx"}


class Hub(BaseHTTPRequestHandler):
    """Serves the files that the server was given, as one commit."""

    server: HubServer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        files = self.server.files
        name = path.removeprefix(f"/{MODEL}/resolve/{COMMIT}/")
        if path.startswith(f"/api/models/{MODEL}"):
            listing = {"id": MODEL, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
            tree = [{"type": "file", "path": name, "size": len(data), "oid": "0" * 40} for name, data in files.items()]
            self.answer(json.dumps(tree if "/tree/" in path else listing).encode(), {})
        elif name in files:
            etag = hashlib.sha256(files[name]).hexdigest()
            self.server.asked.add(name)
            self.answer(files[name], {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def answer(self, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class HubServer(ThreadingHTTPServer):
    files: dict[str, bytes]
    asked: set[str]


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer(("127.0.0.1", 0), Hub) as hub:
        hub.files, hub.asked = dict(SMALL), set()
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        yield hub
        hub.shutdown()


def fetch(port: int, home: Path, model: str = MODEL) -> subprocess.CompletedProcess[str]:
    """Call ``hub.fetch`` in a process of its own: the client reads its settings once, when it is imported."""
    settings = {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    code = f"from postmill.encode import hub; print(hub.fetch({model!r}, 'text'), end='')"
    root = Path(__file__).parents[2]
    environment = {**os.environ, **settings}
    return subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("weights", "taken"),
    [
        (("pytorch_model.bin",), "pytorch_model.bin"),
        (("pytorch_model.bin", "model.safetensors", "tf_model.h5"), "model.safetensors"),
    ],
)
def test_what_is_needed_is_downloaded_once(
    weights: tuple[str, ...], taken: str, server: HubServer, tmp_path: Path
) -> None:
    server.files.update(dict.fromkeys(weights, b"numbers"))
    folder = Path(fetch(server.server_port, tmp_path).stdout)
    assert folder.name == COMMIT
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == server.asked == {"README.md", "config.json", "1_Pooling/config.json", taken}
    server.shutdown()
    assert Path(fetch(9, tmp_path).stdout) == folder  # from the cache, without the server


def test_what_the_hub_does_not_have(server: HubServer, tmp_path: Path) -> None:
    without_weights = fetch(server.server_port, tmp_path).stderr
    assert "it has neither model.safetensors nor pytorch_model.bin" in without_weights
    unknown = fetch(server.server_port, tmp_path, "lab/other").stderr
    assert "the model lab/other is not on this machine and the hub did not give it" in unknown
