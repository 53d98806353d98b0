"""The command line: parse, call, print. What it calls is imported when it is called."""

from linerefine.cli import looking  # adds its commands
from linerefine.cli.commands import app
from linerefine.cli.main import main

__all__ = ["app", "looking", "main"]
