"""Swap how every network inside a module runs, and swap it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType

import torch
from torch import Tensor, nn

from linerefine.config import InferenceConfig
from linerefine.models.backends.base import Calibration, Runner
from linerefine.models.backends.catalogue import BACKENDS
from linerefine.models.backends.trial import Choice, choose
from linerefine.models.swapping import Inputs, Swappable, every, listed, swappable

__all__ = ["Acceleration", "accelerate"]


class Acceleration:
    """The networks of a module with the back-ends they run on; a context manager.

    Parameters
    ----------
    lanes : mapping of str to Lane
        By the network's name inside the module.
    """

    def __init__(self, lanes: Mapping[str, Lane]) -> None:
        self._lanes = lanes

    @property
    def choices(self) -> dict[str, Choice]:
        """What runs each network, by its name inside the module; known after its first call."""
        return {name: lane.choice for name, lane in self._lanes.items() if lane.choice is not None}

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks inside the module; without any it runs eagerly."""
        return tuple(self._lanes)

    def __enter__(self) -> Acceleration:
        for lane in self._lanes.values():
            lane.network.fast = lane
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Run every network as it was trained again; what was built is kept for the next time."""
        for lane in self._lanes.values():
            if lane.network.fast is lane:
                lane.network.fast = None


def accelerate(
    module: nn.Module,
    config: InferenceConfig | None = None,
    *,
    calls: int | None = None,
    calibration: Mapping[str, Calibration] | None = None,
    settled: Mapping[str, str] | None = None,
    on_choice: Callable[[str, Choice], None] = lambda _name, _choice: None,
) -> Acceleration:
    """Return a context in which every network inside a module runs on a back-end.

    Parameters
    ----------
    module : nn.Module
        A `Segmenter`, a refiner, or anything with a `Swappable` inside. Its
        parameters, its ``state_dict`` and how it trains stay as they are.
    config : InferenceConfig, optional
        Which back-end, and how `auto` chooses.
    calls : int, optional
        Passes expected, for `auto`; None: many.
    calibration : mapping of str to sequence of Tensor or of several, optional
        Typical inputs by the network's name inside the module, for int8.
    settled : mapping of str to str, optional
        Back-ends by the network's name inside the module that go before
        ``config.backend``: what an interrupted run was begun with.
    on_choice : callable
        Called with name and `Choice` when a network got its back-end, which
        is when it is first asked something.

    Returns
    -------
    context : Acceleration
        ``with`` it the networks are swapped, and swapped back at its end.

    Notes
    -----
    Only passes without gradients in evaluation mode are swapped, so training
    inside the block trains what it always did; the first pass after it builds
    the back-end anew from the new weights. Back-ends that are built for one
    shape of input are built for the first few shapes that come; the others
    go to a general one of the same precision.

    Examples
    --------
    >>> from linerefine.config import NetworkConfig
    >>> from linerefine.models.segmenter import Segmenter, build_network
    >>> tiny = NetworkConfig(encoder="tu-resnet10t", encoder_depth=3, decoder_channels=(8, 8, 8))
    >>> segmenter = Segmenter(build_network(tiny, 1)).eval()
    >>> with accelerate(segmenter, InferenceConfig(backend="channels_last")) as fast:
    ...     with torch.inference_mode():
    ...         answer = segmenter(torch.zeros(1, 1, 64, 64))
    >>> str(fast.choices["network"])
    'channels_last (asked for)'
    """
    settings = config or InferenceConfig()
    lanes = {}
    for name, part in swappable(module).items():
        typical = (calibration or {}).get(name, ())
        backend = (settled or {}).get(name, settings.backend)
        own = settings.model_copy(update={"backend": backend})
        lanes[name] = Lane(name, part, own, calls, typical, on_choice)
    return Acceleration(lanes)


class Lane:
    """One network on its back-end: what `Network.fast` is while it is swapped.

    Parameters
    ----------
    name : str
        The network's name inside the module.
    network, config, calls, calibration, on_choice
        As for `accelerate`.
    """

    def __init__(
        self,
        name: str,
        network: Swappable,
        config: InferenceConfig,
        calls: int | None,
        calibration: Calibration,
        on_choice: Callable[[str, Choice], None],
    ) -> None:
        self.name = name
        self.network = network
        self.choice: Choice | None = None
        self._config = config
        self._calls = calls
        self._calibration = calibration
        self._on_choice = on_choice
        self._weights: list[Tensor] = []
        self._stamp: tuple[object, ...] = ()
        self._fixed: dict[tuple[tuple[int, ...], ...], Runner] = {}
        self._general: Runner | None = None

    def __call__(self, given: Inputs) -> Tensor:
        """Return the network's answer."""
        if self._stamp_of(given) != self._stamp:
            self._forget()
        # What is built must outlive this pass, so it is no matter of inference mode.
        runner = self._runner(given)
        return runner(given)

    def _stamp_of(self, given: Inputs) -> tuple[object, ...]:
        return (listed(given)[0].device, *(weight._version for weight in self._weights))

    def _forget(self) -> None:
        """Drop what was built from weights that have changed since."""
        self._fixed, self._general = {}, None
        self._weights = [*self.network.parameters(), *self.network.buffers()]

    def _runner(self, given: Inputs) -> Runner:
        shape = _shapes(given)
        if shape in self._fixed:
            return self._fixed[shape]
        if self._general is not None and self._is_full():
            return self._general
        with torch.inference_mode(False), torch.no_grad():
            runner = self._built(every(given, lambda part: part.detach().clone()))
        self._stamp = self._stamp_of(given)
        return runner

    def _is_full(self) -> bool:
        assert self.choice is not None
        limit = BACKENDS[self.choice.backend].shapes
        return limit is None or len(self._fixed) >= limit

    def _built(self, example: Inputs) -> Runner:
        """Build what is missing for an input of this shape."""
        if self.choice is None:
            self.choice, runner = choose(
                self.network,
                example,
                self._config,
                calls=self._calls,
                calibration=self._calibration,
            )
            self._on_choice(self.name, self.choice)
            return self._keep(runner, example)
        backend = BACKENDS[self.choice.backend]
        if backend.shapes is not None and self._is_full():
            backend = BACKENDS[backend.general]
            self._general = backend.build(self.network.body, example)
            return self._general
        return self._keep(backend.build(self.network.body, example, self._calibration), example)

    def _keep(self, runner: Runner, example: Inputs) -> Runner:
        assert self.choice is not None
        if BACKENDS[self.choice.backend].shapes is None:
            self._general = runner
        else:
            self._fixed[_shapes(example)] = runner
        return runner


def _shapes(given: Inputs) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(part.shape) for part in listed(given))
