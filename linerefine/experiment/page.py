"""A run as a page to be read in a browser."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from linerefine.events import ArtifactWritten
from linerefine.experiment.bench import Bench
from linerefine.hooks import Experiment
from linerefine.report import Page, Picture, RunResult, Section
from linerefine.tracking.page import write_page
from linerefine.tracking.style import metric_title

__all__ = ["PAGE", "run_page", "write_run_page"]

PAGE = "report.html"
"""In the run folder: tables, pictures and how to make them again."""

_DATA = {
    "phantom": "Drawn phantoms, which say something about the program and not about real images.",
    "sample": "A small sample of the data.",
}


def write_run_page(bench: Bench, experiment: Experiment, result: RunResult) -> None:
    """Write and announce the page of a finished run, whose pictures are drawn."""
    path = write_page(run_page(bench, experiment, result), bench.folder.path / PAGE)
    bench.notify(ArtifactWritten(path))


def run_page(bench: Bench, experiment: Experiment, result: RunResult) -> Page:
    """Return the page of a finished run.

    Parameters
    ----------
    bench : Bench
        Its run folder holds the pictures; those that are not there are left out.
    experiment : Experiment
        Names the run.
    result : RunResult
        With its report.
    """
    config = bench.folder.config.absolute()
    return Page(
        title=f"{experiment.name}: {', '.join(part.key for part in bench.config.refiners)}",
        summary=_summary(result),
        command=f"linerefine run {experiment.name} --config {shlex.quote(str(config))}",
        sections=tuple(_sections(bench, result)),
        facts=_facts(bench, result),
    )


def _summary(result: RunResult) -> str:
    """Return what was found, in a few sentences."""
    said = _DATA.get(result.data)
    sentences = [*([said] if said else []), *result.report.verdict]
    if result.rounds.empty:
        sentences.append("No sessions were run.")
    return "\n\n".join(sentences)


_CURVES = {
    "shared": "A score by hand is that of the first prediction with the same strokes pasted into "
    "it; a refined one is the refiner's answer.",
    "independent": "A score is that of what a person sees who is at work on it alone; the refiner "
    "manual stands for a person who works by hand. Gains compare the refiner's answer with the "
    "same strokes pasted into the first prediction.",
}
"""What curves show, by loop."""


# ------------------------------------------------------------------ sections


def _sections(bench: Bench, result: RunResult) -> Iterator[Section]:
    curves = _CURVES[bench.config.evaluation.loop]
    yield Section("Tables", parts=result.report.tables)
    for title, text, pictures in (
        ("Curves", f"{curves} {_BANDS}", _curves(bench)),
        ("Best and worst image", _EXTREMES, _of_refiners(bench, "extremes-{}.png", _EXTREME)),
        ("A tile, stroke by stroke", _TILE, _tiles(bench)),
        ("Training", "", _training(bench, result)),
    ):
        there = tuple(picture for picture in pictures if picture.path.exists())
        if there:
            yield Section(title, text, there)


_BANDS = (
    "Bands hold the mean of these images with 95 % confidence, as far as chance in the strokes "
    "moves it."
)
_EXTREMES = (
    "Chosen by the mean gain after the same strokes, over interactions and repeats; shown is the "
    "end of the first session, where strokes and refiner changed most."
)
_TILE = (
    "The tile that got most strokes in the first session on the image with the largest gain, "
    "played again: the first prediction, then what the person sees after each stroke in it."
)
_EXTREME = "{}: the images with the largest and the smallest gain, before and after the strokes."


def _curves(bench: Bench) -> Iterator[Picture]:
    folder, metric = bench.folder.figures, metric_title(bench.steering)
    for name, caption in (
        ("score-bands", f"{metric} over interactions and over hinted pixels, by refiner."),
        ("gain-bands", f"Relative gain in {metric} over interactions, by refiner."),
        ("gain", f"Relative gain in {metric} over interactions, by image; of many their mean."),
        ("effort", f"Effort to the best manual {metric} by image, where it is reached."),
        ("workload", f"{metric} over hinted pixels, by image; the arrow is the effort saved."),
    ):
        yield Picture(folder / f"{name}.png", caption)


def _tiles(bench: Bench) -> Iterator[Picture]:
    yield from _of_refiners(bench, "tile-{}.gif", "{}: a tile after each stroke, a second each.")
    yield from _of_refiners(bench, "tile-{}.png", "{}: the same tile, all strokes side by side.")


def _of_refiners(bench: Bench, name: str, caption: str) -> Iterator[Picture]:
    for part in bench.config.refiners:
        yield Picture(bench.folder.figures / name.format(part.key), caption.format(part.key))


def _training(bench: Bench, result: RunResult) -> Iterator[Picture]:
    folder = bench.folder.figures
    for network in result.summary["training"]:
        yield Picture(folder / f"training-{network}.png", f"How {network} was trained.")
    yield Picture(folder / "stroke-widths.png", "Half-widths of the lines in the training images.")


def _facts(bench: Bench, result: RunResult) -> dict[str, str]:
    config, evaluation = bench.config, bench.config.evaluation
    facts = {
        "run folder": str(_shortened(bench.folder.path)),
        "images": str(result.rounds["image"].nunique() if len(result.rounds) else 0),
        "sessions": f"{evaluation.repeats} per image and refiner, {evaluation.budget} strokes each",
        "simulator": config.simulator.name,
        "seed": str(config.seed),
    }
    facts |= {key.replace("_", " "): value for key, value in result.tags.items()}
    if "seconds" in result.summary:
        facts["seconds"] = f"{result.summary['seconds']:.0f}"
    return facts


def _shortened(path: Path) -> Path:
    """Return a path as seen from the working directory, if it is inside."""
    here = Path.cwd()
    whole = path.absolute()
    return whole.relative_to(here) if whole.is_relative_to(here) else whole
