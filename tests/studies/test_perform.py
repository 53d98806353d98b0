"""A study is trained once and used under every protocol."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pandas as pd
import pytest

import linerefine as lr
from linerefine import builtin
from linerefine.hooks import Experiment, Variant
from linerefine.kit.settings import check_study
from linerefine.registry import Registry
from linerefine.studies.perform import perform, settings

from .conftest import CONFIG, STUDY, DrawnPlugin, performed

pytestmark = pytest.mark.timeout(300)  # the first test performs a whole study


def test_variants_are_the_experiments_refiner_but_for_what_they_change(tiny):
    paper = tiny.configs["paper"]
    both, adding = paper.refiners
    assert (both.key, adding.key) == ("both", "adding")
    assert both.name == adding.name == "unet"
    assert both.options == adding.options
    assert adding.operations == ("add",)


def test_each_protocol_has_its_rules_and_its_folder(tiny):
    paper, independent = (tiny.configs[name] for name in ("paper", "independent"))
    assert (paper.protocol, paper.session.placement) == ("paper", "grid")
    assert (independent.protocol, independent.evaluation.loop) == ("independent", "independent")
    assert [call.folder.name for call in tiny.calls] == ["paper", "independent"]
    assert all(call.labels == {"study": "tiny"} for call in tiny.calls)


def test_independent_runs_have_a_person_without_a_refiner(tiny):
    assert [part.key for part in tiny.configs["paper"].refiners] == ["both", "adding"]
    names = [part.key for part in tiny.configs["independent"].refiners]
    assert names == ["both", "adding", "manual"]


def test_networks_are_trained_once(tiny):
    first, second = tiny.calls
    assert first.config.segmenter.checkpoint is None
    checkpoints = first.folder / "checkpoints"
    assert second.config.segmenter.checkpoint == str(checkpoints / "segmenter.safetensors")
    both, adding, manual = second.config.refiners
    assert both.weights == str(checkpoints / "both.safetensors")
    assert (adding.weights, manual.weights) == ("both", None)
    assert not (checkpoints / "adding.safetensors").exists()
    assert not list((second.folder / "checkpoints").glob("*.safetensors"))
    assert second.config.evaluation.patch_passes == 0


def test_what_a_variant_may_do_holds_in_its_sessions(tiny):
    for result in tiny.outcome.results.values():
        adding = result.rounds[result.rounds["refiner"] == "adding"]
        assert set(adding["operation"].dropna()) == {"add"}


def test_networks_of_an_earlier_study_are_used(tiny, tmp_path):
    again = performed(tmp_path, networks=tiny.outcome.folder)
    trained = tiny.outcome.folder / "paper" / "checkpoints" / "both.safetensors"
    assert again.calls[0].config.refiners[0].weights == str(trained)
    ours, theirs = again.outcome.first.rounds, tiny.outcome.first.rounds
    pd.testing.assert_series_equal(ours["refined_pfm"], theirs["refined_pfm"])


def test_what_an_earlier_study_lacks_is_trained_once(tiny, tmp_path):
    source = tiny.outcome.folder / "paper" / "checkpoints" / "segmenter.safetensors"
    (tmp_path / "early" / "checkpoints").mkdir(parents=True)
    shutil.copy(source, tmp_path / "early" / "checkpoints")
    first, second = performed(tmp_path / "out", networks=tmp_path / "early").calls
    early = str(tmp_path / "early" / "checkpoints" / "segmenter.safetensors")
    assert first.config.segmenter.checkpoint == second.config.segmenter.checkpoint == early
    own = first.folder / "checkpoints" / "both.safetensors"
    assert (first.config.refiners[0].weights, second.config.refiners[0].weights) == (None, str(own))
    assert not list((second.folder / "checkpoints").glob("*.safetensors"))


def test_networks_that_an_earlier_study_was_given_are_used_too(tiny, tmp_path):
    given = performed(tmp_path / "second", networks=tiny.outcome.folder)
    assert not list(given.outcome.folder.rglob("*.safetensors"))
    third = performed(tmp_path / "third", networks=given.outcome.folder).calls[0].config
    checkpoints = tiny.outcome.folder / "paper" / "checkpoints"
    assert third.segmenter.checkpoint == str(checkpoints / "segmenter.safetensors")
    assert third.refiners[0].weights == str(checkpoints / "both.safetensors")
    assert third.refiners[1].weights == "both"


def test_a_folder_without_networks_is_refused(tiny, tmp_path):
    with pytest.raises(lr.RunError, match=r"holds no trained networks; expected a run folder"):
        perform(
            STUDY,
            tiny.outcome.experiment,
            tiny.configs,
            tmp_path / "out",
            tiny.outcome.registry,
            lambda *_: pytest.fail("nothing is to be run"),
            networks=tmp_path,
        )


def test_profiles_and_settings_are_laid_over_the_experiment():
    registry = Registry([builtin, DrawnPlugin()])
    chosen = settings(registry, STUDY, "drawn", {"profile": "slow", "device": "cpu"})
    assert chosen["paper"].evaluation.repeats == 9
    set_ = {"profile": "slow", "device": "cpu", "sets": ("evaluation.repeats=1",)}
    assert settings(registry, STUDY, "drawn", set_)["paper"].evaluation.repeats == 1


def test_a_protocol_cannot_be_chosen_for_a_study():
    registry = Registry([builtin, DrawnPlugin()])
    with pytest.raises(lr.ConfigError, match=r"study tiny runs by the protocols paper, indep"):
        settings(registry, STUDY, "drawn", {"sets": ("protocol=paper",)})


def test_a_variant_of_another_refiner_does_not_take_over_options():
    other = lr.Study(
        "other",
        "s",
        "nowhere",
        "drawn",
        ("patches",),
        variants=(lr.Variant("by_hand", {"name": "manual"}),),
    )
    registry = Registry([builtin, DrawnPlugin()])
    (refiner,) = settings(registry, other, "drawn", {"device": "cpu"})["paper"].refiners
    assert (refiner.name, refiner.label, refiner.options) == ("manual", "by_hand", {})


def test_variants_need_a_refiner_that_a_profile_may_lack():
    class Bare(DrawnPlugin):
        @lr.hookimpl
        def linerefine_experiments(self):
            profiles = {"quick": {}, "bare": {"refiners": [{"name": "manual"}]}}
            yield Experiment("drawn", "drawn samples", CONFIG, profiles)

    registry = Registry([builtin, Bare()])
    said = (
        r"^study tiny compares variants of a refiner, and profile 'bare' has none, only "
        r"'manual'\. Choose another --profile\.$"
    )
    with pytest.raises(lr.ConfigError, match=said):
        settings(registry, STUDY, "drawn", {"profile": "bare", "device": "cpu"})
    # Whatever needs no refiner of the experiment's takes the profile as it is.
    by_name = replace(STUDY, variants=(Variant("both", {"name": "unet"}),))
    for study in (by_name, replace(STUDY, variants=())):
        settings(registry, study, "drawn", {"profile": "bare", "device": "cpu"})
    # What a study does not fit is no broken promise of it; what it fits is checked.
    assert [found.problem for found in check_study(registry, "tiny")] == ["", ""]
