"""What a finished run hands to whoever describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from linerefine.config import ExperimentConfig

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GIVEN", "Page", "Picture", "Report", "RunResult", "Section", "Table"]

GIVEN = "given"
"""Kind of data whose loader does not say what it is."""


@dataclass(frozen=True)
class Table:
    """A table to print: rows are mappings from column to text or number.

    Numbers that are scores stay in [0, 1] here; printing turns them to percent
    where ``percent`` names the column. ``best`` says of a column whether its
    largest or its smallest value is to stand out, where a page can do that.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    percent: frozenset[str] = frozenset()
    note: str = ""
    best: Mapping[str, Literal["max", "min"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Tables, in the order they are to be read, and what they come to.

    Parameters
    ----------
    tables : tuple of Table
    verdict : tuple of str
        What was found, in words; one entry per thing found.
    """

    tables: tuple[Table, ...]
    verdict: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    Parameters
    ----------
    path : Path
        A PNG, GIF, JPEG or SVG file.
    caption : str
        What to see in it; also what is read to those who cannot see it.
    """

    path: Path
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Parameters
    ----------
    title : str
        Its heading; empty for none.
    text : str
        Paragraphs, parted by empty lines.
    parts : tuple of Table or Picture
        In the order they are to be read.
    """

    title: str
    text: str = ""
    parts: tuple[Table | Picture, ...] = ()


@dataclass(frozen=True)
class Page:
    """A report to be read in a browser.

    Parameters
    ----------
    title : str
    summary : str
        What was found, in a few sentences; paragraphs are parted by empty lines.
    command : str
        What makes this page again.
    sections : tuple of Section
    facts : mapping of str to str
        Small print: data, device, versions, seed.
    """

    title: str
    summary: str
    command: str
    sections: tuple[Section, ...]
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Parameters
    ----------
    config : ExperimentConfig
        As resolved.
    output : Path
        The run folder.
    rounds : pandas.DataFrame
        One row per refiner, repeat, image and interaction (the content of
        ``rounds.parquet``): columns ``refiner``, ``repeat``, ``image``,
        ``round`` (0 is the state before any stroke), ``operation``,
        ``half_width``, ``effort`` (hinted pixels so far), ``stroke_length``
        (pixels so far), ``tile_row``, ``tile_col``, ``regret`` (pixels that
        nobody touched and that became wrong), ``repaired`` (that became
        right), ``compliance`` (share of the stroke in which the refiner agrees
        by itself), ``manual_<metric>``, ``refined_<metric>``,
        ``relative_gain`` (after the same strokes, whatever the loop), and
        ``seconds_<part>``. See `linerefine.types.Round` for what they count.
    patches : pandas.DataFrame
        One row per refiner and pass over the test patches after one stroke
        each: ``refiner``, ``pass``, ``initial_<metric>``, ``manual_<metric>``,
        ``refined_<metric>``, ``relative_gain``; pooled over all patches.
        Empty if skipped.
    summary : mapping
        The content of ``summary.json``.
    tags : mapping of str to str
        ``data`` (see `data`), ``profile``, ``device`` and more.
    report : Report
        The tables to print; empty while a score sheet is being made.
    """

    config: ExperimentConfig
    output: Path
    rounds: pd.DataFrame
    patches: pd.DataFrame
    summary: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    report: Report = field(default_factory=lambda: Report(()))

    @property
    def data(self) -> str:
        """What kind of data the numbers are about: ``phantom``, ``sample``, ``real`` or ``given``.

        The last where the loader does not know: whatever lies there.
        """
        return self.tags.get("data", GIVEN)
