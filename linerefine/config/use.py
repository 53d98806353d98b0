"""How networks are used: sessions, what is measured in them, back-ends."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from linerefine.config.base import Options

__all__ = ["EvaluationConfig", "InferenceConfig", "SessionConfig"]


class SessionConfig(Options):
    """The interactive engine."""

    crop: int = Field(
        256, ge=32, multiple_of=32, description="Edge of what the refiner sees, pixels."
    )
    margin: int = Field(
        32, ge=0, description="Over so many pixels an answer fades into what was there."
    )
    placement: Literal["stroke", "grid"] = Field(
        "stroke", description="Crop around the stroke, or the fixed tile it lies in."
    )
    overlap: Literal["latest", "first"] = Field(
        "latest", description="Whose word holds where strokes overlap."
    )
    threshold: float = Field(0.5, gt=0, lt=1, description="Probability from which a pixel is line.")


class EvaluationConfig(Options):
    """Simulated sessions on whole images."""

    budget: int = Field(3000, ge=1, description="Most interactions per image.")  # sec. 5
    repeats: int = Field(10, ge=0, description="Sessions per image and refiner; 0 skips.")  # sec. 5
    patch_passes: int = Field(5, ge=0, description="Passes over the test patches; 0 skips.")
    loop: Literal["shared", "independent"] = Field(
        "shared",
        description="'shared': the manual and the refined curve come from the same strokes, "
        "accepted if they help by hand. 'independent': the person corrects what they see, every "
        "stroke counts, and the refiner `manual` is a person of their own.",
    )
    attempts: int = Field(
        3, ge=1, description="Fruitless tries in a tile before it is left for good."
    )
    empty_tiles: Literal["work", "skip"] = Field(
        "work", description="Whether tiles without target lines are worked on."
    )
    lockstep: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        "auto",
        description="Tiles whose next strokes share one call of the refiner. 'auto': 1 on CPUs, "
        "where a batch costs its sum; on CUDA 16 on the grid, 4 around strokes.",
    )


class InferenceConfig(Options):
    """How networks run where they are used and not trained."""

    backend: Literal[
        "auto",
        "eager",
        "channels_last",
        "bf16",
        "packed",
        "packed_bf16",
        "compile",
        "compile_bf16",
        "onnxruntime",
        "onnxruntime_int8",
        "openvino",
        "openvino_bf16",
        "fp16",
        "cuda_graph",
    ] = Field("auto", description="'auto' measures what this machine has and takes the fastest.")
    agreement: float = Field(
        0.999,
        gt=0,
        le=1,
        description="Least share of pixels, or of features, in which a back-end that 'auto' takes "
        "must agree with float32, seen on the first input.",
    )
    trial_seconds: float = Field(
        2.0, gt=0, description="'auto' begins no further candidate once so many have passed."
    )
    trial_passes: int = Field(5, ge=1, description="Timed passes per candidate; medians count.")
    worth_seconds: float = Field(
        10.0, ge=0, description="'auto' leaves networks alone that have less work than this ahead."
    )
    remember: bool = Field(
        True, description="Whether 'auto' keeps its choices in the cache for the next run."
    )
