"""Print what a refiner would change after one stroke, and how much of it is right.

Usage: python scripts/change_precision.py RUN REFINER [--every N]

RUN is a run folder with sessions of ``manual`` in the independent protocol: its strokes are drawn
again on the first prediction, and after every N-th (default 5) the refiner is asked about the crop
that a session would show it. Rows: kind of stroke, kind of change, and whether it lies at the rim
of what was line, no more than 2 pixels to either side. Columns: how sure the network must be, in
log-odds; pixels per stroke that change to right and to wrong, and the share that is right. For
``anchored`` that is its belief, before any margin.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from linerefine.events import SessionKey
from linerefine.experiment.bench import Bench
from linerefine.experiment.loading import load_bench
from linerefine.experiment.notifier import Notifier
from linerefine.experiment.replay import replay
from linerefine.experiment.stored import stored_refiner
from linerefine.geometry.tiles import crop
from linerefine.refiners.anchored import Anchored
from linerefine.refiners.asked import HELD
from linerefine.refiners.base import Prompt, Refiner
from linerefine.registry import Registry
from linerefine.session.placement import place
from linerefine.types import Operation, Tile

MARGINS = (-0.5, 0.0, 0.5, 1.5)
RIM = 2.0
PLACES = {"rim": True, "else": False}
CHANGES = {"adds": True, "erases": False}


def main() -> None:
    """Print the table of one refiner of a run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("refiner")
    parser.add_argument("--every", type=int, default=5)
    wanted = parser.parse_args()
    bench = load_bench(Registry.discover(), wanted.run, None, "cpu", Notifier([]))
    refiner = stored_refiner(bench, wanted.refiner).eval()
    sums: dict[tuple[str, str, str, float], np.ndarray] = defaultdict(lambda: np.zeros(2))
    strokes: dict[str, int] = defaultdict(int)
    for operation, counts in changes(bench, refiner, wanted.every):
        strokes[operation] += 1
        for key, count in counts.items():
            sums[(operation, *key)] += count
    print("| stroke | change | where |", " | ".join(f"> {margin:g}" for margin in MARGINS), "|")
    print("| --- | --- | --- |", " | ".join("---" for _ in MARGINS), "|")
    for operation in sorted(strokes):
        for change in CHANGES:
            for place_ in PLACES:
                cells = [
                    _cell(sums[operation, change, place_, margin], strokes[operation])
                    for margin in MARGINS
                ]
                print(f"| {operation} | {change} | {place_} |", " | ".join(cells), "|")


def changes(
    bench: Bench, refiner: Refiner, every: int
) -> Iterator[tuple[str, dict[tuple[str, str, float], tuple[int, int]]]]:
    """Yield the kind of each stroke, and right and wrong changes by change, place and margin."""
    for name in bench.loader.names("test"):
        sample = bench.loaded(name)
        before = np.zeros(sample.shape, dtype=np.int8)
        for round_, session in replay(bench, SessionKey("manual", 0, name)):
            hints = session.hints.copy()
            if round_.stroke is not None and round_.index % every == 0 and (hints != before).any():
                rows, cols = np.nonzero(hints != before)
                box = Tile(rows.min(), cols.min(), rows.max() + 1, cols.max() + 1)
                around = place(round_.stroke, box, sample.shape, bench.config.session)
                cut = {
                    "image": crop(sample.image, around),
                    "initial": crop(session.initial, around),
                    "hints": crop(hints, around),
                    "old": crop(before, around),
                    "lines": crop(sample.target.mask, around),
                    "roi": crop(sample.target.roi, around),
                }
                kind = "add" if round_.stroke.operation is Operation.ADD else "erase"
                yield kind, _counted(refiner, cut)
            before = hints


def _counted(
    refiner: Refiner, cut: dict[str, np.ndarray]
) -> dict[tuple[str, str, float], tuple[int, int]]:
    previous = np.where(cut["old"] != 0, HELD * cut["old"], cut["initial"])
    prompt = Prompt(*map(_tensor, (cut["initial"], cut["hints"], previous)))
    image = torch.from_numpy(np.ascontiguousarray(cut["image"]))[None]
    with torch.inference_mode():
        features = refiner.encode(image, prompt.initial)
        ask = refiner.belief if isinstance(refiner, Anchored) else refiner.refine
        logits = ask(features, prompt)[0, 0].float().numpy()
    was_line = previous > 0
    is_open = cut["roi"] & (cut["hints"] == 0)
    is_rim = _depth(was_line) + _depth(~was_line) <= RIM
    found = {}
    for change, adds in CHANGES.items():
        excess = logits if adds else -logits
        for name, at_rim in PLACES.items():
            for margin in MARGINS:
                chosen = is_open & (was_line != adds) & (is_rim == at_rim) & (excess > margin)
                rights = int((chosen & (cut["lines"] == adds)).sum())
                found[change, name, margin] = (rights, int(chosen.sum()) - rights)
    return found


def _depth(mask: np.ndarray) -> np.ndarray:
    """Return how far inside a mask each pixel lies, 0 outside, 1 at its border."""
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))[None, None]


def _cell(counts: np.ndarray, strokes: int) -> str:
    right, wrong = counts / strokes
    share = f" ({counts[0] / counts.sum():.0%})" if counts.sum() else ""
    return f"{right:.1f} / {wrong:.1f}{share}"


if __name__ == "__main__":
    main()
