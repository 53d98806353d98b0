"""The paper's refiner: a U-Net with EfficientNet-B6 over depth, first prediction and strokes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linerefine_etruscan_mirrors.options import UNetB6Options

if TYPE_CHECKING:
    from linerefine.refiners.unet import UNetRefiner

__all__ = ["unet_b6"]


def unet_b6(options: UNetB6Options | None = None, channels: int = 1) -> UNetRefiner:
    """Return the core's U-Net refiner with the paper's encoder (section 3.3).

    Parameters
    ----------
    options : UNetB6Options
        A network other than the paper's.
    channels : int
        Channels of the image.
    """
    from linerefine.refiners.unet import UNetRefiner  # torch and smp: only where used

    return UNetRefiner(options or UNetB6Options(), channels)
