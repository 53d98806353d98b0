"""Raises when its hook is called."""

import linerefine as lr


@lr.hookimpl
def linerefine_metrics():
    yield lr.Entry("mood", "how it feels", lambda _: None)
    msg = "not today"
    raise RuntimeError(msg)
