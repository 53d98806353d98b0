"""The scans' files: where they lie, how they are read and written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from linerefine.errors import DataError, ShapeError
from linerefine_etruscan_mirrors.files import (
    Layout,
    View,
    discover,
    orphan_drawings,
    pixels_per_mm,
    read_channel,
    read_drawing,
    read_mask,
    size,
    write_view,
)

LAYOUT = Layout()


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def ramp(*shape: int, dtype: str = "f4") -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.fixture
def view(tmp_path: Path) -> View:
    """A small view on disk, written by `write_view`."""
    rng = np.random.default_rng(0)
    view = View("ANSA-VI-1700", "ANSA-VI-1700_R", tmp_path, LAYOUT)
    lines = np.zeros((30, 40), dtype=bool)
    lines[10, 5:20] = True
    write_view(
        view,
        depth=rng.random((30, 40), dtype=np.float32),
        normals=rng.random((3, 30, 40), dtype=np.float32),
        albedo=rng.random((30, 40), dtype=np.float32),
        lines=lines,
        mask=~lines,
        resolution=39.5,
    )
    return view


class TestLayout:
    def test_paths_are_those_of_the_authors(self, tmp_path: Path) -> None:
        view = View("ANSA-VI-1700", "ANSA-VI-1700_R", tmp_path, LAYOUT)
        folder = tmp_path / "ANSA-VI-1700"
        assert view.normals == folder / "PS" / "ANSA-VI-1700_R_N.tif"
        assert view.albedo == folder / "PS" / "ANSA-VI-1700_R_RHO.tif"
        assert view.depth == folder / "PS" / "ANSA-VI-1700_R_U.tif"
        assert view.drawing == folder / "drawings" / "ANSA-VI-1700_R_drawings.png"
        assert view.mask == folder / "masks" / "ANSA-VI-1700_R_mask.png"

    def test_folders_and_suffixes_can_be_named(self, tmp_path: Path) -> None:
        layout = Layout(scans="scan", depth_suffix="-depth.tiff")
        assert View("m", "v", tmp_path, layout).depth == tmp_path / "m/scan/v-depth.tiff"

    def test_drawing_and_mask_at_the_root_stand_in(self, tmp_path: Path) -> None:
        view = View("m", "m_R", tmp_path, LAYOUT)
        shared = touch(tmp_path / "drawings/m_R_drawings.png")
        mask = touch(tmp_path / "masks/m_R_mask.png")
        assert (view.drawing, view.mask) == (shared, mask)

    def test_own_drawing_goes_before_the_one_at_the_root(self, tmp_path: Path) -> None:
        touch(tmp_path / "drawings/m_R_drawings.png")
        own = touch(tmp_path / "m/drawings/m_R_drawings.png")
        assert View("m", "m_R", tmp_path, LAYOUT).drawing == own


class TestDiscover:
    def test_views_come_sorted_and_hidden_files_are_left_out(self, tmp_path: Path) -> None:
        for name in ("b/PS/b_R_U.tif", "a/PS/a_R_U.tif", "a/PS/a_A_N.tif", "a/PS/._a_R_U.tif"):
            touch(tmp_path / name)
        touch(tmp_path / ".b.tmp/PS/b_R_U.tif")
        views = discover(tmp_path, LAYOUT)
        assert [(v.object_name, v.name) for v in views] == [
            ("a", "a_A"),
            ("a", "a_R"),
            ("b", "b_R"),
        ]

    def test_missing_root_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"nowhere does not exist\. --data-root must be"):
            discover(tmp_path / "nowhere", LAYOUT)

    def test_root_that_is_a_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="is not a folder"):
            discover(touch(tmp_path / "scan.tif"), LAYOUT)

    def test_empty_root_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="is empty"):
            discover(tmp_path, LAYOUT)

    def test_root_without_scans_says_what_was_looked_for(self, tmp_path: Path) -> None:
        touch(tmp_path / "a/PS/a_R.png")
        with pytest.raises(DataError, match=r"holds no scan; looked for \*/PS/\*_N\.tif, .*_U"):
            discover(tmp_path, LAYOUT)

    def test_object_folder_given_as_root_is_recognised(self, tmp_path: Path) -> None:
        touch(tmp_path / "a/PS/a_R_U.tif")
        with pytest.raises(DataError, match="It is itself an object's folder: give --data-root"):
            discover(tmp_path / "a", LAYOUT)

    def test_one_name_in_two_objects_is_refused(self, tmp_path: Path) -> None:
        touch(tmp_path / "a/PS/x_U.tif")
        touch(tmp_path / "b/PS/x_U.tif")
        with pytest.raises(DataError, match="view 'x' is found in two objects, 'a' and 'b'"):
            discover(tmp_path, LAYOUT)

    def test_drawings_without_scan_are_listed(self, tmp_path: Path) -> None:
        touch(tmp_path / "a/PS/a_R_U.tif")
        touch(tmp_path / "a/drawings/a_R_drawings.png")
        touch(tmp_path / "drawings/a_R_drawings.png")
        own = touch(tmp_path / "a/drawings/a_A_drawings.png")
        shared = touch(tmp_path / "drawings/b_R_drawings.png")
        assert orphan_drawings(tmp_path, LAYOUT) == [own, shared]


class TestReadChannel:
    def test_written_view_is_read_back(self, view: View) -> None:
        rng = np.random.default_rng(0)
        np.testing.assert_array_equal(read_channel(view.depth), rng.random((30, 40), np.float32))
        np.testing.assert_array_equal(
            read_channel(view.normals), rng.random((3, 30, 40), np.float32)
        )
        assert read_channel(view.albedo).dtype == np.float32
        assert read_drawing(view.drawing).sum() == 15
        np.testing.assert_array_equal(read_mask(view.mask), ~read_drawing(view.drawing))
        assert size(view.depth) == size(view.normals) == size(view.drawing) == (30, 40)
        assert pixels_per_mm(view.normals) == pytest.approx(39.5, rel=1e-3)

    @pytest.mark.parametrize(("dtype", "largest"), [("u1", 255), ("u2", 65535)])
    def test_integers_are_scaled_to_one(self, tmp_path: Path, dtype: str, largest: int) -> None:
        tifffile.imwrite(tmp_path / "x.tif", np.array([[0, largest, 3]], dtype=dtype))
        expected = np.array([[0, 1, 3 / largest]], dtype=np.float32)
        np.testing.assert_allclose(read_channel(tmp_path / "x.tif"), expected)

    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
    def test_floats_are_taken_as_they_are(self, tmp_path: Path, dtype: str) -> None:
        tifffile.imwrite(tmp_path / "x.tif", ramp(5, 7, dtype=dtype), byteorder=">")
        channel = read_channel(tmp_path / "x.tif")
        assert channel.dtype == np.float32
        np.testing.assert_array_equal(channel, ramp(5, 7))

    @pytest.mark.parametrize("planar", ["contig", "separate"])
    def test_channels_come_first(self, tmp_path: Path, planar: str) -> None:
        pixels = ramp(3, 5, 7)
        stored = np.moveaxis(pixels, 0, -1) if planar == "contig" else pixels
        tifffile.imwrite(tmp_path / "x.tif", stored, photometric="rgb", planarconfig=planar)
        np.testing.assert_array_equal(read_channel(tmp_path / "x.tif"), pixels)

    def test_alpha_of_a_colour_image_is_dropped(self, tmp_path: Path) -> None:
        tifffile.imwrite(
            tmp_path / "x.tif", ramp(5, 7, 4), photometric="rgb", extrasamples=["unassalpha"]
        )
        assert read_channel(tmp_path / "x.tif").shape == (3, 5, 7)

    def test_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"x_U\.tif does not exist"):
            read_channel(tmp_path / "x_U.tif")

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.97])
    def test_truncated_file_is_refused(self, view: View, share: float) -> None:
        content = view.depth.read_bytes()
        view.depth.write_bytes(content[: int(share * len(content))])
        with pytest.raises(DataError, match=r"_U\.tif is damaged, truncated or no TIFF"):
            read_channel(view.depth)

    def test_truncated_plain_file_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x.tif"
        tifffile.imwrite(path, ramp(50, 70))
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(DataError, match="is damaged, truncated or no TIFF"):
            read_channel(path)

    def test_other_content_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.tif").write_text("not a scan at all, but long enough for a header")
        with pytest.raises(DataError, match="no TIFF"):
            read_channel(tmp_path / "x.tif")

    def test_nan_and_infinity_are_counted(self, tmp_path: Path) -> None:
        pixels = ramp(5, 7)
        pixels[2, 3], pixels[0, 0], pixels[1, 1] = np.nan, np.inf, -np.inf
        tifffile.imwrite(tmp_path / "x_U.tif", pixels)
        with pytest.raises(DataError, match=r"x_U\.tif holds 3 values that are NaN or inf.* 35"):
            read_channel(tmp_path / "x_U.tif")

    def test_complex_samples_are_refused(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "x.tif", ramp(5, 7, dtype="c8"))
        with pytest.raises(DataError, match="type complex64, expected unsigned integers or floats"):
            read_channel(tmp_path / "x.tif")

    def test_folder_in_place_of_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.tif").mkdir()
        with pytest.raises(DataError, match="cannot be read: Is a directory"):
            read_channel(tmp_path / "x.tif")


class TestResolution:
    def test_inch_and_centimetre_are_understood(self, tmp_path: Path) -> None:
        tifffile.imwrite(
            tmp_path / "inch.tif", ramp(2, 2), resolution=(1000, 1000), resolutionunit="INCH"
        )
        tifffile.imwrite(
            tmp_path / "cm.tif", ramp(2, 2), resolution=(400, 400), resolutionunit="CENTIMETER"
        )
        assert pixels_per_mm(tmp_path / "inch.tif") == pytest.approx(1000 / 25.4)
        assert pixels_per_mm(tmp_path / "inch.tif", inch=25) == pytest.approx(40)
        assert pixels_per_mm(tmp_path / "cm.tif") == pytest.approx(40)

    def test_missing_tag_is_refused(self, tmp_path: Path) -> None:
        Image.fromarray(ramp(4, 4)).save(tmp_path / "x.tif")
        with pytest.raises(DataError, match=r"x\.tif states no resolution .* set loader\.options"):
            pixels_per_mm(tmp_path / "x.tif")

    def test_zero_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x.tif"
        tifffile.imwrite(path, ramp(4, 4), resolution=(0, 0), resolutionunit="INCH")
        with pytest.raises(DataError, match="missing or zero"):
            pixels_per_mm(path)

    def test_resolution_without_unit_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x.tif"
        tifffile.imwrite(path, ramp(4, 4), resolution=(72, 72), resolutionunit="NONE")
        with pytest.raises(DataError, match="a resolution of 72 without inch or centimetre"):
            pixels_per_mm(path)

    def test_pixels_that_are_not_square_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x.tif"
        tifffile.imwrite(path, ramp(4, 4), resolution=(72, 80), resolutionunit="INCH")
        with pytest.raises(DataError, match="72 pixels across but 80 down"):
            pixels_per_mm(path)


class TestDrawing:
    LINES = np.eye(6, dtype=np.uint8) * 200

    @pytest.mark.parametrize("mode", ["LA", "RGBA"])
    def test_alpha_is_taken_where_there_is_one(self, tmp_path: Path, mode: str) -> None:
        white = Image.new(mode[:-1], (6, 6), "white")
        white.putalpha(Image.fromarray(self.LINES))
        white.save(tmp_path / "x.png")
        np.testing.assert_array_equal(read_drawing(tmp_path / "x.png"), np.eye(6, dtype=bool))

    @pytest.mark.parametrize("mode", ["L", "RGB", "1"])
    def test_else_the_first_channel(self, tmp_path: Path, mode: str) -> None:
        Image.fromarray(self.LINES).convert(mode).save(tmp_path / "x.png")
        np.testing.assert_array_equal(read_drawing(tmp_path / "x.png"), np.eye(6, dtype=bool))

    def test_palette_is_resolved(self, tmp_path: Path) -> None:
        Image.fromarray(self.LINES).convert("P").save(tmp_path / "x.png")
        np.testing.assert_array_equal(read_drawing(tmp_path / "x.png"), np.eye(6, dtype=bool))

    def test_sixteen_bits_are_read(self, tmp_path: Path) -> None:
        Image.fromarray(np.eye(6, dtype=np.uint16)).save(tmp_path / "x.png")
        np.testing.assert_array_equal(read_drawing(tmp_path / "x.png"), np.eye(6, dtype=bool))

    def test_opaque_alpha_is_refused(self, tmp_path: Path) -> None:
        Image.new("RGBA", (6, 6), "white").save(tmp_path / "x.png")
        with pytest.raises(DataError, match=r"x\.png has an alpha channel that is opaque every"):
            read_drawing(tmp_path / "x.png")

    def test_empty_drawing_is_read(self, tmp_path: Path) -> None:
        Image.new("RGBA", (6, 6)).save(tmp_path / "x.png")
        assert not read_drawing(tmp_path / "x.png").any()

    def test_truncated_drawing_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x.png"
        noise = np.random.default_rng(0).integers(0, 255, (60, 60), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:2000])
        with pytest.raises(DataError, match=r"x\.png is damaged or truncated"):
            read_drawing(path)

    def test_other_content_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.png").write_text("no image")
        with pytest.raises(DataError, match=r"x\.png is no image that can be read"):
            read_mask(tmp_path / "x.png")

    def test_missing_mask_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"x_mask\.png does not exist"):
            read_mask(tmp_path / "x_mask.png")


class TestWriteView:
    def test_sizes_that_differ_are_refused(self, tmp_path: Path) -> None:
        plane = np.zeros((4, 5), dtype=np.float32)
        with pytest.raises(ShapeError, match=r"view 'v': normals has shape \(3, 4, 4\), depth"):
            write_view(
                View("m", "v", tmp_path, LAYOUT),
                depth=plane,
                normals=np.zeros((3, 4, 4), dtype=np.float32),
                albedo=plane,
                lines=plane > 0,
                mask=None,
                resolution=1,
            )
        assert not list(tmp_path.iterdir())

    def test_nothing_but_the_five_files_is_left(self, view: View) -> None:
        files = {path.name for path in view.root.rglob("*") if path.is_file()}
        assert files == {
            "ANSA-VI-1700_R_N.tif",
            "ANSA-VI-1700_R_RHO.tif",
            "ANSA-VI-1700_R_U.tif",
            "ANSA-VI-1700_R_drawings.png",
            "ANSA-VI-1700_R_mask.png",
        }
