"""Provides a metric that cannot be made without being told something."""

import linerefine as lr


class WithinOptions(lr.Options):
    """Options of the metric ``within``."""

    pixels: int


@lr.hookimpl
def linerefine_metrics():
    yield lr.Entry("within", "lines found within some pixels", lambda _: None, WithinOptions)
