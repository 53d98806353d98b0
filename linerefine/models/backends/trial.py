"""Which back-end a network gets: the one asked for, or the fastest in a short trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter
from typing import Any

from torch import Tensor

from linerefine.config import InferenceConfig
from linerefine.errors import DeviceError, UnknownNameError
from linerefine.models.backends import memory
from linerefine.models.backends.base import Calibration, Runner
from linerefine.models.backends.catalogue import (
    AUTO,
    BACKENDS,
    auto_candidates,
    backend_named,
    usable_backend,
)
from linerefine.models.backends.measure import feature_agreement, mask_agreement, median_seconds
from linerefine.models.swapping import Inputs, Swappable, listed

__all__ = ["Choice", "choose"]

_EAGER = BACKENDS["eager"]
_PROBES = 2


@dataclass(frozen=True)
class Choice:
    """What runs a network, and why.

    Parameters
    ----------
    backend : str
        Its name.
    reason : {"asked for", "not to be quantised", "measured", "remembered", "little to do"}
        How it was chosen.
    shape : tuple of int
        Of the first input, (B, C, H, W).
    milliseconds : mapping of str to float
        Median pass of every back-end that was tried, eager included.
    agreement : mapping of str to float
        Share of pixels of the first input in which each that was compared agrees with eager.
    is_mask : bool
        Whether pixels of masks were compared, or values of features.
    """

    backend: str
    reason: str
    shape: tuple[int, ...]
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    agreement: Mapping[str, float] = field(default_factory=dict)
    is_mask: bool = True

    def __str__(self) -> str:
        if self.backend not in self.milliseconds or "eager" not in self.milliseconds:
            return f"{self.backend} ({self.reason})"
        ours, eager = self.milliseconds[self.backend], self.milliseconds["eager"]
        size = "x".join(map(str, self.shape))
        what, where = ("masks agree", "pixels") if self.is_mask else ("features agree", "values")
        if self.backend == "eager":
            return f"eager ({self.reason}), {eager:.0f} ms per pass of {size}"
        return (
            f"{self.backend} ({self.reason}), {eager / ours:.1f} times as fast as eager: "
            f"{ours:.0f} against {eager:.0f} ms per pass of {size}; "
            f"{what} in {self.agreement[self.backend]:.2%} of {where}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the choice as JSON holds it."""
        return asdict(self) | {"shape": list(self.shape)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], reason: str) -> Choice:
        """Return a choice that was stored, with a new reason."""
        return cls(**{**content, "shape": tuple(content["shape"]), "reason": reason})


def choose(
    network: Swappable,
    example: Inputs,
    config: InferenceConfig,
    *,
    calls: int | None = None,
    calibration: Calibration = (),
) -> tuple[Choice, Runner]:
    """Return what runs a network, and the runner.

    Parameters
    ----------
    network : Swappable
        In evaluation mode.
    example : Tensor of float32, shape (B, C, H, W), or several
        The first input; what `auto` measures with.
    config : InferenceConfig
        The name asked for and the settings of the trial.
    calls : int, optional
        Passes expected; `auto` leaves a network alone that has little to do.
    calibration : sequence of the same
        Typical inputs for int8.

    Returns
    -------
    choice : Choice
    run : Runner

    Raises
    ------
    DeviceError
        If the back-end asked for cannot run here.
    """
    shape, device = tuple(listed(example)[0].shape), listed(example)[0].device
    if config.backend != AUTO:
        backend, reason = usable_backend(config.backend, device), "asked for"
        if backend.unquantised and not network.is_quantisable:
            backend, reason = backend_named(backend.unquantised), "not to be quantised"
        choice = Choice(backend.name, reason, shape, is_mask=network.is_mask)
        return choice, backend.build(network.body, example, calibration)
    eager = _EAGER.build(network.body, example)
    if calls is not None and _little_to_do(eager, example, calls, config):
        return Choice("eager", "little to do", shape, is_mask=network.is_mask), eager
    now = memory.circumstances(network, example, config.agreement)
    return (config.remember and _recalled(network, example, eager, config, now)) or _measured(
        network, example, eager, config, now
    )


def _little_to_do(eager: Runner, example: Inputs, calls: int, config: InferenceConfig) -> bool:
    return median_seconds(eager, example, _PROBES) * calls < config.worth_seconds


def _recalled(
    network: Swappable, example: Inputs, eager: Runner, config: InferenceConfig, now: dict[str, Any]
) -> tuple[Choice, Runner] | None:
    """Return the fastest of what was measured before with which these weights agree.

    Speed is the machine's and is remembered; agreement is the weights' and is not.
    """
    stored = memory.recall(now)
    if stored is None:
        return None
    known = Choice.from_dict(stored, "remembered")
    alike = {"eager": 1.0}
    exact = eager(example)
    for name in sorted(known.milliseconds, key=known.milliseconds.__getitem__):
        if name == "eager":
            return replace(known, backend=name, agreement=alike), eager
        try:
            backend = usable_backend(name, listed(example)[0].device)
        except (DeviceError, UnknownNameError):
            return None
        run = backend.build(network.body, example)
        alike[name] = _agreement_of(network)(run(example), exact)
        if alike[name] >= config.agreement:
            return replace(known, backend=name, agreement=alike), run
    return None


def _measured(
    network: Swappable, example: Inputs, eager: Runner, config: InferenceConfig, now: dict[str, Any]
) -> tuple[Choice, Runner]:
    """Return the fastest candidate that agrees with eager."""
    seconds = {"eager": median_seconds(eager, example, config.trial_passes)}
    alike = {"eager": 1.0}
    runners = {"eager": eager}
    exact = eager(example)
    started = perf_counter()
    for number, backend in enumerate(auto_candidates(listed(example)[0].device)):
        if number and perf_counter() - started > config.trial_seconds:
            break
        run = backend.build(network.body, example)
        alike[backend.name] = _agreement_of(network)(run(example), exact)
        seconds[backend.name] = median_seconds(run, example, config.trial_passes)
        runners[backend.name] = run
    agreeing = [name for name in seconds if alike[name] >= config.agreement]
    best = min(agreeing, key=seconds.__getitem__)
    milliseconds = {name: round(value * 1e3, 3) for name, value in seconds.items()}
    shape = tuple(listed(example)[0].shape)
    choice = Choice(best, "measured", shape, milliseconds, alike, network.is_mask)
    if config.remember:
        memory.store(now, choice.to_dict())
    return choice, runners[best]


def _agreement_of(network: Swappable) -> Callable[[Tensor, Tensor], float]:
    return mask_agreement if network.is_mask else feature_agreement
