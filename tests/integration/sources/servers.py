"""Servers as people have them, started for a test: nginx, rclone, OpenSSH, and a stand-in for S3."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

_NGINX = """
daemon off; master_process off; {user} pid {work}/pid; error_log {work}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on;
  client_body_temp_path {work}/1; proxy_temp_path {work}/2; fastcgi_temp_path {work}/3; uwsgi_temp_path {work}/4;
  scgi_temp_path {work}/5;
  limit_req_zone $binary_remote_addr zone=few:1m rate=40r/s;
  limit_conn_zone $binary_remote_addr zone=one:1m;
  split_clients $request_id $hang_up {{ 30% 1; * ""; }}
  server {{
    listen 127.0.0.1:{port};
    root {folder};
    {rules}
  }}
}}
"""

_SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {work}/host
AuthorizedKeysFile {work}/key.pub
PidFile {work}/pid
StrictModes no
UsePAM no
PermitRootLogin yes
Subsystem sftp internal-sftp
"""


def program(name: str) -> str | None:
    """Where the program `name` lies; None if it is not installed."""
    return shutil.which(name, path=PATH)


@contextmanager
def nginx(folder: Path, work: Path, rules: str = "") -> Iterator[str]:
    """Serve `folder` by nginx with `rules` in its server; yields the address."""
    port = _free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    work.mkdir()
    (work / "nginx.conf").write_text(_NGINX.format(work=work, folder=folder, port=port, rules=rules, user=user))
    with _running([_there("nginx"), "-c", str(work / "nginx.conf"), "-e", str(work / "error.log")], port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def rclone(folder: Path, user: str, password: str) -> Iterator[str]:
    """Serve `folder` by `rclone serve http` to `user`, who says `password`."""
    port = _free_port()
    who = ["--user", user, "--pass", password]
    with _running([_there("rclone"), "serve", "http", str(folder), "--addr", f"127.0.0.1:{port}", *who], port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def openssh(folder: Path, work: Path, home: Path) -> Iterator[str]:
    """Serve the machine by SFTP to the key that is put into `home`; yields the address of `folder`."""
    port = _free_port()
    work.mkdir()
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work / name], check=True)
    (home / ".ssh").mkdir(mode=0o700)
    shutil.copy(work / "key", home / ".ssh" / "id_ed25519")
    (work / "sshd_config").write_text(_SSHD.format(work=work, port=port))
    Path("/run/sshd").mkdir(exist_ok=True)
    with _running([_there("sshd"), "-D", "-f", str(work / "sshd_config")], port):
        yield f"sftp://{getpass.getuser()}@127.0.0.1:{port}{folder}"


@contextmanager
def s3() -> Iterator[str]:
    """Run a stand-in for S3 that forgets everything; yields its endpoint."""
    port = _free_port()
    with _running([sys.executable, "-m", "moto.server", "-p", str(port)], port):
        yield f"http://127.0.0.1:{port}"


def _there(name: str) -> str:
    found = program(name)
    assert found is not None
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()
