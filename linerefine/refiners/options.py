"""Options of the built-in refiners; imports no torch."""

from __future__ import annotations

from linerefine.config import NetworkConfig, Options

__all__ = ["UNetOptions"]


class UNetOptions(Options):
    """Options of the refiner ``unet``."""

    network: NetworkConfig = NetworkConfig()
