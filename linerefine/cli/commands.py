"""The commands and their options; each hands over to a module that does the work."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from linerefine.cli.kit import new_plugin, plugins_app
from linerefine.cli.means import Means
from linerefine.cli.options import (
    AsJson,
    Backend,
    Block,
    ClusterAddress,
    ConfigFile,
    DataRoot,
    Device,
    Experiment,
    Jobs,
    Mender,
    Profile,
    Refiners,
    Repeats,
    Seed,
    Sets,
    config_options,
)

__all__ = ["app"]

app = typer.Typer(
    name="linerefine",
    epilog="Start with: linerefine plugins, then linerefine run EXPERIMENT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(
    name="config", help="Look at settings.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(config_app)
cache_app = typer.Typer(
    name="cache",
    help="Show or clear what is kept on disk.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
app.add_typer(cache_app)
app.add_typer(plugins_app)


def _print_version(wanted: bool) -> None:
    if wanted:
        from linerefine import __version__
        from linerefine.cli.output import say

        say(f"linerefine {__version__}")
        raise typer.Exit


@app.callback(help="A person and a network trace thin lines together.")
def _linerefine(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Take the options that come before a command."""


@app.command(short_help="Train, simulate corrections, report.")
def run(
    experiment: Experiment,
    data_root: DataRoot = None,
    profile: Profile = None,
    refiner: Refiners = None,
    seed: Seed = None,
    repeats: Repeats = None,
    set_: Sets = None,
    config: ConfigFile = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="DIR", help="Run folder. Without it: runs/<time>-<experiment>."
        ),
    ] = None,
    device: Device = None,
    backend: Backend = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in --output; without that, with the newest unfinished one.",
        ),
    ] = False,
    jobs: Jobs = 1,
    cluster: ClusterAddress = None,
    block: Block = None,
) -> None:
    """Train the networks, let a simulated person correct whole images, report.

    Tables go to stdout, everything else to the run folder and to MLflow.
    Ctrl-C keeps what is finished; --resume goes on.
    """
    from linerefine.cli.running import run_command

    options = config_options(
        profile=profile,
        data_root=data_root,
        refiner=refiner,
        seed=seed,
        repeats=repeats,
        sets=set_,
        config=config,
        device=device,
        backend=backend,
    )
    run_command(
        experiment,
        options,
        output=output,
        resume=resume,
        blocked=block or (),
        means=Means(jobs, cluster),
    )


@app.command(short_help="Make a table or figure of a paper, by its name.")
def reproduce(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[STUDY]", show_default=False, help="Its name; none: list them."),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on", metavar="EXPERIMENT", help="What it is run on; by default the study's own."
        ),
    ] = None,
    data_root: DataRoot = None,
    profile: Profile = None,
    seed: Seed = None,
    repeats: Repeats = None,
    set_: Sets = None,
    networks: Annotated[
        Path | None,
        typer.Option(
            "--networks", metavar="RUN", help="Run or study whose trained networks are used."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="DIR", help="Folder. Without it: runs/<time>-<study>-<experiment>."
        ),
    ] = None,
    device: Device = None,
    backend: Backend = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the study in --output.")
    ] = False,
    jobs: Jobs = 1,
    cluster: ClusterAddress = None,
    block: Block = None,
) -> None:
    """Run a study: train its variants once, use them under each protocol, write one page.

    Published numbers stand beside ours; what the data are is said with every number.
    """
    from linerefine.cli.reproducing import list_studies, reproduce_command

    if name is None:
        list_studies(block or ())
        return
    options = config_options(
        profile=profile,
        data_root=data_root,
        refiner=None,
        seed=seed,
        repeats=repeats,
        sets=set_,
        config=None,
        device=device,
        backend=backend,
    )
    reproduce_command(
        name,
        options,
        on=on,
        networks=networks,
        output=output,
        resume=resume,
        blocked=block or (),
        means=Means(jobs, cluster),
        command=shlex.join(["linerefine", *sys.argv[1:]]),
    )


@app.command(short_help="Predict images nobody has annotated.")
def predict(
    experiment: Experiment,
    sources: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE_OR_SCAN", show_default=False, help="What to predict."),
    ],
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", help="Folder for masks and probability maps.")
    ],
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="Run folder that holds the trained network. Without it: the one that ships "
            "with the experiment.",
        ),
    ] = None,
    refiner: Mender = None,
    device: Device = None,
    backend: Backend = None,
    block: Block = None,
) -> None:
    """Write a mask and a probability map for images that nobody has annotated."""
    from linerefine.cli.predicting import predict_command

    predict_command(
        experiment,
        sources,
        run=run,
        output=output,
        refiner=refiner,
        device=device or "auto",
        backend=backend,
        blocked=block or (),
    )


@app.command(short_help="Write a run's networks for other programs.")
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", show_default=False, help="Run folder.")],
    network: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            metavar="NAME",
            help="'segmenter' or a refiner; may be repeated. Without it: every trained one.",
        ),
    ] = None,
    format_: Annotated[str, typer.Option("--format", metavar="onnx", help="File format.")] = "onnx",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="For one network. Without it: RUN/onnx/NAME.onnx."
        ),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(
            "--image", metavar="IMAGE_OR_SCAN", help="Compare on this too, not on noise alone."
        ),
    ] = None,
    block: Block = None,
) -> None:
    """Write trained networks of a run as ONNX and compare them with torch.

    Any batch size, height and width (multiples of 32). A refiner's input
    stacks the image, the logits of the first prediction and the hints.
    """
    from linerefine.cli.exporting import export_command

    export_command(
        run,
        networks=network or (),
        format_=format_,
        output=output,
        image=image,
        blocked=block or (),
    )


@config_app.command("show", short_help="Print every setting of an experiment.")
def config_show(
    experiment: Experiment,
    data_root: DataRoot = None,
    profile: Profile = None,
    refiner: Refiners = None,
    seed: Seed = None,
    repeats: Repeats = None,
    set_: Sets = None,
    config: ConfigFile = None,
    device: Device = None,
    backend: Backend = None,
    block: Block = None,
) -> None:
    """Print every setting that `linerefine run` would use, as TOML for --config."""
    from linerefine.cli.listing import config_command

    options = config_options(
        profile=profile,
        data_root=data_root,
        refiner=refiner,
        seed=seed,
        repeats=repeats,
        sets=set_,
        config=config,
        device=device,
        backend=backend,
    )
    config_command(experiment, options, blocked=block or ())


@cache_app.callback()
def _cache(context: typer.Context, as_json: AsJson = False) -> None:
    """Show what is kept on disk because it can be made again, and how large it is."""
    if context.invoked_subcommand is None:
        from linerefine.cli.caching import cache_command

        cache_command(as_json=as_json)


@cache_app.command("clear", short_help="Remove what can be made again.")
def cache_clear(
    parts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PART]...", show_default=False, help="As listed; none: all."),
    ] = None,
) -> None:
    """Remove what is kept; refused while a run uses it."""
    from linerefine.cli.caching import clear_command

    clear_command(parts or ())


@app.command(short_help="Score masks against references.")
def score(
    prediction: Annotated[
        Path,
        typer.Argument(metavar="PREDICTION", show_default=False, help="Mask, or a folder."),
    ],
    target: Annotated[
        Path,
        typer.Argument(metavar="TARGET", show_default=False, help="Reference, or a folder."),
    ],
    roi: Annotated[
        Path | None,
        typer.Option("--roi", metavar="ROI", help="Mask of the pixels that count, or a folder."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help="By this metric only; repeatable."),
    ] = None,
    as_json: AsJson = False,
    block: Block = None,
) -> None:
    """Score masks by every registered metric, or by some; folders are matched by stem.

    A pixel is line if it is above one half: of 1 if nothing is above 1, else
    of 255 or 65535. Of drawings on a transparent ground the opacity counts.
    """
    from linerefine.cli.scoring import score_command

    score_command(
        prediction, target, roi=roi, wanted=metric or (), as_json=as_json, blocked=block or ()
    )


@app.command(short_help="Show the runs in MLflow.")
def ui(
    store: Annotated[
        str,
        typer.Option(
            "--store", metavar="STORE", help="MLflow store: a URI, a database, or a run's folder."
        ),
    ] = "runs",
    host: Annotated[
        str, typer.Option("--host", metavar="NAME", help="Where to listen.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", help="Where to listen.")] = 5000,
) -> None:
    """Show the runs in MLflow's own pages, until Ctrl-C."""
    from linerefine.cli.showing import ui_command

    ui_command(store, host=host, port=port)


app.command("new-plugin", short_help="Write a plugin to begin with.")(new_plugin)
