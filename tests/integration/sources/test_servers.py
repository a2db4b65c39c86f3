"""Sources behind real servers, on good days and on bad ones, give the post shards that local files give."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from postmill.ingest.remote import patience
from postmill.ingest.sample.write import write_sample
from tests.commands import postmill, refused
from tests.integration.sources import servers
from tests.web import Request, Trouble, serving

needs_nginx = pytest.mark.skipif(servers.program("nginx") is None, reason="needs nginx")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "data"
    write_sample(folder, posts=60, influencers=5, seed=3, part_size=100 << 10)
    return folder


@pytest.fixture(scope="module")
def local(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    run = tmp_path_factory.mktemp("local") / "run"
    assert postmill("plan", data, run) == 0 and postmill("ingest", run) == 0
    return shards(run)


@pytest.fixture(autouse=True)
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.02)
    yield


def shards(run: Path) -> dict[str, str]:
    paths = [path for path in (run / "posts").rglob("*") if path.suffix in (".tar", ".idx", ".parquet")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def shards_of(address: str, run: Path) -> dict[str, str]:
    assert postmill("plan", address, run) == 0
    assert postmill("ingest", run) == 0
    return shards(run)


RULES = {
    "on a good day": "",
    "slowly": "limit_rate 400k;",
    "with a limit of requests": "limit_req zone=few; limit_req_status 429;",
    "hanging up": "if ($hang_up) { return 444; }",
    "without HEAD": "if ($request_method = HEAD) { return 405; }",
    "one request a connection": "keepalive_timeout 0;",
}


@needs_nginx
@pytest.mark.parametrize("rules", RULES)
def test_nginx(rules: str, data: Path, local: dict[str, str], tmp_path: Path) -> None:
    with servers.nginx(data, tmp_path / "nginx", RULES[rules]) as address:
        assert shards_of(address, tmp_path / "run") == local


@needs_nginx
def test_nginx_before_a_server_that_breaks_off(data: Path, local: dict[str, str], tmp_path: Path) -> None:
    count = iter(range(10_000))

    def breaks_off(request: Request) -> Trouble | None:
        return Trouble(cut=20_000) if request.method == "GET" and next(count) % 3 else None

    with serving(data, happens=breaks_off) as behind:
        rules = f"location / {{ proxy_pass http://{behind}; proxy_buffering off; proxy_http_version 1.1; }}"
        with servers.nginx(data, tmp_path / "nginx", rules) as address:
            assert shards_of(address, tmp_path / "run") == local


@needs_nginx
def test_nginx_that_wants_a_password(data: Path, local: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "users").write_text("bob:{PLAIN}s3cr3t\n")
    rules = f"auth_basic x; auth_basic_user_file {tmp_path / 'users'};"
    with servers.nginx(data, tmp_path / "nginx", rules) as address:
        error = refused("plan", address, tmp_path / "run")
        assert "401 Unauthorized" in error.cause and ".netrc" in (error.hint or "")
        assert not (tmp_path / "run").exists()
        (tmp_path / "home" / ".netrc").write_text("machine 127.0.0.1 login bob password s3cr3t\n")
        assert shards_of(address, tmp_path / "run") == local


@pytest.mark.skipif(servers.program("rclone") is None, reason="needs rclone")
def test_rclone(data: Path, local: dict[str, str], tmp_path: Path) -> None:
    with servers.rclone(data) as address:
        assert shards_of(address, tmp_path / "run") == local


@pytest.mark.skipif(servers.program("sshd") is None, reason="needs openssh-server")
def test_openssh(data: Path, local: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("paramiko")
    with servers.openssh(data, tmp_path / "ssh", tmp_path / "home") as address:
        assert shards_of(address, tmp_path / "run") == local
        assert "has no" in refused("plan", f"{address}/none", tmp_path / "other").cause


def test_s3(data: Path, local: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3fs = pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    who = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in who.items():
        monkeypatch.setenv(name, value)
    with servers.s3() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        store = s3fs.S3FileSystem()
        store.mkdir("bucket")
        store.put(str(data), "bucket/data", recursive=True)
        assert shards_of("s3://bucket/data", tmp_path / "run") == local
        assert "has no" in refused("plan", "s3://bucket/none", tmp_path / "other").cause
