"""Weights laid out by oneDNN, activations computed inside the convolution before them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from linerefine.models.swapping import Inputs

__all__ = ["can_pack", "packed"]

FUSED = {nn.SiLU: "swish", nn.ReLU: "relu", nn.Sigmoid: "sigmoid"}
"""Activations that a convolution computes on its way out, by oneDNN's name."""

_OPERATORS = ("_reorder_convolution_weight", "_convolution_pointwise")


def can_pack() -> str | None:
    """Return why this torch cannot lay out weights; None if it can.

    The operators are torch's own, used by its compiler; they are not part of
    its documented interface, so they are looked for and not assumed.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return "this torch was built without oneDNN; take 'bf16' or 'channels_last'"
    if not all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS):
        return "this torch lacks oneDNN's packed convolutions; take 'bf16' or 'channels_last'"
    return None


def packed(network: nn.Module, example: Inputs, dtype: torch.dtype) -> nn.Module:
    """Return a network whose convolutions are packed for one shape of input.

    Parameters
    ----------
    network : nn.Module
        As `folded` returns it; taken over and changed. One that could not be
        folded keeps its activations apart.
    example : Tensor, shape (B, C, H, W), or several
        An input as it will come; others are computed too, but slowly.
    dtype : torch.dtype
        float32 or bfloat16.
    """
    shapes = _input_shapes(network, example)
    activations = _fused_activations(network) if isinstance(network, fx.GraphModule) else {}
    for name, shape in shapes.items():
        convolution = network.get_submodule(name)
        assert isinstance(convolution, nn.Conv2d)
        parent, _, leaf = name.rpartition(".")
        fresh = _PackedConvolution(convolution, shape, activations.get(name, "none"), dtype)
        setattr(network.get_submodule(parent), leaf, fresh)
    return network.to(dtype=dtype)


class _PackedConvolution(nn.Module):
    """A convolution, and perhaps the activation after it, in one call."""

    def __init__(
        self, plain: nn.Conv2d, shape: tuple[int, ...], activation: str, dtype: torch.dtype
    ) -> None:
        super().__init__()
        layout: tuple[Any, ...] = (
            list(plain.padding),
            list(plain.stride),
            list(plain.dilation),
            plain.groups,
        )
        # Opaque tensors: no parameters, so that moving or casting the module leaves them alone.
        self.weights = [
            torch.ops.mkldnn._reorder_convolution_weight(
                plain.weight.detach().to(dtype), *layout, list(shape)
            ),
            None if plain.bias is None else plain.bias.detach().to(dtype),
        ]
        self.rest = (*layout, activation, [], "")

    def forward(self, image: Tensor) -> Tensor:
        """Return what convolution and activation give."""
        answer: Tensor = torch.ops.mkldnn._convolution_pointwise(image, *self.weights, *self.rest)
        return answer


def _input_shapes(network: nn.Module, example: Inputs) -> dict[str, tuple[int, ...]]:
    """Return the input shape of every plain convolution that an example reaches."""
    shapes: dict[str, tuple[int, ...]] = {}
    hooks = []
    for name, module in network.named_modules():
        if type(module) is nn.Conv2d and module.padding_mode == "zeros":
            if isinstance(module.padding, str):
                continue

            def look(_: nn.Module, given: tuple[Tensor, ...], name: str = name) -> None:
                shapes[name] = tuple(given[0].shape)

            hooks.append(module.register_forward_pre_hook(look))
    try:
        with torch.inference_mode():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


def _fused_activations(graph: fx.GraphModule) -> dict[str, str]:
    """Take activations out of the graph that a convolution can compute; return where."""
    fused: dict[str, str] = {}
    for node in list(graph.graph.nodes):
        users = list(node.users)
        if node.op != "call_module" or len(users) != 1 or users[0].op != "call_module":
            continue
        if type(graph.get_submodule(str(node.target))) is not nn.Conv2d:
            continue
        activation = FUSED.get(type(graph.get_submodule(str(users[0].target))))
        if activation is None or str(node.target) in fused:
            continue
        fused[str(node.target)] = activation
        users[0].replace_all_uses_with(node)
        graph.graph.erase_node(users[0])
    graph.recompile()
    return fused
