"""The commands that only look: at finished runs, at this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linerefine.cli.commands import app
from linerefine.cli.options import AsJson, Block

__all__ = ["compare", "doctor"]


@app.command(short_help="Put finished runs side by side.")
def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            show_default=False,
            help="Run folders or ids of MLflow runs; none: all finished runs of the store.",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="STORE",
            help="MLflow store: a URI, a database, or a run's folder. Without it: runs.",
        ),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", metavar="NAME", help="Whose finished runs are compared."),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="K=V", help="Tag that runs must have, such as data=real."),
    ] = None,
    refiner: Annotated[
        list[str] | None,
        typer.Option("--refiner", metavar="NAME", help="Show this one; may be repeated."),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", metavar="NAME", help="Without it: what steered the runs."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Curves as .png, or a page as .html."),
    ] = None,
    as_json: AsJson = False,
    block: Block = None,
) -> None:
    """Compare the refiners of finished runs: scores, gain, effort, regret, time.

    Numbers come from the run folders. Table and curves are kept in MLflow too,
    in the experiment of the first run.
    """
    from linerefine.cli.comparing import compare_command

    compare_command(
        runs or (),
        store=store,
        experiment=experiment,
        tags=tag or (),
        refiners=refiner or (),
        metric=metric,
        output=output,
        as_json=as_json,
        blocked=block or (),
    )


@app.command(short_help="Say what this machine has and what is missing.")
def doctor(
    store: Annotated[
        str, typer.Option("--store", metavar="STORE", help="MLflow store to look at.")
    ] = "runs",
    as_json: AsJson = False,
) -> None:
    """Look at versions, devices, back-ends, plugins, store, caches and weights.

    What is missing comes with the command that brings it. Exit code 2 if
    something is broken.
    """
    from linerefine.cli.doctoring import doctor_command

    doctor_command(store, as_json=as_json)
