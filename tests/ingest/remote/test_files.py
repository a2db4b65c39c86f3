"""Servers on a bad day: what they refuse for the moment is waited for, and what they hold comes whole."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from postmill.ingest.remote import files, http, patience
from postmill.ingest.remote.answers import Answer, Meaning
from postmill.ingest.remote.files import Forbidden, RequestError, SizeUnknown
from postmill.ingest.remote.patience import Patience, Stopped
from postmill.ingest.source import textfile
from postmill.ingest.zipformat.forward import Forward
from postmill.ingest.zipformat.parts import there
from postmill.ingest.zipformat.space import AddressSpace, lay_out
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Silent
from tests.web import Happens, Request, Trouble, serving

CONTENT = os.urandom(300_000)
TEXT = b"".join(b"account\t%d.info\t['%d.jpg']\n" % (number, number) for number in range(5_000))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("served")
    (made / "a.zip").write_bytes(CONTENT)
    (made / "a.txt").write_bytes(TEXT)
    (made / "empty.zip").write_bytes(b"")
    return made


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """No pause takes longer than a blink; how long they should have been."""
    taken: list[float] = []
    monkeypatch.setattr(patience, "_rest", lambda seconds, _: taken.append(seconds))
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 1.0)
    monkeypatch.setattr(http, "READ_S", 0.5)
    patience._said.clear()
    yield taken


def each(number: int, trouble: Trouble, method: str = "") -> Happens:
    """Every request but each `number`-th of that method meets `trouble`."""
    count = iter(range(10_000))
    return lambda request: trouble if request.method.startswith(method) and next(count) % number else None


def read(url: str, position: int = 1000, length: int = 200_000) -> bytes:
    into = bytearray(length)
    return bytes(into[: files.read_into(url, position, memoryview(into))])


TROUBLES = [
    Trouble(429, {"Retry-After": "3"}),
    Trouble(503),
    Trouble(500),
    Trouble(408),
    Trouble(cut=0),
    Trouble(cut=50_000),
    Trouble(cut=50_000, silent=True),
]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_server_with_trouble_gives_the_same_bytes(folder: Path, trouble: Trouble) -> None:
    with serving(folder, happens=each(3, trouble, "GET")) as host:
        assert read(f"http://{host}/a.zip") == CONTENT[1000:201_000]
        with AddressSpace(lay_out([(f"http://{host}/a.zip", len(CONTENT))])) as space:
            forward = Forward(space, len(CONTENT), block=40_000)
            assert b"".join(bytes(forward.view(at, at + 30_000)) for at in range(0, len(CONTENT), 30_000)) == CONTENT


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_text_file_is_read_to_its_end_all_the_same(folder: Path, trouble: Trouble) -> None:
    with serving(folder, happens=each(3, trouble)) as host:
        assert b"".join(textfile.blocks(f"http://{host}/a.txt", 10_000)) == TEXT
        assert textfile.pinned(f"http://{host}/a.txt", Silent(), "read").bytes == len(TEXT)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_refusal_is_not_absence(folder: Path, status: int, pauses: list[float]) -> None:
    with serving(folder, happens=each(3, Trouble(status))) as host:
        assert files.size(f"http://{host}/a.zip") == len(CONTENT)
        assert files.size(f"http://{host}/b.zip") is None
    assert pauses


@pytest.mark.parametrize("status", [401, 403])
def test_what_may_not_be_read_is_said_at_once(folder: Path, status: int, pauses: list[float]) -> None:
    with serving(folder, happens=lambda _: Trouble(status)) as host:
        for attempt in (files.size, read, lambda url: list(textfile.blocks(url))):
            with pytest.raises(Forbidden, match=f"may not be read: {status}") as caught:
                attempt(f"http://{host}/a.zip")
            assert "--header-file" in (caught.value.hint or "")
    assert not pauses


def test_sizes_are_found_however_a_server_answers(folder: Path) -> None:
    without_head = lambda request: Trouble(405) if request.method == "HEAD" else None  # noqa: E731
    with serving(folder, happens=without_head) as host:
        assert files.size(f"http://{host}/a.zip") == len(CONTENT)
    with serving(folder) as host:
        assert files.size(f"http://{host}/empty.zip") == 0


def later(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("header", "least", "most"), [(lambda: "40", 40, 42), (lambda: later(90), 80, 92), (lambda: "4000", 300, 302)]
)
def test_a_server_is_asked_again_when_it_says(
    folder: Path,
    header: Callable[[], str],
    least: int,
    most: int,
    pauses: list[float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    refusals = iter([Trouble(429, {"Retry-After": header()})])
    with serving(folder, happens=lambda _: next(refusals, None)) as host:
        assert read(f"http://{host}/a.zip?sig=s3cr3t") == CONTENT[1000:201_000]
    assert len(pauses) == 1 and least <= pauses[0] <= most
    assert "429 Too Many Requests; asked again in" in caplog.text and "s3cr3t" not in caplog.text


def test_pauses_grow_and_end(folder: Path, pauses: list[float]) -> None:
    with serving(folder, happens=lambda _: Trouble(503)) as host, pytest.raises(RequestError) as caught:
        read(f"http://{host}/a.zip")
    assert "503 Service Unavailable" in caught.value.cause and "same command" in (caught.value.hint or "")
    assert sum(pauses) <= patience.LIMIT_S
    assert all(0.5 * 2**n <= pause <= 2**n for n, pause in enumerate(pauses[:6])) and max(pauses) <= 60


def test_bytes_renew_the_patience_and_none_use_it_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LIMIT_S", 4.0)  # three refusals in a row are too many
    with serving(folder, happens=lambda _: Trouble(cut=10_000)) as host:
        assert read(f"http://{host}/a.zip") == CONTENT[1000:201_000]  # in twenty pieces
    with serving(folder, happens=lambda _: Trouble(cut=0)) as host, pytest.raises(RequestError, match="byte 1000"):
        read(f"http://{host}/a.zip")


def test_nobody_is_asked_without_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "MOST_REQUESTS", 50)
    with serving(folder, happens=lambda _: Trouble(cut=1)) as host, pytest.raises(RequestError, match="byte 1050"):
        read(f"http://{host}/a.zip")


def test_a_host_that_is_not_there_is_given_up_sooner(pauses: list[float]) -> None:
    with pytest.raises(RequestError, match="cannot be reached"):
        files.size("http://127.0.0.1:1/a.zip")
    assert 0 < sum(pauses) <= patience.UNREACHED_S


WRONG: list[tuple[Callable[[Request], Trouble], str]] = [
    (lambda _: Trouble(headers={"Content-Encoding": "br"}), "compresses"),
    (lambda _: Trouble(302, {"Location": "/a.zip"}), "redirected"),
    (lambda _: Trouble(206, {"Content-Range": "bytes 7-9/300000"}), "others came"),
]


@pytest.mark.parametrize(("happens", "words"), WRONG)
def test_other_bytes_than_were_asked_for_are_refused(folder: Path, happens: Happens, words: str) -> None:
    with serving(folder, happens=happens) as host, pytest.raises(PostmillError, match=words):
        read(f"http://{host}/a.zip")


def test_a_text_file_of_unknown_length_is_read_and_an_archive_is_not(folder: Path, tmp_path: Path) -> None:
    with serving(folder, happens=lambda _: Trouble(streamed=True)) as host:
        assert b"".join(textfile.blocks(f"http://{host}/a.txt", 10_000)) == TEXT
        assert there(f"http://{host}/a.txt") == 0
        with pytest.raises(SizeUnknown, match="how large"):
            files.size(f"http://{host}/a.zip")
        with pytest.raises(RequestError, match="does not serve ranges"):
            read(f"http://{host}/a.zip")


def test_a_file_that_became_another_is_told(folder: Path) -> None:
    with serving(folder) as host, AddressSpace(lay_out([(f"http://{host}/a.zip", 400_000)])) as space:
        with pytest.raises(PostmillError, match="has 300,000 bytes; it had 400,000 when it was found"):
            space.read(0, 10)
        with pytest.raises(PostmillError, match="it had 400,000"):
            Forward(space, 200_000).view(0, 10)


def test_a_range_behind_the_end_is_nothing(folder: Path) -> None:
    with serving(folder) as host:
        assert read(f"http://{host}/a.zip", 250_000, 100_000) == CONTENT[250_000:]


def test_whoever_is_stopped_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        Patience("http://host/a", stop).wait(Answer(Meaning.BUSY, "429"))
