"""Draw photographs of a plastered wall with cracks, and tracings of the cracks."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 320


def main(root: Path) -> None:
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(10):
        rng = np.random.default_rng(number)
        crack = Image.new("L", (SIZE, SIZE))
        for _ in range(4):
            turns = np.cumsum(rng.normal(0, 0.35, 40)) + rng.uniform(0, 2 * np.pi)
            steps = 9 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
            path = rng.uniform(0, SIZE, 2) + np.cumsum(steps, axis=0)
            ImageDraw.Draw(crack).line([tuple(point) for point in path], fill=255, width=3)
        dark = np.asarray(crack.filter(ImageFilter.GaussianBlur(1))) * rng.uniform(0.1, 0.25)
        wall = rng.normal(170, 15, (SIZE, SIZE)) + 20 * np.linspace(-1, 1, SIZE) - dark
        Image.fromarray(wall.clip(0, 255).astype(np.uint8)).save(root / f"images/wall{number}.png")
        crack.save(root / f"masks/wall{number}.png")


main(Path(sys.argv[1]))
