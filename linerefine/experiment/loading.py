"""An earlier run, opened again to be used."""

from __future__ import annotations

from pathlib import Path

from linerefine.configure import load_config
from linerefine.errors import RunError
from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.folder import RunFolder
from linerefine.registry import Registry

__all__ = ["load_bench"]


def load_bench(
    registry: Registry,
    run: Path,
    experiment: str | None,
    device: str,
    notify: Notifier,
    *,
    backend: str | None = None,
) -> Bench:
    """Return the bench of a run folder, its loader as it was when trained.

    Raises
    ------
    RunError
        If the folder holds no run, or a run of another experiment.
    UnknownNameError, DeviceError
        If there is no such back-end, or it or the device cannot be used here.
    """
    folder = RunFolder(run)
    if not folder.config.exists():
        msg = f"{run} is no run folder: it has no config.toml. --run names a folder under runs/."
        raise RunError(msg)
    facts = folder.read_json("tags.json") or {}
    if experiment is not None and facts.get("experiment", experiment) != experiment:
        msg = f"{run} is a run of '{facts['experiment']}', not of '{experiment}'."
        raise RunError(msg)
    config = load_config(folder.config).model_copy(update={"device": device})
    if backend is not None:
        inference = config.inference.model_copy(update={"backend": backend})
        config = config.model_copy(update={"inference": inference})
    bench = Bench.build(config, registry, folder, notify, records=False)
    state = folder.read_json("loader.json")
    if state is None:
        msg = f"{run} has no loader.json: its data were never prepared. Resume or repeat the run."
        raise RunError(msg)
    bench.loader.restore(state)
    return bench
