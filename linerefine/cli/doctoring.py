"""``linerefine doctor``: what there is, what is missing, what is broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

import typer

from linerefine.checkup import hardware, places, software
from linerefine.checkup.findings import Finding, examine
from linerefine.cli.listing import columns
from linerefine.cli.main import FAULT_OF_THE_USER
from linerefine.cli.output import complain, print_json, say
from linerefine.cli.showing import store_at
from linerefine.errors import RunError
from linerefine.registry import Registry

__all__ = ["doctor_command"]

MARKS = {"ok": " ", "absent": "-", "broken": "!"}


def doctor_command(store: str, *, as_json: bool) -> None:
    """Look at everything, print it, and exit with 2 if something is broken.

    Parameters
    ----------
    store : str
        As `linerefine.cli.showing.store_at` takes it.
    as_json : bool
        Print JSON instead of a table.
    """
    registry = Registry.discover(())
    found = examine(
        [
            (software.VERSIONS, software.versions),
            (hardware.DEVICES, hardware.devices),
            (hardware.BACKENDS, hardware.backends),
            (software.PLUGINS, lambda: software.plugins(registry)),
            (places.STORE, lambda: _store(store)),
            (places.CACHES, places.caches),
            (places.WEIGHTS, lambda: places.weights(registry)),
        ]
    )
    broken = [finding for finding in found if finding.state == "broken"]
    if as_json:
        print_json({"usable": not broken, "findings": [asdict(finding) for finding in found]})
    else:
        _print(found)
    if broken:
        complain(f"broken: {', '.join(f'{f.area} {f.name}' for f in broken)}")
        raise typer.Exit(FAULT_OF_THE_USER)


def _store(place: str) -> Iterator[Finding]:
    try:
        uri = store_at(place)
    except RunError:
        says = f"none at {place} yet; the first run makes one"
        yield Finding(places.STORE, "mlflow", says, "absent", "linerefine run EXPERIMENT")
        return
    yield from places.store(uri)


def _print(found: Sequence[Finding]) -> None:
    for number, (area, group) in enumerate(groupby(found, key=lambda finding: finding.area)):
        rows = [(MARKS[f.state], f.name, f.says) for f in group]
        say(f"{chr(10) if number else ''}{area}\n{columns(rows, indent=' ')}")
    remedies = dict.fromkeys((f.remedy, f"{f.area} {f.name}") for f in found if f.remedy)
    if remedies:
        say(f"\nto have what is missing (-) or to mend what is broken (!)\n{_remedies(remedies)}")


def _remedies(pairs: dict[tuple[str, str], None]) -> str:
    """Return each command once, with what it brings."""
    brings: dict[str, list[str]] = {}
    for command, what in pairs:
        brings.setdefault(command, []).append(what)
    return columns([(command, ", ".join(what)) for command, what in brings.items()], indent="  ")
