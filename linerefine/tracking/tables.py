"""Tables of numbers as text."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any

from linerefine.report import Report, Table

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "best_cells",
    "cells",
    "format_table",
    "is_numeric",
    "percent",
    "print_report",
    "report_text",
    "say",
]

_MISSING = "\N{EN DASH}"


def print_report(report: Report, console: Console) -> None:
    """Print a report's tables and verdict, titles and best values in bold where the console can.

    Parameters
    ----------
    report : Report
        What to print.
    console : rich.console.Console
        Normally on stdout. Lines are never wrapped or cut.
    """
    from rich.text import Text  # only where something is printed

    for number, table in enumerate(report.tables):
        say(console, ("\n" if number else "") + table.title, style="bold")
        best = {(row + 1, column) for row, column in best_cells(table)}
        for row, texts in enumerate(_laid_out(table)):
            styles = ["bold" if (row, column) in best else "" for column in range(len(texts))]
            line = Text("  ").join(map(Text, texts, styles))
            line.rstrip()
            console.print(line, soft_wrap=True)
        if table.note:
            say(console, table.note)
    for number, sentence in enumerate(report.verdict):
        say(console, ("" if number or not report.tables else "\n") + sentence, style="bold")


def report_text(report: Report) -> str:
    """Return a report as text, the way `print_report` prints it; ends with a newline."""
    parts = [*(format_table(table) for table in report.tables), list(report.verdict)]
    return "\n".join("\n".join([*lines, ""]) for lines in parts if lines)


def format_table(table: Table) -> list[str]:
    """Return a table as lines: title, header, rows, note.

    Numbers are aligned right; scores named in ``percent`` are shown as
    ``71.3 %``, gains with their sign; a dash for nan and None.
    """
    lines = ["  ".join(texts).rstrip() for texts in _laid_out(table)]
    return [table.title, *lines, *([table.note] if table.note else [])]


def _laid_out(table: Table) -> list[list[str]]:
    """Return header and rows with every text as wide as its column."""
    shown = cells(table)
    is_number = [is_numeric(table, column) for column in table.columns]
    widths = [
        max(len(text) for text in [column, *(row[index] for row in shown)])
        for index, column in enumerate(table.columns)
    ]
    return [
        [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, is_number, strict=True)
        ]
        for row in [list(table.columns), *shown]
    ]


def cells(table: Table) -> list[list[str]]:
    """Return what is shown of a table: a text per row and column."""
    return [
        [_cell(row.get(column), column, column in table.percent) for column in table.columns]
        for row in table.rows
    ]


def best_cells(table: Table) -> set[tuple[int, int]]:
    """Return row and column of the best values, in columns for which the table says what is best.

    Values that are shown alike are equally good; nothing stands out where all are.
    """
    shown = cells(table)
    found = set()
    for column, which in table.best.items():
        place = table.columns.index(column)
        values = {
            row: float(value)
            for row, content in enumerate(table.rows)
            if isinstance(value := content.get(column), Real) and not math.isnan(value)
        }
        if values:
            top = (max if which == "max" else min)(values, key=values.__getitem__)
            equal = {(row, place) for row in values if shown[row][place] == shown[top][place]}
            found |= equal if len(equal) < len(values) else set()
    return found


def say(console: Console, text: str, style: str = "") -> None:
    """Print a line as it is: not wrapped, not coloured by guessing, nothing replaced."""
    console.print(text, style=style, markup=False, highlight=False, emoji=False, soft_wrap=True)


def is_numeric(table: Table, column: str) -> bool:
    """Say whether a column holds numbers, intervals below them or not; they are aligned right."""
    return column in table.percent or any(isinstance(row.get(column), Real) for row in table.rows)


def _cell(value: Any, column: str, is_percent: bool) -> str:  # noqa: ANN401 - what tables hold
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _MISSING
    if is_percent and isinstance(value, Real):
        return percent(float(value), signed=column.endswith("gain"))
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() or abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def percent(value: float, *, signed: bool = False) -> str:
    """Return a score in [0, 1] as percent; a dash if it is nan.

    Examples
    --------
    >>> percent(0.713), percent(0.071, signed=True)
    ('71.3 %', '+7.1 %')
    """
    if math.isnan(value):
        return _MISSING
    return f"{100 * value:+.1f} %" if signed else f"{100 * value:.1f} %"
