"""Misspells a hook."""

import linerefine as lr


@lr.hookimpl
def linerefine_loader():
    return []
