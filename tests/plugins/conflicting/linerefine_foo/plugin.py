"""Provides a refiner whose name the core has taken."""

import linerefine as lr


@lr.hookimpl
def linerefine_refiners():
    yield lr.Entry("unet", "another U-Net", lambda options, channels: None)
