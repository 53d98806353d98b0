"""Print what a ridge filter reaches on each test mirror: the yardstick for first predictions.

``python scripts/ridge_baseline.py`` scores the quick phantoms, ``--phantoms full``
the full-size ones, ``--data-root DIR`` scans of your own. Filter, scales and
threshold are the best for each mirror, chosen by looking at its drawing.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import typer

from linerefine.errors import LineRefineError
from linerefine_etruscan_mirrors.loader import MirrorLoader
from linerefine_etruscan_mirrors.options import MirrorOptions
from linerefine_etruscan_mirrors.ridge import RidgeScore, best_ridge_pfm


def main(
    data_root: Annotated[Path | None, typer.Option(help="Folder of the object folders.")] = None,
    phantoms: Annotated[
        Literal["quick", "full"], typer.Option(help="Which phantoms without a data root.")
    ] = "quick",
) -> None:
    """Score the test split of mirrors with the best ridge filter."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    loader = MirrorLoader(MirrorOptions(root=data_root, phantoms=phantoms))
    try:
        loader.prepare(lambda what, done, total: typer.echo(f"{what} {done}/{total}", err=True))
        typer.echo(f"{'mirror':<24} {'pFM':>6} {'prec.':>6} {'p-rec.':>6}  best filter")
        scores = [_print(loader, name) for name in loader.names("test")]
    except LineRefineError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        raise typer.Exit(2) from error
    mean = float(np.nanmean([score.pfm for score in scores]))
    typer.echo(f"{'mean':<24} {mean:6.3f}   [{loader.notes()['data']}]")


def _print(loader: MirrorLoader, name: str) -> RidgeScore:
    sample = loader.load(name)
    assert sample.target is not None  # the test split is annotated
    left, top, width, height = cv2.boundingRect(sample.roi.view(np.uint8))
    box = slice(top, top + height), slice(left, left + width)
    depth = np.asarray(sample.image[loader.channels.index("depth")])
    score = best_ridge_pfm(depth[box], sample.target.mask[box], sample.roi[box])
    typer.echo(
        f"{name:<24} {score.pfm:6.3f} {score.precision:6.3f} {score.pseudo_recall:6.3f}  "
        f"{score.filter}, sigmas {', '.join(f'{sigma:g}' for sigma in score.sigmas)}"
    )
    return score


if __name__ == "__main__":
    typer.run(main)
