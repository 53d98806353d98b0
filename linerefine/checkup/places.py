"""What lies on disk: the store of runs, caches, weights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from linerefine.cache import cache_root
from linerefine.caches import cache_parts
from linerefine.checkup.findings import Finding
from linerefine.errors import RunError
from linerefine.registry import Registry
from linerefine.tracking.store import check_server, is_outdated, runs_by_status, sqlite_path

__all__ = ["caches", "store", "weights"]

STORE, CACHES, WEIGHTS = "store", "caches", "weights"

_SECONDS = 3.0  # for a server to answer
_SEGMENT_ANYTHING = ("sam-vit-", "sam-hq-", "sam2")


def store(uri: str) -> Iterator[Finding]:
    """Yield whether the store of runs can be used, and what it holds; it is left as it is.

    Parameters
    ----------
    uri : str
        Its address.
    """
    try:
        database = sqlite_path(uri)
        if database is None:
            if uri.startswith(("http://", "https://")):
                check_server(uri, seconds=_SECONDS)
            yield Finding(STORE, "mlflow", f"{uri} answers")
            return
        counts = runs_by_status(database)
        outdated = is_outdated(database)
    except RunError as error:
        yield Finding(STORE, "mlflow", str(error), "broken")
        return
    total = sum(counts.values())
    parts = ", ".join(f"{count} {status.lower()}" for status, count in sorted(counts.items()))
    said = f"{uri}: {total} command{'s' * (total != 1)}{f' ({parts})' if parts else ''}"
    yield Finding(STORE, "mlflow", said)
    if outdated:
        says = "made by an older mlflow; the next run copies it and brings it up to date"
        yield Finding(STORE, "schema", says, "absent", f"mlflow db upgrade '{uri}'")


def caches() -> Iterator[Finding]:
    """Yield the parts of the cache with their sizes."""
    parts = cache_parts()
    yield Finding(CACHES, "folder", f"{cache_root()}: {size_words(sum(p.bytes for p in parts))}")
    for part in parts:
        yield Finding(CACHES, part.name, f"{size_words(part.bytes)} in {part.files} files")


def weights(registry: Registry) -> Iterator[Finding]:
    """Yield the weights that are at hand: in the caches of others, and with plugins."""
    hub = _hub()
    models = sorted(hub.glob("models--*")) if hub.is_dir() else []
    names = {place.name.removeprefix("models--").replace("--", "/"): place for place in models}
    for name, place in names.items():
        yield Finding(WEIGHTS, name, f"{size_words(_size(place))} in {hub}")
    if not any(part in name for name in names for part in _SEGMENT_ANYTHING):
        says = f"no weights in {hub}; what needs them takes another way"
        yield Finding(
            WEIGHTS, "segment anything", says, "absent", "hf download facebook/sam-vit-base"
        )
    torch_hub = Path(os.environ.get("TORCH_HOME", "~/.cache/torch")).expanduser() / "hub"
    for file in sorted(torch_hub.glob("checkpoints/*.*")):
        yield Finding(WEIGHTS, file.name, f"{size_words(_size(file))} in {file.parent}")
    for name, experiment in registry.experiments().items():
        trained = getattr(experiment, "trained", None)
        if trained is not None:
            folder = Path(trained())
            yield Finding(WEIGHTS, f"shipped with {name}", f"{size_words(_size(folder))}, {folder}")


def size_words(count: float) -> str:
    """Return a number of bytes in words.

    Examples
    --------
    >>> size_words(512), size_words(3 * 1024**2)
    ('512 bytes', '3 MiB')
    """
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _hub() -> Path:
    """Return where Hugging Face's libraries keep models, as they find it themselves."""
    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"]).expanduser()
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    return home / "hub"


def _size(place: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; links count nothing."""
    if place.is_file():
        return place.stat().st_size
    return sum(f.stat().st_size for f in place.rglob("*") if f.is_file() and not f.is_symlink())
