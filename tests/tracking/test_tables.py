from __future__ import annotations

import io

import numpy as np
from rich.console import Console

from linerefine.report import Report, Table
from linerefine.tracking.console import format_table, print_report, report_text
from linerefine.tracking.tables import best_cells, cells

TABLE = Table(
    title="Sessions",
    columns=("image", "initial pFM", "max gain", "gain > 0", "rounds", "seconds", "note"),
    rows=(
        {
            "image": "21",
            "initial pFM": 0.713,
            "max gain": 0.0712,
            "gain > 0": 0.5,
            "rounds": np.int64(120),
            "seconds": 0.01234,
        },
        {
            "image": "a longer name",
            "initial pFM": float("nan"),
            "max gain": -0.01,
            "gain > 0": None,
            "rounds": 3.0,
            "seconds": 12345.6,
            "note": "x",
        },
    ),
    percent=frozenset({"initial pFM", "max gain", "gain > 0"}),
    note="gain: refined over manual, minus one.",
)

TEXT = """\
Sessions
image          initial pFM  max gain  gain > 0  rounds  seconds  note
21                  71.3 %    +7.1 %    50.0 %     120   0.0123  ~
a longer name            ~    -1.0 %         ~       3    12346  x
gain: refined over manual, minus one.
""".replace("~", "\N{EN DASH}")


def printed(report: Report, **options) -> str:
    file = io.StringIO()
    print_report(report, Console(file=file, **options))
    return file.getvalue()


def test_numbers_are_aligned_right_scores_are_percent_and_gaps_are_dashes():
    assert "\n".join(format_table(TABLE)) + "\n" == TEXT


def test_tables_are_separated_by_a_line_and_never_wrapped():
    report = Report((TABLE, TABLE))
    assert printed(report, width=20) == f"{TEXT}\n{TEXT}"
    assert report_text(report) == f"{TEXT}\n{TEXT}"


def test_titles_are_bold_on_a_terminal_only():
    report = Report((TABLE,))
    assert "\x1b[1mSessions" in printed(report, force_terminal=True, color_system="standard")
    assert "\x1b" not in printed(report)


def test_an_empty_table_is_its_header():
    assert format_table(Table("Nothing", ("a", "b"), ())) == ["Nothing", "a  b"]


def test_a_report_without_tables_is_empty():
    assert report_text(Report(())) == ""
    assert report_text(Report((), ("Found.", "Lost."))) == "Found.\nLost.\n"
    assert printed(Report((), ("[red]Found.",))) == "[red]Found.\n"
    assert report_text(Report((TABLE,), ("Found.",))).endswith("\n\nFound.\n")
    assert printed(Report((TABLE,), ("Found.",))) == report_text(Report((TABLE,), ("Found.",)))
    assert printed(Report(())) == ""


def test_markup_in_names_is_printed_as_it_is():
    table = Table("[bold]", ("a",), ({"a": "[red]x[/red]"},))
    assert printed(Report((table,))) == "[bold]\na\n[red]x[/red]\n"


def test_cells_are_what_is_printed():
    assert cells(TABLE)[0] == ["21", "71.3 %", "+7.1 %", "50.0 %", "120", "0.0123", "\N{EN DASH}"]


def test_the_best_of_a_column_is_found_and_what_is_shown_alike_is_equally_good():
    rows = tuple({"a": a, "b": b} for a, b in ((0.7131, 3.0), (0.7129, 1.0), (0.5, None)))
    table = Table("t", ("a", "b"), rows, percent=frozenset("a"), best={"a": "max", "b": "min"})
    assert best_cells(table) == {(0, 0), (1, 0), (1, 1)}


def test_nothing_is_best_where_all_are_alike_or_nothing_is_known():
    rows = ({"a": 1.0, "b": None, "c": "x"}, {"a": 1.0, "b": float("nan"), "c": "y"})
    best = {"a": "max", "b": "max", "c": "max"}
    assert best_cells(Table("t", ("a", "b", "c"), rows, best=best)) == set()
    assert best_cells(TABLE) == set()
