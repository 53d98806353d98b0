"""Options of the built-in refiners; imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from linerefine.config import EncoderConfig, LikeSegmenter, NetworkConfig, Options

__all__ = [
    "AnchoredOptions",
    "DeepLabOptions",
    "Encoding",
    "Input",
    "IterNetOptions",
    "LiftedMargins",
    "LookMargins",
    "PANOptions",
    "PromptOptions",
    "StrokeMargins",
    "UNetOptions",
]

Input = Literal["image", "initial", "hints", "previous"]
"""What a refiner's network may see."""

Encoding = Literal["map", "distance", "gaussian"]
"""How it sees the hints."""

_NETWORK: Any = Field(
    None,
    description="Settings left out are those of segmenter.network; the architecture is unet.",
)
_ENCODER: Any = Field(None, description="Settings left out are those of segmenter.network.")


class PromptOptions(Options):
    """What a network sees of image and prompt, and how."""

    inputs: tuple[Input, ...] = Field(
        ("image", "initial", "hints"),
        min_length=1,
        description="What the network sees, each once; without hints it refines by itself.",
    )  # sec. 3.3; table 1 leaves out initial or hints
    encoding: Encoding = Field(
        "map",
        description="Hints as one channel in {-1, 0, 1} (paper), or as two, add and erase: "
        "'distance' to the nearest hint, or 'gaussian', a bell around each.",
    )
    truncation: float = Field(
        255.0, gt=0, description="Distance from which all is equally far, pixels; for 'distance'."
    )
    sigma: float = Field(
        10.0, gt=0, description="Standard deviation of the bell, pixels; for 'gaussian'."
    )
    revise: bool = Field(
        False,
        description="Whether it redraws the whole image before the first stroke, too; the paper "
        "does not.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.inputs)) < len(self.inputs):
            msg = f"inputs are {', '.join(self.inputs)}, expected each at most once."
            raise ValueError(msg)
        return self

    @property
    def seen(self) -> tuple[Input, ...]:
        """The inputs in the order of the network's channels, however they were listed."""
        return tuple(name for name in get_args(Input) if name in self.inputs)


class UNetOptions(PromptOptions):
    """Options of the refiner ``unet``."""

    network: NetworkConfig | None = _NETWORK


class DeepLabOptions(PromptOptions):
    """Options of the refiner ``deeplabv3plus``."""

    network: EncoderConfig | None = _ENCODER


class PANOptions(PromptOptions):
    """Options of the refiner ``pan``."""

    network: EncoderConfig | None = _ENCODER


class IterNetOptions(Options):
    """Options of the refiner ``iternet``."""

    network: NetworkConfig | None = _NETWORK
    iterations: int = Field(3, ge=1, description="How often the answer is refined again.")
    width: int = Field(
        32, ge=1, description="Channels of the small network that does it, at full resolution."
    )


def _margin(default: float, what: str) -> Any:
    """Return a field that says how sure a refiner must be; below 0 it need not quite believe it."""
    return Field(default, ge=-4, description=f"How sure it must be to {what}, log-odds.")


class LookMargins(Options):
    """How sure ``anchored`` must be to change a pixel before the first stroke."""

    add: float = _margin(1.5, "add a pixel before the first stroke")
    erase: float = _margin(-0.5, "erase a pixel before the first stroke")
    middle: float = _margin(-1.0, "add the middle of a line before the first stroke")


class StrokeMargins(Options):
    """How sure ``anchored`` must be to change a pixel after a stroke."""

    add: float = _margin(1.5, "add a pixel after an add stroke; after erasing it never adds")
    erase: float = _margin(0.5, "erase a pixel after a stroke")


class LiftedMargins(Options):
    """How sure ``anchored`` must be to add what an add stroke means."""

    add: float = _margin(0.5, "add a pixel that a stroke lifted")
    middle: float = _margin(-1.5, "add the middle of a line that a stroke lifted")


class AnchoredOptions(Options):
    """Options of the refiner ``anchored``; each ingredient can be left out to see what it pays."""

    network: Annotated[NetworkConfig | None, LikeSegmenter()] = Field(
        None,
        description="Of the image branch; settings left out are those of segmenter.network, its "
        "architecture among them.",
    )
    width: int = Field(24, ge=8, multiple_of=8, description="Channels of the prompt branch.")
    feedback: bool = Field(
        True,
        description="Whether an answer starts from the one before; without, from the first "
        "prediction.",
    )
    hold: bool = Field(
        True, description="Whether strokes are held as constraints in the logits themselves."
    )
    look: LookMargins = Field(
        LookMargins(),
        description="How sure it must be to change a pixel before the first stroke, log-odds; "
        "below 0 it need not quite believe that the pixel is wrong.",
    )
    margins: StrokeMargins = Field(StrokeMargins(), description="The same after a stroke.")
    lift: float | None = Field(
        0.5,
        ge=0,
        description="By how much an add stroke raises the belief in what it means, log-odds. "
        "None: margins hold everywhere.",
    )
    lifted: LiftedMargins = Field(
        LiftedMargins(), description="How sure it must be to add what a stroke means so, log-odds."
    )
    lenient: bool = Field(
        True,
        description="Whether, before the first stroke, a smaller margin is enough to add where, "
        "by its own belief, the first prediction is poor.",
    )
    cut: float | None = Field(
        1.5,
        ge=-4,
        description="How sure it must be to erase the middle of a line that no erase stroke lies "
        "on, log-odds, before the first stroke and after any; no less than to erase what lies "
        "beside it. None: lines only become thinner.",
    )
    revise: bool = Field(
        True,
        description="Whether it looks at the whole image before the first stroke, and changes "
        "what is likely wrong. Without, margins.erase of -0.5 lets strokes do as much.",
    )
    begin: Literal["segmenter", "random"] = Field(
        "segmenter",
        description="Weights of the image branch before training: those of the first-prediction "
        "network, or random ones.",
    )
