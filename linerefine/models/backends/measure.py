"""Speed and accuracy of back-ends, the machine's matrix rate, and a network's floor."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor, nn

from linerefine.models.backends.base import Calibration, Runner
from linerefine.models.backends.catalogue import BACKENDS, backend_named
from linerefine.models.swapping import Inputs, listed

__all__ = [
    "Measured",
    "feature_agreement",
    "forward_flops",
    "mask_agreement",
    "matrix_rate",
    "measure_backends",
    "median_seconds",
]


NEARLY = 0.2
"""By so much of their standard deviation features may differ and still agree.

In bfloat16 more than 99.9 % of the values of `anchored` do, and of the mask that
it makes of them on a retina one pixel of ten thousand is another.
"""


@dataclass(frozen=True)
class Measured:
    """One back-end on one network and shape.

    Parameters
    ----------
    backend : str
        Its name.
    milliseconds : float
        Median of a pass; nan where it cannot run.
    speedup : float
        Times faster than eager float32 in the same measurement.
    error : float
        Largest difference of a logit from eager float32.
    agreement : float
        Share of pixels, in [0, 1], whose logits lie on the same side of zero;
        for features `feature_agreement`.
    build_seconds : float
        What making it took.
    obstacle : str
        Why it cannot run here; empty if it can.
    """

    backend: str
    milliseconds: float = float("nan")
    speedup: float = float("nan")
    error: float = float("nan")
    agreement: float = float("nan")
    build_seconds: float = float("nan")
    obstacle: str = ""


def measure_backends(
    network: nn.Module,
    example: Inputs,
    names: Sequence[str] = (),
    *,
    passes: int = 9,
    calibration: Calibration = (),
    is_mask: bool = True,
) -> list[Measured]:
    """Return speed and accuracy of back-ends, measured beside each other.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode. Not changed.
    example : Tensor of float32, shape (B, C, H, W), or several
        Input of every pass, on the network's device.
    names : sequence of str
        Back-ends; by default all but those that compile for a minute.
    passes : int
        Timed passes of each. They take turns, so that a load that comes and
        goes slows all of them alike.
    calibration : sequence of the same
        Typical inputs for int8.
    is_mask : bool
        Whether the answer is logits, whose masks are compared, or features.

    Returns
    -------
    rows : list of Measured
        ``eager`` first, then in the order asked.

    Raises
    ------
    UnknownNameError
        If a back-end is unknown.
    """
    wanted = names or [name for name in BACKENDS if not name.startswith("compile")]
    ordered = list(dict.fromkeys(["eager", *wanted]))
    device = listed(example)[0].device
    obstacles = {name: backend_named(name).obstacle(device) for name in ordered}
    runners: dict[str, Runner] = {}
    built: dict[str, float] = {}
    for name in (name for name in ordered if obstacles[name] is None):
        started = perf_counter()
        runners[name] = BACKENDS[name].build(network, example, calibration)
        built[name] = perf_counter() - started
    seconds = _take_turns(runners, example, passes)
    with torch.inference_mode():
        answers = {name: run(example) for name, run in runners.items()}
    exact, agreement = answers["eager"], mask_agreement if is_mask else feature_agreement
    return [
        Measured(
            name,
            milliseconds=seconds[name] * 1e3,
            speedup=seconds["eager"] / seconds[name],
            error=float((answers[name] - exact).abs().max()),
            agreement=agreement(answers[name], exact),
            build_seconds=built[name],
        )
        if name in runners
        else Measured(name, obstacle=obstacles[name] or "")
        for name in ordered
    ]


def _take_turns(runners: dict[str, Runner], example: Inputs, passes: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(passes + 1):
        for name, run in runners.items():
            elapsed = _seconds(run, example)
            if number:  # the first pass warms up
                times[name].append(elapsed)
    return {name: statistics.median(values) for name, values in times.items()}


def median_seconds(run: Runner, example: Inputs, passes: int) -> float:
    """Return the median time of a pass in seconds, after one that warms up."""
    _seconds(run, example)
    return statistics.median(_seconds(run, example) for _ in range(passes))


def _seconds(run: Runner, example: Inputs) -> float:
    device = listed(example)[0].device
    _wait(device)
    with torch.inference_mode():
        started = perf_counter()
        run(example)
        _wait(device)
        return perf_counter() - started


def _wait(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def mask_agreement(one: Tensor, other: Tensor) -> float:
    """Return the share of pixels, in [0, 1], that both logits call line or both do not."""
    return float(((one > 0) == (other > 0)).float().mean())


def feature_agreement(one: Tensor, exact: Tensor) -> float:
    """Return the share of values, in [0, 1], that differ by less than NEARLY of their spread.

    The spread is the standard deviation of a channel.
    """
    spread = exact.std(dim=(0, 2, 3), keepdim=True)
    return float(((one - exact).abs() <= NEARLY * spread).float().mean())


def matrix_rate(
    dtype: torch.dtype, device: torch.device | str = "cpu", *, size: int = 2048, repeats: int = 5
) -> float:
    """Return how fast this machine multiplies matrices, in GFLOP per second.

    Parameters
    ----------
    dtype : torch.dtype
        Precision.
    device : torch.device or str
        Where.
    size : int
        Edge of the square matrices.
    repeats : int
        Multiplications timed; the fastest counts, for a rate is a bound.
    """
    place = torch.device(device)
    one, other = (torch.randn(size, size, device=place).to(dtype) for _ in range(2))

    def multiply(left: Inputs) -> Tensor:
        return listed(left)[0] @ other

    _seconds(multiply, one)
    fastest = min(_seconds(multiply, one) for _ in range(repeats))
    return 2 * size**3 / fastest / 1e9


def forward_flops(network: nn.Module, example: Tensor) -> float:
    """Return the GFLOP of one pass, a multiplication and an addition counting as two.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode; counted as it was trained, before any folding.
    example : Tensor, shape (B, C, H, W)
        An input; its values do not matter.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(example)
    return float(counter.get_total_flops()) / 1e9
