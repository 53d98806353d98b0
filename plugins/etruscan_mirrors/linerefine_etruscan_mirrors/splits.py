"""Which views train the networks, which stop their training, which test them."""

from __future__ import annotations

import difflib
import json
import logging
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from linerefine.errors import DataError
from linerefine.types import Mask, Tile

__all__ = [
    "PAPER_TEST_VIEWS",
    "Division",
    "divide",
    "patch_halves",
    "read_split_file",
    "roi_of",
]

log = logging.getLogger(__name__)

PAPER_TEST_VIEWS = ("ANSA-VI-1700_R", "ANSA-VI-1701_R", "wels-11944_R")
"""The paper's test mirrors (section 5): two of KHM Vienna, one of Wels."""


@dataclass(frozen=True)
class Division:
    """Names of views by split, each sorted; no object is in two splits.

    `unused` are further views of test objects: they neither train nor test.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    unused: tuple[str, ...] = ()


def divide(
    objects: Mapping[str, str],
    *,
    test_views: Sequence[str] = (),
    test_fraction: float = 0.2,
    val_fraction: float = 0.2,
    seed: int = 0,
) -> Division:
    """Divide views by object.

    Parameters
    ----------
    objects : mapping of str to str
        View name to object name.
    test_views : sequence of str
        The test split. Empty: a share of the objects, drawn by `seed`.
    test_fraction : float
        That share; at least one object.
    val_fraction : float
        Share of the remaining objects that becomes the validation split, at
        least one; 0 leaves it empty.
    seed : int
        Decides which objects.

    Raises
    ------
    DataError
        If a test view does not exist, or too few objects are left to train
        and validate on.
    """
    _check_known(test_views, objects, "test_views")
    names = np.random.default_rng(seed).permutation(sorted(set(objects.values()))).tolist()
    if test_views:
        test_objects = {objects[view] for view in test_views}
    else:
        spare = len(names) - (2 if val_fraction else 1)
        test_objects = set(names[: _share(test_fraction, len(names), spare)])
    rest = [name for name in names if name not in test_objects]
    val_count = _share(val_fraction, len(rest), len(rest) - 1) if val_fraction else 0
    if len(rest) <= val_count:
        needed = "training and validation" if val_count else "training"
        msg = (
            f"{len(names)} object(s) with drawings found, {len(test_objects)} of them for "
            f"testing: {len(rest)} left, expected at least {val_count + 1} for {needed}. "
            "Add drawings, or name fewer loader.options.test_views."
        )
        raise DataError(msg)
    val_objects = set(rest[:val_count])
    in_test = _views_of(test_objects, objects)
    test = tuple(sorted(set(test_views))) or in_test
    return Division(
        train=_views_of(set(rest) - val_objects, objects),
        val=_views_of(val_objects, objects),
        test=test,
        unused=tuple(view for view in in_test if view not in test),
    )


def _share(fraction: float, count: int, most: int) -> int:
    """Return a share of a number, at least 1 and, if that leaves a choice, not over `most`."""
    return max(1, min(round(fraction * count), most))


def _views_of(chosen: Collection[str], objects: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(view for view, name in objects.items() if name in chosen))


def _check_known(views: Sequence[str], known: Collection[str], where: str) -> None:
    missing = [view for view in views if view not in known]
    if missing:
        close = difflib.get_close_matches(missing[0], list(known), n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        listed = ", ".join(f"'{view}'" for view in missing)
        msg = (
            f"{where} names {listed}, of which there is no usable view with a drawing.{hint} "
            f"Available: {', '.join(sorted(known))}."
        )
        raise DataError(msg)


def read_split_file(path: Path, objects: Mapping[str, str]) -> Division:
    """Return the division that a JSON file states.

    Parameters
    ----------
    path : Path
        ``{"train": [views], "val": [views], "test": [views]}``.
    objects : mapping of str to str
        View name to object name. Views that the file leaves out are unused.

    Raises
    ------
    DataError
        If the file cannot be read, has other keys, names unknown views, leaves
        a split empty, or puts one object's views in two splits.
    """
    stated = _read_json(path)
    for split in ("train", "val", "test"):
        _check_known(stated[split], objects, f"{path} ({split})")
        if not stated[split]:
            msg = f"{path} leaves '{split}' empty, expected at least one view."
            raise DataError(msg)
    owner: dict[str, str] = {}
    for split, views in stated.items():
        for view in views:
            other = owner.setdefault(objects[view], split)
            if other != split:
                msg = (
                    f"{path} has views of object '{objects[view]}' in '{other}' and '{split}'. "
                    "Keep all views of an object in one split."
                )
                raise DataError(msg)
    used = {view for views in stated.values() for view in views}
    parts = {split: tuple(sorted(set(views))) for split, views in stated.items()}
    return Division(**parts, unused=tuple(sorted(set(objects) - used)))


def _read_json(path: Path) -> dict[str, list[str]]:
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"split file {path} cannot be read: {error.strerror}."
        raise DataError(msg) from error
    except ValueError as error:
        msg = f"split file {path} is no JSON: {error}."
        raise DataError(msg) from error
    wanted = {"train", "val", "test"}
    is_well_formed = (
        isinstance(stated, dict)
        and set(stated) == wanted
        and all(
            isinstance(views, list) and all(isinstance(view, str) for view in views)
            for views in stated.values()
        )
    )
    if not is_well_formed:
        msg = f"split file {path} must hold lists of view names under train, val and test."
        raise DataError(msg)
    checked: dict[str, list[str]] = stated
    return checked


def patch_halves(
    shapes: Mapping[str, tuple[int, int]], edge: int, seed: int
) -> tuple[dict[str, list[Tile]], dict[str, list[Tile]]]:
    """Deal the patches of all test views to validation and test, half each.

    Parameters
    ----------
    shapes : mapping of str to (int, int)
        Height and width of each test view, working pixels.
    edge : int
        Edge of a patch, working pixels. Patches do not overlap; what is left
        over at the lower and right border is in neither half.
    seed : int
        Decides who gets which.

    Returns
    -------
    val, test : dict of str to list of Tile
        Patches of every view, row by row.

    Notes
    -----
    Paper, section 3.1: one shuffle over the patches of all three mirrors, so a
    mirror need not give equally many to both.
    """
    patches = [
        (view, Tile(top, left, top + edge, left + edge))
        for view, (height, width) in sorted(shapes.items())
        for top in range(0, height - edge + 1, edge)
        for left in range(0, width - edge + 1, edge)
    ]
    order = np.random.default_rng(seed).permutation(len(patches))
    in_val = set(order[: math.floor(len(patches) / 2)].tolist())
    val: dict[str, list[Tile]] = {view: [] for view in shapes}
    test: dict[str, list[Tile]] = {view: [] for view in shapes}
    for index, (view, tile) in enumerate(patches):
        (val if index in in_val else test)[view].append(tile)
    return val, test


def roi_of(tiles: Sequence[Tile], roi: Mask) -> Mask:
    """Return the part of a ROI that lies in some of the tiles."""
    inside = np.zeros_like(roi)
    for tile in tiles:
        inside[tile.index] = roi[tile.index]
    return inside
