"""Networks by name, and the one that makes the first prediction."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from linerefine.config import STAGED_DECODERS, NetworkConfig
from linerefine.errors import ConfigError, DataError, RunError, ShapeError, UnknownNameError
from linerefine.models.swapping import Swappable
from linerefine.models.weights import load_weights, save_weights

__all__ = [
    "Network",
    "Segmenter",
    "build_network",
    "load_segmenter",
    "load_weights",
    "save_segmenter",
    "save_weights",
]

FAMILIAR_ENCODERS = (
    "efficientnet-b0",
    "efficientnet-b6",
    "mobilenet_v2",
    "resnet18",
    "resnet34",
    "tu-mobilenetv4_conv_small",
)
"""Named in messages; the whole list has over a thousand entries."""


class Network(Swappable):
    """An encoder-decoder that knows how it was built.

    Parameters
    ----------
    config : NetworkConfig
        Architecture, encoder, depth and widths.
    channels : int
        Input channels.
    pretrained : bool
        False ignores ``config.encoder_weights``: the weights come from a file.
    outputs : int
        Output channels.
    """

    def __init__(
        self,
        config: NetworkConfig,
        channels: int,
        *,
        pretrained: bool = True,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.config = config
        self.channels = channels
        self.outputs = outputs
        weights = config.encoder_weights if pretrained else None
        self.body = _create(config, channels, weights, outputs)
        self.least_edge = _least_edge(config)

    @property
    def is_mask(self) -> bool:
        return self.outputs == 1

    @property
    def construction(self) -> dict[str, Any]:
        said: dict[str, Any] = self.config.model_dump(mode="json", exclude={"encoder_weights"})
        return said | {"outputs": self.outputs}

    def forward(self, image: Tensor) -> Tensor:
        """Return logits, shape (B, outputs, H, W), for an input of shape (B, C, H, W)."""
        height, width = image.shape[-2:]
        if self.least_edge > 0 and min(height, width) < self.least_edge:
            below, right = (max(self.least_edge - size, 0) for size in (height, width))
            larger: Tensor = self(functional.pad(image, (0, right, 0, below)))
            return larger[..., :height, :width]
        return self.answer(image)


class Segmenter(nn.Module):
    """The first-prediction network: sees the image alone.

    Parameters
    ----------
    network : nn.Module
        Maps (B, C, H, W) to logits of shape (B, 1, H, W); `build_network`
        makes one. Only those can be saved by `save_segmenter`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.shift = 0.0
        """Added to all logits, so that what the network was tuned to be cut at is the usual cut."""

    def forward(self, image: Tensor) -> Tensor:
        """Return logits, shape (B, 1, H, W), for an image of shape (B, C, H, W).

        Raises
        ------
        ShapeError
            If the image has more or fewer channels than the network was built for.
        """
        expected = self.network.channels if isinstance(self.network, Network) else image.shape[1]
        if image.shape[1] != expected:
            msg = (
                f"image has {image.shape[1]} channels, the segmenter was built for {expected}. "
                "Choose the channels it was trained on, or train another."
            )
            raise ShapeError(msg)
        logits: Tensor = self.network(image)
        return logits + self.shift if self.shift else logits


def build_network(config: NetworkConfig, channels: int, *, outputs: int = 1) -> Network:
    """Return an untrained (or pretrained) network.

    Parameters
    ----------
    config : NetworkConfig
        What to build.
    channels : int
        Input channels, >= 1.
    outputs : int
        Output channels, >= 1: one for logits, more for features.

    Returns
    -------
    network : Network
        Maps (B, channels, H, W) to logits of shape (B, outputs, H, W); H and
        W multiples of 32.

    Raises
    ------
    UnknownNameError
        If no such architecture, encoder or set of weights is known.
    ConfigError
        If the settings do not fit each other.
    DataError
        If pretrained weights were asked for and cannot be had.
    """
    return Network(config, channels, outputs=outputs)


def save_segmenter(segmenter: Segmenter, path: Path) -> None:
    """Write a segmenter so that the file alone suffices to use it.

    Raises
    ------
    RunError
        If its network was not made by `build_network`.
    DataError
        If the file cannot be written.
    """
    network = segmenter.network
    if not isinstance(network, Network):
        msg = (
            f"a segmenter around {type(network).__name__} cannot be written to {path}: "
            "only networks from build_network can be built again."
        )
        raise RunError(msg)
    description: dict[str, object] = {
        "kind": "segmenter",
        "network": network.config.model_dump(mode="json"),
        "channels": network.channels,
    }
    save_weights(segmenter, path, description)


def load_segmenter(path: Path) -> Segmenter:
    """Return the segmenter that `save_segmenter` wrote, in evaluation mode, on the CPU.

    Raises
    ------
    RunError
        If the file is missing, damaged or holds something else.
    """
    tensors, description = load_weights(path)
    if description.get("kind") != "segmenter":
        msg = f"{path} holds a {description.get('kind')!r}, expected a segmenter."
        raise RunError(msg)
    try:
        config = NetworkConfig.model_validate(description["network"])
        channels = int(str(description["channels"]))
        segmenter = Segmenter(Network(config, channels, pretrained=False))
        segmenter.load_state_dict(tensors)
    except (KeyError, ValueError, ValidationError, RuntimeError) as error:
        msg = f"{path} does not describe its network ({error}); it may come from another version."
        raise RunError(msg) from error
    return segmenter.eval()


def _create(config: NetworkConfig, channels: int, weights: str | None, outputs: int) -> nn.Module:
    """Return the smp model, with errors a user can act on."""
    import segmentation_models_pytorch as smp  # five seconds: not before a network is built

    architecture = config.architecture.lower()
    _check_architecture(config, architecture)
    _check_encoder(config.encoder)
    _check_weights(config.encoder, weights)
    try:
        with warnings.catch_warnings():
            # smp announces that it will rename "timm-" encoders; both names still work.
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            model: nn.Module = smp.create_model(
                architecture,
                encoder_name=config.encoder,
                encoder_weights=weights,
                in_channels=channels,
                classes=outputs,
                encoder_depth=config.encoder_depth,
                **_decoder_settings(config, architecture),
            )
    except OSError as error:
        raise _no_weights(config.encoder, weights, error) from error
    except (AssertionError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        msg = (
            f"network '{config.architecture}' with encoder '{config.encoder}' and encoder_depth "
            f"{config.encoder_depth} cannot be built: {error}"
        )
        raise ConfigError(msg) from error
    return model


def _least_edge(config: NetworkConfig) -> int:
    """Return the edge below which the architecture breaks down, pixels; 0: it does not."""
    if config.architecture.lower() != "pan":
        return 0
    # Its features, a 16th of the image at most, are halved three times.
    return int(8 * 2 ** min(config.encoder_depth, 4))


def _decoder_settings(config: NetworkConfig, architecture: str) -> dict[str, Any]:
    """Return what smp is to be told about the decoder besides the encoder."""
    settings: dict[str, Any] = {}
    if config.decoder_channels is not None:
        settings["decoder_channels"] = config.decoder_channels
    # smp supposes a depth; at another the answer would not be as large as the image.
    if architecture == "pspnet":
        settings["upsampling"] = 2**config.encoder_depth
    if architecture == "fpn":
        settings["upsampling"] = 2 ** (config.encoder_depth - 3)
    return settings


def _check_architecture(config: NetworkConfig, architecture: str) -> None:
    import segmentation_models_pytorch as smp

    known = sorted(smp.MODEL_ARCHITECTURES_MAPPING)
    if architecture not in known:
        _refuse("architecture", config.architecture, known, known)
    widths = config.decoder_channels
    if widths is None:
        return
    if architecture not in STAGED_DECODERS:
        msg = (
            f"decoder_channels is given, but architecture '{architecture}' has no decoder width "
            f"per stage. Leave it out, or take one of {', '.join(STAGED_DECODERS)}."
        )
        raise ConfigError(msg)
    if len(widths) != config.encoder_depth:
        msg = (
            f"decoder_channels has {len(widths)} widths, expected one per encoder stage: "
            f"encoder_depth is {config.encoder_depth}."
        )
        raise ConfigError(msg)


def _check_encoder(name: str) -> None:
    import segmentation_models_pytorch as smp
    import timm

    own = sorted(smp.encoders.encoders)
    if name in own or (name.startswith("tu-") and timm.is_model(name[3:])):
        return
    others = [f"tu-{model}" for model in timm.list_models()]
    _refuse("encoder", name, own + others, FAMILIAR_ENCODERS)


def _check_weights(encoder: str, weights: str | None) -> None:
    if weights is None or encoder.startswith("tu-"):
        return  # timm encoders have one set of weights, whatever it is called
    import segmentation_models_pytorch as smp

    known = sorted(smp.encoders.encoders[encoder]["pretrained_settings"])
    if weights not in known:
        _refuse(f"pretrained weights of encoder '{encoder}'", weights, known, known)


def _refuse(what: str, name: str, known: Sequence[str], shown: Sequence[str]) -> NoReturn:
    """Raise the error for a name nobody knows, with the nearest known one."""
    close = difflib.get_close_matches(name, known, n=1)
    guess = f" Did you mean '{close[0]}'?" if close else ""
    rest = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
    msg = f"no {what} named '{name}'.{guess} Available: {', '.join(shown)}{rest}."
    raise UnknownNameError(msg)


def _no_weights(encoder: str, weights: str | None, error: OSError) -> DataError:
    msg = (
        f"pretrained weights '{weights}' of encoder '{encoder}' cannot be downloaded "
        f"({type(error).__name__}: {error}). Set encoder_weights to None to train from scratch, "
        "or run once where there is a network connection and keep the cache."
    )
    return DataError(msg)
