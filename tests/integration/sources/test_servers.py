"""Sources behind real servers, on good days and on bad ones, give the post shards that local files give."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postmill.ingest.remote import headers, patience
from postmill.ingest.sample.write import write_sample
from tests.commands import postmill, refused
from tests.integration.sources import servers
from tests.integration.sources.lines import Line, breaking
from tests.integration.sources.sftp import sftp
from tests.machine.needs import needs
from tests.secrets import assert_hidden
from tests.web import Request, Trouble, serving

PASSWORD, SIGNATURE, TOKEN, KEY = "pAssw0rd@PLANTED", "s1gnature+PLANTED", "t0ken-PLANTED", "k3yOfStore-PLANTED"

needs_nginx = needs("nginx")


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
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.02)
    yield folder
    headers.use(None)


def shards(run: Path) -> dict[str, str]:
    paths = [path for path in (run / "posts").rglob("*") if path.suffix in (".tar", ".idx", ".parquet")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


Reads = Callable[..., dict[str, str]]


@pytest.fixture
def read(tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]) -> Reads:
    """Plan and ingest an address, and return the shards; what is secret of it is written and shown nowhere."""

    def reads(address: str, *options: object, secrets: tuple[str, ...] = ()) -> dict[str, str]:
        run = tmp_path / "run"
        assert postmill("plan", address, run, *options) == 0
        assert postmill("ingest", run, "--workers", "2" if secrets else "1") == 0
        if secrets:
            folder, query, rest = address.partition("?")
            said = [str(refused("plan", f"{folder}/none{query}{rest}", tmp_path / "other", *options))]
            for words in (["status", run], ["submit", run, "--dry-run"], ["verify", run]):
                assert postmill(*words) == 0
            captured = capfd.readouterr()
            assert "#SBATCH" in captured.out
            assert_hidden(secrets, run, captured.out, captured.err, *said)
            kept = [path for path in (home / ".local").rglob("*") if path.is_file()]
            assert {stat.S_IMODE(path.stat().st_mode) for path in kept} <= {0o600}
        return shards(run)

    return reads


RULES = {
    "on a good day": "",
    "slowly": "limit_rate 400k;",
    "with a limit of requests": "limit_req zone=few; limit_req_status 429;",
    "with a limit of connections": "limit_conn one 1;",  # 503 beyond it
    "hanging up": "if ($hang_up) { return 444; }",
    "without HEAD": "if ($request_method = HEAD) { return 405; }",
    "one request a connection": "keepalive_timeout 0;",
    "compressing": "gzip on; gzip_min_length 1; gzip_types *;",
}


@needs_nginx
@pytest.mark.parametrize("rules", RULES)
def test_nginx(rules: str, data: Path, local: dict[str, str], tmp_path: Path, read: Reads) -> None:
    with servers.nginx(data, tmp_path / "nginx", RULES[rules]) as address:
        assert read(address) == local


@needs_nginx
def test_nginx_before_a_server_that_breaks_off(data: Path, local: dict[str, str], tmp_path: Path, read: Reads) -> None:
    count = iter(range(10_000))

    def breaks_off(request: Request) -> Trouble | None:
        return Trouble(cut=20_000) if request.method == "GET" and next(count) % 3 else None

    with serving(data, happens=breaks_off) as behind:
        rules = f"location / {{ proxy_pass http://{behind}; proxy_buffering off; proxy_http_version 1.1; }}"
        with servers.nginx(data, tmp_path / "nginx", rules) as address:
            assert read(address) == local


LINES = {
    "reset after so many bytes": Line(most=300_000),
    "ended after so many bytes": Line(most=300_000, resets=False),
    "reset every half second, of a slow line": Line(lasts=0.5, rate=4 << 20),
}


@needs_nginx
@pytest.mark.parametrize("how", LINES)
def test_a_line_that_breaks_all_the_time(how: str, sampled: Path, tmp_path: Path, read: Reads) -> None:
    with (
        servers.nginx(sampled / "data", tmp_path / "nginx") as address,
        breaking(address, LINES[how]) as line,
    ):
        assert read(line.address, "--shard-size", "2") == shards(sampled / "run")
    assert line.broken > 10


@needs_nginx
def test_nginx_that_wants_a_password(
    data: Path, local: dict[str, str], tmp_path: Path, home: Path, read: Reads
) -> None:
    (tmp_path / "users").write_text(f"bob:{{PLAIN}}{PASSWORD}\n")
    rules = f"auth_basic x; auth_basic_user_file {tmp_path / 'users'};"
    with servers.nginx(data, tmp_path / "nginx", rules) as address:
        error = refused("plan", address, tmp_path / "run")
        assert "401 Unauthorized" in error.cause and ".netrc" in (error.hint or "")
        assert not (tmp_path / "run").exists()
        (home / ".netrc").write_text(f"machine 127.0.0.1 login bob password {PASSWORD}\n")
        assert read(address, secrets=(PASSWORD,)) == local


@needs_nginx
def test_nginx_that_is_told_the_password_in_the_address(
    data: Path, local: dict[str, str], tmp_path: Path, read: Reads
) -> None:
    (tmp_path / "users").write_text(f"bob:{{PLAIN}}{PASSWORD}\n")
    rules = f"auth_basic x; auth_basic_user_file {tmp_path / 'users'};"
    with servers.nginx(data, tmp_path / "nginx", rules) as address:
        told = address.replace("//", f"//bob:{PASSWORD.replace('@', '%40')}@")
        assert read(told, secrets=(PASSWORD,)) == local


@needs_nginx
def test_nginx_that_wants_a_signature(data: Path, local: dict[str, str], tmp_path: Path, read: Reads) -> None:
    rules = f'if ($arg_sig != "{SIGNATURE.replace("+", "%2B")}") {{ return 403; }}'
    with servers.nginx(data, tmp_path / "nginx", rules) as address:
        assert read(f"{address}?sig={SIGNATURE.replace('+', '%2B')}", secrets=(SIGNATURE,)) == local


@needs_nginx
def test_nginx_that_wants_a_token(data: Path, local: dict[str, str], tmp_path: Path, read: Reads) -> None:
    token = tmp_path / "headers.txt"
    token.write_text(f"Authorization: Bearer {TOKEN}\n")
    token.chmod(0o600)
    rules = f'if ($http_authorization != "Bearer {TOKEN}") {{ return 401; }}'
    with servers.nginx(data, tmp_path / "nginx", rules) as address:
        assert read(address, "--header-file", token, secrets=(TOKEN,)) == local


@needs("rclone")
def test_rclone(data: Path, local: dict[str, str], read: Reads) -> None:
    with servers.rclone(data, "bob", PASSWORD) as address:
        told = address.replace("//", f"//bob:{PASSWORD.replace('@', '%40')}@")
        assert read(told, secrets=(PASSWORD,)) == local


@needs("sshd")
def test_openssh(data: Path, local: dict[str, str], tmp_path: Path, home: Path, read: Reads) -> None:
    pytest.importorskip("paramiko")
    with servers.openssh(data, tmp_path / "ssh", home) as address:
        key = (home / ".ssh" / "id_ed25519").read_text().splitlines()[2]
        assert read(address, secrets=(key,)) == local
        assert "has no" in refused("plan", f"{address}/none", tmp_path / "other").cause


def test_sftp_with_a_password(data: Path, local: dict[str, str], tmp_path: Path, read: Reads) -> None:
    pytest.importorskip("paramiko")
    with sftp(data, "bob", TOKEN) as host:
        assert read(f"sftp://bob:{TOKEN}@{host}/", secrets=(TOKEN,)) == local
        error = refused("plan", f"sftp://bob:{KEY}@{host}/", tmp_path / "third")
        assert "may not be read" in error.cause
        assert_hidden((KEY,), str(error))


def test_s3(data: Path, local: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Reads) -> None:
    s3fs = pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    who = {"AWS_ACCESS_KEY_ID": TOKEN, "AWS_SECRET_ACCESS_KEY": KEY, "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in who.items():
        monkeypatch.setenv(name, value)
    with servers.s3() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        store = s3fs.S3FileSystem()
        store.mkdir("bucket")
        store.put(str(data), "bucket/data", recursive=True)
        assert read("s3://bucket/data", secrets=(TOKEN, KEY)) == local
        assert "has no" in refused("plan", "s3://bucket/none", tmp_path / "other").cause
