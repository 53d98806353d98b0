"""Scores of masks that lie in files: what ``linerefine score`` computes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import DataError
from linerefine.interfaces import Metric
from linerefine.loaders.images import read_stored
from linerefine.loaders.layout import SUFFIXES, raise_together
from linerefine.samples import Target
from linerefine.types import Mask, Progress

__all__ = ["PairScores", "ScoreSheet", "read_lines", "score_paths"]


@dataclass(frozen=True)
class PairScores:
    """Scores of one prediction, by metric; nan where undefined."""

    name: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class ScoreSheet:
    """Scores of all pairs and their means.

    Parameters
    ----------
    pairs : tuple of PairScores
        Sorted by name.
    mean : mapping of str to float
        Mean of every metric over the pairs where it is defined; nan if there
        are none.
    skipped : mapping of str to int
        Pairs where a metric is undefined.
    """

    pairs: tuple[PairScores, ...]
    mean: Mapping[str, float]
    skipped: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return pairs and mean, ready for JSON: undefined scores are None."""
        return {
            "pairs": [{"name": pair.name, **_without_nan(pair.scores)} for pair in self.pairs],
            "mean": _without_nan(self.mean),
        }


def score_paths(
    prediction: Path,
    target: Path,
    metrics: Mapping[str, Metric],
    *,
    roi: Path | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> ScoreSheet:
    """Score one mask file against another, or a folder against a folder.

    Parameters
    ----------
    prediction, target : Path
        Two image files, or two folders whose files are matched by stem;
        suffixes may differ.
    metrics : mapping of str to Metric
        Each counts on the prediction and the target inside the ROI.
    roi : Path, optional
        A file for all pairs, or a folder with one for each; by default every
        pixel counts.
    progress : callable
        Told after every pair.

    Returns
    -------
    sheet : ScoreSheet

    Raises
    ------
    DataError
        If files are missing, cannot be matched or read, or sizes differ;
        unmatched files are all named at once.
    """
    triples = _matched(prediction, target, roi)
    pairs = []
    for done, (name, files) in enumerate(triples.items()):
        progress("scoring", done, len(triples))
        pairs.append(PairScores(name, _scores(*files, metrics)))
    progress("scoring", len(triples), len(triples))
    defined = {m: [p.scores[m] for p in pairs if not math.isnan(p.scores[m])] for m in metrics}
    return ScoreSheet(
        pairs=tuple(pairs),
        mean={m: math.fsum(v) / len(v) if v else math.nan for m, v in defined.items()},
        skipped={m: len(pairs) - len(v) for m, v in defined.items()},
    )


def read_lines(path: Path) -> Mask:
    """Return the line pixels of an image file by one rule for every kind of file.

    Parameters
    ----------
    path : Path
        PNG, TIFF or JPEG.

    Returns
    -------
    mask : ndarray of bool, shape (H, W)

    Raises
    ------
    DataError
        If the file cannot be read, or its numbers have no clear scale.

    Notes
    -----
    One number per pixel: the alpha channel if it is not opaque throughout
    (drawings on nothing), else the brightest colour. A pixel is line if its
    number is above one half of full scale. Full scale is 1 where nothing is
    above 1 (bool, 0/1, probabilities), else the largest number of the type,
    255 or 65535. Floats outside [0, 1] and larger integer types above 1 have
    no full scale and are refused; so is a 16-bit file that holds 8-bit
    numbers.
    """
    grey = _grey(read_stored(path))
    if grey.dtype == np.bool_:
        return grey
    least, most = grey.min(), grey.max()
    if not (least >= 0 and np.isfinite(most)):  # false for nan too
        msg = f"{path} holds values from {least} to {most}, expected 0 to 1, 255 or 65535."
        raise DataError(msg)
    if most <= 1:
        return np.asarray(grey > 0.5)
    if grey.dtype not in (np.uint8, np.uint16):
        msg = (
            f"{path} holds {grey.dtype} values up to {most:g}, expected at most 1. "
            f"Write masks with 8 or 16 bits, probabilities as floats in [0, 1]."
        )
        raise DataError(msg)
    if grey.dtype == np.uint16 and most == np.iinfo(np.uint8).max:
        msg = f"{path} has 16 bits but no value above 255, expected 65535 for white."
        raise DataError(msg)
    return np.asarray(grey > np.iinfo(grey.dtype).max // 2)


def _grey(stored: NDArray[Any]) -> NDArray[Any]:
    """Return one number per pixel, shape (H, W), of an image (H, W, C)."""
    channels = stored.shape[-1]
    if channels in (2, 4) and stored[..., -1].min() < _opaque(stored[..., -1]):
        return stored[..., -1]
    return np.asarray(stored[..., : 3 if channels >= 3 else 1].max(axis=-1))


def _opaque(alpha: NDArray[Any]) -> float:
    return np.iinfo(alpha.dtype).max if alpha.dtype.kind in "ui" else 1


def _scores(
    prediction: Path, target: Path, roi: Path | None, metrics: Mapping[str, Metric]
) -> dict[str, float]:
    mask, lines = read_lines(prediction), read_lines(target)
    inside = np.ones_like(lines) if roi is None else read_lines(roi)
    for path, array in ((target, lines), (roi, inside)):
        if array.shape != mask.shape:
            msg = (
                f"{prediction} has {_size(mask)} pixels, {path} {_size(array)}; "
                f"rows and columns must agree."
            )
            raise DataError(msg)
    reference = Target(lines, inside)
    return {name: metric.score(mask, reference) for name, metric in metrics.items()}


def _size(mask: Mask) -> str:
    return f"{mask.shape[0]} x {mask.shape[1]}"


def _matched(
    prediction: Path, target: Path, roi: Path | None
) -> dict[str, tuple[Path, Path, Path | None]]:
    """Return prediction, target and ROI of every pair by name, sorted."""
    for path in (prediction, target, roi):
        if path is not None and not path.exists():
            msg = f"{path} does not exist, expected an image or a folder of images."
            raise DataError(msg)
    if prediction.is_dir() != target.is_dir():
        kinds = ["a folder" if path.is_dir() else "a file" for path in (prediction, target)]
        msg = f"{prediction} is {kinds[0]}, {target} {kinds[1]}; expected two files or two folders."
        raise DataError(msg)
    if not prediction.is_dir():
        if roi is not None and roi.is_dir():
            msg = f"ROI {roi} is a folder, expected a file as {prediction} is one."
            raise DataError(msg)
        return {prediction.stem: (prediction, target, roi)}
    return _matched_folders(prediction, target, roi)


def _matched_folders(
    prediction: Path, target: Path, roi: Path | None
) -> dict[str, tuple[Path, Path, Path | None]]:
    wrong: list[str] = []
    ours, theirs = _by_stem(prediction, wrong), _by_stem(target, wrong)
    regions: dict[str, Path | None] = dict.fromkeys(ours, roi)
    if roi is not None and roi.is_dir():
        regions = dict(_by_stem(roi, wrong))
    for files, there, others in (
        (ours, target, theirs),
        (theirs, prediction, ours),
        (ours, roi, regions),
    ):
        lonely = sorted(files.keys() - others.keys())
        wrong += [f"{files[stem]} has no partner '{stem}.*' in {there}." for stem in lonely]
    raise_together(wrong, prediction)
    return {stem: (ours[stem], theirs[stem], regions[stem]) for stem in sorted(ours)}


def _by_stem(folder: Path, wrong: list[str]) -> dict[str, Path]:
    """Return the images of a folder by stem; note stems that two files share."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            wrong.append(f"{path} and {found[path.stem].name} share the stem; keep one.")
        found.setdefault(path.stem, path)
    if not found:
        msg = f"{folder} holds no image; looked for {', '.join(SUFFIXES)}."
        raise DataError(msg)
    return found


def _without_nan(scores: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(score) else score for name, score in scores.items()}
