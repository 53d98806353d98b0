"""``linerefine predict``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from linerefine.cli.output import complain, error_console, progress_on, say
from linerefine.cli.plugins import usable_registry
from linerefine.cli.stopped import Stopped

__all__ = ["predict_command"]


def predict_command(
    experiment: str,
    sources: Sequence[str],
    *,
    run: Path,
    output: Path,
    device: str,
    backend: str | None,
    blocked: Collection[str],
) -> None:
    """Predict images with a run's network and name every file written."""
    registry = usable_registry(blocked)
    registry.experiment(experiment)
    complain(f"{experiment}: {len(sources)} to predict with {run}, {device}")
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
