"""The paper's tables and figures: each resolves on every data, with the variants it names."""

from __future__ import annotations

import pytest

import linerefine as lr
from linerefine.studies.perform import settings
from linerefine_etruscan_mirrors.studies import STUDIES

BY_NAME = {study.name: study for study in STUDIES}


@pytest.fixture(scope="module")
def registry() -> lr.Registry:
    return lr.Registry.discover()


def test_every_table_and_figure_of_the_paper_has_a_name():
    paper = {
        "table1",
        "stroke_widths",
        "table2",
        "figure3",
        "figure4",
        "figure5",
        "figure6",
        "recipe",
    }
    assert paper <= set(BY_NAME)


@pytest.mark.parametrize("profile", ["quick", "paper"])
@pytest.mark.parametrize("study", STUDIES, ids=BY_NAME)
def test_it_resolves_under_every_protocol(registry, study, profile):
    configs = settings(registry, study, study.experiment, {"profile": profile, "device": "cpu"})
    assert tuple(configs) == study.protocols
    for config in configs.values():
        keys = [part.key for part in config.refiners if part.name != "manual"]
        assert keys == [variant.label for variant in study.variants] or not study.variants


@pytest.mark.parametrize("study", STUDIES, ids=BY_NAME)
def test_it_runs_on_any_folder_of_images(registry, study, tmp_path):
    options = {"profile": "quick", "device": "cpu", "data_root": tmp_path}
    for config in settings(registry, study, "folder", options).values():
        assert config.loader.name == "folder"


def test_the_paper_repeats_five_times_on_patches_and_ten_times_on_mirrors(registry):
    configs = settings(registry, BY_NAME["table1"], "etruscan_mirrors", {"profile": "paper"})
    evaluation = configs["paper"].evaluation
    assert (evaluation.patch_passes, evaluation.repeats, evaluation.budget) == (5, 10, 3000)


def test_all_variants_of_a_comparison_have_the_same_encoder(registry):
    for name in ("architectures", "prompts", "table1"):
        configs = settings(
            registry, BY_NAME[name], "etruscan_mirrors", {"profile": "quick", "device": "cpu"}
        )
        encoders = {part.options["network"]["encoder"] for part in configs["paper"].refiners}
        assert encoders == {configs["paper"].segmenter.network.encoder}


def test_what_may_be_done_is_what_table_2_varies(registry):
    configs = settings(registry, BY_NAME["table2"], "etruscan_mirrors", {"device": "cpu"})
    allowed = {part.key: (part.operations, part.weights) for part in configs["paper"].refiners}
    assert allowed == {
        "both": (("add", "erase"), None),
        "adding": (("add",), "both"),
        "erasing": (("erase",), "both"),
    }


def test_published_numbers_belong_to_views_that_are_shown():
    for study in STUDIES:
        assert set(study.published) <= set(study.views)
