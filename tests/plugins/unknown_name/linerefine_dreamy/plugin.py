"""Asks the core for something that it does not have."""

import linerefine as lr


@lr.hookimpl
def linerefine_metrics():
    yield lr.Entri("mood", "how it feels", lambda _: None)
