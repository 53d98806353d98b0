"""Where the program begins and ends: environment, errors, exit codes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from linerefine.cli.commands import app
from linerefine.cli.output import complain
from linerefine.cli.stopped import Stopped
from linerefine.errors import LineRefineError

__all__ = ["main"]

FAULT_OF_THE_USER = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; by default those of this process.

    Returns
    -------
    code : int
        0 if all went well, 2 for what a user can mend, 130 after Ctrl-C.
        Whatever else goes wrong keeps its traceback, and Python exits with 1.
    """
    # Threads that spin while they wait make torch ten times slower beside other load.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with _termination_as_interrupt():
            app(args=None if arguments is None else list(arguments), prog_name="linerefine")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except Stopped as stopped:
        complain(str(stopped))
        return INTERRUPTED
    except LineRefineError as error:
        complain(f"{type(error).__name__}: {error}")
        return FAULT_OF_THE_USER
    return 0


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM, which batch systems send, end a run as cleanly as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
