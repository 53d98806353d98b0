import numpy as np
from linerefine_leaves import LeafOptions, Leaves
from PIL import Image

from linerefine.testing import check_loader


def test_loader_keeps_its_promises(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(5):
        grey = rng.integers(0, 255, (64, 96), dtype=np.uint8)
        Image.fromarray(grey).save(tmp_path / f"leaf{number}.png")
        Image.fromarray(np.eye(64, 96, dtype=np.uint8) * 255).save(
            tmp_path / f"leaf{number}_veins.png"
        )
    check_loader(Leaves(LeafOptions(root=tmp_path)))
