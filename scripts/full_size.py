"""Draw one mirror in full size, open it in a finished run, and draw strokes on it.

Usage: python scripts/full_size.py RUN FOLDER [STROKES]

Prints seconds and peak memory of each part: drawing the scan (6716 x 8964),
preprocessing, first prediction, and the strokes, every one of them scored on
the whole mirror. RUN is a folder of `linerefine run etruscan_mirrors`.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np

from linerefine.chance import stream
from linerefine.evaluation.drive import drive
from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.loading import load_bench
from linerefine.models.inference import predict_image
from linerefine.models.segmenter import load_segmenter
from linerefine.refiners.base import Refiner
from linerefine.registry import Registry
from linerefine.samples import Sample
from linerefine.session import RefinementSession
from linerefine.training.checkpoint import load_weights
from linerefine_etruscan_mirrors.files import read_drawing
from linerefine_etruscan_mirrors.phantom.sets import SETS, write_phantoms
from linerefine_etruscan_mirrors.preprocessing import shrink_mask


@contextmanager
def measured(what: str) -> Iterator[None]:
    """Print how long a block took and the most memory the process has held."""
    started = perf_counter()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:34} {perf_counter() - started:7.1f} s   peak {peak:5.2f} GiB", flush=True)


def trained(bench: Bench) -> Refiner:
    """Return the run's first refiner with its trained weights."""
    (component, *_) = bench.config.refiners
    refiner = bench.registry.make_refiner(component, channels=len(bench.loader.channels))
    weights, _ = load_weights(bench.folder.checkpoints / f"{component.name}.safetensors")
    refiner.load_state_dict(weights)
    return refiner.eval()


def annotated(sample: Sample, drawing: Path) -> Sample:
    """Return the sample with the lines of its drawing on the working grid."""
    scale = sample.source_shape[0] // sample.shape[0] if sample.source_shape else 1
    return replace(sample, lines=shrink_mask(read_drawing(drawing), scale))


def main(run: Path, folder: Path, strokes: int) -> None:
    """Do everything the module's docstring says."""
    spec = next(s for s in SETS["full"] if s.object_name == "PHANTOM-GOOD")
    view = spec.view(folder)
    with measured("drawing the scan"):
        write_phantoms(folder, [spec], lambda _what, _done, _total: None)
    bench = load_bench(Registry.discover(), run, "etruscan_mirrors", "cpu", Notifier([]))
    with measured("preprocessing"):
        sample = bench.loader.open(str(view.depth))
    sample = annotated(sample, view.drawing)
    segmenter = load_segmenter(bench.folder.checkpoints / "segmenter.safetensors").eval()
    with measured("first prediction"):
        initial = predict_image(segmenter, sample.image, bench.config.tiling, roi=sample.roi)
    with measured("opening the session"):
        session = RefinementSession(sample.image, initial, trained(bench), bench.config.session)
    assert sample.target is not None  # lines were just read
    bench.simulator.prepare([sample.target])
    config = bench.config.evaluation.model_copy(update={"budget": strokes})
    with measured(f"{strokes} strokes, each scored"):
        target, rng = sample.target, stream(0, "full size")
        result = drive(session, target, bench.simulator, config, metrics=bench.metrics, rng=rng)
    first, last = result.rounds[0], result.rounds[-1]
    parts = {part for round_ in result.rounds for part in round_.seconds}
    for part in sorted(parts):
        times = [round_.seconds.get(part, 0.0) for round_ in result.rounds[1:]]
        print(f"  {part:32} {1000 * np.median(times):7.1f} ms a stroke (median)")
    print(f"phantom {sample.shape}: pFM {first.manual['pfm']:.3f} before any stroke;")
    print(
        f"  after {last.index}: manual {last.manual['pfm']:.3f}, refined {last.refined['pfm']:.3f}"
    )


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else 50)
