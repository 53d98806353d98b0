"""``linerefine export``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from linerefine.cli.output import complain, say
from linerefine.cli.plugins import usable_registry
from linerefine.errors import ConfigError
from linerefine.machine import install_command

if TYPE_CHECKING:
    from linerefine.export import Exported

__all__ = ["FORMATS", "export_command"]

FORMATS = ("onnx",)


def export_command(
    run: Path,
    *,
    networks: Sequence[str],
    format_: str,
    output: Path | None,
    image: str | None,
    blocked: Collection[str],
) -> None:
    """Write networks of a run and say how they compare with torch."""
    if format_ not in FORMATS:
        msg = f"format is '{format_}', expected {', '.join(FORMATS)} (set by --format)."
        raise ConfigError(msg)
    registry = usable_registry(blocked)
    complain(f"export: {', '.join(networks) or 'every trained network'} of {run} as {format_}")
    from linerefine.export import export_run

    for exported in export_run(registry, run, networks=networks, output=output, image=image):
        _tell(exported)


def _tell(exported: Exported) -> None:
    say(str(exported.path))
    complain(
        f"{exported.network}: input 'image' (batch, {exported.channels}, height, width), "
        f"output 'logits' (batch, 1, height, width)"
    )
    for check in exported.checks:
        complain(
            f"{exported.network} on {check.what}: logits differ from torch by at most "
            f"{check.error:.2g}, masks agree in {check.agreement:.2%} of pixels"
        )
    if not exported.checks:
        remedy = install_command("'linerefine[onnx]'")
        complain(
            f"{exported.network}: not compared with torch, for onnxruntime is not installed; "
            f"run {remedy}"
        )
