"""Weights in files: a module's tensors and a description of what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from linerefine.cache import atomic_write
from linerefine.errors import RunError

__all__ = ["halved", "load_weights", "save_weights", "write_weights"]

METADATA_KEY = "linerefine"


def save_weights(module: nn.Module, path: Path, description: dict[str, object]) -> None:
    """Write a module's weights and a description of it to one file, whole or not at all.

    Parameters
    ----------
    module : nn.Module
        Its parameters and buffers are written.
    path : Path
        A ``.safetensors`` file; replaced if it exists.
    description : dict
        Anything JSON can hold; `load_weights` gives it back.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    write_weights(module.state_dict(), path, description)


def write_weights(
    tensors: Mapping[str, Tensor], path: Path, description: Mapping[str, object]
) -> None:
    """Write weights without their module, as `save_weights` does.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    whole = {name: value.contiguous() for name, value in tensors.items()}
    metadata = {METADATA_KEY: json.dumps(dict(description))}
    with atomic_write(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(whole, metadata=metadata))


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of which the large ones take half the space, and are about as good.

    Kernels become float16. Biases and what normalisation keeps, a hundredth of
    all, stay as they are: small variances would lose digits. `load_weights`
    gives everything back as float32.

    Raises
    ------
    RunError
        If a weight is too large for float16.
    """
    small: dict[str, Tensor] = {}
    for name, value in tensors.items():
        is_kernel = value.is_floating_point() and value.dim() > 1
        small[name] = value.to(torch.float16) if is_kernel else value
        if not torch.isfinite(small[name]).all():
            msg = f"weights {name} do not fit into float16: the largest is {value.abs().max():g}."
            raise RunError(msg)
    return small


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Return the weights and the description that `save_weights` wrote.

    Returns
    -------
    tensors : dict of str to Tensor
        Stored halves come back as float32.
    description : dict

    Raises
    ------
    RunError
        If the file does not exist, is damaged, or was not written by linerefine.
    """
    if not path.is_file():
        msg = f"{path} does not exist; expected a .safetensors file with trained weights."
        raise RunError(msg)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: _whole(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        msg = f"{path} cannot be read ({error}); expected a whole .safetensors file."
        raise RunError(msg) from error
    if METADATA_KEY not in metadata:
        msg = f"{path} says nothing about its network; expected a file that linerefine wrote."
        raise RunError(msg)
    return tensors, json.loads(metadata[METADATA_KEY])


def _whole(value: Tensor) -> Tensor:
    return value.float() if value.dtype == torch.float16 else value
