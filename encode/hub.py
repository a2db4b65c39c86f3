"""Models of the Hugging Face hub: from the cache of this machine, else downloaded, else a quick and clear no."""

from __future__ import annotations

from pathlib import Path

from postmill.shards.runtime.errors import PostmillError

WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the first is taken where a model has both
_HUB_TIMEOUT_S = 10.0
# Configuration, tokenizer, the modules of sentence-transformers, and the card, which says for which languages it is.
_SMALL_FILES = ["*.json", "*.txt", "[0-9]*_*/*", "sentencepiece.bpe.model", "spiece.model", "README.md"]


def fetch(model: str, kind: str, *, packaged: bool = True) -> Path:
    """Return the folder of the hub's ``model`` on this machine, whose name is the commit; download it where needed.

    Args:
        model: Hub id, such as ``openai/clip-vit-base-patch32``.
        kind: What it is for, as the option ``--model`` names it; for the error.
        packaged: Whether ``--models light`` has a stand-in for it; for the error.

    Raises:
        PostmillError: It is not in the cache, and the hub cannot be reached or does not have it.
    """
    cached = _cached(model)
    if cached is not None:
        return cached
    from huggingface_hub import HfApi, snapshot_download

    # The client it uses, whatever that is called in this version; exported, but not in a way mypy can see.
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    try:
        # Asked for first because it alone keeps to its timeout: a download tries again for minutes.
        info = HfApi().model_info(model, timeout=_HUB_TIMEOUT_S)
        files = {sibling.rfilename for sibling in info.siblings or ()}
        weights = [name for name in WEIGHTS if name in files]
        if not weights:
            raise _unavailable(model, kind, packaged, f"it has neither {' nor '.join(WEIGHTS)}")
        # Not by info.sha: only a download of the default branch leaves the mark by which the cache finds it later.
        return Path(snapshot_download(model, allow_patterns=[*_SMALL_FILES, weights[0]]))
    except (OSError, ValueError, httpx.HTTPError) as error:
        raise _unavailable(model, kind, packaged, type(error).__name__) from error


def _cached(model: str) -> Path | None:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(model, allow_patterns=_SMALL_FILES, local_files_only=True))
    except (OSError, ValueError):
        return None
    complete = (folder / "config.json").is_file() and any((folder / name).is_file() for name in WEIGHTS)
    return folder if complete else None


def _unavailable(model: str, kind: str, packaged: bool, why: str) -> PostmillError:
    stand_in = "; or take the packaged stand-ins with --models light" if packaged else ""
    return PostmillError(
        f"the model {model} is not on this machine and the hub did not give it ({why})",
        place=f"--models paper, {kind}",
        hint=f"where there is a network: hf download {model} --local-dir FOLDER, then give --model {kind}=FOLDER here"
        + stand_in,
    )
