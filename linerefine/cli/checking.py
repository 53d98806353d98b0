"""``linerefine plugins check``: a table of promises kept and broken."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from linerefine.cli.listing import columns
from linerefine.cli.output import complain, print_json, say
from linerefine.errors import PluginError
from linerefine.registry import Registry

if TYPE_CHECKING:
    from linerefine.kit.findings import Finding

__all__ = ["check_command"]


def check_command(
    name: str, options: Sequence[str], *, as_json: bool, blocked: Collection[str]
) -> None:
    """Check a plugin or the components of a name; print what was found.

    Raises
    ------
    PluginError
        If anything is wrong, after all of it is printed.
    UnknownNameError, ConfigError
        If there is no such name or option.
    """
    registry = Registry.discover(blocked)
    from linerefine.kit.checking import check_plugin  # NumPy and pydantic: half a second

    findings = check_plugin(
        registry, name, options, announce=lambda what: complain(f"checking {what}")
    )
    wrong = [found for found in findings if found.problem]
    if as_json:
        print_json({"name": name, "ok": not wrong, "findings": [_record(f) for f in findings]})
    else:
        rows = [row for found in findings for row in _rows(found)]
        say(columns([("component", "checked", "result"), *rows]))
    if wrong:
        msg = f"{len(wrong)} of {len(findings)} checks of '{name}' found something to mend."
        raise PluginError(msg)
    complain(f"all {len(findings)} checks passed")


def _record(found: Finding) -> dict[str, object]:
    return {
        "kind": found.subject,
        "name": found.name,
        "checked": found.checked,
        "ok": not found.problem,
        "problem": found.problem or None,
    }


def _rows(found: Finding) -> list[tuple[str, str, str]]:
    """Return a finding as a row, and one more for every further line of what is said."""
    first, *rest = (found.problem or "ok").splitlines()
    return [
        (f"{found.subject} {found.name}", found.checked, first),
        *(("", "", line) for line in rest),
    ]
