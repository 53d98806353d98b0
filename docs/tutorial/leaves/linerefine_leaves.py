"""Scanned leaves for linerefine: NAME.png beside NAME_veins.png."""

from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import Field

import linerefine as lr


class LeafOptions(lr.Options):
    root: Path = Field(Path("leaves"), description="Folder of NAME.png and NAME_veins.png.")


class Leaves(lr.ModalityLoader):
    channels = ("grey",)

    def __init__(self, options: LeafOptions) -> None:
        self.root = options.root

    def names(self, split: lr.Split) -> list[str]:
        found = sorted(path.name[:-10] for path in self.root.glob("*_veins.png"))
        if len(found) < 5:
            raise lr.DataError(f"{self.root} holds {len(found)} NAME_veins.png, expected five.")
        fold = {"test": (0,), "val": (1,), "train": (2, 3, 4)}[split]
        return [name for index, name in enumerate(found) if index % 5 in fold]

    def load(self, name: str) -> lr.Sample:
        grey, veins = self._pixels(f"{name}.png"), self._pixels(f"{name}_veins.png") > 127
        image = (grey - grey.mean()) / max(grey.std(), 1e-6)
        return lr.Sample(name, image[None], roi=np.ones_like(veins), lines=veins)

    def _pixels(self, file: str) -> np.ndarray:
        try:
            with Image.open(self.root / file) as picture:
                return np.asarray(picture.convert("L"), dtype=np.float32)
        except OSError as error:
            raise lr.DataError(f"{self.root / file} cannot be read: {error}.") from error


@lr.hookimpl
def linerefine_loaders():
    yield lr.Entry("leaves", "Veins of scanned leaves", Leaves, LeafOptions)


@lr.hookimpl
def linerefine_experiments():
    light = {"network": {"encoder": "resnet18", "decoder_channels": (64, 32, 16, 16, 8)}}
    quick = {
        "segmenter": light,
        "refiners": [{"name": "unet", "options": light}],
        "training": {"batch_size": 4, "max_epochs": 3, "learning_rate": 1e-3},
        "simulator": {"options": {"half_width": 2.0}},
        "evaluation": {"budget": 20, "repeats": 2},
    }
    defaults = lr.ExperimentConfig(loader=lr.Component(name="leaves"))
    yield lr.Experiment("leaves", "Veins of scanned leaves", defaults, {"quick": quick})
