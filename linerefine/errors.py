"""Exceptions raised by linerefine.

.. code-block:: text

    LineRefineError             anything a user can cause and mend
    ├── ConfigError             a setting is unknown, of the wrong type or out of range
    ├── PluginError             a plugin cannot be used
    │   ├── UnknownNameError    a name nobody registered; carries suggestions
    │   └── ConflictError       one name, two providers
    ├── DataError               a file or an image is missing, damaged or does not fit
    ├── RunError                a run folder, checkpoint or store cannot be used
    ├── DeviceError             the device asked for is not there
    └── ShapeError              arrays whose shapes do not agree (also a ValueError)

The command line turns each of these into one line and exit code 2. Whatever
else escapes is a fault of ours: it keeps its traceback and exits 1.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "ConflictError",
    "DataError",
    "DeviceError",
    "LineRefineError",
    "PluginError",
    "RunError",
    "ShapeError",
    "UnknownNameError",
]


class LineRefineError(Exception):
    """Base of every error that a user can cause and mend."""


class ConfigError(LineRefineError):
    """A setting is unknown, of the wrong type or out of range."""


class PluginError(LineRefineError):
    """A plugin cannot be loaded or used."""


class UnknownNameError(PluginError):
    """A name that no installed plugin provides."""


class ConflictError(PluginError):
    """One name is provided twice."""


class DataError(LineRefineError):
    """A file or an image is missing, damaged or does not fit the others."""


class RunError(LineRefineError):
    """A run folder, a checkpoint or a tracking store cannot be used."""


class DeviceError(LineRefineError):
    """The device asked for is not available."""


class ShapeError(LineRefineError, ValueError):
    """Arrays whose shapes or types do not agree."""
