"""The paper's simulated annotator: the longest error first, as wide as real engravings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from linerefine.errors import DataError
from linerefine.samples import Target
from linerefine.simulators.longest import Longest, LongestOptions
from linerefine_etruscan_mirrors.options import GammaStrokeOptions

if TYPE_CHECKING:
    from linerefine.geometry.strokes import WidthStatistics

__all__ = ["GammaStroke"]


class GammaStroke(Longest):
    """`Longest` with half-widths from the training drawings.

    Parameters
    ----------
    options : GammaStrokeOptions
        Mode, and widths that need no drawings.

    Notes
    -----
    The half-width of every line pixel on the centreline is measured on the
    grid that strokes are drawn on; values within two standard deviations of
    the mean are kept; mean, deviation and a gamma distribution of these are
    what the modes draw from (paper, section 3.2.1).

    Paper: the authors measure at full resolution and dilate by that number of
    pixels at half resolution; we measure where we draw, so ``mean`` is as wide
    as a true line.
    """

    def __init__(self, options: GammaStrokeOptions | None = None) -> None:
        self.widths = options or GammaStrokeOptions()
        shared = {name: getattr(self.widths, name) for name in _SHARED}
        super().__init__(LongestOptions(**shared))
        self.statistics: WidthStatistics | None = None

    def prepare(self, targets: Iterable[Target]) -> None:
        """Measure the half-widths of the training drawings.

        Raises
        ------
        DataError
            If no drawing holds a line and no widths are given as options.
        """
        from linerefine.geometry.centreline import half_widths  # scikit-image only where used
        from linerefine.geometry.strokes import width_statistics

        measured = [half_widths(target.mask, along=target.centreline) for target in targets]
        pooled = np.concatenate([*measured, np.zeros(0)])
        if pooled.size:
            self.statistics = width_statistics(pooled)
        elif not self._is_given():
            msg = (
                f"none of the {len(measured)} training drawings holds a line, so no stroke width "
                "can be measured. Set simulator.options.fixed_half_width, or mean and sd."
            )
            raise DataError(msg)

    def notes(self) -> dict[str, float]:
        """Return the statistics of the half-widths, in pixels of the working grid."""
        known: dict[str, Any] = {} if self.statistics is None else asdict(self.statistics)
        if (known or self._is_given()) and not self._is_drawn_at_random():
            known["half_width"] = self._half_width(np.random.default_rng(0))
        return {name: float(value) for name, value in known.items()}

    def _is_given(self) -> bool:
        return self.widths.fixed_half_width is not None or self.widths.mean is not None

    def _is_drawn_at_random(self) -> bool:
        return self.widths.fixed_half_width is None and self.widths.mode == "sampled"

    def _half_width(self, rng: np.random.Generator) -> float:
        if self.widths.fixed_half_width is not None:
            return self.widths.fixed_half_width
        if self.widths.mode == "sampled":
            return max(self.widths.least, self._sample(rng))
        mean, sd = self._mean_and_sd()
        return max(self.widths.least, mean if self.widths.mode == "mean" else mean - 2.0 * sd)

    def _mean_and_sd(self) -> tuple[float, float]:
        if self.widths.mean is not None and self.widths.sd is not None:
            return self.widths.mean, self.widths.sd
        return self._measured().kept_mean, self._measured().kept_sd

    def _sample(self, rng: np.random.Generator) -> float:
        if self.widths.mean is None:
            return float(self._measured().sample(rng))
        mean, sd = self._mean_and_sd()
        return float(rng.gamma((mean / sd) ** 2, sd * sd / mean)) if sd else mean

    def _measured(self) -> WidthStatistics:
        if self.statistics is None:
            msg = (
                "simulator 'gamma_stroke' was asked for a stroke before any drawing was measured. "
                "Call prepare with the training targets, or set simulator.options.mean and sd, "
                "or fixed_half_width."
            )
            raise DataError(msg)
        return self.statistics


_SHARED = ("max_length", "tip", "tolerance", "tolerance_tip")
