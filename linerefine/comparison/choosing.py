"""From what was typed to the runs that are meant: folders, MLflow ids, an experiment, tags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from linerefine.comparison.runs import Recorded
from linerefine.errors import RunError
from linerefine.tracking.comparisons import FoundRun, find_runs
from linerefine.tracking.store import sqlite_path

__all__ = ["Chosen", "choose"]

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Chosen:
    """A run folder that was chosen.

    Parameters
    ----------
    folder : Path
    refiners : tuple of str
        Keys of the refiners that were meant; empty for all.
    recorded : Recorded or None
        Its run in the store it was found in; None for a folder that was named.
    """

    folder: Path
    refiners: tuple[str, ...] = ()
    recorded: Recorded | None = None


def choose(
    named: Sequence[str],
    store: str,
    *,
    experiment: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> tuple[list[Chosen], list[str]]:
    """Return the runs that are meant.

    Parameters
    ----------
    named : sequence of str
        Run folders, folders of run folders, ids of MLflow runs. Without any,
        the finished runs of a store that fit ``experiment`` and ``tags``.
    store : str
        Address of the store; empty if there is none.
    experiment : str, optional
        Name of their experiment.
    tags : mapping of str to str, optional
        Tags that they must have.

    Returns
    -------
    chosen : list of Chosen
        In the order named, or the oldest first; each folder once.
    left_out : list of str
        A sentence for every run that a search found and that cannot be compared.

    Raises
    ------
    RunError
        If a name is neither, or nothing is found.
    """
    chosen: list[Chosen] = []
    ids = [name for name in named if _ID.fullmatch(name) and not Path(name).exists()]
    by_id = {run.run: run for run in _found(store, ids)} if ids else {}
    for name in named:
        chosen += [_placed(by_id[name], store)] if name in by_id else _folders(Path(name), store)
    left_out: list[str] = []
    if not named:
        chosen, left_out = _searched(store, experiment, tags or {})
    elif experiment is not None or tags:
        msg = "--experiment and --tag search a store; leave them out where runs are named."
        raise RunError(msg)
    return _each_once(chosen), left_out


def _found(store: str, ids: Sequence[str]) -> list[FoundRun]:
    if not store:
        msg = f"'{ids[0]}' looks like the id of an MLflow run, but there is no store. Pass --store."
        raise RunError(msg)
    return find_runs(store, ids=ids)


def _folders(path: Path, store: str) -> list[Chosen]:
    """Return a run folder, or those inside a folder, such as that of a study."""
    if (path / "config.toml").is_file():
        return [Chosen(path)]
    inside = sorted(place.parent for place in path.glob("*/config.toml"))
    if not inside:
        where = f"the id of a run in {store}" if store else "an MLflow run, for there is no store"
        msg = f"'{path}' is neither a run folder nor {where}. Run folders hold a config.toml."
        raise RunError(msg)
    return [Chosen(folder) for folder in inside]


def _searched(
    store: str, experiment: str | None, tags: Mapping[str, str]
) -> tuple[list[Chosen], list[str]]:
    if not store:
        msg = "there is no store to search. Name run folders, or pass --store."
        raise RunError(msg)
    found = find_runs(store, experiment=experiment, tags=tags)
    names = sorted({run.experiment_name for run in found})
    if len(names) > 1:
        msg = f"{store} holds runs of several experiments: {', '.join(names)}. Pass --experiment."
        raise RunError(msg)
    chosen, left_out = [], []
    for run in found:
        try:
            chosen.append(_placed(run, store))
        except RunError as error:
            left_out.append(str(error))
    if not chosen:
        wanted = [f"of {experiment}"] if experiment else []
        wanted += [f"with {key}={value}" for key, value in tags.items()]
        said = " ".join(["no finished run", *wanted, "found in", store])
        msg = ". ".join([said, *left_out]) + ("." if not left_out else "")
        raise RunError(msg)
    return chosen, left_out


def _placed(run: FoundRun, store: str) -> Chosen:
    """Return the folder of a run that a store knows, also after both were moved together."""
    database = sqlite_path(store)
    places = [run.output]
    if database is not None:
        places += [database.parent.joinpath(*run.output.parts[-n:]) for n in (1, 2)]
    for place in places:
        if (place / "config.toml").is_file():
            recorded = Recorded(store, run.experiment, run.command)
            return Chosen(place, (run.refiner,) if run.refiner else (), recorded)
    msg = f"the folder {run.output} of run {run.run} is gone, and with it its table of rounds."
    raise RunError(msg)


def _each_once(chosen: Sequence[Chosen]) -> list[Chosen]:
    """Return each folder once, with all refiners that were meant."""
    merged: dict[Path, Chosen] = {}
    for one in chosen:
        key = one.folder.resolve()
        other = merged.get(key)
        if other is None:
            merged[key] = one
            continue
        both = (*other.refiners, *one.refiners) if other.refiners and one.refiners else ()
        recorded = other.recorded or one.recorded
        merged[key] = Chosen(other.folder, tuple(dict.fromkeys(both)), recorded)
    return list(merged.values())
