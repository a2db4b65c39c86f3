"""The pinned run folder: what opens it, and what of it is said."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from postmill.shards.run import folder as runs
from postmill.shards.run import sealed
from postmill.shards.run.manifests import SCHEMA_VERSION
from postmill.shards.run.options import Level, Options, TypedOptions, differences
from postmill.shards.run.sources import PinnedText, difference
from postmill.shards.runtime.errors import PostmillError, UsageError
from tests.runs import LOCATIONS, SOURCES, new_run

OPTIONS = Options(shard_bytes=100)


def stated(folder: Path) -> dict[str, Any]:
    """What a whole `run.json` states."""
    return sealed.unseal((folder / "run.json").read_bytes())


def put(folder: Path, value: dict[str, Any]) -> None:
    (folder / "run.json").write_bytes(sealed.json_bytes(sealed.seal(value)))


def as_format_2(folder: Path, made_by: str = "0.1.0") -> dict[str, Any]:
    """What a `run.json` of format 2 states; it is put into `folder`."""
    value = {**stated(folder), "schema": 2, "version": made_by}
    for name in ("mapping", "influencers"):
        value["sources"][name] = {"bytes": 7, "ends_sha256": "02"}
    put(folder, value)
    return value


def test_what_was_put_is_opened(tmp_path: Path) -> None:
    run = new_run(tmp_path / "run", OPTIONS)
    assert run == runs.open_run(tmp_path / "run") == runs.new(tmp_path / "run", SOURCES, OPTIONS, LOCATIONS)
    assert (run.sources, run.options, run.locations) == (SOURCES, OPTIONS, LOCATIONS)


def test_where_the_sources_lie_is_not_pinned(tmp_path: Path) -> None:
    moved = replace(LOCATIONS, images="/elsewhere")
    run = runs.new(tmp_path, SOURCES, OPTIONS, LOCATIONS)
    assert runs.new(tmp_path, SOURCES, OPTIONS, moved).fingerprint == run.fingerprint
    assert runs.new(tmp_path, SOURCES, replace(OPTIONS, raw=False), LOCATIONS).fingerprint != run.fingerprint


def test_what_is_secret_in_an_address_is_not_written(tmp_path: Path) -> None:
    locations = replace(LOCATIONS, images="https://bob:s3cr3t@host/a.zip?sig=s3cr3t")
    runs.put(runs.new(tmp_path, SOURCES, OPTIONS, locations))
    assert "s3cr3t" not in (tmp_path / "run.json").read_text()
    assert runs.open_run(tmp_path).locations.images == "https://host/a.zip"
    several = ("/disk/a", "https://bob:s3cr3t@host/a.zip?sig=s3cr3t")
    runs.put(runs.new(tmp_path, SOURCES, OPTIONS, replace(LOCATIONS, images=several)))
    assert b"s3cr3t" not in (tmp_path / "run.json").read_bytes()
    assert runs.open_run(tmp_path).locations.images == ("/disk/a", "https://host/a.zip")


@pytest.mark.parametrize(
    ("section", "spoil"),
    [
        ("options", {"level": "loose"}),
        ("options", {"raw": 1}),
        ("options", {"shard_bytes": True}),
        ("options", {"colour": "red"}),
        ("sources", {"mapping": {"bytes": 7}}),
        ("sources", {"images": {"parts": [["a.zip"]], "end_sha256": ""}}),
        ("locations", {"images": None}),
        ("locations", {**LOCATIONS.to_json(), "images": []}),
        ("locations", {**LOCATIONS.to_json(), "images": ["/a.zip", 1]}),
        ("locations", {**LOCATIONS.to_json(), "mapping": ["/a", "/b"]}),
    ],
)
def test_a_sealed_run_json_that_states_something_else_is_said(
    tmp_path: Path, section: str, spoil: dict[str, object]
) -> None:
    new_run(tmp_path)
    value = stated(tmp_path)
    put(tmp_path, {**value, section: {**value[section], **spoil}})
    with pytest.raises(PostmillError, match="is damaged"):
        runs.open_run(tmp_path)


def test_no_run_here(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run\.json"):
        runs.open_run(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 3}', "[" * 200_000, '{"schema": 3, "version": "0"}'])
def test_a_damaged_run_json_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(PostmillError, match="is damaged") as caught:
        runs.open_run(tmp_path)
    assert f"rm -f -- {tmp_path}/run.json; postmill plan SOURCE {tmp_path}" in (caught.value.hint or "")


def test_another_release_of_the_same_format_goes_on_with_a_run(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    put(tmp_path, {**stated(tmp_path), "version": "99.0"})
    assert runs.open_run(tmp_path) == run


def test_an_older_format_is_read_and_not_written(tmp_path: Path) -> None:
    new_run(tmp_path)
    value = as_format_2(tmp_path)
    run = runs.open_run(tmp_path, reading=True)
    assert run.format_version == 2 and run.sources.mapping == PinnedText(7, None)
    # As every manifest of such a run has it: over the version of the program too.
    assert run.fingerprint == sealed.canonical_hash({name: value[name] for name in value if name != "locations"})
    with pytest.raises(UsageError, match=r"was made by postmill 0\.1\.0 \(format 2\)") as caught:
        runs.open_run(tmp_path)
    assert f"postmill status {tmp_path}" in (caught.value.hint or "")


@pytest.mark.parametrize("schema", [1, SCHEMA_VERSION + 1, "2", True, None, [3]])
def test_a_format_that_is_not_known_is_not_even_read(tmp_path: Path, schema: object) -> None:
    new_run(tmp_path)
    put(tmp_path, {**stated(tmp_path), "schema": schema, "version": "0.0.1"})
    with pytest.raises(UsageError, match=r"was made by postmill 0\.0\.1") as caught:
        runs.open_run(tmp_path, reading=True)
    assert caught.value.hint is not None and caught.value.hint.endswith("pip install postmill==0.0.1")


@pytest.mark.parametrize(
    "made_by", ["0.1;touch X", "0.1\n", "0.1 --index-url http://x", "$(touch X)", "../x", "٣", ["0.1"], None, "1" * 99]
)
def test_what_is_no_version_is_put_into_no_command(tmp_path: Path, made_by: object) -> None:
    new_run(tmp_path)
    put(tmp_path, {**stated(tmp_path), "schema": 1, "version": made_by})
    with pytest.raises(UsageError, match="was made by another version") as caught:
        runs.open_run(tmp_path)
    assert "pip" not in (caught.value.hint or "") and "touch" not in str(caught.value)


def test_the_same_release_is_not_told_to_install_itself(tmp_path: Path) -> None:
    new_run(tmp_path)
    as_format_2(tmp_path, version("postmill"))
    with pytest.raises(UsageError) as caught:
        runs.open_run(tmp_path)
    assert "pip" not in (caught.value.hint or "")


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    subprocess.run(["mkfifo", tmp_path / "run.json"], check=True)
    with pytest.raises(PostmillError, match="no regular file"):
        runs.open_run(tmp_path)


def test_typed_options_stand_over_those_that_are_known() -> None:
    known = Options(shard_bytes=1, max_entry=2, raw=False, level=Level.STRICT)
    assert TypedOptions().over(known) == known
    assert TypedOptions(raw=True, level=Level.DEFAULT).over(known) == Options(1, 2, True, Level.DEFAULT)
    assert TypedOptions(3, 4).over(known) == replace(known, shard_bytes=3, max_entry=4)


def test_options_are_told_apart_in_the_words_of_who_types_them() -> None:
    old = Options(shard_bytes=2 << 20)
    new = Options(shard_bytes=3 << 19, max_entry=1 << 20, raw=False, level=Level.SALVAGE)
    assert differences(old, old) == []
    assert [(each.was, each.now) for each in differences(old, new)] == [
        ("--shard-size 2", "--shard-size 1.5"),
        ("--max-entry 64", "--max-entry 1"),
        ("--raw", "--no-raw"),
        ("--no-strict", "--salvage"),
    ]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"images": replace(SOURCES.images, parts=(("a.z01", 10), ("a.zip", 6)))}, "a.zip had 5 bytes, and now has 6"),
        ({"images": replace(SOURCES.images, parts=(("a.z01", None), ("a.zip", 5)))}, "and now is missing"),
        ({"images": replace(SOURCES.images, parts=(("a.zip", 5),))}, "2 parts, a.z01 to a.zip, and now a.zip"),
        ({"images": replace(SOURCES.images, parts=(("b.z01", 10), ("a.zip", 5)))}, "a.z01 is b.z01 now"),
        ({"metadata": replace(SOURCES.metadata, end_sha256="9")}, "another metadata archive: the directory"),
        ({"mapping": PinnedText(8, "02")}, "another mapping file: it had 7 bytes, and now 8"),
        ({"influencers": PinnedText(8, "09")}, "another influencers file: as long as it was, with other content"),
    ],
)
def test_sources_are_told_apart_in_words(changed: dict[str, Any], words: str) -> None:
    told = difference(SOURCES, replace(SOURCES, **changed), Level.SALVAGE)
    assert told is not None and words in told and "sha256" not in told
    assert difference(SOURCES, SOURCES, Level.SALVAGE) is None


def test_an_awaited_part_is_the_same_part_when_it_has_come() -> None:
    awaited = replace(SOURCES, images=replace(SOURCES.images, parts=(("a.z01", None), ("a.zip", 5))))
    other = replace(SOURCES, images=replace(SOURCES.images, parts=(("a.z01", None), ("a.zip", 6))))
    for one, two in ((awaited, SOURCES), (SOURCES, awaited), (awaited, awaited)):
        assert difference(one, two, Level.DEFAULT) is None
    assert "a.zip had 5 bytes, and now has 6" in str(difference(awaited, other, Level.DEFAULT))
    assert "a.zip had 5 bytes, and now has 6" in str(difference(SOURCES, other, Level.STRICT))
    options = Options(), Options(level=Level.SALVAGE)
    prints = [
        [runs.new(Path(), pinned, each, LOCATIONS).fingerprint for pinned in (awaited, SOURCES)] for each in options
    ]
    assert prints[0][0] == prints[0][1] and prints[1][0] != prints[1][1]
