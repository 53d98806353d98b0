"""The configuration of a run: one typed model, the only home of the core's defaults.

Defaults follow the paper (Sterzinger, Stippel, Sablatnig: Fusing Forces, ICPR
2024) where it speaks; lengths are pixels of the working grid, the grid of the
arrays that a loader delivers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "PROTOCOLS",
    "QUICK",
    "STAGED_DECODERS",
    "AugmentationConfig",
    "Component",
    "EncoderConfig",
    "EvaluationConfig",
    "ExperimentConfig",
    "InferenceConfig",
    "NetworkConfig",
    "Options",
    "RefinerConfig",
    "SegmenterConfig",
    "SessionConfig",
    "TilingConfig",
    "TrackingConfig",
    "TrainingConfig",
    "merged",
]


class Options(BaseModel):
    """Base of every component's options: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Component(Options):
    """A registered component and its options."""

    name: str = Field(description="Registered name, as `linerefine plugins` lists it.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="Checked against the component's own option model."
    )


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with others laid over them: mappings merge, all else replaces."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result


class EncoderConfig(Options):
    """The encoder of a network whose architecture is settled."""

    encoder: str = Field("efficientnet-b6", description="Any smp or timm encoder.")  # sec. 3.3
    encoder_weights: str | None = Field(
        None, description="None trains from scratch; 'imagenet' downloads pretrained weights."
    )
    encoder_depth: int = Field(5, ge=3, le=5, description="Encoder stages used.")


class NetworkConfig(EncoderConfig):
    """An encoder-decoder of segmentation-models-pytorch."""

    architecture: str = Field("unet", description="Any architecture smp knows by name.")
    decoder_channels: tuple[int, ...] | None = Field(
        None, description="Decoder widths, one per stage; None keeps smp's own."
    )


STAGED_DECODERS = ("manet", "unet", "unetplusplus")
"""Architectures whose decoder has one width per stage."""

MANUAL = "manual"
"""Name, and key unless it has a label, of the refiner that stands for a person without help."""


class SegmenterConfig(Options):
    """The first-prediction network: the image alone in, logits out; frozen once trained."""

    network: NetworkConfig = NetworkConfig()
    checkpoint: str | None = Field(
        None,
        description="A trained segmenter to use instead of training one: a .safetensors file, or "
        "'shipped:EXPERIMENT', which comes with an experiment and brings its normalisation.",
    )
    threshold: Literal["fixed", "tuned"] = Field(
        "fixed",
        description="From which probability first predictions are line. 'fixed': "
        "session.threshold, or what a checkpoint was tuned to. 'tuned': what scores best on the "
        "validation split; all their logits are shifted so that session.threshold cuts there.",
    )


class RefinerConfig(Component):
    """A refiner of a run, and in what it differs from the others."""

    label: str | None = Field(
        None, description="What results call it; None: its name. Two of one name need labels."
    )
    weights: str | None = Field(
        None,
        description="Trained weights to use instead of training: a .safetensors file, the label "
        "of a refiner earlier in the list, or 'shipped:EXPERIMENT'.",
    )
    simulator: Component | None = Field(
        None, description="Whose strokes it is trained and tested with; None: the run's."
    )
    training: dict[str, Any] = Field(
        default_factory=dict, description="Settings of its training that differ from the run's."
    )
    operations: tuple[Literal["add", "erase"], ...] = Field(
        ("add", "erase"), min_length=1, description="What the person may do in its sessions."
    )

    @property
    def key(self) -> str:
        """What results call it: its label, else its name."""
        return self.label or self.name


class TilingConfig(Options):
    """How whole images are cut for the networks."""

    patch: int = Field(256, ge=32, multiple_of=32, description="Edge of a network input, pixels.")
    overlap: int = Field(
        64, ge=0, description="Overlap of neighbouring patches in whole-image prediction, pixels."
    )
    blend: Literal["taper", "paper"] = Field(
        "taper",
        description="How overlapping answers are weighed: 'taper' falls smoothly over the overlap; "
        "'paper' is the authors' weight map, nothing on a patch's border ring, all from 64 "
        "pixels inwards.",
    )
    train_rows: int = Field(1120, ge=32, description="Height of a training tile, pixels.")
    train_cols: int = Field(1494, ge=32, description="Width of a training tile, pixels.")
    patches_per_tile: int = Field(10, ge=1, description="Patches per tile and epoch.")  # 3.1.1


class AugmentationConfig(Options):
    """Random changes of a training patch, as the authors' code draws them."""

    flip: float = Field(0.5, ge=0, le=1, description="Probability of each mirror flip.")
    rotate90: float = Field(0.5, ge=0, le=1, description="Probability of quarter turns.")
    affine: float = Field(0.5, ge=0, le=1, description="Probability of shift, scale, rotate.")
    shift: float = Field(0.0625, ge=0, le=0.5, description="Largest shift, share of the edge.")
    scale: float = Field(0.1, ge=0, lt=1, description="Largest change of scale.")
    rotate: float = Field(45.0, ge=0, le=180, description="Largest rotation, degrees.")


class TrainingConfig(Options):
    """Training of either network; both get the same."""

    batch_size: int = Field(32, ge=1, description="Patches per step.")  # paper, sec. 4.1
    learning_rate: float = Field(3e-4, gt=0, description="Adam's step size.")  # sec. 4.1
    loss: Literal[
        "dice",
        "dice_bce",
        "bce",
        "generalised_dice",
        "generalised_dice_bce",
        "tversky",
        "tversky_bce",
        "cldice",
        "soft_cldice",
        "soft_cldice_bce",
    ] = Field(
        "dice",
        description="'dice' as the authors; '..._bce' adds cross-entropy; 'cldice' needs others.",
    )
    gradient_clip: float = Field(2.0, gt=0, description="Largest gradient norm.")
    max_epochs: int = Field(1000, ge=1, description="Most epochs of each network.")
    steps_per_epoch: int | None = Field(
        None, ge=1, description="None: every training patch once per epoch."
    )
    patience: int = Field(10, ge=1, description="Epochs without improvement before stopping.")
    min_delta: float = Field(1e-3, ge=0, description="Least change that counts as improvement.")
    schedule: Literal["plateau", "cosine"] = Field(
        "plateau",
        description="Learning rate: lowered when the score stops rising (paper), or risen and "
        "fallen over max_epochs, for trainings of few steps.",
    )
    plateau_factor: float = Field(0.5, gt=0, le=1, description="Learning rate factor.")
    plateau_patience: int = Field(3, ge=0, description="Epochs before it is applied.")  # 4.1
    validation_passes: int = Field(
        5, ge=1, description="Simulated strokes per validation patch, averaged."
    )
    validation_patches: int | None = Field(
        None, ge=1, description="Use at most so many validation patches, evenly chosen."
    )
    strokes_per_patch: int = Field(
        1, ge=1, description="Most strokes drawn on a training patch; the paper draws one."
    )
    rounds: int = Field(
        1, ge=1, description="Most rounds of strokes per step, drawn on the refiner's own answers."
    )
    judge: Literal["answers", "changes"] = Field(
        "answers", description="What a refiner's loss sees; changes: mistakes that strokes touch."
    )
    keep: float = Field(
        0.0, ge=0, description="Weight in a refiner's loss of pixels that were right before."
    )
    augmentation: AugmentationConfig = AugmentationConfig()
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="'auto': fp16 on CUDA, bf16 on CPUs that have it, else fp32."
    )
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        description="Processes that read patches, and as many that draw strokes; 0: the main "
        "one. 'auto': on CUDA half the cores, eight at most, else 0.",
    )
    checkpoint_seconds: float = Field(60.0, gt=0, description="Longest time between checkpoints.")

    def data_workers(self, device: str, cores: int) -> int:
        """Return how many processes read patches, by kind of device and number of cores."""
        if self.workers != "auto":
            return self.workers
        # On a CPU the network wants every core, and takes far longer than its data.
        return min(max(cores // 2, 1), 8) if device == "cuda" else 0


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


class TrackingConfig(Options):
    """Where runs are recorded."""

    uri: str | None = Field(
        None, description="MLflow store; None: sqlite file mlflow.db beside the run folders."
    )
    enabled: bool = Field(True, description="False records nothing in MLflow.")
    log_model: bool = Field(True, description="Store trained refiners as MLflow models.")


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
        description="Least share of pixels in which a back-end that 'auto' takes must agree "
        "with float32, seen on the first input.",
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


class ExperimentConfig(Options):
    """Everything that decides what a run does."""

    profile: str = Field("", description="Profile these settings came from; a label.")
    protocol: str = Field(
        "default", description="'default', 'paper' (the authors') or 'independent' (two people)."
    )
    loader: Component = Field(description="Where images and targets come from.")
    segmenter: SegmenterConfig = SegmenterConfig()
    simulator: Component = Field(Component(name="longest"), description="Who draws the strokes.")
    refiners: tuple[RefinerConfig, ...] = Field(
        (RefinerConfig(name="unet"),), min_length=1, description="What answers strokes; compared."
    )
    metrics: tuple[Component, ...] = Field(
        (Component(name="pfm"), Component(name="iou")),
        min_length=1,
        description="The first one steers training and sessions.",
    )
    tiling: TilingConfig = TilingConfig()
    training: TrainingConfig = TrainingConfig()
    session: SessionConfig = SessionConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    tracking: TrackingConfig = TrackingConfig()
    inference: InferenceConfig = InferenceConfig()
    seed: int = Field(0, ge=0, description="Weights, shuffling, strokes.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where networks run.")
    threads: int | None = Field(
        None, ge=1, description="Threads of the numeric libraries; None: one per physical core."
    )
    image_memory: float = Field(
        0.25, ge=0, le=1, description="Share of the memory that images read once may go on filling."
    )

    def training_of(self, refiner: RefinerConfig) -> TrainingConfig:
        """Return how a refiner is trained: as the run says, but for its own settings."""
        return TrainingConfig.model_validate(
            merged(self.training.model_dump(mode="json"), refiner.training)
        )

    def simulator_of(self, refiner: RefinerConfig) -> Component:
        """Return whose strokes a refiner is trained and tested with."""
        return refiner.simulator or self.simulator


PROTOCOLS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    # Authors' code: fixed tiles, a set hint never changes, tiles without
    # annotation are dropped, and others after one stroke that does not help.
    "paper": {
        "session": {"placement": "grid", "overlap": "first"},
        "evaluation": {"empty_tiles": "skip", "attempts": 1},
    },
    # Nobody looks at the target but the simulated eyes: no choice, no acceptance by score.
    "independent": {"evaluation": {"loop": "independent", "empty_tiles": "work"}},
}
"""What each protocol pins, as overrides; an experiment may add its own."""

_LIGHT: Mapping[str, Any] = {"encoder": "tu-resnet10t", "decoder_channels": (64, 48, 32, 16, 16)}

QUICK: Mapping[str, Any] = {
    "segmenter": {"network": _LIGHT},
    "refiners": [{"name": "unet"}],  # with the same encoder
    "tiling": {"patch": 192, "train_rows": 512, "train_cols": 512},
    "training": {
        "batch_size": 8,
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "loss": "dice_bce",
        "max_epochs": 3,
        "steps_per_epoch": 100,
        "validation_passes": 1,
        "validation_patches": 48,
    },
    "evaluation": {"budget": 150, "repeats": 3, "patch_passes": 2},
}
"""Overrides for minutes on two cores, for experiments to build their ``quick`` profile on."""
