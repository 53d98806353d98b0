"""Refiners share the first-prediction network's encoder, so that they compare at equal size."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from pydantic import ValidationError

from linerefine.config import (
    STAGED_DECODERS,
    EncoderConfig,
    LikeSegmenter,
    NetworkConfig,
    Options,
    SegmenterConfig,
)
from linerefine.configure.files import plain

__all__ = ["with_encoder_of_run"]

_USUAL = NetworkConfig().architecture


def with_encoder_of_run(
    model: type[Options], given: Mapping[str, Any], settings: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return a refiner's options with what they leave open about its encoder.

    Parameters
    ----------
    model : type of Options
        Of the refiner. Only a field ``network`` that may be none, and is
        unless it is given, takes anything.
    given : mapping
        The refiner's options as they were set; each of them stays.
    settings : mapping
        Of the run, unchecked.

    Returns
    -------
    options : mapping
        `given`, and below ``network`` the encoder, its weights, the depth and
        the decoder widths of ``segmenter.network``: the weights if the encoder
        is the same, the widths if both architectures have one per stage and
        both encoders as many stages. A field that is marked `LikeSegmenter`
        takes the architecture, too.
    """
    kind = _open_network(model)
    own = given.get("network")
    if kind is None or not (own is None or isinstance(own, Mapping)):
        return given
    try:
        run = SegmenterConfig.model_validate(settings.get("segmenter", {})).network
    except ValidationError:
        return given  # reported where it was set
    is_alike = any(
        isinstance(mark, LikeSegmenter) for mark in model.model_fields["network"].metadata
    )
    return {**given, "network": _filled(kind, own or {}, run, is_alike=is_alike)}


def _open_network(model: type[Options]) -> type[EncoderConfig] | None:
    """Return what an optional field ``network`` may hold, if it is none by default."""
    field = model.model_fields.get("network")
    if field is None or field.is_required() or field.default is not None:
        return None
    if get_origin(field.annotation) not in (Union, types.UnionType):
        return None
    for kind in get_args(field.annotation):
        if isinstance(kind, type) and issubclass(kind, EncoderConfig):
            return kind
    return None


def _filled(
    kind: type[EncoderConfig], own: Mapping[str, Any], run: NetworkConfig, *, is_alike: bool
) -> Mapping[str, Any]:
    taken: dict[str, Any] = {"encoder": run.encoder, "encoder_depth": run.encoder_depth}
    if own.get("encoder", run.encoder) == run.encoder:
        taken["encoder_weights"] = run.encoder_weights
    if is_alike:
        taken["architecture"] = run.architecture
    architectures = ({**taken, **own}.get("architecture", _USUAL), run.architecture)
    are_staged = all(str(name).lower() in STAGED_DECODERS for name in architectures)
    is_as_deep = own.get("encoder_depth", run.encoder_depth) == run.encoder_depth
    if issubclass(kind, NetworkConfig) and are_staged and is_as_deep:
        taken["decoder_channels"] = plain(run.decoder_channels)
    return {**taken, **own}
