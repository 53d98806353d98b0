"""The one table that everything is drawn from: a row per refiner, repeat, image and interaction.

Each finished session is one small parquet file, written whole or not at all;
together they are ``rounds.parquet``. Strokes are kept with their paths, so
that a session can be played again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from linerefine.cache import atomic_write
from linerefine.errors import RunError
from linerefine.events import (
    Event,
    RoundFinished,
    RunFinished,
    RunStarted,
    SessionFinished,
    SessionKey,
    SessionStarted,
)
from linerefine.gain import relative_gain
from linerefine.types import Operation, Round, Stroke, Tile

__all__ = [
    "RoundTable",
    "has_session",
    "load_session",
    "merge",
    "read_sessions",
    "session_frame",
    "session_path",
    "steering_metric",
    "write_session",
]

log = logging.getLogger(__name__)

_MARK = b"linerefine"
_KEY = {"refiner": pa.string(), "repeat": pa.int32(), "image": pa.string()}
_ROUND = {
    "round": pa.int32(),
    "operation": pa.string(),
    "half_width": pa.float64(),
    "tip": pa.string(),
    "effort": pa.int64(),
    "stroke_length": pa.float64(),
    "tile_row": pa.int32(),
    "tile_col": pa.int32(),
    "tile_height": pa.int32(),
    "tile_width": pa.int32(),
    "regret": pa.int64(),
    "repaired": pa.int64(),
    "compliance": pa.float64(),
}
_PATH = {"stroke_rows": pa.list_(pa.int32()), "stroke_cols": pa.list_(pa.int32())}


def session_path(folder: Path, key: SessionKey) -> Path:
    """Return the file of one session: ``<refiner>-<repeat>-<image>.parquet``.

    Characters that some file system refuses become ``_``, and long names are
    cut; a name changed by that carries a short hash of the original.
    """
    plain = f"{key.refiner}-{key.repeat}-{key.image}"
    safe = re.sub(r"[^\w.\-]+", "_", plain, flags=re.ASCII)[:120]
    if safe != plain:
        safe += "-" + hashlib.sha256(plain.encode()).hexdigest()[:8]
    return folder / f"{safe}.parquet"


def session_frame(key: SessionKey, rounds: Sequence[Round], metric: str) -> pd.DataFrame:
    """Return the rows of one session.

    Parameters
    ----------
    key : SessionKey
        Refiner, repeat and image.
    rounds : sequence of Round
        Round 0 first.
    metric : str
        The metric that ``relative_gain`` is computed from; nan where a round
        does not hold it.

    Returns
    -------
    frame : DataFrame
        The columns of `linerefine.report.RunResult.rounds` and, to play the
        session again, ``tip``, ``tile_height``, ``tile_width`` and the path
        of the stroke as ``stroke_rows`` and ``stroke_cols``.
    """
    frame: pd.DataFrame = _table(key, rounds, metric).to_pandas()
    return frame


def write_session(folder: Path, key: SessionKey, rounds: Sequence[Round], metric: str) -> Path:
    """Write a finished session, whole or not at all.

    Parameters
    ----------
    folder : Path
        Made if absent.
    key : SessionKey
        Refiner, repeat and image.
    rounds : sequence of Round
        Round 0 first.
    metric : str
        The metric that ``relative_gain`` is computed from.

    Returns
    -------
    path : Path
        As `session_path` names it.

    Raises
    ------
    DataError
        If the disk is full or the folder cannot be written.
    """
    path = session_path(folder, key)
    table = _table(key, rounds, metric)
    # Pages have checksums of their own; names and lengths do not.
    mark = {"refiner": key.refiner, "repeat": key.repeat, "image": key.image}
    mark |= {"rows": table.num_rows, "columns": table.column_names}
    table = table.replace_schema_metadata({_MARK: json.dumps(mark).encode()})
    with atomic_write(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    return path


def load_session(folder: Path, key: SessionKey) -> list[Round] | None:
    """Return the rounds of a finished session, or None if it has to be run (again).

    A file that is damaged, cut short or belongs to another session counts as
    absent and is logged as a warning.
    """
    table = _read(session_path(folder, key), key)
    return None if table is None else [_round(row) for row in table.to_pylist()]


def has_session(folder: Path, key: SessionKey) -> bool:
    """Say whether a session is there, whole and under its own name."""
    return _read(session_path(folder, key), key) is not None


def read_sessions(folder: Path) -> pd.DataFrame:
    """Return all finished sessions of a folder as one table.

    Parameters
    ----------
    folder : Path
        Where `write_session` wrote; may be absent.

    Returns
    -------
    frame : DataFrame
        Sorted by refiner, repeat, image and round; no rows if there are no
        sessions. Damaged files are left out and logged as warnings.
    """
    paths = [path for path in sorted(folder.glob("*.parquet")) if not path.name.startswith(".")]
    tables = [table for path in paths if (table := _read(path)) is not None]
    if not tables:
        return pd.DataFrame(columns=[*_KEY, *_ROUND, "relative_gain", *_PATH])
    frame = pa.concat_tables(tables, promote_options="default").to_pandas()
    columns = [name for name in frame.columns if name not in _PATH]
    ordered: pd.DataFrame = frame[[*columns, *_PATH]].sort_values([*_KEY, "round"])
    return ordered.reset_index(drop=True)


def merge(folder: Path, out: Path) -> pd.DataFrame:
    """Write all finished sessions of a folder as one parquet file and return them.

    Raises
    ------
    DataError
        If ``out`` cannot be written.
    """
    frame = read_sessions(folder)
    with atomic_write(out) as temporary:
        frame.to_parquet(temporary, index=False)
    return frame


def steering_metric(config: Mapping[str, Any]) -> str:
    """Return the name of the metric that steers a run, the first one configured.

    Raises
    ------
    RunError
        If the configuration names no metric.
    """
    try:
        return str(config["metrics"][0]["name"])
    except (KeyError, IndexError, TypeError) as error:
        msg = "the run's configuration names no metric; relative gain needs one (`metrics`)."
        raise RunError(msg) from error


class RoundTable:
    """Observer that writes every finished session, and all of them when the run ends.

    Sessions go to ``rounds/`` in the run folder, the merged table beside it as
    ``rounds.parquet``, also when the run failed or was interrupted.

    Parameters
    ----------
    metric : str, optional
        What ``relative_gain`` is computed from; by default the first metric
        of the run's configuration.
    """

    def __init__(self, metric: str | None = None) -> None:
        self._metric = metric
        self._output: Path | None = None
        self._open: dict[SessionKey, list[Round]] = {}

    def __call__(self, event: Event) -> None:
        """Take note of one event."""
        match event:
            case RunStarted():
                self._output = event.output
                self._metric = self._metric or steering_metric(event.config)
            case SessionStarted():
                self._open[event.key] = []
            case RoundFinished():
                self._open.setdefault(event.key, []).append(event.round)
            case SessionFinished():
                self._finish(event.key)
            case RunFinished() if self._output is not None:
                merge(self._output / "rounds", self._output / "rounds.parquet")
            case _:
                pass

    def _finish(self, key: SessionKey) -> None:
        rounds = self._open.pop(key, [])
        if self._output is None or self._metric is None:
            msg = f"session {key} finished before any run started; announce RunStarted first."
            raise RunError(msg)
        if rounds and not has_session(self._output / "rounds", key):
            write_session(self._output / "rounds", key, rounds, self._metric)


def _table(key: SessionKey, rounds: Sequence[Round], metric: str) -> pa.Table:
    scores = _union(round_.manual for round_ in rounds)
    parts = _union(round_.seconds for round_ in rounds)
    kinds: dict[str, pa.DataType] = {**_KEY, **_ROUND}
    for side in ("manual", "refined"):
        kinds |= {f"{side}_{name}": pa.float64() for name in scores}
    kinds |= {"relative_gain": pa.float64()}
    kinds |= {f"seconds_{name}": pa.float64() for name in parts} | _PATH
    rows = [_row(key, round_, metric) for round_ in rounds]
    columns = {
        name: pa.array([row.get(name) for row in rows], kind) for name, kind in kinds.items()
    }
    return pa.table(columns)


def _row(key: SessionKey, round_: Round, metric: str) -> dict[str, Any]:
    row: dict[str, Any] = {"refiner": key.refiner, "repeat": key.repeat, "image": key.image}
    row |= {"round": round_.index, "effort": round_.effort, "stroke_length": round_.stroke_length}
    if round_.tile is not None:
        height, width = round_.tile.shape
        row |= {"tile_row": round_.tile.top, "tile_col": round_.tile.left}
        row |= {"tile_height": height, "tile_width": width}
    if round_.stroke is not None:
        row |= _stroke_cells(round_.stroke)
    row |= {"regret": round_.regret, "repaired": round_.repaired, "compliance": round_.compliance}
    row |= {f"manual_{name}": float(value) for name, value in round_.manual.items()}
    row |= {f"refined_{name}": float(value) for name, value in round_.refined.items()}
    row |= {f"seconds_{name}": float(value) for name, value in round_.seconds.items()}
    row["relative_gain"] = relative_gain(
        row.get(f"refined_{metric}", math.nan), row.get(f"manual_{metric}", math.nan)
    )
    return row


def _stroke_cells(stroke: Stroke) -> dict[str, Any]:
    return {
        "operation": stroke.operation.name.lower(),
        "half_width": stroke.half_width,
        "tip": stroke.tip,
        "stroke_rows": stroke.path[:, 0].tolist(),
        "stroke_cols": stroke.path[:, 1].tolist(),
    }


def _round(row: Mapping[str, Any]) -> Round:
    """Return the round that `_row` wrote."""
    tile = stroke = None
    if row["tile_row"] is not None:
        top, left = row["tile_row"], row["tile_col"]
        tile = Tile(top, left, top + row["tile_height"], left + row["tile_width"])
    if row["operation"] is not None:
        path = np.column_stack((row["stroke_rows"], row["stroke_cols"]))
        operation = Operation[row["operation"].upper()]
        stroke = Stroke(path, row["half_width"], operation, row["tip"])
    return Round(
        index=row["round"],
        tile=tile,
        stroke=stroke,
        effort=row["effort"],
        stroke_length=row["stroke_length"],
        manual=_with_prefix(row, "manual_"),
        refined=_with_prefix(row, "refined_"),
        seconds=_with_prefix(row, "seconds_"),
        # Tables from before these were counted lack them.
        regret=row.get("regret"),
        repaired=row.get("repaired"),
        compliance=row.get("compliance", math.nan),
    )


def _with_prefix(row: Mapping[str, Any], prefix: str) -> dict[str, float]:
    return {
        name.removeprefix(prefix): value
        for name, value in row.items()
        if name.startswith(prefix) and value is not None
    }


def _union(mappings: Iterable[Mapping[str, float]]) -> list[str]:
    """Return the keys of all mappings in order of first appearance."""
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _read(path: Path, key: SessionKey | None = None) -> pa.Table | None:
    """Return a session's table, or None unless it is whole and what it should be."""
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        mark = json.loads(table.schema.metadata[_MARK])
        found = SessionKey(mark["refiner"], mark["repeat"], mark["image"])
        is_whole = (table.num_rows, table.column_names) == (mark["rows"], mark["columns"])
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s is damaged and is not used: %s", path, error)
        return None
    if not is_whole or (key is not None and found != key):
        log.warning("%s holds %s, not what its name says; it is not used", path, found)
        return None
    return table
