"""Which method finds the object, and how well the classical one does."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest

from linerefine.errors import ConfigError, DataError
from linerefine_etruscan_mirrors import object_mask
from linerefine_etruscan_mirrors.classical import classical_mask, largest_component
from linerefine_etruscan_mirrors.object_mask import ObjectMasks, render

from .conftest import SHAPE, WriteView, disc


def overlap(left: np.ndarray, right: np.ndarray) -> float:
    return np.count_nonzero(left & right) / np.count_nonzero(left | right)


def scene(seed: int, *, is_dark: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A mirror with handle, a frame around it, a clamp that touches it, and a ruler."""
    rng = np.random.default_rng(seed)
    height, width = shape = (384, 512)
    mirror = np.zeros(shape, np.uint8)
    radius, col, row = int(0.38 * height), width // 2 - 40, height // 2 - 8
    cv2.circle(mirror, (col, row), radius, 1, -1)
    cv2.rectangle(mirror, (col + radius - 8, row - 16), (col + radius + 80, row + 16), 1, -1)
    grey = 0.12 + 0.5 * cv2.GaussianBlur(rng.normal(0, 1, shape), (0, 0), 20)
    cv2.rectangle(grey, (4, 4), (width - 5, height - 5), 0.35, 6)
    cv2.rectangle(grey, (80, height - 28), (width - 80, height - 12), 0.85, -1)
    cv2.line(grey, (col, 0), (col, row - radius + 2), 0.4, 4)
    bronze = 0.5 + cv2.GaussianBlur(rng.normal(0, 1, shape), (0, 0), 8) + rng.normal(0, 0.05, shape)
    grey = np.where(mirror > 0, bronze, grey)
    grey = 1 - grey if is_dark else grey
    low, high = np.percentile(grey, [0.5, 99.5])
    picture = np.rint(np.clip((grey - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    return picture, mirror > 0


class TestClassical:
    @pytest.mark.parametrize("is_dark", [False, True])
    @pytest.mark.parametrize("seed", range(3))
    def test_finds_the_mirror_between_frame_and_ruler(self, seed: int, is_dark: bool) -> None:
        picture, mirror = scene(seed, is_dark=is_dark)
        assert overlap(classical_mask(picture), mirror) > 0.97

    def test_is_the_same_each_time(self) -> None:
        picture, _ = scene(1)
        np.testing.assert_array_equal(classical_mask(picture), classical_mask(picture))

    def test_refuses_a_picture_without_an_object(self) -> None:
        with pytest.raises(DataError, match=r"no object stands out .* Draw an object mask"):
            classical_mask(np.full((64, 64), 7, dtype=np.uint8))


class TestLargestComponent:
    def test_is_one_piece_without_holes(self) -> None:
        mask = np.zeros((9, 9), dtype=bool)
        mask[1:6, 1:6] = True
        mask[3, 3] = False
        mask[8, 8] = True
        found = largest_component(mask)
        assert found[3, 3]
        assert not found[8, 8]

    def test_of_nothing_is_nothing(self) -> None:
        assert not largest_component(np.zeros((3, 3), dtype=bool)).any()


class TestObjectMasks:
    def test_a_mask_on_disk_wins(self, add_view: WriteView) -> None:
        view = add_view("A_R")
        for choice in ("auto", "classical", "disk"):
            mask, method = ObjectMasks(choice, None).find(view, SHAPE)
            assert method == "disk"
            np.testing.assert_array_equal(mask, disc())

    def test_without_weights_the_classical_method_is_used_and_logged(
        self, add_view: WriteView, caplog: pytest.LogCaptureFixture
    ) -> None:
        view = add_view("A_R", has_mask=False)
        with caplog.at_level(logging.INFO):
            mask, method = ObjectMasks("auto", None).find(view, SHAPE)
        assert method == "classical"
        assert overlap(mask, disc()) > 0.9  # on a picture of 96 pixels
        assert "A_R: object mask found by the classical method" in caplog.text

    def test_disk_alone_refuses_a_view_without_mask(self, add_view: WriteView) -> None:
        view = add_view("A_R", has_mask=False)
        with pytest.raises(DataError, match=r"there is no object mask: .*A_R_mask\.png does not"):
            ObjectMasks("disk", None).find(view, SHAPE)

    def test_sam_without_weights_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(object_mask, "find_weights", lambda named: None)
        with pytest.raises(ConfigError, match=r"object_mask is 'sam', but no weights are cached\."):
            ObjectMasks("sam", None)

    def test_sam_without_transformers_names_the_extra(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(object_mask, "find_weights", lambda named: None)
        monkeypatch.setattr(object_mask, "is_installed", lambda: False)
        with pytest.raises(ConfigError, match=r"transformers is absent\. .*linerefine\[sam\]"):
            ObjectMasks("sam", None)

    def test_depth_is_looked_at_where_there_is_no_albedo(self, add_view: WriteView) -> None:
        view = add_view("A_R", has_mask=False)
        masks = ObjectMasks("classical", None)
        assert masks.looks_at(view) == ("albedo",)
        view.albedo.unlink()
        assert masks.looks_at(view) == ("depth",)
        with pytest.raises(DataError, match=r"neither an object mask .* nor an albedo"):
            masks.find(view, SHAPE)

    def test_pictures_are_small(self, add_view: WriteView, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(object_mask, "EDGE", 50)
        picture = render(add_view("A_R").albedo)
        assert picture.dtype == np.uint8
        assert picture.shape == (32, 43)
