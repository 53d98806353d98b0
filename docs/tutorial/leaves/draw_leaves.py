"""Draw ten leaves to try the plugin on: veins that fork, on grainy paper."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 256


def vein(
    pen: ImageDraw.ImageDraw, rng: np.random.Generator, at: np.ndarray, angle: float, width: int
) -> None:
    if width < 1:
        return
    for _ in range(rng.integers(4, 7)):
        angle += rng.normal(0, 0.15)
        end = at + 14 * np.array([np.cos(angle), np.sin(angle)])
        pen.line([*at, *end], fill=255, width=width)
        at = end
        if rng.random() < 0.6:
            vein(pen, rng, at, angle + rng.choice([-0.7, 0.7]), width - 1)
    vein(pen, rng, at, angle, width - 1)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(10):
        rng = np.random.default_rng(number)
        veins = Image.new("L", (SIZE, SIZE))
        vein(ImageDraw.Draw(veins), rng, np.array([SIZE / 2, SIZE - 8.0]), -np.pi / 2, 4)
        paper = rng.normal(150, 18, (SIZE, SIZE)) - 0.2 * np.asarray(veins.filter(ImageFilter.BLUR))
        Image.fromarray(paper.clip(0, 255).astype(np.uint8)).save(folder / f"leaf{number}.png")
        veins.save(folder / f"leaf{number}_veins.png")


main(Path(sys.argv[1]))
