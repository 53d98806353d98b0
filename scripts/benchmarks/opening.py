"""Opening a preprocessed scan with its stored first prediction: seconds, and most memory held.

Each size is opened in a process of its own, imports aside; megapixels are those
of the working grid. `opening` takes as long as preprocessing once before.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import tifffile

from benchmarks.drawn import Row, drawn, first_logits, peak_mib, status_kib
from linerefine import Operation, Stroke
from linerefine.refiners.manual import Manual
from linerefine.session import RefinementSession
from linerefine_etruscan_mirrors.files import Layout, View, write_png
from linerefine_etruscan_mirrors.loader import MirrorLoader
from linerefine_etruscan_mirrors.options import MirrorOptions

__all__ = ["opening"]

SCRIPTS = Path(__file__).resolve().parents[1]
STROKES = 400
STATE = {"statistics": {"depth": {"mean": 0.5, "sd": 0.15}}, "pixel_size_mm": 0.04}


def opening(megapixels: tuple[int, ...] = (1, 15, 60)) -> list[Row]:
    """Return seconds and memory of opening a scan, and memory per thousand strokes."""
    rows: list[Row] = []
    for size in megapixels:
        with tempfile.TemporaryDirectory(prefix="linerefine-opening-") as folder:
            _write(Path(folder), size)
            command = [sys.executable, "-m", "benchmarks.opening", folder]
            for _ in range(2):  # the second time it is preprocessed
                done = subprocess.run(
                    command, check=True, capture_output=True, text=True, cwd=SCRIPTS
                )
        for what, (value, unit) in json.loads(done.stdout).items():
            rows.append({"what": f"{size} MP: {what}", "value": value, "unit": unit})
    return rows


def _write(folder: Path, megapixels: int) -> None:
    """Write a scan and its first prediction."""
    sample = drawn(megapixels)
    assert sample.lines is not None
    view = _view(folder)
    view.depth.parent.mkdir(parents=True)
    tifffile.imwrite(
        view.depth, sample.image[0], resolution=(635, 635), resolutionunit="INCH", metadata=None
    )
    write_png(view.drawing, sample.lines, as_alpha=True)
    write_png(view.mask, sample.roi, as_alpha=False)
    np.save(folder / "first.npy", first_logits(sample.lines))


def _view(folder: Path) -> View:
    return View("DRAWN", "DRAWN_R", folder / "scans", Layout())


def _open(folder: Path) -> dict[str, tuple[float, str]]:
    """Open a scan and draw on it; return what was measured."""
    options = MirrorOptions(root=folder / "scans", scale=1, cache=folder / "cache")
    _import()
    marks, before = [perf_counter()], peak_mib()
    loader = MirrorLoader(options)
    loader.restore(STATE)
    sample = loader.open(str(_view(folder).depth))
    marks.append(perf_counter())
    initial = np.load(folder / "first.npy", mmap_mode="r")
    session = RefinementSession(sample.image, initial, Manual())
    marks.append(perf_counter())
    middle = sample.shape[0] // 2
    session.apply(_stroke(middle, sample.shape[1] // 2))
    marks.append(perf_counter())
    opened = peak_mib()
    assert sample.target is not None
    sample.target.thinned, sample.target.centreline  # noqa: B018 (kept once made)
    marks.append(perf_counter())
    skeletons = peak_mib()
    growth = _growth(session)
    seconds = np.diff(marks).tolist()
    return {
        "read the sample": (seconds[0], "s"),
        "begin a session": (seconds[1], "s"),
        "first stroke": (seconds[2], "s"),
        "opening in all": (sum(seconds[:3]), "s"),
        "skeletons of the reference": (seconds[3], "s"),
        "peak memory, imports": (before, "MiB"),
        "peak memory, opened": (opened, "MiB"),
        "peak memory, skeletons made": (skeletons, "MiB"),
        "growth of memory": (growth, "KiB/1000 strokes"),
    }


def _import() -> None:
    """Import what reading and thinning import where they use it."""
    import PIL.PngImagePlugin
    import skimage.morphology

    tifffile.TiffFile, PIL.PngImagePlugin.PngImageFile, skimage.morphology.skeletonize  # noqa: B018


def _growth(session: RefinementSession) -> float:
    """Return by how much memory grows with strokes, after some to warm up."""
    places = np.random.default_rng(0).integers(64, np.array(session.shape) - 64, (2 * STROKES, 2))
    for row, col in places[:STROKES].tolist():
        session.apply(_stroke(row, col))
    before = status_kib("RssAnon")  # mapped files aside
    for row, col in places[STROKES:].tolist():
        session.apply(_stroke(row, col))
    return (status_kib("RssAnon") - before) * 1000 / STROKES


def _stroke(row: int, col: int) -> Stroke:
    path = np.column_stack([np.full(11, row), np.arange(col, col + 11)])
    return Stroke(path, 3.5, Operation.ADD)


if __name__ == "__main__":
    print(json.dumps(_open(Path(sys.argv[1]))))
