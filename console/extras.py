"""Packages that only some commands take: which extra of this one brings a package that is not installed."""

from __future__ import annotations

from importlib.util import find_spec

from postmill.shards.runtime.errors import UsageError

_PACKAGES = {  # by extra, as they are imported; what an encoder or a model takes by itself says so itself
    "encode": ("packaging", "safetensors", "sentence_transformers", "torch", "transformers", "webdataset"),
    "figures": ("altair", "vl_convert"),
    "train": ("jinja2", "pydantic", "safetensors", "scipy", "threadpoolctl", "torch"),
}
_BROUGHT = {"huggingface_hub": "encode", "tokenizers": "encode"}  # by one of these
_TRAINING = ("train", "insights", "predict", "report")


def demand(*extras: str) -> None:
    """Refuse a command that would get to what is not installed after hours.

    Raises:
        UsageError: A package of ``extras`` is not installed.
    """
    missing = {name: extra for extra in extras for name in _PACKAGES[extra] if find_spec(name) is None}
    if missing:
        raise _lacking(tuple(missing), tuple(dict.fromkeys(missing.values())))


def lacking(error: ModuleNotFoundError, command: str) -> UsageError | None:
    """Return what a user is told of a module that was not found; None where no extra brings it: a mistake of ours."""
    name = (error.name or "").partition(".")[0]
    preferred = sorted(_PACKAGES, key=lambda extra: (extra == "train") != (command in _TRAINING))
    extra = next((extra for extra in preferred if name in _PACKAGES[extra]), _BROUGHT.get(name))
    return None if extra is None else _lacking((name,), (extra,))


def _lacking(names: tuple[str, ...], extras: tuple[str, ...]) -> UsageError:
    what = "a package that is" if len(names) == 1 else "packages that are"
    return UsageError(
        f"this command takes {what} not installed: {', '.join(names)}",
        place="postmill",
        hint=f"pip install 'postmill[{','.join(extras)}]'",
    )
