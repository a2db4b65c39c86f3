"""No file of a run can change, go or come without `postmill verify` naming it."""

from __future__ import annotations

import random
from pathlib import Path

from postmill.shards.run import sealed
from tests.shards.whole_runs import discrepancies, files, named, one_of_each_kind, spoilt


def test_an_untouched_run_is_as_it_should_be(pristine: Path) -> None:
    assert discrepancies(pristine) == []
    kinds = {path.name.partition(".")[2] if path.parent.name == "posts" else path.name for path in files(pristine)}
    assert pristine / "posts" / "faults" / "000001.parquet" in files(pristine)
    assert kinds >= {"run.json", "plan.json", "tar", "idx", "parquet", "json", "faults.parquet", "encoder.json"}
    assert kinds >= {"posts-000000.npy", "model.safetensors", "predictions.parquet", "manifest.json", "index.html"}
    assert kinds >= {"metadata-000000.spool", "window-000000.spool", "metrics.json"}


def test_any_flipped_missing_or_added_byte_of_any_file_is_found(folder: Path) -> None:
    random_ = random.Random(4)
    for path in one_of_each_kind(folder):
        content = path.read_bytes()
        places = {random_.choice([0, len(content) - 1]), *(random_.randrange(len(content)) for _ in range(2))}
        attacks = [content[:-1], content + b"\n"]
        for place in places:
            flipped = bytearray(content)
            flipped[place] ^= 1 << random_.randrange(8)
            attacks.append(bytes(flipped))
        for attack in attacks:
            with spoilt(path, attack):
                assert path in named(folder), path
    assert discrepancies(folder) == []


def test_blanks_in_a_manifest_count(folder: Path) -> None:
    for name in ("run.json", "plan/plan.json", "posts/index.json", "embeddings/metadata/encoder.json"):
        with spoilt(folder / name, (folder / name).read_bytes().replace(b": ", b":  ", 1)):
            assert named(folder) == {folder / name}


def test_a_missing_file_is_found(folder: Path) -> None:
    for path in one_of_each_kind(folder):
        with spoilt(path, None):
            assert (folder if path.name == "run.json" else path) in named(folder)
    assert discrepancies(folder) == []


def test_a_secret_that_is_none_or_that_others_may_read_is_named(folder: Path) -> None:
    path = folder / "secret" / "names.key"
    with spoilt(path, b"short"):
        (found,) = discrepancies(folder)
        assert found.path == path and "not the 32 bytes" in found.what and "rm -f" in found.remedy
    with spoilt(path, None):
        assert discrepancies(folder) == []
    path.chmod(0o644)
    (found,) = discrepancies(folder)
    assert found.path == path and "read by others" in found.what
    path.chmod(0o600)
    assert discrepancies(folder) == []


def test_a_stray_file_is_found(folder: Path) -> None:
    below = (path for path in sorted(folder.rglob("*")) if path.is_dir())
    places = [folder, *(path for path in below if folder / "logs" not in (path, path.parent))]  # these are passed over
    assert len(places) == 12
    for place in places:
        for stray in (place / "stray.bin", place / "stray.json", place / "posts-000099.tar"):
            with spoilt(stray, b"{}"):
                assert named(folder) == {stray}
        manifest = next((path for path in place.glob("*-000000.json")), None)
        if manifest is not None:  # a whole unit too many
            stray = place / manifest.name.replace("000000", "000099")
            value = {**sealed.unseal(manifest.read_bytes()), "unit": stray.stem, "files": {}}
            with spoilt(stray, sealed.json_bytes(sealed.seal(value))):
                assert named(folder) == {stray}
            with spoilt(stray, manifest.read_bytes()):  # and one under another's name
                assert named(folder) == {stray}
    (folder / "posts" / "sub").mkdir()
    (folder / "posts" / ".tmp-posts-000000.tar-01234567").write_bytes(b"of a running command")
    assert named(folder) == {folder / "posts" / "sub"}
