"""Contract checks of loaders, simulators and metrics.

Each raises an AssertionError whose sentence says what is wrong and how to mend
it, and returns None if all promises are kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from linerefine.errors import DataError
from linerefine.interfaces import Metric, ModalityLoader, UserSimulator
from linerefine.samples import Sample, Target
from linerefine.testing.demands import demand, unchanged, unchanged_randomness
from linerefine.testing.drawing import KINDS, Kind, drawn_sample
from linerefine.types import HintMap, Mask, Operation, Split, Stroke, Tile

__all__ = ["check_loader", "check_metric", "check_sample", "check_simulator"]

_ABSENT = "no such sample, for certain"
_SHAPE = (64, 80)


def check_loader(loader: ModalityLoader, *, per_split: int = 1) -> None:
    """Check that a loader keeps the promises of `ModalityLoader`.

    Parameters
    ----------
    loader : ModalityLoader
        With at least one sample in each split.
    per_split : int
        How many samples of each split are loaded.

    Raises
    ------
    AssertionError
        Says which promise is broken and how to mend it.
    """
    who = type(loader).__name__
    with unchanged_randomness(who):
        _check_channels(loader, who)
        _check_prepare(loader, who)
        known = _check_names(loader, who)
        for split in get_args(Split):
            for name in list(loader.names(split))[:per_split]:
                first, again = loader.load(name), loader.load(name)
                demand(
                    isinstance(first, Sample),
                    f"{who}.load('{name}') returned {type(first).__name__}, expected a Sample.",
                )
                demand(
                    first.name == name,
                    f"{who}.load('{name}') returned a sample named '{first.name}'; keep the name.",
                )
                check_sample(first, channels=len(loader.channels))
                _check_same(first, again, f"{who}.load('{name}')")
        _check_refusals(loader, who)
        strange = set(loader.patch_names()) - known
        demand(not strange, f"{who}.patch_names() returned unknown names: {sorted(strange)}.")
        _check_notes(loader, who)


def check_sample(sample: Sample, *, channels: int) -> None:
    """Check shapes, types and values of a sample.

    Raises
    ------
    AssertionError
        Says what is wrong and how to mend it.
    """
    who = f"sample '{sample.name}'"
    demand(
        sample.image.shape[0] == channels,
        f"{who} has {sample.image.shape[0]} channels, its loader names {channels}.",
    )
    demand(
        np.isfinite(sample.image).all(),
        f"{who}: its image holds NaN or infinite values; refuse the file or fill them.",
    )
    masks = {"roi": sample.roi, "lines": sample.lines}
    masks |= {f"other_lines[{n}]": other for n, other in enumerate(sample.other_lines)}
    for name, mask in masks.items():
        demand(
            mask is None or mask.dtype == np.bool_,
            f"{who}: {name} is {getattr(mask, 'dtype', None)}, expected bool; compare with > 0.",
        )
    demand(sample.roi.any(), f"{who}: its ROI is empty, so nothing counts; refuse the file.")
    size = sample.pixel_size_mm
    demand(
        size is None or (math.isfinite(size) and size > 0),
        f"{who}: pixel_size_mm is {size}, expected a length > 0, or None if unknown.",
    )


def check_simulator(simulator: UserSimulator) -> None:
    """Check that a simulator keeps the promises of `UserSimulator`.

    Parameters
    ----------
    simulator : UserSimulator
        Fresh; it is prepared with drawn targets.

    Raises
    ------
    AssertionError
        Says which promise is broken and how to mend it.
    """
    who = type(simulator).__name__
    cases = list(_simulator_cases())
    with unchanged_randomness(who):
        simulator.prepare([target for _, _, target in cases])
        for label, prediction, target in cases:
            for operations in map(frozenset, ([*Operation], *([single] for single in Operation))):
                _check_stroke(simulator, prediction, target, operations, f"{who} ({label})")
        notes: Mapping[Any, Any] = simulator.notes()
        for key, value in notes.items():
            demand(
                isinstance(key, str) and isinstance(value, (int, float)),
                f"{who}.notes() holds {key!r}: {value!r}; expected names and numbers.",
            )


def check_metric(metric: Metric) -> None:
    """Check that a metric keeps the promises of `Metric`.

    Parameters
    ----------
    metric : Metric
        Counted pixel by pixel if it says that it is additive; if not, an image
        counted twice must score as it does once.

    Raises
    ------
    AssertionError
        Says which promise is broken and how to mend it.
    """
    who = type(metric).__name__
    with unchanged_randomness(who):
        for label, prediction, target in _simulator_cases():
            _check_counts(metric, prediction, target, f"{who} ({label})")
        lines: tuple[Kind, ...] = ("cross", "vee", "ring")
        tells = [_check_ranking(metric, _target(kind), f"{who} ({kind})") for kind in lines]
        demand(
            any(tells),
            f"{who} scores nothing worse than a perfect prediction; check the formula.",
        )
        empty = _target("empty")
        score = metric.score(empty.mask, empty)
        demand(
            math.isnan(score),
            f"{who} scores {score} where prediction and target are empty; undefined must be nan.",
        )


def _check_channels(loader: ModalityLoader, who: str) -> None:
    channels: object = getattr(loader, "channels", None)
    demand(
        isinstance(channels, tuple)
        and channels
        and all(isinstance(c, str) for c in channels)
        and len(set(channels)) == len(channels),
        f"{who}.channels is {channels!r}, expected a tuple of different names.",
    )


def _check_prepare(loader: ModalityLoader, who: str) -> None:
    calls: list[tuple[Any, int, int]] = []
    for _ in range(2):
        loader.prepare(lambda what, done, total: calls.append((what, done, total)))
    for call in calls:
        demand(
            isinstance(call[0], str) and 0 <= call[1] <= call[2],
            f"{who}.prepare reported progress {call}; "
            f"expected (what, done, total) with 0 <= done <= total.",
        )


def _check_names(loader: ModalityLoader, who: str) -> set[str]:
    owner: dict[str, str] = {}
    for split in get_args(Split):
        names = list(loader.names(split))
        call = f"{who}.names('{split}')"
        demand(names, f"{call} is empty; check a loader on data with samples in every split.")
        demand(
            names == sorted(set(names)),
            f"{call} returned {names[:5]}..., expected different names, sorted.",
        )
        demand(names == list(loader.names(split)), f"{call} differs from call to call.")
        for name in names:
            demand(
                name not in owner,
                f"'{name}' is in '{owner.get(name)}' and in '{split}'; splits must not share.",
            )
            owner[name] = split
    return set(owner)


def _check_same(first: Sample, again: Sample, call: str) -> None:
    demand(
        np.array_equal(first.image, again.image)
        and np.array_equal(first.roi, again.roi)
        and np.array_equal(
            np.zeros(()) if first.lines is None else first.lines,
            np.zeros(()) if again.lines is None else again.lines,
        ),
        f"{call} differs from call to call; draw nothing at random while loading.",
    )


def _check_refusals(loader: ModalityLoader, who: str) -> None:
    for method in ("load", "open"):
        try:
            getattr(loader, method)(_ABSENT)
        except DataError:
            continue
        except Exception as error:  # whatever else it is, it is the finding
            found = f"raised {type(error).__name__}"
        else:
            found = "returned"
        demand(False, f"{who}.{method}('{_ABSENT}') {found}; expected a DataError naming it.")


def _check_notes(loader: ModalityLoader, who: str) -> None:
    notes: Mapping[Any, Any] = loader.notes()
    for key, value in notes.items():
        demand(
            isinstance(key, str) and isinstance(value, str),
            f"{who}.notes() holds {key!r}: {value!r}; expected text under names.",
        )


def _target(kind: Kind) -> Target:
    target = drawn_sample(kind, _SHAPE).target
    assert target is not None, "drawn samples have lines"
    return target


def _simulator_cases() -> Iterator[tuple[str, Mask, Target]]:
    """Iterate over predictions and targets of all sorts."""
    for kind in KINDS:
        target = _target(kind)
        half = target.mask.copy()
        half[:, :40] = False
        predictions: dict[str, Mask] = {
            "empty": np.zeros_like(target.mask),
            "full": np.ones_like(target.mask),
            "perfect": target.mask.copy(),
            "half": half,
            "elsewhere": np.roll(target.mask, 20, axis=1),
            "crossing": _target("cross").mask,
        }
        for name, prediction in predictions.items():
            yield f"target {kind}, prediction {name}", prediction, target
        roi = target.roi.copy()
        roi[:, 40:] = False
        yield (
            f"target {kind}, prediction empty, half ROI",
            predictions["empty"],
            Target(target.mask, roi),
        )


def _check_stroke(
    simulator: UserSimulator,
    prediction: Mask,
    target: Target,
    operations: frozenset[Operation],
    who: str,
) -> None:
    hints: HintMap = np.zeros(prediction.shape, np.int8)
    strokes: list[Stroke | None] = []
    for _ in range(2):
        arrays = {"mask": target.mask, "roi": target.roi, "hints": hints}
        with unchanged(who, prediction=prediction, **arrays):
            strokes.append(
                simulator.next_stroke(
                    prediction,
                    target,
                    hints,
                    operations=operations,
                    rng=np.random.default_rng(7),
                )
            )
    first, again = strokes
    demand(
        (first is None) == (again is None)
        and (first is None or again is None or first.to_dict() == again.to_dict()),
        f"{who} drew two strokes from equal generators; take chance from `rng`, keep no count.",
    )
    if np.array_equal(prediction, target.mask):
        demand(
            first is None, f"{who} drew on a perfect prediction; return None if nothing is left."
        )
    if first is not None:
        _check_place(first, target, operations, who)


def _check_place(
    stroke: Stroke, target: Target, operations: frozenset[Operation], who: str
) -> None:
    demand(
        stroke.operation in operations,
        f"{who} drew {stroke.operation.name} where only {sorted(o.name for o in operations)} "
        f"was allowed; obey `operations`.",
    )
    rows, cols = stroke.path.T
    height, width = target.roi.shape
    inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    demand(
        inside.all() and target.roi[rows, cols].all(),
        f"{who} drew a path that leaves the ROI; strokes must lie inside `target.roi`.",
    )


def _check_counts(metric: Metric, prediction: Mask, target: Target, who: str) -> None:
    with unchanged(who, prediction=prediction, mask=target.mask, roi=target.roi):
        whole = metric.measure(prediction, target)
    demand(
        whole.ndim == 1 and whole.dtype == np.float64 and np.isfinite(whole).all(),
        f"{who}.measure returned {whole.dtype} of shape {whole.shape}; "
        f"expected finite float64 of shape (S,).",
    )
    if metric.is_additive:
        _check_pixels(metric, prediction, target, whole, who)
    else:
        once, twice = metric.reduce(whole), metric.reduce(whole + whole)
        demand(
            np.isclose(once, twice, equal_nan=True),
            f"{who}: an image counted twice scores {twice}, once {once}; "
            f"return statistics whose sums can be reduced.",
        )
    outside = np.where(target.roi, prediction, ~prediction)
    demand(
        np.array_equal(metric.measure(outside, target), whole),
        f"{who} counts pixels outside the ROI; count `target.roi` only.",
    )


def _check_pixels(
    metric: Metric, prediction: Mask, target: Target, whole: NDArray[np.float64], who: str
) -> None:
    parts: Sequence[Tile] = [
        Tile(top, left, top + 24, left + 37).clipped(_SHAPE)
        for top in range(0, _SHAPE[0], 24)
        for left in range(0, _SHAPE[1], 37)
    ]
    total = sum(metric.measure(prediction[part.index], target.window(part)) for part in parts)
    demand(
        np.allclose(total, whole),
        f"{who}: the statistics of windows add up to {total}, those of the image are {whole}; "
        f"count pixel by pixel, and read skeletons from the target.",
    )
    rows, cols = np.divmod(np.random.default_rng(1).permutation(prediction.size), _SHAPE[1])
    row = metric.measure(prediction[rows, cols][None], target.pixels(rows, cols))
    demand(
        np.allclose(row, whole),
        f"{who} counts {row} when the same pixels lie in another order, and {whole} in the image; "
        f"count pixel by pixel: a stroke is scored from the pixels it changes.",
    )


def _check_ranking(metric: Metric, target: Target, who: str) -> bool:
    """Say whether some prediction scores worse than a perfect one.

    Of an additive metric all of these must; another may look at one side only,
    such as the number of holes.
    """
    best = metric.score(target.mask, target)
    demand(math.isfinite(best), f"{who} scores {best} for a perfect prediction; expected a number.")
    sign = 1 if metric.higher_is_better else -1
    others = {
        "an empty prediction": np.zeros_like(target.mask),
        "a full prediction": np.ones_like(target.mask),
        "half of the lines": np.where(np.arange(_SHAPE[1]) < 40, target.mask, False),
        "lines elsewhere": np.roll(target.mask, 20, axis=1),
    }
    scores = {what: metric.score(prediction, target) for what, prediction in others.items()}
    for what, score in scores.items():
        is_equal = not metric.is_additive and score == best
        demand(
            math.isnan(score) or sign * score < sign * best or is_equal,
            f"{who} scores {what} {score}, a perfect prediction {best}; "
            f"check the formula and `higher_is_better`.",
        )
    return any(sign * score < sign * best for score in scores.values())
