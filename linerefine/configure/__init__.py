"""From an experiment, a file and the command line to one checked configuration."""

from linerefine.configure.checking import completed
from linerefine.configure.files import dump_config, load_config
from linerefine.configure.resolve import cuda_is_available, resolve

__all__ = ["completed", "cuda_is_available", "dump_config", "load_config", "resolve"]
