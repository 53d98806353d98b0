"""``linerefine predict``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from linerefine.cli.output import complain, error_console, progress_on, say
from linerefine.cli.plugins import usable_registry
from linerefine.cli.stopped import Stopped
from linerefine.errors import RunError

__all__ = ["predict_command"]


def predict_command(
    experiment: str,
    sources: Sequence[str],
    *,
    run: Path | None,
    output: Path,
    refiner: str | None,
    device: str,
    backend: str | None,
    blocked: Collection[str],
) -> None:
    """Predict images with a run's networks, or some that ship, and name every file written."""
    registry = usable_registry(blocked)
    chosen = registry.experiment(experiment)
    if run is None and chosen.trained is None:
        msg = (
            f"no trained networks ship with '{experiment}'. Name a folder with --run, as "
            f"linerefine run {experiment} makes it."
        )
        raise RunError(msg)
    network = str(run) if run is not None else "the network that ships with it"
    mended = "" if refiner is None else f", mended by {refiner}"
    complain(f"{experiment}: {len(sources)} to predict with {network}{mended}, {device}")
    if run is None:
        from linerefine.experiment.shipped import shipped_folder_of, trained_on

        folder = shipped_folder_of(chosen)
        run = folder.path
        complain(f"that network was trained on {trained_on(folder)}")
    from linerefine.predict import Prediction, predict_scans

    def name_files(prediction: Prediction) -> None:
        say(str(prediction.mask))
        say(str(prediction.probability))

    try:
        with progress_on(error_console()) as progress:
            predict_scans(
                registry,
                sources,
                run,
                output,
                experiment=experiment,
                refiner=refiner,
                device=device,
                backend=backend,
                progress=progress,
                on_written=name_files,
                on_note=complain,
            )
    except KeyboardInterrupt as interrupt:
        msg = f"interrupted; what was finished is in {output}"
        raise Stopped(msg) from interrupt
    complain(f"Wrote {len(sources)} masks and probability maps to {output}")
