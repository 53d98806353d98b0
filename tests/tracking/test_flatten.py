from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linerefine.config import Component, ExperimentConfig, RefinerConfig
from linerefine.tracking.flatten import (
    LONGEST_KEY,
    LONGEST_VALUE,
    flat_settings,
    metric_key,
    numeric_leaves,
)


@given(st.lists(st.text(max_size=300), min_size=1, max_size=3))
def test_any_name_becomes_one_that_mlflow_accepts(parts):
    from mlflow.utils.validation import _validate_metric_name

    key = metric_key(*parts)
    _validate_metric_name(key)
    assert len(key) <= LONGEST_KEY
    assert re.fullmatch(r"[/\w.\- ]*", key)  # the stricter rule of Windows


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        (("image", "ANSA-VI-1700_R", "pfm_refined"), "image/ANSA-VI-1700_R/pfm_refined"),
        (("training", "val/pfm"), "training/val_pfm"),
        (("..", "a"), "__/a"),
        (("", "a"), "_/a"),
    ],
)
def test_good_names_stay_as_they_are(parts, key):
    assert metric_key(*parts) == key


def test_a_whole_configuration_becomes_dotted_settings():
    config = ExperimentConfig(
        loader=Component(name="folder", options={"root": "/data/my scans"}),
        refiners=(
            RefinerConfig(name="unet", options={"network": {"encoder": "b0"}}),
            RefinerConfig(name="unet", label="wide", training={"loss": "dice"}),
        ),
    )
    settings = flat_settings(config.model_dump())
    assert settings["loader.name"] == "folder"
    assert settings["loader.options.root"] == "/data/my scans"
    assert settings["refiners"] == "unet, wide"
    assert settings["refiners.wide.name"] == "unet"
    assert settings["refiners.wide.training.loss"] == "dice"
    assert settings["refiners.unet.options.network.encoder"] == "b0"
    assert settings["metrics"] == "pfm, iou"
    assert settings["training.learning_rate"] == "0.0003"
    assert settings["segmenter.checkpoint"] == "null"
    assert settings["tracking.enabled"] == "true"
    assert settings["training.augmentation.flip"] == "0.5"
    assert all(isinstance(value, str) for value in settings.values())


def test_lists_that_hold_no_components_are_written_out():
    assert flat_settings({"channels": ["depth", "normals"], "none": []}) == {
        "channels": '["depth", "normals"]',
        "none": "[]",
    }


def test_long_texts_are_cut_visibly():
    settings = flat_settings({"a": "x" * 10_000})
    assert len(settings["a"]) == LONGEST_VALUE
    assert settings["a"].endswith("…")


def test_every_finite_number_of_a_summary_is_found():
    summary = {
        "metric": "pfm",
        "is_done": True,
        "refiners": {"unet": {"mean": {"max_gain": np.float64(0.07), "reached": np.int64(3)}}},
        "list": [1, {"x": 2.5}],
        "bad": [float("nan"), float("inf"), None],
    }
    assert numeric_leaves(summary) == {
        "refiners/unet/mean/max_gain": 0.07,
        "refiners/unet/mean/reached": 3.0,
        "list/0": 1.0,
        "list/1/x": 2.5,
    }
