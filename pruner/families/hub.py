"""Where a model lies: a directory, or a name on the Hugging Face hub that is fetched into the hub's cache.

Of a hub model the descriptions come first (configuration, index, tokenizer), so that a model that cannot work is
refused before its weights are fetched; then only the shards that hold a part of the thinker.
"""

from __future__ import annotations

import re
from pathlib import Path

from pruner.errors import UnsupportedModelError, WeightsError
from pruner.families.checkpoint import INDEX, indexed_files, read_json, refuse_quantised

__all__ = ["locate", "on_hub"]

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_DESCRIPTIONS = ["*.json", "*.txt", "*.jinja"]


def on_hub(model: str | Path) -> bool:
    """Whether this names a model on the hub: `organisation/name`, and no directory of that name."""
    return not Path(model).expanduser().exists() and _HUB_NAME.fullmatch(str(model)) is not None


def locate(model: str | Path, known: tuple[str, ...], *, revision: str | None = None) -> Path:
    """The directory of a model.

    Args:
        model: a directory, or `organisation/name` of a model on the hub; a directory of that name goes first.
        known: model types that can be loaded; another is refused before its weights are fetched.
        revision: branch, tag or commit on the hub.

    Raises:
        WeightsError: neither is there, or the hub cannot be reached and its cache does not hold the model.
        UnsupportedModelError: the hub's model is of another type.
    """
    if not on_hub(model):
        directory = Path(model).expanduser()
        if revision is not None:
            raise WeightsError(directory, "is a directory, which has no revisions", "leave the revision out")
        return directory
    name = str(model)
    described = _fetch(name, revision, _DESCRIPTIONS)
    config = read_json(described / "config.json")
    if config.get("model_type") not in known:
        raise UnsupportedModelError(str(config.get("model_type")), known)
    refuse_quantised(described, config)
    index = described / INDEX
    files = sorted(indexed_files(read_json(index))) if index.exists() else ["*.safetensors"]
    return _fetch(name, revision, [*_DESCRIPTIONS, *files])


def _fetch(name: str, revision: str | None, patterns: list[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        which = f"{name} at revision {revision}" if revision else name
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        remedy = "check the name, the network and, for a gated model, your hub token, or name a directory"
        raise WeightsError(which, f"is no directory and cannot be fetched from the hub ({reason})", remedy) from error
