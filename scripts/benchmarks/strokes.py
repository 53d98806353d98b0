"""Time per simulated stroke, split into its parts, on small and on large images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter

import numpy as np
import torch

from benchmarks.drawn import Case, Row
from benchmarks.networks import NETWORKS
from linerefine.config import EvaluationConfig, InferenceConfig, SessionConfig
from linerefine.evaluation.drive import drive
from linerefine.metrics.standard import IoU, PseudoFMeasure
from linerefine.models.backends import BACKENDS, accelerate
from linerefine.refiners.base import Prompt, Refiner
from linerefine.refiners.options import UNetOptions
from linerefine.refiners.unet import UNetRefiner
from linerefine.session import RefinementSession
from linerefine.simulators.longest import Longest
from linerefine.testing.plain import PlainRound, PlainSession, plain_drive
from linerefine.types import Operation, Round, Stroke

PARTS = ("simulate", "network", "merge", "score", "log")
METRICS = {"pfm": PseudoFMeasure(), "iou": IoU()}


class Ripple(Refiner):
    """A refiner without a network: follows the hints, and frays every border in its crop."""

    def refine(self, features: torch.Tensor, prompt: Prompt) -> torch.Tensor:
        """Return logits that differ a little everywhere after every stroke."""
        turn = prompt.hints.abs().sum((1, 2, 3), keepdim=True)
        rows = torch.arange(prompt.hints.shape[-2], device=prompt.hints.device)[:, None]
        near = torch.nn.functional.max_pool2d(prompt.hints, 5, 1, 2)
        return prompt.initial + 4 * near + 0.1 * torch.sin(rows + turn)


def strokes(megapixels: Sequence[int] = (1, 15, 60), count: int = 300, plain: int = 3) -> list[Row]:
    """Return one row per image size: medians over consecutive strokes, scored every stroke.

    Parameters
    ----------
    megapixels : sequence of int
        Keys of `benchmarks.drawn.SHAPES`.
    count : int
        Strokes per image.
    plain : int
        Strokes that are also worked out plainly, everything from whole arrays:
        with targets that are thinned once and kept, and with none kept.
    """
    rows = []
    for size in megapixels:
        case = Case.of(size)
        rounds, first = played(case, Ripple(), count)
        row = {"image": f"{size} MP", "strokes": len(rounds) - 1} | _parts(rounds)
        row["before the first"] = first
        if plain:
            row["plain, targets kept"] = _plain(case, plain, fresh_targets=False)
            row["ratio, kept"] = row["plain, targets kept"] / row["outside network"]
            row["plain"] = _plain(case, plain, fresh_targets=True)
            row["ratio"] = row["plain"] / row["outside network"]
        rows.append(row)
    return rows


def previews(
    names: Sequence[str] = ("B6", "light"),
    backends: Sequence[str] = ("eager", "packed_bf16", "openvino_bf16"),
    count: int = 30,
) -> list[Row]:
    """Return one row per network and back-end: a simulated interaction, and a person's stroke.

    Parameters
    ----------
    names : sequence of str
        Keys of `benchmarks.networks.NETWORKS`; random weights.
    backends : sequence of str
        Those that cannot run here are left out.
    count : int
        Interactions, of up to two previews each; and strokes, of one call each.
    """
    case, rows = Case.of(1), []
    for name in names:
        torch.manual_seed(0)
        refiner = UNetRefiner(UNetOptions(network=NETWORKS[name]))
        for backend in backends:
            if BACKENDS[backend].obstacle(torch.device("cpu")) is not None:
                continue
            with accelerate(refiner, InferenceConfig(backend=backend)):
                applied = 1e3 * np.array(_applied(case, refiner, count))
                rounds, _ = played(case, refiner, count)
            parts = _parts(rounds)
            whole = [1e3 * sum(round_.seconds.values()) for round_ in rounds[1:]]
            rows.append(
                {
                    "network": name,
                    "back-end": backend,
                    "interaction": float(np.median(whole)),
                    "network's part": parts["network"],
                    "outside network": parts["outside network"],
                    "stroke to mask": float(np.median(applied)),
                    "p95": float(np.percentile(applied, 95)),
                }
            )
    return rows


def _applied(case: Case, refiner: Refiner, count: int) -> list[float]:
    """Return the seconds from each of some strokes to the new mask, after three to warm up."""
    session = RefinementSession(case.image, case.initial, refiner, SessionConfig())
    seconds = []
    for row, col in np.random.default_rng(0).integers(40, 900, (count + 3, 2)).tolist():
        stroke = Stroke(np.array([[row, col], [row + 10, col + 5]]), 3.5, Operation.ADD)
        started = perf_counter()
        session.apply(stroke)
        session.mask  # noqa: B018 - what a person sees
        seconds.append(perf_counter() - started)
    return seconds[3:]


def played(case: Case, refiner: Refiner, count: int) -> tuple[list[Round], float]:
    """Return the rounds of a session, and the milliseconds before the first of them."""
    started = perf_counter()
    session = RefinementSession(case.image, case.initial, refiner, SessionConfig())
    begun: list[float] = []
    result = drive(
        session,
        case.target,
        Longest(),
        EvaluationConfig(budget=count),
        metrics=METRICS,
        rng=np.random.default_rng(0),
        on_round=lambda _: begun.append(perf_counter()),
    )
    return list(result.rounds), 1e3 * (begun[0] - started)


def _parts(rounds: Sequence[Round]) -> dict[str, float]:
    """Return the median milliseconds of every part, and of all but the network."""
    seconds = [round_.seconds for round_ in rounds[1:]]
    row = {part: 1e3 * float(np.median([s.get(part, 0.0) for s in seconds])) for part in PARTS}
    outside = [sum(s.values()) - s["network"] for s in seconds]
    return row | {
        "outside network": 1e3 * float(np.median(outside)),
        "p95 outside": 1e3 * float(np.percentile(outside, 95)),
    }


def plainly(case: Case, count: int, *, fresh_targets: bool) -> Iterator[PlainRound]:
    """Yield rounds worked out plainly, targets thinned for every score or once and kept."""
    case.target.thinned  # noqa: B018 - kept once made
    return plain_drive(
        PlainSession(case.image, case.initial, Ripple(), SessionConfig()),
        case.target,
        Longest(),
        EvaluationConfig(budget=count),
        metrics=METRICS,
        rng=np.random.default_rng(0),
        fresh_targets=fresh_targets,
    )


def _plain(case: Case, count: int, *, fresh_targets: bool) -> float:
    """Return milliseconds per stroke of plain recomputation, the refiner's included."""
    rounds = plainly(case, count + 1, fresh_targets=fresh_targets)
    next(rounds)  # thins the targets of the tiles
    started = perf_counter()
    drawn = sum(1 for _ in rounds)
    return 1e3 * (perf_counter() - started) / drawn
