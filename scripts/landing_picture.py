r"""Draw the picture of the documentation's first page: what one stroke does.

Takes a run on drawn mirrors with the networks that ship::

    linerefine run etruscan_mirrors --profile trained --repeats 1 --output RUN \
        --set evaluation.budget=60
    python scripts/landing_picture.py RUN docs/_static/stroke.png --image PHANTOM-GOOD_R

and shows, of all strokes that add a line in a place nobody had touched, the one after which
the refiner set right the most that nobody had asked for. So it is the best case, and the page
says so.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from linerefine.events import SessionKey
from linerefine.experiment.bench import Bench, Notifier
from linerefine.experiment.loading import load_bench
from linerefine.experiment.replay import replay
from linerefine.registry import Registry
from linerefine.tracking.strips import Story, StoryState, strip
from linerefine.types import Round, Tile

EDGE = 256  # of the part of the image that is shown, pixels


def candidates(rounds: pd.DataFrame) -> Iterator[tuple[SessionKey, int]]:
    """Yield the added strokes that set right more than they broke, the best first."""
    drawn = rounds[(rounds["round"] > 0) & (rounds["operation"] == "add")]
    better = drawn.assign(net=drawn["repaired"] - drawn["regret"]).sort_values("net")
    for row in better[better["net"] > 0].iloc[::-1].itertuples():
        yield SessionKey(row.refiner, row.repeat, row.image), int(row.round)


def window(round_: Round, shape: tuple[int, int]) -> Tile:
    """Return the part of an image around a stroke."""
    if round_.stroke is None:
        raise AssertionError
    middle = np.asarray(round_.stroke.path).mean(axis=0) - EDGE / 2
    top, left = (int(np.clip(m, 0, size - EDGE)) for m, size in zip(middle, shape, strict=True))
    return Tile(top, left, top + EDGE, left + EDGE)


def told(bench: Bench, key: SessionKey, index: int) -> Story | None:
    """Return what a stroke did, or None if somebody had drawn there before."""
    sample = bench.loaded(key.image)
    before: list[StoryState] = []
    wanted = next(r for r, _ in replay(bench, key, rounds=index) if r.index == index)
    part = window(wanted, sample.shape)
    for round_, session in replay(bench, key, rounds=index):
        mask, hints = session.mask[part.index].copy(), session.hints[part.index].copy()
        if round_.index == index - 1:
            if hints.any() or (mask != (session.initial[part.index] > 0)).any():
                return None
            before.append(StoryState(mask, hints))
        elif round_.index == index and round_.stroke is not None:
            stroke = round_.stroke.shifted(-part.top, -part.left)
            before.append(StoryState(mask, hints, stroke))
    lines = None if sample.lines is None else sample.lines[part.index]
    image = np.asarray(sample.image[0][part.index])
    return Story(image, lines, tuple(before), sample.roi[part.index])


def main() -> None:
    """Draw the picture of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--image", help="only strokes on this one")
    arguments = parser.parse_args()
    bench = load_bench(Registry.discover(), arguments.run, None, "cpu", Notifier([]))
    for key, index in candidates(pd.read_parquet(arguments.run / "rounds.parquet")):
        if arguments.image not in (None, key.image):
            continue
        if (found := told(bench, key, index)) is not None:
            strip(found).save(arguments.picture, optimize=True)
            print(f"{arguments.picture}: {key.image}, stroke {index}")
            return
    parser.exit(1, "no stroke of this run set right more than it broke in an untouched place\n")


if __name__ == "__main__":
    main()
