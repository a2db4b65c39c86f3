"""What was begun goes on in its precision, on whichever machine, and of tasks that decide at once the first decides."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from postmill.encode import stage, trial
from postmill.encode.device import Compute
from postmill.encode.interface import EncoderSpec, with_variants
from postmill.encode.options import Precision
from postmill.encode.speed import mkl
from postmill.encode.stage import encoding
from postmill.shards.formats.encoders import ENCODER_FILE, encoders_of, pin_encoder
from postmill.shards.run import publish, sealed
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError, UsageError
from tests.encode.precision.conftest import QUICK, SAPPHIRE_RAPIDS, ZEN_3, ZEN_4, Encode

BFLOAT16, FLOAT32, MKL = Precision.BFLOAT16, Precision.FLOAT32, Precision.FLOAT16_MKL
TEXT = "text.some-mpnet"


def contents(run: Run) -> dict[str, str]:
    """SHA-256 of every file below ``embeddings``."""
    files = [path for path in sorted(run.embeddings.rglob("*")) if path.is_file()]
    return {str(path.relative_to(run.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_chosen_precision_is_the_named_one_to_the_last_byte_and_is_gone_on_with(
    cpu: Any, timed: Any, no_trial: Any, encode: Encode, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "LARGEST_DIFFERENCE", 0.1)  # of random weights, from which every step goes far
    names = ("text", "sentiment", "image", "image-emotion")
    cpu(ZEN_4)
    timed(QUICK)
    taken, said, _ = encode(*names)
    assert taken == dict.fromkeys(names, "bfloat16") and len(said) == 3
    chosen = contents(run)
    shutil.rmtree(run.embeddings)
    assert encode(*names, precision=BFLOAT16)[0] == taken
    assert contents(run) == chosen  # nothing of the trial is written down
    no_trial()
    for flags, slow in ((ZEN_4, 0), (ZEN_3, 1)):  # the same machine, and another of the cluster
        cpu(flags)
        for folder in run.embeddings.iterdir():
            (folder / "posts-000000.json").unlink()
        taken, said, done = encode(*names)
        assert taken == dict.fromkeys(names, "bfloat16")
        assert [each.done for each in done.encoders] == [1] * 4
        assert f"precision of text: bfloat16, in which {TEXT} was begun" in said
        assert sum("this CPU has no amx_bf16 or avx512_bf16" in note for note in said) == slow
        assert contents(run) == chosen


def test_float32_goes_on_too_and_another_precision_is_refused_by_name(
    cpu: Any, timed: Any, no_trial: Any, encode: Encode
) -> None:
    cpu(ZEN_4)
    encode("text", precision=FLOAT32)
    no_trial()
    assert encode("text")[:2] == ({"text": "float32"}, [])
    with pytest.raises(UsageError, match="another precision: 'float32', and now it is 'bfloat16'") as refused:
        encode("text", precision=BFLOAT16)
    assert "--precision float32" in str(refused.value.hint)


def test_the_packaged_models_go_on_as_they_were_begun(encode: Encode) -> None:
    light: dict[str, Any] = {"models": "light", "model_overrides": {}}
    encode("text", "image", precision=BFLOAT16, **light)
    taken, _, done = encode("text", "image", **light)
    assert taken == {"text": "bfloat16", "image": "bfloat16"}
    assert [each.skipped for each in done.encoders] == [1, 1]


def test_who_shares_a_model_shares_its_precision_unless_it_has_its_own(
    cpu: Any, no_trial: Any, encode: Encode, run: Run
) -> None:
    cpu(ZEN_4)
    no_trial()
    encode("text", precision=BFLOAT16)
    taken, said, _ = encode("text", "text-with-comments")
    assert taken == {"text": "bfloat16", "text-with-comments": "bfloat16"}
    assert f"precision of text, text-with-comments: bfloat16, in which {TEXT} was begun" in said
    shutil.rmtree(run.embeddings / "text-with-comments.some-mpnet")
    encode("text-with-comments", precision=FLOAT32)
    before = contents(run)
    assert encode("text", "text-with-comments")[0] == {"text": "bfloat16", "text-with-comments": "float32"}
    assert contents(run) == before


def test_where_the_description_is_lost_the_shards_tell(
    cpu: Any, timed: Any, no_trial: Any, encode: Encode, run: Run
) -> None:
    cpu(ZEN_4)
    encode("text", precision=BFLOAT16)
    before = contents(run)
    (run.embeddings / TEXT / ENCODER_FILE).unlink()
    no_trial()
    taken, _, done = encode("text")
    assert taken == {"text": "bfloat16"} and done.encoders[0].skipped == 1
    assert contents(run) == before


@pytest.mark.parametrize("field", ["revision", "preprocessing"])
def test_what_differs_in_more_is_refused_as_ever(
    cpu: Any, timed: Any, no_trial: Any, encode: Encode, run: Run, field: str
) -> None:
    """As a folder that a GPU began, whose batches are of another size: its precision is not taken over."""
    cpu(ZEN_4)
    encode("text", precision=BFLOAT16)
    path = run.embeddings / TEXT / ENCODER_FILE
    pinned = sealed.unseal(path.read_bytes())
    other = "another" if field == "revision" else {**pinned["preprocessing"], "tokens_of_a_batch": 32_768}
    publish.put_sealed(path, {**pinned, field: other})
    no_trial()
    first = "revision: 'another'" if field == "revision" else "precision: 'bfloat16', and now it is 'float32'"
    with pytest.raises(UsageError, match=f"made with another {first}"):
        encode("text")


def test_a_precision_that_cannot_be_gone_on_with_here_is_said(encode: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> Any:
        raise PackageNotFoundError

    encode("text", precision=MKL)
    monkeypatch.setattr(mkl, "files", absent)
    mkl._library.cache_clear()
    with pytest.raises(PostmillError, match="float16-mkl needs the package mkl"):
        encode("text")


def overtaken(monkeypatch: pytest.MonkeyPatch, run: Run, **fields: Any) -> list[str]:
    """Have another task pin its encoder of texts, which differs in ``fields``, while this one loads its model.

    Returns the precisions in which it loads it.
    """
    real: Callable[..., Any] = stage._encoded_shards
    loads: list[str] = []

    def load(run: Run, group: Any, *rest: Any) -> Any:
        loads.append(group[0].encoder.precision)
        if len(loads) == 1:
            assert not list(run.embeddings.glob("*"))  # nothing is pinned by a choice alone
            pin_encoder(run, replace(group[0].encoder, **fields))
        return real(run, group, *rest)

    monkeypatch.setattr(stage, "_encoded_shards", load)
    return loads


@pytest.mark.parametrize(("flags", "theirs"), [(ZEN_4, FLOAT32), (ZEN_3, BFLOAT16), (SAPPHIRE_RAPIDS, MKL)])
def test_the_first_to_pin_decides_for_all(
    cpu: Any, timed: Any, encode: Encode, run: Run, monkeypatch: pytest.MonkeyPatch, flags: str, theirs: str
) -> None:
    encode("text", precision=theirs)
    expected = contents(run)
    shutil.rmtree(run.embeddings)
    cpu(flags)
    timed(QUICK)
    overtaken(monkeypatch, run, precision=str(theirs))
    taken, said, done = encode("text")
    assert taken == {"text": theirs} and done.encoders[0].done == 1
    assert f"precision of text: {theirs}, in which {TEXT} was begun" in said
    assert contents(run) == expected


@pytest.mark.parametrize(
    ("precision", "fields"), [(FLOAT32, {"precision": "bfloat16"}), (Precision.AUTO, {"revision": "another"})]
)
def test_what_was_named_or_differs_in_more_is_not_given_up(
    cpu: Any, encode: Encode, run: Run, monkeypatch: pytest.MonkeyPatch, precision: Precision, fields: dict[str, str]
) -> None:
    cpu(ZEN_3)
    loads = overtaken(monkeypatch, run, **fields)
    with pytest.raises(UsageError, match=f"made with another {next(iter(fields))}"):
        encode("text", precision=precision)
    assert loads == ["float32"]  # and it is not tried again


def test_one_trial_is_held_for_all_calls_of_a_lean_run(
    cpu: Any, timed: Any, run: Run, mpnet_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials: list[int] = []
    real = trial._trial
    monkeypatch.setattr(trial, "_trial", lambda *made: trials.append(1) or real(*made))
    cpu(ZEN_4)
    timed(QUICK)
    encode = encoding(run, encoders=["text"], model_overrides={"text": str(mpnet_folder)}, device="cpu", workers=1)
    assert [encode(shards)[0].done for shards in ([], [0], [0], [])] == [0, 1, 0, 0]
    assert trials == [1]
    assert [encoder.precision for encoder in encoders_of(run)] == ["bfloat16"]


def test_what_is_made_for_another_precision_is_loaded_once(encode: Encode) -> None:
    encoder, loads = encode("metadata")[2].encoders[0].encoder, []
    spec = EncoderSpec(encoder, lambda: loads.append("load"), None, lambda: loads.append("pictures"))
    (made,) = with_variants(lambda _: [spec], Compute(Device.CPU, 1))
    for _ in range(2):
        made.load()
        made.load_image_model()
    assert loads == ["load", "pictures"]


def test_a_description_that_came_between_look_and_write_stays(
    encode: Encode, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = encode("text", precision=FLOAT32)[2].encoders[0].encoder
    path = run.embeddings / TEXT / ENCODER_FILE
    before, real, looks = path.read_bytes(), Path.exists, []

    def exists(self: Path) -> bool:
        looks.append(self)
        return real(self) and len(looks) > 1

    monkeypatch.setattr(Path, "exists", exists)
    with pytest.raises(UsageError, match="another precision"):
        pin_encoder(run, replace(encoder, precision="bfloat16"))
    assert looks[0] == path and path.read_bytes() == before


def test_of_two_that_pin_at_once_the_first_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "folder" / "encoder.json"
    publish.put_sealed(path, {"of": "one"}, first=True)
    publish.put_sealed(path, {"of": "another"}, first=True)
    assert sealed.unseal(path.read_bytes()) == {"of": "one"}

    def no_links(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    publish.put_sealed(path, {"of": "another"}, first=True)
    assert sealed.unseal(path.read_bytes()) == {"of": "another"}
    monkeypatch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(PostmillError, match="cannot write"):
        publish.put_sealed(path, {"of": "a third"}, first=True)
    assert [name.name for name in path.parent.iterdir()] == ["encoder.json"]  # and no temporary
