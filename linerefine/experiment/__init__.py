"""A whole run: configuration and registry in, trained networks, sessions and a report out."""

from linerefine.experiment.run import run_experiment

__all__ = ["run_experiment"]
