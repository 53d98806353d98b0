"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

__all__ = [
    "AsJson",
    "Backend",
    "Block",
    "ClusterAddress",
    "ConfigFile",
    "DataRoot",
    "Device",
    "Experiment",
    "Jobs",
    "Mender",
    "Profile",
    "Refiners",
    "Repeats",
    "Seed",
    "Sets",
    "config_options",
]

Experiment: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT", show_default=False, help="Its name, as `linerefine plugins` lists it."
    ),
]
DataRoot: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--data-root", metavar="DIR", help="Folder of your data; short for loader.options.root."
    ),
]
Profile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="quick|paper",
        help="Named settings of the experiment. Without it: quick on a CPU, paper with CUDA.",
    ),
]
Mender: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--refiner",
        metavar="NAME",
        help="Refiner of that run that mends the prediction before anybody draws, such as "
        "anchored. Without it: the first prediction as it is.",
    ),
]
Refiners: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--refiner", metavar="NAME", help="Refiner to train; give it several times to compare."
    ),
]
Seed: TypeAlias = Annotated[
    int | None, typer.Option("--seed", metavar="N", help="Seed of weights, shuffling and strokes.")
]
Repeats: TypeAlias = Annotated[
    int | None, typer.Option("--repeats", metavar="N", help="Sessions per image and refiner.")
]
Sets: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="K=V", help="Any setting, such as training.max_epochs=3."),
]
ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="TOML file of settings, such as a run's config.toml."
    ),
]
Device: TypeAlias = Annotated[
    str | None, typer.Option("--device", metavar="auto|cpu|cuda", help="Where networks run.")
]
Backend: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--backend",
        metavar="NAME",
        help="How networks run where they are not trained: auto, eager, bf16, openvino_bf16, "
        "...; short for inference.backend.",
    ),
]
Block: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--block", metavar="NAME", help="Leave out a plugin; may be repeated."),
]
Jobs: TypeAlias = Annotated[
    int,
    typer.Option(
        "--jobs", metavar="N", min=1, help="Processes of this machine that run the sessions."
    ),
]
ClusterAddress: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Dask scheduler whose workers run the sessions, such as tcp://host:8786.",
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def config_options(
    *,
    profile: str | None,
    data_root: str | None,
    refiner: list[str] | None,
    seed: int | None,
    repeats: int | None,
    sets: list[str] | None,
    config: Path | None,
    device: str | None,
    backend: str | None = None,
) -> dict[str, Any]:
    """Return what the options say as arguments of `linerefine.configure.resolve`."""
    return {
        "profile": profile,
        "data_root": data_root,
        "refiners": tuple(refiner or ()),
        "seed": seed,
        "repeats": repeats,
        "sets": tuple(sets or ()),
        "file": config,
        "device": device,
        "backend": backend,
    }
