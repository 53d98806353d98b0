"""The loader `folder`: reading, refusing, splitting."""

from __future__ import annotations

import json
import logging
import re
import shutil

import cv2
import numpy as np
import pytest
import tifffile
from pydantic import ValidationError

from linerefine.errors import DataError
from linerefine.loaders.folder import Folder, FolderOptions


def folder(root, **options):
    return Folder(FolderOptions(root=root, **options))


def silent(what, done, total):
    pass


def all_names(loader):
    return sorted(name for split in ("train", "val", "test") for name in loader.names(split))


def test_samples_hold_image_roi_and_both_annotators(layout):
    sample = folder(layout).load("03")
    mask = cv2.imread(str(layout / "masks" / "03.png"), cv2.IMREAD_GRAYSCALE) > 0
    assert sample.name == "03"
    assert sample.image.shape == (1, 20, 30)
    assert np.array_equal(sample.lines, mask)
    assert np.array_equal(sample.other_lines[0], np.roll(mask, 1, axis=0))
    assert sample.roi.sum() == 14 * 24
    assert sample.pixel_size_mm is None
    inside = sample.image[0][sample.roi]
    assert abs(inside.mean()) < 1e-5
    assert inside.std() == pytest.approx(1, abs=1e-5)
    assert not sample.image[0][~sample.roi].any()


def test_without_further_folders_everything_counts(tmp_path, draw_layout):
    sample = folder(draw_layout(tmp_path, ["a"])).load("a")
    assert sample.roi.all()
    assert sample.other_lines == ()


@pytest.mark.parametrize(
    ("channels", "names"),
    [("grey", ("grey",)), ("green", ("green",)), ("rgb", ("red", "green", "blue"))],
)
def test_channels_are_as_asked(layout, channels, names):
    loader = folder(layout, channels=channels, normalise=False)
    sample = loader.load("00")
    assert loader.channels == names
    assert sample.image.shape[0] == len(names)
    stored = cv2.imread(str(layout / "images" / "00.png"))[..., ::-1] / 255
    if channels != "grey":
        planes = stored if channels == "rgb" else stored[..., 1:2]
        expected = np.where(sample.roi, planes.transpose(2, 0, 1), 0)
        np.testing.assert_allclose(sample.image, expected, atol=1e-6)


def test_invert_negates(layout):
    plain, inverted = (folder(layout, invert=flag).load("00") for flag in (False, True))
    assert np.array_equal(plain.image, -inverted.image)


def test_scale_changes_the_grid_of_everything(layout):
    sample = folder(layout, scale=0.5).load("00")
    assert sample.shape == sample.roi.shape == sample.lines.shape == (10, 15)
    assert sample.image[0][sample.roi].std() == pytest.approx(1, abs=1e-5)


def test_names_decode_nothing(layout):
    for file in layout.rglob("*.png"):
        file.write_bytes(b"")
    loader = folder(layout)
    assert len(loader.names("train")) == 6
    with pytest.raises(DataError, match="cannot be read as an image"):
        loader.load("00")


def test_prepare_reports_progress_and_may_be_repeated(layout):
    calls = []
    loader = folder(layout)
    for _ in range(2):
        loader.prepare(lambda *call: calls.append(call))
    assert calls == [("checking files", done, 10) for done in range(1, 11)] * 2


def test_all_mistakes_in_names_are_listed_at_once(layout):
    (layout / "masks" / "02.png").unlink()
    (layout / "images" / "05.png").unlink()
    (layout / "fov" / "07.png").unlink()
    (layout / "masks2" / "08.png").unlink()  # a second annotator may have done less
    shutil.copy(layout / "images" / "01.png", layout / "images" / "01.JPG")
    (layout / "images" / "notes.txt").write_text("not an image")
    with pytest.raises(DataError) as caught:
        folder(layout).names("train")
    lines = str(caught.value).splitlines()
    assert lines[0] == f"6 mistakes in {layout}:"
    assert any("share the name '01'; keep one." in line for line in lines)
    masks, fov, images = (layout / part for part in ("masks", "fov", "images"))
    assert (
        f"  - {masks} has no file for 1 of 9 images: '02'. Add '02.png', or take it out." in lines
    )
    assert (
        f"  - {fov} has no file for 1 of 9 images: '07'. Add '07.png', or take it out; "
        f"rename the folder if all pixels count." in lines
    )
    for part in ("masks", "masks2", "fov"):
        assert (
            f"  - {layout / part} has files for images that are not in {images}: '05'. "
            f"Add the images, or take these files out." in lines
        )


def test_names_files_and_split_are_refused_together(layout):
    (layout / "masks" / "02.png").unlink()
    (layout / "images" / "03.png").write_text("no image")
    cv2.imwrite(str(layout / "masks" / "04.png"), np.zeros((9, 30), np.uint8))
    (layout / "images" / "11.webp").write_bytes(b"RIFF")
    (layout / "splits.json").write_text(json.dumps({"train": ["00", "zz"], "val": ["02", "00"]}))
    with pytest.raises(DataError) as caught:
        folder(layout).prepare(silent)
    message = str(caught.value)
    assert message.startswith(f"6 mistakes in {layout}:")
    assert "images holds files that are not read: '11.webp'. Convert them to PNG" in message
    assert "has no file for 1 of 10 images: '02'" in message
    assert "03.png cannot be read as an image" in message
    assert "04.png is 9 x 30 pixels" in message
    assert "'train' names 'zz', not in" in message
    assert "'00' is in 'train' and again in 'val'. Keep one." in message


def test_all_mistakes_in_files_are_listed_at_once(layout):
    def write(part, name, content):
        (layout / part / name).unlink(missing_ok=True)
        tifffile.imwrite(layout / part / name, content)

    cv2.imwrite(str(layout / "masks" / "01.png"), np.zeros((20, 31), np.uint8))
    whole = (layout / "images" / "02.png").read_bytes()
    (layout / "images" / "02.png").write_bytes(whole[: len(whole) // 2])
    (layout / "images" / "03.png").unlink()
    depth = np.zeros((20, 30), np.float32)
    depth[10, 10:13] = np.nan, np.inf, -np.inf
    write("images", "03.tif", depth)
    (layout / "fov" / "04.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        folder(layout).prepare(silent)
    message = str(caught.value)
    assert message.startswith(f"4 mistakes in {layout}:")
    assert f"{layout / 'masks' / '01.png'} is 20 x 31 pixels" in message
    assert f"{layout / 'images' / '01.png'} 20 x 30; must agree." in message
    assert f"{layout / 'images' / '02.png'} cannot be read as an image" in message
    assert f"{layout / 'images' / '03.tif'}: 3 pixels that count are NaN or infinite" in message
    assert f"{layout / 'fov' / '04.png'} cannot be read as an image" in message


def test_one_mistake_is_one_line(layout):
    (layout / "masks" / "02.png").unlink()
    with pytest.raises(DataError, match=r"^\S.*masks has no file for 1 of 10 images: '02'\. .*$"):
        folder(layout).names("train")


def test_long_lists_are_cut(tmp_path, draw_layout):
    root = draw_layout(tmp_path, [f"{number:02}" for number in range(30)])
    for file in (root / "masks").iterdir():
        file.write_bytes(b"")
    with pytest.raises(DataError, match=r"(?s)^30 mistakes in .*  - and 10 more\.$"):
        folder(root).prepare(silent)
    for file in (root / "masks").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"for 30 of 30 images: '00', .*, '19' and 10 more\. Add"):
        folder(root).names("train")


def test_masks_called_otherwise_are_found_and_said_how(layout):
    for file in (layout / "masks").iterdir():
        file.rename(file.with_name(f"line_{file.stem}_gt.png"))
    expected = "--set loader.options.masks='masks/line_{name}_gt'"
    with pytest.raises(DataError) as caught:
        folder(layout).names("train")
    assert str(caught.value).endswith(f"They are there as 'line_00_gt', ...: {expected}")
    loader = folder(layout, masks="masks/line_{name}_gt")
    loader.prepare(silent)
    assert loader.load("03").lines.any()


def test_a_name_that_is_nearly_right_is_pointed_out(layout):
    (layout / "masks" / "02.png").rename(layout / "masks" / "vien02.png")
    (layout / "images" / "02.png").rename(layout / "images" / "vein02.png")
    (layout / "fov" / "02.png").rename(layout / "fov" / "vein02.png")
    (layout / "masks2" / "02.png").unlink()
    with pytest.raises(DataError, match=r"Should 'vien02' be 'vein02'\? Rename them\."):
        folder(layout).names("train")


def test_all_parts_may_lie_in_one_folder(layout, tmp_path):
    pile = tmp_path / "pile"
    pile.mkdir()
    called = {"images": "{}.png", "masks": "{}_1st.png", "masks2": "{}_2nd.png", "fov": "{}_f.png"}
    for part, name in called.items():
        for file in (layout / part).iterdir():
            shutil.copy(file, pile / name.format(file.stem))
    options = {"masks": "{name}_1st", "second": "{name}_2nd.png", "roi": "{name}_f"}
    loader = folder(pile, images=".", **options)
    loader.prepare(silent)
    assert all_names(loader) == [f"{number:02}" for number in range(10)]
    ours, theirs = loader.load("03"), folder(layout).load("03")
    assert np.array_equal(ours.lines, theirs.lines)
    assert np.array_equal(ours.roi, theirs.roi)
    assert np.array_equal(ours.other_lines[0], theirs.other_lines[0])
    assert np.array_equal(loader.open(str(pile / "03.png")).roi, theirs.roi)


def test_folders_may_be_named_without_a_root(layout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    apart = tmp_path / "elsewhere" / "labels"
    shutil.copytree(layout / "masks", apart)
    loader = Folder(FolderOptions(images=f"{layout.name}/images", masks=str(apart)))
    assert loader.root == tmp_path
    assert loader.load("03").lines.any()
    both = Folder(FolderOptions(images=str(layout / "images"), masks=str(layout / "masks/{name}")))
    assert both.root == layout
    both.options.model_validate(both.options.model_dump())  # as a saved configuration is read
    image = str(layout / "images" / "03.png")
    assert np.array_equal(both.open(image).roi, folder(layout).load("03").roi)
    masks = layout / "masks"
    shutil.copytree(masks, layout / "labels")
    one = Folder(FolderOptions(masks=str(layout / "labels")))
    assert one.root == layout
    assert one.load("00").lines.any()


def test_dark_lines_are_lines_if_said_so(layout):
    expected = folder(layout).load("03").lines
    for part in ("masks", "masks2"):
        for file in (layout / part).iterdir():
            cv2.imwrite(str(file), 255 - cv2.imread(str(file), cv2.IMREAD_GRAYSCALE))
    with pytest.raises(DataError) as caught:
        folder(layout).prepare(silent)
    message = str(caught.value)
    assert "marks 96 % of all pixels as line, expected less than half" in message
    assert message.count("--set loader.options.lines=dark") == 1  # one remedy for all
    loader = folder(layout, lines="dark")
    loader.prepare(silent)
    assert np.array_equal(loader.load("03").lines, expected)


def test_masks_that_mark_no_lines_are_refused(layout):
    classes = np.zeros((20, 30), np.uint8)
    classes[3], classes[5] = 1, 2
    cv2.imwrite(str(layout / "masks" / "01.png"), classes)
    blue = np.zeros((20, 30, 3), np.uint8)
    blue[..., 0] = 255
    cv2.imwrite(str(layout / "masks" / "02.png"), blue)
    with pytest.raises(DataError) as caught:
        folder(layout).prepare(silent)
    assert "01.png holds the values 0, 1, 2; a mask must be 0 and one other" in str(caught.value)
    assert "02.png marks 100 % of all pixels as line" in str(caught.value)
    for file in (layout / "masks").iterdir():
        cv2.imwrite(str(file), np.zeros((20, 30), np.uint8))
    with pytest.raises(DataError, match="none of the 10 masks in .*masks marks a line"):
        folder(layout).prepare(silent)


def test_an_empty_roi_is_found_by_prepare(layout):
    for name in ("02", "03"):
        cv2.imwrite(str(layout / "fov" / f"{name}.png"), np.zeros((20, 30), np.uint8))
    with pytest.raises(DataError) as caught:
        folder(layout).prepare(silent)
    assert str(caught.value).count("no pixel counts, its ROI is empty.") == 2
    assert str(caught.value).count("rename the folder 'fov' if all pixels") == 1


def test_folders_that_nobody_asked_for_are_noted(layout):
    (layout / "fov").rename(layout / "roi")
    (layout / "papers").mkdir()
    loader = folder(layout)
    assert loader.notes()["unused"].startswith("folders 'roi'; a second annotator's masks are")
    assert "unused" not in folder(layout, roi="roi").notes()


def test_nan_where_nothing_counts_is_no_mistake(layout):
    (layout / "images" / "03.png").unlink()
    depth = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    depth[0] = np.nan
    tifffile.imwrite(layout / "images" / "03.tif", depth)
    loader = folder(layout)
    loader.prepare(silent)
    assert np.isfinite(loader.load("03").image).all()


def test_a_mask_that_does_not_fit_is_named_on_loading(layout):
    cv2.imwrite(str(layout / "masks2" / "01.png"), np.zeros((20, 31), np.uint8))
    with pytest.raises(DataError, match=r"masks2.01\.png is 20 x 31 pixels, .* 20 x 30"):
        folder(layout).load("01")


def test_an_empty_roi_is_refused_and_empty_lines_are_not(layout):
    cv2.imwrite(str(layout / "masks" / "01.png"), np.zeros((20, 30), np.uint8))
    cv2.imwrite(str(layout / "fov" / "02.png"), np.zeros((20, 30), np.uint8))
    assert not folder(layout).load("01").lines.any()
    with pytest.raises(DataError, match=r"02\.png: no pixel counts, its ROI is empty"):
        folder(layout).load("02")


def test_roots_that_hold_nothing_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"no data root is named\. --data-root must be"):
        Folder().names("train")
    with pytest.raises(DataError, match=r"data root .*absent does not exist\. --data-root must"):
        folder(tmp_path / "absent").prepare(silent)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"data root .*file is a file"):
        folder(tmp_path / "file").names("val")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="no folder 'images' and no folder 'masks'; it holds noth"):
        folder(empty).names("train")
    (empty / "images").mkdir()
    with pytest.raises(DataError, match="has no folder 'masks'; it holds 'images'"):
        folder(empty).names("train")
    (empty / "masks").mkdir()
    with pytest.raises(DataError, match=r"images holds no image; looked for \.png"):
        folder(empty).names("train")
    (empty / "images" / "a.gif").write_bytes(b"GIF")
    (empty / "images" / "deep").mkdir()
    said = r"It holds files of \.gif; convert them to PNG\. Folders in it are not read: 'deep'\."
    with pytest.raises(DataError, match=said):
        folder(empty).names("train")


def test_roots_that_are_nearly_right_are_pointed_out(layout, tmp_path):
    with pytest.raises(DataError, match=rf"Did you mean --data-root {re.escape(str(layout))}\?"):
        folder(tmp_path).names("train")
    (layout / "images").rename(layout / "Imgs")
    (layout / "masks").rename(layout / "GroundTruth")
    with pytest.raises(DataError) as caught:
        folder(layout).names("train")
    assert str(caught.value).endswith(
        "If they have other names: --set loader.options.images=Imgs "
        "--set loader.options.masks=GroundTruth"
    )
    pile = tmp_path / "pile"
    shutil.copytree(layout / "Imgs", pile)
    with pytest.raises(DataError, match=r"tell them apart by their names: --set loader\.options"):
        folder(pile).names("train")
    (pile / "masks").mkdir()
    with pytest.raises(DataError, match=r"or: --set loader\.options\.images=\.$"):
        folder(pile).names("train")


def test_unknown_names_are_refused_with_a_suggestion(layout):
    with pytest.raises(DataError, match=r"no image named '033' in .* Did you mean '03'\?"):
        folder(layout).load("033")
    with pytest.raises(DataError, match=r"It holds 10 others\."):
        folder(layout).load("zz")


def test_the_split_is_by_name_without_a_file_and_said(layout, caplog):
    loader = folder(layout)
    with caplog.at_level(logging.INFO, "linerefine.loaders.folder"):
        assert loader.names("test") == ("08", "09")
        loader.names("train")
    said = "split by sorted name, 60/20/20 %: 6 train, 2 val, 2 test"
    assert [record.getMessage() for record in caplog.records] == [said]
    assert loader.notes() == {"split": "by sorted name, 60/20/20 %"}


def test_the_split_file_of_the_options_goes_first(layout):
    (layout / "splits.json").write_text(json.dumps({"train": ["00", "01"], "val": ["02"]}))
    assert folder(layout).names("test") == ("02",)
    other = layout / "mine.json"
    other.write_text(json.dumps({"train": ["00"], "val": ["03"], "test": ["04"]}))
    loader = folder(layout, split_file=other)
    assert all_names(loader) == ["00", "03", "04"]
    assert "mine.json says" in loader.notes()["split"]


def test_a_wrong_split_file_is_found_by_prepare(layout):
    (layout / "splits.json").write_text(json.dumps({"train": ["absent"], "val": ["02"]}))
    with pytest.raises(DataError, match="'train' names 'absent'"):
        folder(layout).prepare(silent)


def test_open_reads_any_image_with_the_same_normalisation(layout, tmp_path):
    inside = folder(layout).open(str(layout / "images" / "03.png"))
    assert inside.lines is None
    assert inside.name == "03"
    loaded = folder(layout).load("03")
    assert np.array_equal(inside.image, loaded.image)
    assert np.array_equal(inside.roi, loaded.roi)
    shutil.copy(layout / "images" / "03.png", tmp_path / "alone.png")
    alone = Folder().open(str(tmp_path / "alone.png"))
    assert alone.roi.all()
    assert alone.image.mean() == pytest.approx(0, abs=1e-5)
    with pytest.raises(DataError, match=r"absent\.png does not exist"):
        Folder().open("absent.png")


def test_options_name_their_mistakes():
    for wrong in (
        {"split_fractions": (0.5, 0.2, 0.2)},
        {"split_fractions": (1.0, 0.0, 0.0)},
        {"group": "("},
        {"scale": 0},
        {"images": ""},
        {"images": "{name}/images"},
        {"masks": "{name}_{name}"},
        {"lines": "grey"},
        {"channels": "infrared"},
        {"rot": "x"},
    ):
        with pytest.raises(ValidationError):
            FolderOptions(**wrong)


def test_samples_do_not_share_memory(layout):
    loader = folder(layout)
    first = loader.load("00")
    first.image[:] = first.lines[:] = 0
    assert loader.load("00").lines.any()


@pytest.mark.data
def test_real_photographs_are_read_and_divided(shared):
    loader = folder(shared / "data" / "chasedb1", group=r"(Image_\d+)[LR]")
    loader.prepare(silent)
    train, val, test = (loader.names(split) for split in ("train", "val", "test"))
    assert len(train) + len(val) == 20
    assert len(test) == 8
    assert val == ("Image_09L", "Image_09R", "Image_10L", "Image_10R")
    sample = loader.load(test[0])
    assert sample.image.shape == (1, 960, 999)
    assert len(sample.other_lines) == 1
    lines = sample.lines & sample.roi
    assert 0.03 < lines.sum() / sample.roi.sum() < 0.2
    beside = cv2.dilate(lines.astype(np.uint8), np.ones((15, 15))).astype(bool) & ~lines
    assert sample.image[0][lines].mean() < sample.image[0][beside].mean() - 0.2  # they are dark
