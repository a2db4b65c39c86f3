"""Addresses that each have a signature of their own, or an id that names no part: in a list, or one after another."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from postmill.ingest.source import credentials
from postmill.shards.run import folder as runs
from postmill.shards.runtime.errors import PostmillError
from tests.commands import paste, postmill, refused
from tests.ingest.listed.store import ARCHIVES, SECRET, TEXTS, Store, listed, tars, texts, written
from tests.web import serving


@pytest.mark.parametrize("by_id", [False, True])
def test_links_with_a_signature_each_are_read_and_written_nowhere(
    store: Store,
    by_id: bool,
    tmp_path: Path,
    expected: Mapping[str, bytes],
    said: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.by_id = by_id
    run = tmp_path / "run"
    words = listed(store, tmp_path)
    assert postmill("plan", run, *words) == 0
    monkeypatch.chdir(tmp_path / "home")
    for stage in ("metadata", "windows", "spanning"):
        for task in range(2):  # as a scheduler's arrays do it
            assert postmill("ingest", run, "--stage", stage, "--task", f"{task}/2") == 0
    assert postmill("plan", run) == 0
    assert postmill("submit", run, "--dry-run", "--models", "light") == 0
    assert tars(run) == expected
    assert SECRET not in said() and SECRET.encode() not in written(run)
    assert [name for name, _ in runs.open_run(run).sources.images.parts] == [
        path for path in store.names("Post_images") if path != "posts_image.zip"
    ] + ["posts_image.zip"]
    assert runs.open_run(run).locations.images == str(tmp_path / "Post_images.links")
    assert not (tmp_path / "home" / credentials.FOLDER).exists(), "the list has them, and nothing else"


def test_several_addresses_with_a_signature_each_need_no_list(
    store: Store, tmp_path: Path, expected: Mapping[str, bytes], said: Callable[[], str]
) -> None:
    run = tmp_path / "run"
    words = texts(store.data)
    for option, folder in ARCHIVES.items():
        words += [word for name in store.names(folder) for word in (option, store.address(folder, name))]
    assert postmill("plan", run, *words) == 0
    assert postmill("ingest", run) == 0
    assert tars(run) == expected
    assert SECRET not in said() and SECRET.encode() not in written(run)


def test_links_that_have_expired_are_given_anew(
    store: Store, tmp_path: Path, expected: Mapping[str, bytes], said: Callable[[], str]
) -> None:
    run = tmp_path / "run"
    assert postmill("plan", run, *listed(store, tmp_path)) == 0
    store.generation = "2"
    error = refused("ingest", run)
    assert "may not be read" in error.cause and SECRET not in f"{error} {error.hint}"
    assert "posts_info" in str(error) and str(tmp_path / "Post_metadata.links") in (error.hint or "")
    with pytest.raises(PostmillError) as caught:  # the pictures' links have expired too
        paste(error, {"NEW_PLACE": store.written(tmp_path / "fresh", "Post_metadata")})
    assert "posts_image" in str(caught.value) and SECRET not in f"{caught.value} {caught.value.hint}"
    assert runs.open_run(run).locations.metadata == str(tmp_path / "fresh"), "which has all that the old one had"
    store.written(tmp_path / "Post_images.links", "Post_images")  # the file that the run knows
    assert postmill("ingest", run) == 0
    assert tars(run) == expected
    assert postmill("verify", run) == 0
    assert SECRET not in said() and SECRET.encode() not in written(run)


def test_one_signature_for_a_whole_folder_is_still_given_by_one_address(
    data: Path, tmp_path: Path, expected: Mapping[str, bytes]
) -> None:
    run = tmp_path / "run"
    taken = ["old"]
    with serving(data, lambda path, query, _: 200 if query == f"sig={taken[0]}" else 403) as host:
        places = {option: f"http://{host}/{name}" for option, name in TEXTS.items()}
        places |= {"--metadata": f"http://{host}/Post_metadata/posts_info.zip"}
        places |= {"--images": f"http://{host}/Post_images/posts_image.z01"}
        words = [word for option, place in places.items() for word in (option, f"{place}?sig=old")]
        assert postmill("plan", run, *words) == 0
        taken[0] = "new"
        fresh = [word for option in ARCHIVES for word in (option, f"{places[option]}?sig=new")]
        assert postmill("ingest", run, *fresh) == 0
    assert tars(run) == expected


def test_a_list_that_is_gone_is_asked_for(store: Store, tmp_path: Path, expected: Mapping[str, bytes]) -> None:
    run = tmp_path / "run"
    postmill("plan", run, *listed(store, tmp_path))
    for folder in ARCHIVES.values():
        (tmp_path / f"{folder}.links").rename(tmp_path / f"{folder}.moved")
    error = refused("ingest", run)
    assert "is missing" in error.cause and "Post_metadata.links" in str(error)
    with pytest.raises(PostmillError) as caught:
        paste(error, {"NEW_PLACE": tmp_path / "Post_metadata.moved"})
    assert paste(caught.value, {"NEW_PLACE": tmp_path / "Post_images.moved"}) == 0
    assert tars(run) == expected


def test_a_command_of_its_own_shows_no_link(store: Store, tmp_path: Path) -> None:
    store.generation = "2"
    words = [str(word) for word in listed(store, tmp_path)]
    store.generation = "3"
    for typed in (["plan", tmp_path / "run", *words], ["inspect", tmp_path / "Post_images.links"]):
        done = subprocess.run([sys.executable, "-m", "postmill.cli", *typed], capture_output=True, text=True)
        assert done.returncode != 0 and "error:" in done.stderr and SECRET not in done.stdout + done.stderr


def test_a_list_is_inspected(store: Store, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store.by_id = True
    assert postmill("inspect", store.written(tmp_path / "list", "Post_images"), "--json") == 0
    said = capfd.readouterr()
    assert '"posts_image.z01"' in said.out and SECRET not in said.out + said.err


def test_checksums_are_of_the_names_in_a_list(store: Store, tmp_path: Path) -> None:
    store.by_id = True
    parts = [path for folder in ARCHIVES.values() for path in sorted((store.data / folder).iterdir())]
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in parts)
    (tmp_path / "sums").write_text(sums)
    assert postmill("plan", tmp_path / "run", *listed(store, tmp_path), "--checksums", tmp_path / "sums") == 0
    (tmp_path / "sums").write_text(sums.replace("1", "2"))
    error = refused("plan", tmp_path / "other", *listed(store, tmp_path), "--checksums", tmp_path / "sums")
    assert "the sha256 of posts_info." in error.cause and SECRET not in f"{error} {error.hint}"
