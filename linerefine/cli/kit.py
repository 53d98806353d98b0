"""``linerefine plugins`` and ``linerefine new-plugin``: the commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linerefine.cli.options import AsJson, Block

__all__ = ["new_plugin", "plugins_app"]

plugins_app = typer.Typer(
    name="plugins",
    help="List what is installed, or check it.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@plugins_app.callback()
def _plugins(context: typer.Context, as_json: AsJson = False, block: Block = None) -> None:
    """List what is installed, and what is wrong with it."""
    if context.invoked_subcommand is None:
        from linerefine.cli.listing import plugins_command

        plugins_command(as_json=as_json, blocked=block or ())


@plugins_app.command("check", short_help="Check every promise of a plugin.")
def _check(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            show_default=False,
            help="A plugin, or a component, experiment or study.",
        ),
    ],
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--options",
            metavar="K=V",
            help="Option of the components that have it, such as root=DIR; may be repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
    block: Block = None,
) -> None:
    """Check that a plugin keeps every promise, and say how to mend what does not.

    Exits with 2 if anything is wrong. Networks are checked small, loaders of
    folders without --options root=DIR on drawn images.
    """
    from linerefine.cli.checking import check_command

    check_command(name, options or (), as_json=as_json, blocked=block or ())


def new_plugin(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", show_default=False, help="snake_case, such as leaf_veins."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="DIR", help="New folder. Without it: linerefine-NAME, here."
        ),
    ] = None,
    with_: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="KIND,...",
            help="What it offers, of loader, experiment, simulator, refiner and metric.",
        ),
    ] = "loader,experiment",
) -> None:
    """Write a plugin that installs, passes its tests and runs, to be changed into yours.

    Its loader reads images and masks from a folder, and draws some if it is
    given none.
    """
    from linerefine.cli.making import new_plugin_command

    new_plugin_command(name, output=output, offers=with_)
