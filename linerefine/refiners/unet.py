"""The paper's refiner: one encoder-decoder over image, first prediction and strokes."""

from __future__ import annotations

import torch
from torch import Tensor

from linerefine.config import EncoderConfig, NetworkConfig
from linerefine.models.segmenter import build_network
from linerefine.refiners.base import Prompt, Refiner
from linerefine.refiners.encoding import channels_of, encode_hints
from linerefine.refiners.options import DeepLabOptions, PANOptions, PromptOptions, UNetOptions

__all__ = ["PAN", "DeepLabV3Plus", "PromptedNetwork", "UNetRefiner"]


class PromptedNetwork(Refiner):
    """Image and prompt stacked as channels of one network.

    Parameters
    ----------
    options : PromptOptions
        What the network sees, and how it sees the hints.
    network : NetworkConfig
        Architecture and encoder.
    channels : int
        Channels of the image.

    Notes
    -----
    The network sees, in the order of the authors' code, the image, the
    *logits* of the first prediction (unbounded) and the hints, and last, where
    it is asked for, the logits of its previous answer.
    Its first layer mixes them all, so nothing can be computed before the
    strokes are known and `encode` returns the image itself.
    """

    def __init__(self, options: PromptOptions, network: NetworkConfig, channels: int) -> None:
        super().__init__()
        self.options = options
        widths = {"image": channels, "hints": channels_of(options.encoding)}
        self.network = build_network(network, sum(widths.get(name, 1) for name in options.seen))

    @property
    def revises(self) -> bool:
        """Whether it redraws the whole image before the first stroke, as its options say."""
        return self.options.revise

    def revise(self, features: Tensor, initial: Tensor) -> Tensor:
        """Return refined logits without strokes, shape (B, 1, H, W)."""
        return self.refine(features, Prompt(initial, torch.zeros_like(initial), initial))

    def refine(self, features: Tensor, prompt: Prompt) -> Tensor:
        """Return refined logits, shape (B, 1, H, W)."""
        stacked = torch.cat([self._seen(name, features, prompt) for name in self.options.seen], 1)
        logits: Tensor = self.network(stacked)
        return logits

    def _seen(self, name: str, image: Tensor, prompt: Prompt) -> Tensor:
        if name == "image":
            return image
        if name == "initial":
            return prompt.initial
        if name == "hints":
            return encode_hints(prompt.hints, self.options)
        return prompt.initial if prompt.previous is None else prompt.previous


class UNetRefiner(PromptedNetwork):
    """The paper's refiner; with another ``network.architecture`` any other of smp.

    Parameters
    ----------
    options : UNetOptions
        Inputs, encoding of hints, architecture and encoder.
    channels : int
        Channels of the image.
    """

    def __init__(self, options: UNetOptions | None = None, channels: int = 1) -> None:
        options = options or UNetOptions()
        super().__init__(options, options.network or NetworkConfig(), channels)


class DeepLabV3Plus(PromptedNetwork):
    """`UNetRefiner` with DeepLabV3+: dilated convolutions, a light decoder.

    Parameters
    ----------
    options : DeepLabOptions
        Inputs, encoding of hints, encoder.
    channels : int
        Channels of the image.

    Notes
    -----
    One branch normalises a single value per channel and patch, so training
    takes batches of two patches or more.

    References
    ----------
    L.-C. Chen, Y. Zhu, G. Papandreou, F. Schroff, H. Adam, "Encoder-Decoder
    with Atrous Separable Convolution for Semantic Image Segmentation", ECCV
    2018. DOI 10.1007/978-3-030-01234-2_49
    """

    def __init__(self, options: DeepLabOptions | None = None, channels: int = 1) -> None:
        options = options or DeepLabOptions()
        super().__init__(options, _network("deeplabv3plus", options.network), channels)


class PAN(PromptedNetwork):
    """`UNetRefiner` with a Pyramid Attention Network.

    Parameters
    ----------
    options : PANOptions
        Inputs, encoding of hints, encoder.
    channels : int
        Channels of the image.

    Notes
    -----
    One branch normalises a single value per channel and patch, so training
    takes batches of two patches or more.

    References
    ----------
    H. Li, P. Xiong, J. An, L. Wang, "Pyramid Attention Network for Semantic
    Segmentation", BMVC 2018. arXiv:1805.10180
    """

    def __init__(self, options: PANOptions | None = None, channels: int = 1) -> None:
        options = options or PANOptions()
        super().__init__(options, _network("pan", options.network), channels)


def _network(architecture: str, encoder: EncoderConfig | None) -> NetworkConfig:
    """Return a settled architecture around an encoder."""
    chosen = (encoder or EncoderConfig()).model_dump(include=set(EncoderConfig.model_fields))
    return NetworkConfig(architecture=architecture, **chosen)
