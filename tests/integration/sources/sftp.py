"""An SFTP server that asks for a password, made of paramiko's own: OpenSSH asks for those of the machine's users."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def sftp(folder: Path, user: str, password: str) -> Iterator[str]:
    """Serve `folder` to `user`, who says `password`; yields its host and port."""
    import paramiko  # an extra, which a test has looked for

    class Door(paramiko.ServerInterface):
        def check_auth_password(self, username: str, said: str) -> int:
            return paramiko.AUTH_SUCCESSFUL if (username, said) == (user, password) else paramiko.AUTH_FAILED

        def get_allowed_auths(self, username: str) -> str:
            return "password"

        def check_channel_request(self, kind: str, chanid: int) -> int:
            return paramiko.OPEN_SUCCEEDED

    class Files(paramiko.SFTPServerInterface):
        def stat(self, path: str) -> Any:
            try:
                return paramiko.SFTPAttributes.from_stat(_inside(folder, path).stat())
            except OSError as error:
                return paramiko.SFTPServer.convert_errno(error.errno or 0)

        lstat = stat

        def open(self, path: str, flags: int, attr: Any) -> Any:
            try:
                handle = paramiko.SFTPHandle(flags)
                handle.readfile = _inside(folder, path).open("rb")  # type: ignore[attr-defined]
                return handle
            except OSError as error:
                return paramiko.SFTPServer.convert_errno(error.errno or 0)

    key = paramiko.RSAKey.generate(2048)
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):  # the listener is closed at the end
            while True:
                transport = paramiko.Transport(listener.accept()[0])
                transport.add_server_key(key)
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
                with suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=Door())

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _inside(folder: Path, path: str) -> Path:
    return folder / path.lstrip("/")
