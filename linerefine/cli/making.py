"""``linerefine new-plugin``."""

from __future__ import annotations

import shlex
from pathlib import Path

from linerefine.cli.output import say
from linerefine.machine import install_command
from linerefine.registry import Registry

__all__ = ["new_plugin_command"]


def new_plugin_command(name: str, *, output: Path | None, offers: str) -> None:
    """Write a plugin project and say what to type next.

    Raises
    ------
    ConfigError
        Lists everything that is wrong with the name, the folder and the offers.
    DataError
        If the folder cannot be written.
    """
    from linerefine.kit.writing import write_plugin

    wanted = [offer.strip() for offer in offers.split(",") if offer.strip()]
    project = write_plugin(name, Registry.discover(), output=output, offers=wanted)
    for file in project.files:
        say(f"  {file}")
    say(f"Wrote {project.folder} (offers {', '.join(project.offers)}). Next:")
    say("  " + install_command(f"-e {shlex.quote(str(project.folder))}"))
    say(f"  linerefine plugins check {name}")
    if "experiment" in project.offers:
        say(f"  linerefine run {name} --profile quick")
