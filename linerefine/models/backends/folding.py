"""Fold what never changes after training into a network's convolutions."""

from __future__ import annotations

import copy
import logging
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

__all__ = ["folded", "folded_or_copy"]

log = logging.getLogger(__name__)


def folded(network: nn.Module) -> fx.GraphModule:
    """Return an equal network with fewer steps; the one given is left as it is.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode; for inputs of any batch size, height and width.

    Returns
    -------
    graph : GraphModule
        Batch normalisation is multiplied into the convolution before it,
        symmetric zero padding becomes the convolution's own, and what only
        matters in training is gone. Every convolution is a plain
        ``nn.Conv2d`` with weights of its own.

    Raises
    ------
    Exception
        Whatever `torch.fx` raises about a network whose steps depend on its
        input; torch promises no class for it.
    """
    plain = copy.deepcopy(network).eval().requires_grad_(False)
    if hasattr(plain, "requires_divisible_input_shape"):
        # smp's question whether the input's shape fits; what comes here does.
        plain.requires_divisible_input_shape = False  # type: ignore[assignment]
    graph = fx.symbolic_trace(plain)
    for node in list(graph.graph.nodes):
        if node.op == "call_module" and isinstance(_module(graph, node), nn.Identity | nn.Dropout):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    for number, node in enumerate(list(graph.graph.nodes)):
        convolution = _convolution(graph, node)
        if convolution is not None:
            _replace(graph, node, f"folded_{number}", convolution)
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def folded_or_copy(network: nn.Module) -> nn.Module:
    """Return `folded`, or a plain copy of a network whose steps cannot be read off.

    Which of the two it is changes the speed and the last bits, not the
    meaning; the log says so.
    """
    try:
        return folded(network)
    except Exception as error:  # torch.fx promises no class
        log.info("%s runs unfolded: %s", type(network).__name__, error)
        return copy.deepcopy(network).eval().requires_grad_(False)


def _module(graph: fx.GraphModule, node: fx.Node) -> nn.Module:
    return graph.get_submodule(str(node.target))


def _convolution(graph: fx.GraphModule, node: fx.Node) -> nn.Conv2d | None:
    """Return a copy of the convolution that a node computes; None if it is none."""
    if node.op == "call_module":
        module = _module(graph, node)
        return copy.deepcopy(module) if type(module) is nn.Conv2d else None
    if node.op != "call_function" or node.target not in (F.conv2d, torch.conv2d):
        return None
    return _functional(graph, node)


def _functional(graph: fx.GraphModule, node: fx.Node) -> nn.Conv2d | None:
    """Return the convolution that ``F.conv2d`` computes with fixed weights."""
    given = _arguments(node, ("input", "weight", "bias", "stride", "padding", "dilation", "groups"))
    weight, bias = (_tensor(graph, given.get(name)) for name in ("weight", "bias"))
    if weight is None or (bias is None) != (given.get("bias") is None):
        return None
    padding = given.get("padding", 0)
    if isinstance(padding, fx.Node) or weight.ndim != 4:
        return None
    groups = given.get("groups", 1)
    convolution = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),  # type: ignore[arg-type]
        given.get("stride", 1),
        padding,
        given.get("dilation", 1),
        groups,
        bias is not None,
    )
    _set_weights(convolution, weight, bias)
    return convolution


def _set_weights(convolution: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> None:
    convolution.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
    if bias is not None:
        convolution.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)


def _replace(graph: fx.GraphModule, node: fx.Node, name: str, convolution: nn.Conv2d) -> None:
    """Put one plain convolution where padding, convolution and normalisation were."""
    source = _absorb_padding(graph, node, convolution)
    last = _absorb_normalisation(graph, node, convolution)
    graph.add_submodule(name, convolution.eval().requires_grad_(False))
    with graph.graph.inserting_before(node):
        fresh = graph.graph.call_module(name, (source,))
    last.replace_all_uses_with(fresh)
    for old in (last, node):
        if not old.users and not old._erased:
            graph.graph.erase_node(old)


def _absorb_padding(graph: fx.GraphModule, node: fx.Node, convolution: nn.Conv2d) -> fx.Node:
    """Make zero padding before a convolution its own; return the convolution's new input."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    if source.op != "call_module" or len(source.users) > 1:
        return source
    padding, own = _module(graph, source), convolution.padding
    if type(padding) is not nn.ZeroPad2d or isinstance(own, str):
        return source
    left, right, top, bottom = padding.padding
    if left != right or top != bottom or min(left, top) < 0:
        return source
    convolution.padding = (own[0] + top, own[1] + left)
    convolution._reversed_padding_repeated_twice = [left, left, top, top]
    before = source.args[0]
    assert isinstance(before, fx.Node)
    return before


def _absorb_normalisation(graph: fx.GraphModule, node: fx.Node, convolution: nn.Conv2d) -> fx.Node:
    """Multiply the normalisation after a convolution into it; return the last node replaced."""
    users = list(node.users)
    found = _normalisation(graph, users[0]) if len(users) == 1 else None
    if found is None:
        return node
    mean, variance, scale, shift, eps = found
    weight, bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, mean, variance, eps, scale, shift
    )
    convolution.bias = bias
    _set_weights(convolution, weight, bias)
    return users[0]


def _normalisation(graph: fx.GraphModule, node: fx.Node) -> tuple[Any, ...] | None:
    """Return mean, variance, scale, shift and eps of a batch normalisation."""
    if node.op == "call_module":
        module = _module(graph, node)
        if type(module) is not nn.BatchNorm2d or module.running_mean is None:
            return None
        return (
            module.running_mean, module.running_var, module.weight, module.bias, module.eps
        )  # fmt: skip
    if node.op != "call_function" or node.target is not F.batch_norm:
        return None
    given = _arguments(
        node,
        ("input", "mean", "var", "weight", "bias", "training", "momentum", "eps"),
        aliases={"running_mean": "mean", "running_var": "var"},
    )
    tensors = [_tensor(graph, given.get(name)) for name in ("mean", "var", "weight", "bias")]
    if tensors[0] is None or given.get("training", False):
        return None
    return (*tensors, given.get("eps", 1e-5))


def _arguments(
    node: fx.Node, names: tuple[str, ...], aliases: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return a call's arguments by name."""
    named = {(aliases or {}).get(name, name): value for name, value in node.kwargs.items()}
    return dict(zip(names, node.args, strict=False)) | named


def _tensor(graph: fx.GraphModule, node: object) -> Tensor | None:
    """Return the weight that a node stands for; None if it is computed."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    value: object = graph
    for part in str(node.target).split("."):
        value = getattr(value, part)
    return value if isinstance(value, Tensor) else None
