"""Decoding: what each file means, and what is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from linerefine.errors import DataError
from linerefine.loaders.images import read_header, read_mask, read_pixels

RNG = np.random.default_rng(0)
GREY8 = RNG.integers(0, 256, (12, 17), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, (12, 17), dtype=np.uint16)
RGB8 = RNG.integers(0, 256, (12, 17, 3), dtype=np.uint8)
RGB16 = RNG.integers(0, 65536, (12, 17, 3), dtype=np.uint16)
FLOAT = RNG.normal(0, 5, (12, 17)).astype(np.float32)


def unit(stored):
    scale = np.iinfo(stored.dtype).max if stored.dtype.kind == "u" else 1
    pixels = (stored / scale).astype(np.float32)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def write_png16(path, rgb):
    cv2.imwrite(str(path), rgb[..., ::-1])


WRITERS = {
    "grey8.png": (GREY8, lambda path: Image.fromarray(GREY8).save(path)),
    "grey16.png": (GREY16, lambda path: cv2.imwrite(str(path), GREY16)),
    "rgb8.png": (RGB8, lambda path: Image.fromarray(RGB8).save(path)),
    "RGB8.PNG": (RGB8, lambda path: Image.fromarray(RGB8).save(path)),
    "rgb16.png": (RGB16, lambda path: write_png16(path, RGB16)),
    "bit.png": (GREY8 > 127, lambda path: Image.fromarray(GREY8 > 127).save(path)),
    "grey8.tif": (GREY8, lambda path: tifffile.imwrite(path, GREY8)),
    "grey16.tiff": (GREY16, lambda path: tifffile.imwrite(path, GREY16)),
    "rgb16.tif": (RGB16, lambda path: tifffile.imwrite(path, RGB16, photometric="rgb")),
    "float.tif": (FLOAT, lambda path: tifffile.imwrite(path, FLOAT)),
    "double.tif": (FLOAT, lambda path: tifffile.imwrite(path, FLOAT.astype(np.float64))),
    "zlib.tif": (FLOAT, lambda path: tifffile.imwrite(path, FLOAT, compression="zlib")),
    "planes.tif": (
        RGB8,
        lambda path: tifffile.imwrite(
            path, RGB8.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"
        ),
    ),
    "lzw.tif": (GREY8, lambda path: Image.fromarray(GREY8).save(path, compression="tiff_lzw")),
    "lzw_rgb.tif": (RGB8, lambda path: Image.fromarray(RGB8).save(path, compression="tiff_lzw")),
    "white.tif": (
        255 - GREY8,
        lambda path: tifffile.imwrite(path, GREY8, photometric="miniswhite"),
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_decodes_to_its_values(tmp_path, name):
    stored, write = WRITERS[name]
    path = tmp_path / name
    write(path)
    pixels = read_pixels(path)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, unit(stored), atol=1e-6)
    assert read_header(path).shape == (12, 17)
    assert read_header(path).is_float == (stored is FLOAT)


def test_jpeg_decodes_nearly_to_its_values(tmp_path):
    smooth = cv2.GaussianBlur(RGB8, (0, 0), 4)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_pixels(tmp_path / "a.jpg") - unit(smooth)).max() < 0.05
    assert read_header(tmp_path / "a.jpg").shape == (12, 17)


@pytest.mark.parametrize("stored", [GREY8, RGB8])
def test_alpha_is_ignored(tmp_path, stored):
    image = Image.fromarray(stored)
    image.putalpha(Image.fromarray(255 - GREY8))
    image.save(tmp_path / "alpha.png")
    np.testing.assert_allclose(read_pixels(tmp_path / "alpha.png"), unit(stored), atol=1e-6)


def test_palette_means_its_colours(tmp_path):
    Image.fromarray(RGB8).quantize(16).save(tmp_path / "palette.png")
    expected = np.asarray(Image.open(tmp_path / "palette.png").convert("RGB"))
    np.testing.assert_allclose(read_pixels(tmp_path / "palette.png"), unit(expected), atol=1e-6)
    Image.open(tmp_path / "palette.png").save(tmp_path / "palette.tif")
    np.testing.assert_allclose(read_pixels(tmp_path / "palette.tif"), unit(expected), atol=1e-6)


def test_cameras_that_were_turned_are_turned_back(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY8).save(tmp_path / "turned.png", exif=exif)
    assert read_header(tmp_path / "turned.png").shape == (17, 12)
    np.testing.assert_allclose(
        read_pixels(tmp_path / "turned.png")[..., 0], np.rot90(GREY8, -1) / 255, atol=1e-6
    )


LINES = GREY8 > 200


@pytest.mark.parametrize(
    "stored",
    [
        LINES,
        LINES.astype(np.uint8),
        LINES * np.uint8(255),
        LINES * np.uint16(65535),
        LINES * np.uint16(255),
        np.where(LINES, np.uint8(250), np.uint8(90)),
        np.repeat((LINES * np.uint8(255))[..., None], 3, axis=2),
    ],
    ids=["bit", "0/1", "0/255", "0/65535", "0/255 of 16 bits", "grey edges", "colour"],
)
def test_masks_mean_what_they_look_like(tmp_path, stored):
    Image.fromarray(stored).save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), LINES)


def test_float_masks_are_read_and_nan_refused(tmp_path):
    tifffile.imwrite(tmp_path / "mask.tif", LINES.astype(np.float32))
    assert np.array_equal(read_mask(tmp_path / "mask.tif"), LINES)
    tifffile.imwrite(tmp_path / "nan.tif", np.where(LINES, np.nan, 0).astype(np.float32))
    with pytest.raises(DataError, match=r"nan\.tif holds values that are not finite"):
        read_mask(tmp_path / "nan.tif")


def test_empty_and_full_masks_are_masks(tmp_path):
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(tmp_path / "empty.png")
    Image.fromarray(np.full((5, 6), 255, np.uint8)).save(tmp_path / "full.png")
    assert not read_mask(tmp_path / "empty.png").any()
    assert read_mask(tmp_path / "full.png").all()


@pytest.mark.parametrize("name", sorted({*WRITERS, "photo.jpg"}))
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.75])
def test_files_that_end_early_are_refused_by_header_and_pixels(tmp_path, name, share):
    path = tmp_path / name
    if name == "photo.jpg":
        Image.fromarray(RGB8).save(path)
    else:
        WRITERS[name][1](path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    for read in (read_header, read_pixels):
        with pytest.raises(DataError, match=rf"{name} cannot be read as an image \(\d+ bytes"):
            read(path)


def test_other_content_is_refused(tmp_path):
    for name in ("text.png", "text.tif", "text.jpg"):
        (tmp_path / name).write_text("not an image, though its name says so")
        with pytest.raises(DataError, match=f"{name} cannot be read as an image"):
            read_pixels(tmp_path / name)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(DataError, match=r"absent\.png does not exist\."):
        read_pixels(tmp_path / "absent.png")
    with pytest.raises(DataError, match="is a folder, expected an image file"):
        read_header(tmp_path)


def test_stacks_and_many_channels_are_refused(tmp_path):
    tifffile.imwrite(
        tmp_path / "stack.tif", np.zeros((3, 8, 9), np.uint8), photometric="minisblack"
    )
    for read in (read_header, read_pixels):
        with pytest.raises(DataError, match=r"stack\.tif holds 3 pages, expected one image"):
            read(tmp_path / "stack.tif")
    many = np.zeros((8, 9, 5), np.uint8)
    tifffile.imwrite(tmp_path / "many.tif", many, photometric="minisblack", planarconfig="contig")
    with pytest.raises(DataError, match=r"has shape \(8, 9, 5\), expected one image of 1 to 4"):
        read_pixels(tmp_path / "many.tif")
